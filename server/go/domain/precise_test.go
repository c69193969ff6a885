package domain

import (
	"math"
	"math/big"
	"testing"
)

// ofSize returns a function of the absolute value.
func ofSize(of func(float64) float64) func(float64) float64 {
	return func(x float64) float64 { return of(math.Abs(x)) }
}

// standardAcos returns the arc cosine with the functions of the standard library, and is precise near 1 and -1, where
// math.Acos and math.Asin lose half of the digits in 1 - x*x.
func standardAcos(x float64) float64 {
	if x < 0 {
		return math.Pi - standardAcos(-x)
	}
	return 2 * math.Asin(math.Sqrt((1-x)/2))
}

func standardAsin(x float64) float64 { return math.Pi/2 - standardAcos(x) }

func TestFunctionsAreThoseOfTheStandardLibraryUpToItsErrors(t *testing.T) {
	for _, each := range []struct {
		name     string
		of       func(float64) float64
		standard func(float64) float64
		domain   float64 // the largest size of the arguments
	}{
		{"exp", exp, math.Exp, 700},
		{"sin", sin, math.Sin, 1},
		{"cos", cos, math.Cos, 1},
		{"tan", tan, math.Tan, 1},
		{"asin", asin, standardAsin, 1},
		{"acos", acos, standardAcos, 1},
		{"atan", atan, math.Atan, 1e6},
		{"ln", ofSize(ln), ofSize(math.Log), 1e9},
	} {
		check(t, func(part int64) bool {
			x := float64(part) / (1 << 63) * each.domain
			got, want := each.of(x), each.standard(x)
			isEqual := math.Abs(got-want) <= 2e-15*max(1, math.Abs(want))
			if !isEqual {
				t.Logf("%s(%v) is %v; the standard library's is %v", each.name, x, got, want)
			}
			return isEqual
		})
	}
}

func TestResultsAreCorrectlyRounded(t *testing.T) {
	for _, each := range []struct {
		text string
		got  float64
		want float64
	}{
		{"exp(1)", exp(1), math.E},
		{"exp(-745.13)", exp(-745.13), 5e-324},
		{"ln(5e-324)", ln(5e-324), -744.4400719213812},
		{"ln(1+2^-52)", ln(1 + 0x1p-52), 2.2204460492503128e-16},
		{"log(1e-310)", log10(1e-310), -310},
		{"log(1e22)", log10(1e22), 22},
		{"sin(1e22)", sin(1e22), -0.8522008497671888},
		{"cos(largest)", cos(math.MaxFloat64), -0.9999876894265599},
		{"sin(pi)", sin(math.Pi), 1.2246467991473532e-16},
		{"tan(pi/2)", tan(math.Pi / 2), 1.633123935319537e16},
		{"acos(-1)", acos(-1), math.Pi},
		{"asin(1)", asin(1), math.Pi / 2},
		{"atan(1e300)", atan(1e300), math.Pi / 2},
		{"2^0.5", pow(2, 0.5), math.Sqrt2},
		{"2^-1074", pow(2, -1074), 5e-324},
		{"10^308", pow(10, 308), 1e308},
		{"(-2)^3", pow(-2, 3), -8},
		// The results of package math differ for the following.
		{"exp(0.31)", exp(0.31), 1.3634251141321778},
		{"ln(0.18)", ln(0.18), -1.7147984280919266},
		{"log(0.1)", log10(0.1), -1},
		{"sin(0.8)", sin(0.8), 0.7173560908995228},
		{"cos(0.15)", cos(0.15), 0.9887710779360422},
		{"tan(0.36)", tan(0.36), 0.37640285164202697},
		{"asin(0.03)", asin(0.03), 0.030004501823476935},
		{"acos(0.18)", acos(0.18), 1.389809875548349},
		{"atan(0.38)", atan(0.38), 0.36314700994617627},
		{"1.3^2.5", pow(1.3, 2.5), 1.9268964684175434},
	} {
		if math.Float64bits(each.got) != math.Float64bits(each.want) {
			t.Errorf("%s is %v; want %v", each.text, each.got, each.want)
		}
	}
}

func TestOddFunctionsKeepTheSignOfZero(t *testing.T) {
	for _, name := range []string{"sin", "tan", "asin", "atan", "sqrt", "round"} {
		result, err := functionNamed(name).apply([]float64{math.Copysign(0, -1)})
		if err != nil || result != 0 || !math.Signbit(result) {
			t.Errorf("%s(-0) is %v, error %v; want -0", name, result, err)
		}
	}
}

func TestAPowerWithASmallExponentIsTheExactOneRoundedOnce(t *testing.T) {
	check(t, func(base int32, exponent uint8) bool {
		exact := new(big.Int).Exp(big.NewInt(int64(base)), big.NewInt(int64(exponent%30)), nil)
		want, _ := new(big.Float).SetInt(exact).Float64()
		return pow(float64(base), float64(exponent%30)) == want
	})
}

func TestTheLogarithmOfAPowerIsTheExponent(t *testing.T) {
	for exponent := -300; exponent <= 300; exponent++ {
		if got := log10(pow(10, float64(exponent))); got != float64(exponent) {
			t.Errorf("log(10^%d) is %v", exponent, got)
		}
	}
}

func TestTheConstantPiIsAsPreciseAsReductionRequires(t *testing.T) {
	// The sine of pi is the error of the constant.
	if size := sineSeries(pi()).MantExp(nil); size > -(reductionPrecision - 10) {
		t.Errorf("pi has an error of 2^%d", size)
	}
}
