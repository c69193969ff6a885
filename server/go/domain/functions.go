package domain

import (
	"math"
	"strings"
)

// anyNumber is the number of arguments of a function that has one or more.
const anyNumber = -1

// function is a function of expressions, such as sqrt, or a constant, such as pi.
type function struct {
	name      string
	arguments int                               // how many arguments it has, 0 for a constant, or anyNumber
	compute   func(arguments []float64) float64 // returns NaN if there is no real result, infinity if it is too large
	domain    string                            // the accepted arguments, as errors show them, if some are not accepted
}

// functions are all functions and constants. The comment of EvaluateRequest.expression in the proto describes them.
var functions = []*function{
	constant("pi", math.Pi),
	constant("e", math.E),
	unary("sqrt", math.Sqrt, "numbers from 0"),
	unary("abs", math.Abs, ""),
	unary("ln", ln, "numbers above 0"),
	unary("log", log10, "numbers above 0"),
	unary("exp", exp, ""),
	unary("sin", sin, ""),
	unary("cos", cos, ""),
	unary("tan", tan, ""),
	unary("asin", asin, "numbers from -1 to 1"),
	unary("acos", acos, "numbers from -1 to 1"),
	unary("atan", atan, ""),
	{name: "min", arguments: anyNumber, compute: func(numbers []float64) float64 {
		return first(numbers, func(one, other float64) bool { return one < other })
	}},
	{name: "max", arguments: anyNumber, compute: func(numbers []float64) float64 {
		return first(numbers, func(one, other float64) bool { return one > other })
	}},
	unary("round", math.Round, ""),
}

func constant(name string, value float64) *function {
	return &function{name: name, compute: func([]float64) float64 { return value }}
}

func unary(name string, compute func(float64) float64, domain string) *function {
	return &function{name, 1, func(arguments []float64) float64 { return compute(arguments[0]) }, domain}
}

// first returns the number that comes before all others; of several that do, such as 0 and -0, the leftmost.
func first(numbers []float64, isBefore func(one, other float64) bool) float64 {
	found := numbers[0]
	for _, number := range numbers {
		if isBefore(number, found) {
			found = number
		}
	}
	return found
}

// functionNamed returns the function with a name, or nil.
func functionNamed(name string) *function {
	for _, each := range functions {
		if each.name == name {
			return each
		}
	}
	return nil
}

// apply applies the function to finite arguments, as many as it has. Its errors are Undefined and Overflow.
func (f *function) apply(arguments []float64) (float64, error) {
	result := f.compute(arguments)
	switch {
	case math.IsNaN(result):
		return 0, errorf(Undefined, "", "%s is not a real number; accepted: %s", f.call(arguments), f.domain)
	case math.IsInf(result, 0):
		return 0, errorf(Overflow, "", "%s is beyond the largest number, %s", f.call(arguments), largest)
	}
	return result, nil
}

func (f *function) call(arguments []float64) string {
	texts := make([]string, len(arguments))
	for i, argument := range arguments {
		texts[i] = FormatNumber(argument)
	}
	return f.name + "(" + strings.Join(texts, ", ") + ")"
}
