// Numbers as text: parsed like the clients in other languages do, and printed.

package main

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// The largest finite numbers, as error messages show them.
const (
	largest32 = "3.4028235e38"
	largest64 = "1.7976931348623157e308"
)

// number matches what the clients accept as a number: less than strconv.ParseFloat, which also accepts 0x10 and 1_000.
var number = regexp.MustCompile(`^(?i:[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?(inf|infinity|nan))$`)

// parseNumber parses a 64-bit number: decimal, inf or nan. It returns an error if the text is not a number, or is too
// large.
func parseNumber(text string) (float64, error) {
	stripped := strings.Trim(text, " \t\n\v\f\r")
	if !number.MatchString(stripped) {
		return 0, fmt.Errorf("'%s' is not a number", text)
	}
	if strings.EqualFold(strings.TrimLeft(stripped, "+-"), "nan") {
		return math.NaN(), nil // which strconv does not accept with a sign
	}
	value, err := strconv.ParseFloat(stripped, 64)
	if err != nil {
		return 0, fmt.Errorf("'%s' is out of range: the largest number is %s", text, largest64)
	}
	return value, nil
}

// parseNumber32 parses a number in the range of a 32-bit float, which may round it. It returns an error if the text is
// not a number, or is too large.
func parseNumber32(text string) (float32, error) {
	value, err := parseNumber(text)
	if err != nil {
		return 0, err
	}
	rounded := float32(value)
	if math.IsInf(float64(rounded), 0) && !math.IsInf(value, 0) {
		return 0, fmt.Errorf("'%s' is out of range: the largest 32-bit number is %s", text, largest32)
	}
	return rounded, nil
}

// formatNumber32 formats a 32-bit number with the fewest digits that identify it, but rounds to at least six digits.
func formatNumber32(value float32) string {
	exact := float64(value)
	switch {
	case math.IsNaN(exact):
		return "NaN"
	case math.IsInf(exact, 0):
		return strings.Trim(strconv.FormatFloat(exact, 'f', -1, 64), "+") + "inity"
	}
	var short float64
	for digits := 6; digits <= 9; digits++ {
		short, _ = strconv.ParseFloat(strconv.FormatFloat(exact, 'e', digits-1, 64), 64)
		if float32(short) == value {
			break
		}
	}
	return formatNumber(short)
}

// formatNumber formats a number with the fewest digits that identify it: 0.1, 1e+20, inf, nan.
func formatNumber(value float64) string {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return strings.ToLower(strings.TrimPrefix(strconv.FormatFloat(value, 'f', -1, 64), "+"))
	}
	scientific := strconv.FormatFloat(value, 'e', -1, 64)
	_, exponent, _ := strings.Cut(scientific, "e")
	if power, _ := strconv.Atoi(exponent); power >= -4 && power < 16 {
		return strconv.FormatFloat(value, 'f', -1, 64)
	}
	return scientific
}
