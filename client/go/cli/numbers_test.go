// Tests of numbers on the command line: which texts are numbers, and how numbers are printed.

package main

import (
	"math"
	"math/rand"
	"testing"
	"testing/quick"
)

func TestAFormattedNumberParsesToTheSameNumber(t *testing.T) {
	isSame := func(bits uint32) bool {
		value := math.Float32frombits(bits)
		if math.IsNaN(float64(value)) {
			return true // NaN does not equal itself
		}
		parsed, err := parseNumber32(formatNumber32(value))
		return err == nil && math.Float32bits(parsed) == bits
	}
	if err := quick.Check(isSame, &quick.Config{MaxCount: 10000, Rand: rand.New(rand.NewSource(1))}); err != nil {
		t.Error(err)
	}
}

func TestNumbersAreFormattedAsInTheOtherClients(t *testing.T) {
	for text, want := range map[string]string{
		"0":            "0",
		"-0":           "-0",
		"0.3":          "0.3",
		"98":           "98",
		"1e15":         "1000000000000000",
		"1e20":         "1e+20",
		"1e-5":         "1e-05",
		"0.0001":       "0.0001",
		"1e-45":        "1.4013e-45",
		"3.4028235e38": "3.4028235e+38",
		"inf":          "Infinity",
		"-Infinity":    "-Infinity",
		"-nan":         "NaN",
		" 2\t":         "2",
	} {
		value, err := parseNumber32(text)
		if got := formatNumber32(value); err != nil || got != want {
			t.Errorf("%q is formatted as %q, error %v; want %q", text, got, err, want)
		}
	}
}

func TestTextThatIsNotANumberIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":      "'' is not a number",
		"two":   "'two' is not a number",
		"0x10":  "'0x10' is not a number",
		"1_000": "'1_000' is not a number",
		"1e39":  "'1e39' is out of range: the largest 32-bit number is 3.4028235e38",
		"1e400": "'1e400' is out of range: the largest number is 1.7976931348623157e308",
	} {
		if _, err := parseNumber32(text); err == nil || err.Error() != want {
			t.Errorf("parsing %q: error %v; want %s", text, err, want)
		}
	}
}
