package domain

import (
	"errors"
	"math"
	"math/rand"
	"strconv"
	"testing"
	"testing/quick"
)

var allOperations = []Operation{Add, Subtract, Multiply, Divide, Power, Remainder}

// check checks that a property holds for many random arguments, which are the same in each run.
func check(t *testing.T, property any) {
	t.Helper()
	checkTimes(t, 2000, property)
}

func checkTimes(t *testing.T, times int, property any) {
	t.Helper()
	if err := quick.Check(property, &quick.Config{MaxCount: times, Rand: rand.New(rand.NewSource(1))}); err != nil {
		t.Error(err)
	}
}

// number returns the float64 with the given bits, so that all sizes and special values are as likely.
func number(bits uint64) float64 {
	return math.Float64frombits(bits)
}

func reasonOf(err error) Reason {
	var failure *Error
	if errors.As(err, &failure) {
		return failure.Reason
	}
	return ""
}

func TestFiniteOperandsHaveAFiniteResultOrAnError(t *testing.T) {
	check(t, func(first, second uint64) bool {
		for _, operation := range allOperations {
			result, err := Calculate(operation, number(first), number(second))
			areFinite := isFinite(number(first)) && isFinite(number(second))
			if (err != nil && !areFinite) || (err == nil && areFinite && !isFinite(result)) {
				return false
			}
		}
		return true
	})
}

func TestSumsAndProductsAreCommutativeAndDifferencesAreSumsOfTheNegative(t *testing.T) {
	check(t, func(first, second float64) bool {
		sum, overflow := Calculate(Add, first, second)
		reversed, _ := Calculate(Add, second, first)
		negative, _ := Calculate(Subtract, first, -second)
		product, _ := Calculate(Multiply, first, second)
		other, _ := Calculate(Multiply, second, first)
		return (sum == reversed && sum == negative && product == other) || overflow != nil
	})
}

func TestARemainderIsSmallerThanTheDivisorAndHasTheSignOfTheDividend(t *testing.T) {
	check(t, func(first, second uint64) bool {
		dividend, divisor := number(first), number(second)
		if !isFinite(dividend) || !isFinite(divisor) || divisor == 0 {
			return true
		}
		remainder, err := Calculate(Remainder, dividend, divisor)
		isSmaller := math.Abs(remainder) < math.Abs(divisor)
		return err == nil && isSmaller && math.Signbit(remainder) == math.Signbit(dividend)
	})
}

func TestExceptionsOfIEEE754AreErrorsThatExplainThemselves(t *testing.T) {
	for _, each := range []struct {
		operation     Operation
		first, second float64
		reason        Reason
		field         string
		message       string
	}{
		{Divide, 1, 0, DivisionByZero, "second_operand", "1 / 0 divides by zero"},
		{Remainder, 0, 0, DivisionByZero, "second_operand", "0 % 0 divides by zero"},
		{Power, 0, -1, DivisionByZero, "second_operand", "0 ^ -1 divides by zero"},
		{Power, -8, 0.5, Undefined, "second_operand", "-8 ^ 0.5 is not a real number"},
		{Power, -10, 309, Overflow, "", "-10 ^ 309 is beyond the largest number, " + largest},
		{Multiply, 1e200, 1e200, Overflow, "", "1e+200 * 1e+200 is beyond the largest number, " + largest},
	} {
		_, err := Calculate(each.operation, each.first, each.second)
		var failure *Error
		if !errors.As(err, &failure) || failure.Reason != each.reason || failure.Field != each.field ||
			failure.Message != each.message {
			t.Errorf("the error of %s is %+v", each.message, failure)
		}
	}
}

func TestInfinitiesAndNaNFollowIEEE754(t *testing.T) {
	infinity, nan := math.Inf(1), math.NaN()
	for _, each := range []struct {
		operation             Operation
		first, second, result float64
	}{
		{Add, infinity, 1, infinity},
		{Subtract, infinity, infinity, nan},
		{Divide, -infinity, 0, -infinity},
		{Divide, nan, 0, nan},
		{Remainder, infinity, 2, nan},
		{Remainder, 2, infinity, 2},
		{Power, infinity, -1, 0},
		{Power, -1, infinity, 1},
		{Power, nan, 0, 1},
	} {
		result, err := Calculate(each.operation, each.first, each.second)
		if err != nil || (result != each.result && !(math.IsNaN(result) && math.IsNaN(each.result))) {
			t.Errorf("%+v: the result is %v, error %v", each, result, err)
		}
	}
}

func TestAFormattedNumberParsesToTheSameNumber(t *testing.T) {
	check(t, func(bits uint64) bool {
		value := number(bits)
		parsed, err := strconv.ParseFloat(FormatNumber(value), 64)
		return err == nil && (parsed == value || math.IsNaN(value))
	})
}

func TestNumbersAreFormattedAsInPython(t *testing.T) {
	for want, value := range map[string]float64{
		"7": 7, "-0": math.Copysign(0, -1), "0.1": 0.1, "0.0001": 1e-4, "1e-05": 1e-5, "1e+300": 1e300,
		"-inf": math.Inf(-1), "1000000000000000": 1e15, "1e+16": 1e16, "inf": math.Inf(1), "nan": math.NaN(),
	} {
		if got := FormatNumber(value); got != want {
			t.Errorf("%v is formatted as %s; want %s", value, got, want)
		}
	}
}
