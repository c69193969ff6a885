package domain

import (
	"math"
	"strconv"
)

// Operation is an operation on two operands. Its value is its sign in an expression.
type Operation string

// All operations. Remainder has the sign of the first operand, like C's fmod.
const (
	Add       Operation = "+"
	Subtract  Operation = "-"
	Multiply  Operation = "*"
	Divide    Operation = "/"
	Power     Operation = "^"
	Remainder Operation = "%"
)

const largest = "1.7976931348623157e308" // the largest number, as error messages show it

// Calculate applies an operation to two operands in IEEE 754 double precision.
//
// An operation on finite operands without a finite result is an *Error: DivisionByZero, Undefined if a negative number
// is raised to a power that is not an integer, or Overflow. Infinite and NaN operands yield the results of IEEE 754.
func Calculate(operation Operation, first, second float64) (float64, error) {
	result := compute(operation, first, second)
	if isFinite(first) && isFinite(second) && !isFinite(result) {
		return 0, errorOf(operation, first, second)
	}
	return result, nil
}

func compute(operation Operation, first, second float64) float64 {
	switch operation {
	case Add:
		return first + second
	case Subtract:
		return first - second
	case Multiply:
		return first * second
	case Divide:
		return first / second
	case Power:
		return pow(first, second)
	default:
		return math.Mod(first, second)
	}
}

func isFinite(value float64) bool {
	return !math.IsNaN(value) && !math.IsInf(value, 0)
}

// errorOf returns the reason why an operation on finite operands has no finite result.
func errorOf(operation Operation, first, second float64) *Error {
	text := FormatNumber(first) + " " + string(operation) + " " + FormatNumber(second)
	switch {
	case second == 0 || (first == 0 && operation == Power):
		return errorf(DivisionByZero, "second_operand", "%s divides by zero", text)
	case first < 0 && operation == Power && second != math.Trunc(second):
		return errorf(Undefined, "second_operand", "%s is not a real number", text)
	default:
		return errorf(Overflow, "", "%s is beyond the largest number, %s", text, largest)
	}
}

// FormatNumber formats a number with the fewest digits that identify it: 7, 0.1, 1e+300, inf, nan.
func FormatNumber(value float64) string {
	switch {
	case math.IsNaN(value):
		return "nan"
	case math.IsInf(value, 1):
		return "inf"
	case math.IsInf(value, -1):
		return "-inf"
	}
	// Python switches to an exponent at the same sizes.
	if size := math.Abs(value); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(value, 'e', -1, 64)
	}
	return strconv.FormatFloat(value, 'f', -1, 64)
}
