// Package client is the client library: channels, credentials, conversations, and descriptions of failed calls.
package client

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const (
	tlsPort     = 443
	highestPort = 65535
)

var (
	hostAndPort = regexp.MustCompile(`^(https://)?([^/:\[\]]+|\[[0-9a-fA-F:.%]+\])(?::([0-9]{1,5}))?/?$`)
	loopback    = regexp.MustCompile(`^(localhost|127(\.[0-9]+){3}|\[::1\])$`)
)

// Address is the address of a server.
type Address struct {
	// Target is HOST:PORT, or a target that only gRPC resolves, such as unix:… and dns:///….
	Target string
	// Host is the host; empty for targets that only gRPC resolves.
	Host string
	// IsTLS tells whether the address implies TLS: by port 443, which a bare host implies, or by https://.
	IsTLS bool
}

// ParseAddress parses an address: HOST or https://HOST, which mean port 443 with TLS; HOST:PORT, which is plaintext
// except for port 443; or any name that grpc-go resolves. The error says why the address is invalid.
func ParseAddress(text string) (Address, error) {
	found := hostAndPort.FindStringSubmatch(text)
	if found == nil && (strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")) {
		return Address{}, fmt.Errorf(
			"'%s' is invalid: must be HOST:PORT for plaintext, or https://HOST[:PORT] for TLS, without a path", text)
	}
	if found == nil || (found[2] == "unix" && found[1] == "") {
		return Address{Target: text}, nil
	}
	scheme, host, port := found[1], found[2], tlsPort
	if found[3] != "" {
		port, _ = strconv.Atoi(found[3]) // the pattern allows five digits only
	}
	if port <= 0 || port > highestPort {
		return Address{}, fmt.Errorf("'%s' is invalid: the port must be 1-%d", text, highestPort)
	}
	return Address{fmt.Sprintf("%s:%d", host, port), host, scheme != "" || port == tlsPort}, nil
}

// IsLoopback returns whether the host is this machine.
func (a Address) IsLoopback() bool {
	return loopback.MatchString(a.Host)
}

// IsCloudRun returns whether the host is a Cloud Run service under its run.app name.
func (a Address) IsCloudRun() bool {
	return strings.HasSuffix(a.Host, ".run.app")
}

// Audience returns the audience of identity tokens for the server; empty if the host is.
func (a Address) Audience() string {
	if a.Host == "" {
		return ""
	}
	return "https://" + a.Host
}
