package domain

import (
	"math"
	"math/big"
	"math/rand"
	"slices"
	"testing"
)

func aggregated(t *testing.T, numbers ...float64) *Aggregation {
	t.Helper()
	aggregation := &Aggregation{}
	if err := aggregation.Add(numbers); err != nil {
		t.Fatal(err)
	}
	return aggregation
}

// moderate returns finite numbers of all sizes whose squares do not overflow.
func moderate(bits []uint64) []float64 {
	numbers := []float64{0}
	for _, each := range bits {
		if size := math.Abs(number(each)); size < 1e150 {
			numbers = append(numbers, number(each))
		}
	}
	return numbers
}

func mean(values []*big.Rat) *big.Rat {
	sum := new(big.Rat)
	for _, value := range values {
		sum.Add(sum, value)
	}
	return sum.Quo(sum, new(big.Rat).SetInt64(int64(len(values))))
}

func TestStatisticsAreExactAndRoundedOnce(t *testing.T) {
	check(t, func(bits []uint64) bool {
		numbers := moderate(bits[:min(len(bits), 10)])
		var exact, squares []*big.Rat
		for _, number := range numbers {
			exact = append(exact, new(big.Rat).SetFloat64(number))
		}
		exactMean := mean(exact)
		for _, number := range exact {
			distance := new(big.Rat).Sub(number, exactMean)
			squares = append(squares, distance.Mul(distance, distance))
		}
		wantMean, _ := exactMean.Float64()
		wantVariance, _ := mean(squares).Float64()
		wantSum, _ := new(big.Rat).Mul(exactMean, new(big.Rat).SetInt64(int64(len(numbers)))).Float64()
		aggregation := aggregated(t, numbers...)
		sum, _ := aggregation.Sum()
		variance, _ := aggregation.Variance()
		return sum == wantSum && aggregation.Mean() == wantMean && variance == wantVariance &&
			aggregation.Minimum == slices.Min(numbers) && aggregation.Maximum == slices.Max(numbers)
	})
}

func TestStatisticsDoNotDependOnOrderOrBatches(t *testing.T) {
	check(t, func(bits []uint64, seed int64) bool {
		numbers := moderate(bits)
		atOnce, oneByOne := aggregated(t, numbers...), &Aggregation{}
		random := rand.New(rand.NewSource(seed))
		random.Shuffle(len(numbers), func(i, j int) { numbers[i], numbers[j] = numbers[j], numbers[i] })
		for _, number := range numbers {
			if err := oneByOne.Add([]float64{number}); err != nil {
				return false
			}
		}
		return atOnce.Count == oneByOne.Count && atOnce.sum.Cmp(&oneByOne.sum) == 0 &&
			atOnce.squares.Cmp(&oneByOne.squares) == 0 &&
			atOnce.Minimum == oneByOne.Minimum && atOnce.Maximum == oneByOne.Maximum
	})
}

func TestSmallNumbersAreNotLostNextToLargeOnes(t *testing.T) {
	if sum, err := aggregated(t, 1e300, 1, 5e-324, -1e300).Sum(); sum != 1 || err != nil {
		t.Errorf("the sum is %v, error %v; want 1", sum, err)
	}
}

func TestANumberThatIsNotFiniteIsRefusedWithItsPosition(t *testing.T) {
	for want, value := range map[string]float64{
		"number 3 is inf; accepted: finite numbers":  math.Inf(1),
		"number 3 is -inf; accepted: finite numbers": math.Inf(-1),
		"number 3 is nan; accepted: finite numbers":  math.NaN(),
	} {
		err := aggregated(t, 1, 2).Add([]float64{value})
		if reasonOf(err) != NotFinite || err.Error() != want {
			t.Errorf("the error is %v; want %s", err, want)
		}
	}
}

func TestASumThatIsTooLargeIsAnErrorButItsMeanIsNot(t *testing.T) {
	aggregation := aggregated(t, 1.7e308, 1.7e308)
	if mean := aggregation.Mean(); mean != 1.7e308 {
		t.Errorf("the mean is %v", mean)
	}
	if variance, err := aggregation.Variance(); variance != 0 || err != nil {
		t.Errorf("the variance is %v, error %v", variance, err)
	}
	if _, err := aggregation.Sum(); reasonOf(err) != Overflow {
		t.Errorf("the error of the sum is %v; want Overflow", err)
	}
}
