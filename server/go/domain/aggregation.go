package domain

import (
	"math"
	"math/big"
)

// Every finite number is a whole multiple of 2^-1074, and every square of one a whole multiple of 2^-2148.
const scaleBits = 1074

// Aggregation has the statistics of numbers. Sums are stored as multiples of the smallest positive number, so they are
// exact in any order of the numbers. Their size is at most about 2100 and 4200 bits, regardless of the count.
type Aggregation struct {
	Count            int64
	Minimum, Maximum float64 // only if there are numbers
	sum, squares     big.Int // of the numbers, and of their squares
	units, shifted   big.Int // reused, so that no number needs memory
}

// Add adds numbers. If one is infinite or NaN, it returns a NotFinite whose message has its position in the stream,
// from 1.
func (a *Aggregation) Add(numbers []float64) error {
	for _, number := range numbers {
		if !isFinite(number) {
			text := "number %d is %s; accepted: finite numbers"
			return errorf(NotFinite, "numbers", text, a.Count+1, FormatNumber(number))
		}
		a.addFinite(number)
	}
	return nil
}

func (a *Aggregation) addFinite(number float64) {
	if a.Count == 0 || number < a.Minimum {
		a.Minimum = number
	}
	if a.Count == 0 || number > a.Maximum {
		a.Maximum = number
	}
	a.Count++
	fraction, exponent := math.Frexp(number)
	bits := min(53, exponent+scaleBits) // a subnormal number has fewer
	shift := uint(exponent + scaleBits - bits)
	a.units.SetInt64(int64(math.Ldexp(fraction, bits)))
	a.sum.Add(&a.sum, a.shifted.Lsh(&a.units, shift))
	a.units.Mul(&a.units, &a.units)
	a.squares.Add(&a.squares, a.shifted.Lsh(&a.units, 2*shift))
}

// Sum returns the exact sum, rounded once. Its error is Overflow.
func (a *Aggregation) Sum() (float64, error) {
	return finite("the sum", quotient(&a.sum, scale(scaleBits)))
}

// Mean returns the exact mean, rounded once. There must be at least one number.
func (a *Aggregation) Mean() float64 {
	count := big.NewInt(a.Count)
	return quotient(&a.sum, count.Mul(count, scale(scaleBits)))
}

// Variance returns the exact population variance, rounded once. There must be at least one number. Its error is
// Overflow.
func (a *Aggregation) Variance() (float64, error) {
	count := big.NewInt(a.Count)
	squares := new(big.Int).Mul(count, &a.squares)
	squares.Sub(squares, new(big.Int).Mul(&a.sum, &a.sum))
	return finite("the variance", quotient(squares, count.Mul(count, count).Mul(count, scale(2*scaleBits))))
}

func scale(bits uint) *big.Int {
	return new(big.Int).Lsh(big.NewInt(1), bits)
}

// quotient returns a quotient, rounded once: infinity if it is beyond the largest number.
func quotient(numerator, denominator *big.Int) float64 {
	value, _ := new(big.Rat).SetFrac(numerator, denominator).Float64()
	return value
}

func finite(name string, value float64) (float64, error) {
	if math.IsInf(value, 0) {
		return 0, errorf(Overflow, "", "%s is beyond the largest number, %s", name, largest)
	}
	return value, nil
}
