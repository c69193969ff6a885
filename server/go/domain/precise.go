package domain

// Elementary functions, computed with many more bits than a float64 has, and rounded once. Package math is often wrong
// in the last bit; the C library, which //server uses, rarely is.

import (
	"math"
	"math/big"
	"sync"
)

const (
	// precision is that of intermediate results in bits, of which about 150 are correct in the end.
	precision = 320
	// reductionPrecision is that of pi, in bits: 1024 for the multiples of pi in the largest float64, and precision.
	reductionPrecision = 1024 + precision + 100
	// tieBits is far more than a float64 has, and fewer than are correct. Rounding to it first makes an exact result
	// exact, so that one in the middle between two float64 is rounded to even.
	tieBits = 128
)

func wide(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }

func add(x, y *big.Float) *big.Float { return new(big.Float).Add(x, y) }
func sub(x, y *big.Float) *big.Float { return new(big.Float).Sub(x, y) }
func mul(x, y *big.Float) *big.Float { return new(big.Float).Mul(x, y) }
func quo(x, y *big.Float) *big.Float { return new(big.Float).Quo(x, y) }

func rounded(x *big.Float) float64 {
	value, _ := x.SetPrec(tieBits).Float64()
	return value
}

// isNegligible returns whether adding a term does not change a sum.
func isNegligible(term, sum *big.Float) bool {
	return term.Sign() == 0 || term.MantExp(nil) < sum.MantExp(nil)-int(sum.Prec())
}

// wideExp returns e^x: infinity or 0 if it is far beyond the range of float64.
func wideExp(x *big.Float) *big.Float {
	if x.MantExp(nil) > 11 { // at least 2048
		if x.Signbit() {
			return wide(0)
		}
		return wide(math.Inf(1))
	}
	const halvings = 32
	small := new(big.Float).SetMantExp(x, -halvings)
	sum, term := wide(1), wide(1)
	for n := 1.0; !isNegligible(term, sum); n++ {
		term = quo(mul(term, small), wide(n))
		sum = add(sum, term)
	}
	for range halvings {
		sum = mul(sum, sum)
	}
	return sum
}

// wideLn returns the natural logarithm of a positive number: one step of Halley's method, which triples the correct
// bits.
func wideLn(x float64) *big.Float {
	estimate := wide(math.Log(x))
	if x < 0x1p-1022 { // subnormal: math.Log is wrong by up to 35
		estimate = wide(math.Log(x*0x1p52) - 52*math.Ln2)
	}
	power := wideExp(estimate)
	correction := quo(sub(wide(x), power), add(wide(x), power))
	return add(estimate, mul(wide(2), correction))
}

// sineSeries returns the sine of a number by its Taylor series.
func sineSeries(x *big.Float) *big.Float {
	square := new(big.Float).Neg(mul(x, x))
	sum, term := x, x
	for n := 2.0; !isNegligible(term, sum); n += 2 {
		term = quo(mul(term, square), wide(n*(n+1)))
		sum = add(sum, term)
	}
	return sum
}

// pi returns pi with reductionPrecision. Each step triples the correct bits.
var pi = sync.OnceValue(func() *big.Float {
	value := new(big.Float).SetPrec(reductionPrecision).SetFloat64(math.Pi)
	for range 3 {
		value = add(value, sineSeries(value))
	}
	return value
})

// wideSin returns the sine of the sum of x and a number of right angles.
func wideSin(x float64, rightAngles int64) *big.Float {
	rightAngle := new(big.Float).SetMantExp(pi(), -1)
	turned := quo(wide(x), rightAngle)
	nearest, _ := turned.Add(turned, wide(math.Copysign(0.5, x))).Int(nil)
	multiple := new(big.Float).SetPrec(reductionPrecision).SetInt(nearest)
	rest := sub(wide(x), mul(multiple, rightAngle)).SetPrec(precision)
	sine := sineSeries(rest)
	quadrant := nearest.Add(nearest, big.NewInt(rightAngles))
	if quadrant.Bit(0) == 1 {
		sine.Sqrt(sub(wide(1), mul(sine, sine)))
	}
	if quadrant.Bit(1) == 1 {
		sine.Neg(sine)
	}
	return sine
}

// wideAngle returns the angle of the direction whose sine and cosine have the ratio of the arguments.
func wideAngle(sine, cosine *big.Float) *big.Float {
	y, _ := sine.Float64()
	x, _ := cosine.Float64()
	estimate := math.Atan2(y, x)
	sin, cos := wideSin(estimate, 0), wideSin(estimate, 1)
	// The tangent of the error, which is so small that it equals the error.
	correction := quo(sub(mul(sine, cos), mul(cosine, sin)), add(mul(cosine, cos), mul(sine, sin)))
	return add(wide(estimate), correction)
}

// otherLeg returns sqrt(1 - x^2).
func otherLeg(x float64) *big.Float {
	square := sub(wide(1), mul(wide(x), wide(x)))
	return square.Sqrt(square)
}

// The functions below have the domain of mathematics, and return NaN outside of it. Their arguments are finite, except
// those of pow.

func exp(x float64) float64 { return rounded(wideExp(wide(x))) }

func ln(x float64) float64 {
	if x <= 0 {
		return math.NaN()
	}
	return rounded(wideLn(x))
}

func log10(x float64) float64 {
	if x <= 0 {
		return math.NaN()
	}
	return rounded(quo(wideLn(x), wideLn(10)))
}

func pow(x, y float64) float64 {
	size := math.Abs(x)
	if size == 0 || size == 1 || y == 0 || !isFinite(x) || !isFinite(y) {
		return math.Pow(x, y) // exact
	}
	if x < 0 && y != math.Trunc(y) {
		return math.NaN()
	}
	result := rounded(wideExp(mul(wide(y), wideLn(size))))
	if x < 0 && math.Mod(y, 2) != 0 {
		return -result
	}
	return result
}

func sin(x float64) float64 { return rounded(wideSin(x, 0)) }
func cos(x float64) float64 { return rounded(wideSin(x, 1)) }
func tan(x float64) float64 { return rounded(quo(wideSin(x, 0), wideSin(x, 1))) }

func asin(x float64) float64 {
	if math.Abs(x) > 1 {
		return math.NaN()
	}
	if x == 0 {
		return x // with its sign, which the sum of wideAngle loses
	}
	return rounded(wideAngle(wide(x), otherLeg(x)))
}

func acos(x float64) float64 {
	if math.Abs(x) > 1 {
		return math.NaN()
	}
	return rounded(wideAngle(otherLeg(x), wide(x)))
}

func atan(x float64) float64 {
	if x == 0 {
		return x
	}
	return rounded(wideAngle(wide(x), wide(1)))
}
