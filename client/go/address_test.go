// Tests of how server addresses are parsed.

package client

import (
	"strings"
	"testing"
)

func TestParseReturnsTheTargetTheHostAndWhetherItImpliesTLS(t *testing.T) {
	for text, want := range map[string]Address{
		"calculator-abc.a.run.app":        {"calculator-abc.a.run.app:443", "calculator-abc.a.run.app", true},
		"https://calculator.example.com/": {"calculator.example.com:443", "calculator.example.com", true},
		"https://localhost:8443":          {"localhost:8443", "localhost", true},
		"example.com:443":                 {"example.com:443", "example.com", true},
		"localhost":                       {"localhost:443", "localhost", true},
		"localhost:50051":                 {"localhost:50051", "localhost", false},
		"10.0.0.1:8080":                   {"10.0.0.1:8080", "10.0.0.1", false},
		"[::1]:50051":                     {"[::1]:50051", "[::1]", false},
		"[::1]":                           {"[::1]:443", "[::1]", true},
		"unix:server.sock":                {Target: "unix:server.sock"},
		"unix:///run/server.sock":         {Target: "unix:///run/server.sock"},
		"dns:///localhost:50051":          {Target: "dns:///localhost:50051"},
	} {
		if address, err := ParseAddress(text); err != nil || address != want {
			t.Errorf("%s is parsed to %+v, error %v; want %+v", text, address, err, want)
		}
	}
}

func TestIsLoopbackHoldsForThisMachineOnly(t *testing.T) {
	for text, want := range map[string]bool{
		"localhost:1":             true,
		"127.1.2.3:1":             true,
		"[::1]:1":                 true,
		"localhost.example.com:1": false,
		"127.0.0.1.example.com:1": false,
		"0.0.0.0:1":               false,
		"unix:x":                  false,
	} {
		if address, err := ParseAddress(text); err != nil || address.IsLoopback() != want {
			t.Errorf("IsLoopback of %s is %v, error %v; want %v", text, address.IsLoopback(), err, want)
		}
	}
}

func TestParseRejectsURLsAndPortsThatGRPCWouldMisread(t *testing.T) {
	for _, text := range []string{"localhost:99999", "localhost:0", "http://localhost:80", "https://localhost/path"} {
		_, err := ParseAddress(text)
		if err == nil || !strings.HasPrefix(err.Error(), "'"+text+"' is invalid: ") {
			t.Errorf("%s: error %v", text, err)
		}
	}
}

func TestTheAudienceIsTheURLOfTheServiceWithoutAPort(t *testing.T) {
	for text, want := range map[string]string{
		"https://calculator-abc.a.run.app:443/": "https://calculator-abc.a.run.app",
		"unix:x":                                "",
	} {
		if address, err := ParseAddress(text); err != nil || address.Audience() != want {
			t.Errorf("the audience of %s is %q, error %v; want %q", text, address.Audience(), err, want)
		}
	}
}

func TestIsCloudRunHoldsForSubdomainsOfRunAppOnly(t *testing.T) {
	for text, want := range map[string]bool{
		"calculator-abc.a.run.app": true,
		"run.app.example.com":      false,
		"fakerun.app":              false,
	} {
		if address, err := ParseAddress(text); err != nil || address.IsCloudRun() != want {
			t.Errorf("IsCloudRun of %s is %v, error %v; want %v", text, address.IsCloudRun(), err, want)
		}
	}
}
