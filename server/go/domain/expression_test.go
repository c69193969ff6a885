package domain

import (
	"errors"
	"fmt"
	"math"
	"math/rand"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// evaluated evaluates an expression, and returns its steps and its value.
func evaluated(text string) ([]Step, float64, error) {
	var steps []Step
	value, err := Evaluate(text, func(step Step) error {
		steps = append(steps, step)
		return nil
	})
	return steps, value, err
}

func TestOperatorsHaveThePrecedenceOfMathematics(t *testing.T) {
	for text, want := range map[string]float64{
		"2*(3+4)^2": 98, "10-4-3": 3, "100/10/5": 2, "2^3^2": 512, "-2^2": -4, "(-2)^2": 4, "2^-1": 0.5, "-2^-2": -0.25,
		"2*-3": -6, "3--2": 5, "17%5*2": 4, "1+6/2": 4, "-7%4": -3, " 1 +\t2\n": 3, ".5+1.": 1.5, "1.5e-3*1E3": 1.5, "-+-2": 2,
		"2 × 3 ⋅ 4": 24, "6 ÷ 2 − 5": -2, "1\u00a0+\u20092\u202f*\u30003": 7, "-sqrt(4)^2": -4, "2^-abs(-1)": 0.5,
		" max ( 1 , 5-2,2 ) * 2": 6, "min(-1, +1)": -1, "2*e": 2 * math.E, "1e0*e": math.E, "π": math.Pi,
		"round(-2.5)": -3,
	} {
		if _, value, err := evaluated(text); err != nil || value != want {
			t.Errorf("%q is %v, error %v; want %v", text, value, err, want)
		}
	}
}

func TestTheRemainingExpressionHasTheFewestParentheses(t *testing.T) {
	for text, want := range map[string]string{
		"0+((2^2)^2)^1": "(4^2)^1", "(2)^(2^(1+1))": "2^2^2", "(1+1)-(2-3)-4": "2-(2-3)-4", "(1*1)*-(2)": "1*(-2)",
		"(1+1)+-0*3": "2+(-0*3)", "-(1+1)^2": "-2^2", "(-(1+1))^2": "(-2)^2",
	} {
		steps, _, err := evaluated(text)
		if err != nil || !strings.HasSuffix(steps[0].Remaining, want) {
			t.Errorf("%q: the first step is %+v, error %v; want %s", text, steps, err, want)
		}
	}
}

func TestEachStepHasItsOperandsAndTheRemainingExpression(t *testing.T) {
	steps, _, err := evaluated("max(2, sqrt(9), -1)*-e")
	want := []Step{
		{Function: "sqrt", Operands: []float64{9}, Result: 3, Remaining: "max(2,3,-1)*(-e)"},
		{Function: "max", Operands: []float64{2, 3, -1}, Result: 3, Remaining: "3*(-e)"},
		{Function: "e", Operands: []float64{}, Result: math.E, Remaining: "3*(-2.718281828459045)"},
		{Multiply, "", []float64{3, -math.E}, -3 * math.E, "-8.154845485377136"},
	}
	if got := fmt.Sprintf("%v", steps); err != nil || got != fmt.Sprintf("%v", want) {
		t.Errorf("the steps are %s, error %v; want %v", got, err, want)
	}
}

func TestAMalformedExpressionIsRefusedWithItsPositionBeforeAnyStep(t *testing.T) {
	const operand = "a number, a name, a parenthesis or a sign is expected, not "
	for text, want := range map[string]string{
		"1+1+":         operand + "the end at position 5",
		"2**3":         operand + "'*' at position 3",
		"×'":           operand + "'×' at position 1",
		"'":            operand + `"'" at position 1`,
		`\`:            operand + `'\\' at position 1`,
		"\x01":         operand + `'\x01' at position 1`,
		"\x7f":         operand + `'\x7f' at position 1`,
		"\u200b":       operand + `'\u200b' at position 1`,
		"\U000e0001":   operand + `'\U000e0001' at position 1`,
		"1+1)":         "no parenthesis is open at position 4",
		"(1 2)":        "the parenthesis of position 1 is not closed before '2' at position 4",
		"2pi":          "an operator, such as *, is expected before 'pi' at position 2",
		"max(1,(2,3))": "an operator or a decimal point is expected, not ',' at position 9",
		"sqrt 9":       "a parenthesis is expected after sqrt, not '9' at position 6",
		"1+sqrt(1,2)":  "1 argument is expected, not 2, by sqrt at position 3",
		"max()":        "1 or more arguments are expected, not 0, by max at position 1",
		"2*e3": "one of the names pi, e, sqrt, abs, ln, log, exp, sin, cos, tan, asin, acos, atan, min, max, round is" +
			" expected, not 'e3' at position 3",
	} {
		steps, _, err := evaluated(text)
		var failure *Error
		if !errors.As(err, &failure) || failure.Reason != MalformedExpression || failure.Field != "expression" ||
			failure.Message != want || !strings.HasSuffix(want, " "+failure.Metadata["position"]) || len(steps) > 0 {
			t.Errorf("%q: steps %v, error %+v; want %s", text, steps, failure, want)
		}
	}
}

func TestLengthDepthAndStepsHaveAMaximum(t *testing.T) {
	longest := "1" + strings.Repeat("+1", (MaxLength-1)/2)
	deepest := strings.Repeat("(", MaxDepth) + "1" + strings.Repeat(")", MaxDepth)
	most := "abs(e" + strings.Repeat("+e", MaxSteps/2-1) + ")"
	for _, accepted := range []string{longest, deepest, most} {
		if _, _, err := evaluated(accepted); err != nil {
			t.Errorf("%q is refused: %v", accepted, err)
		}
	}
	for _, refused := range []string{
		longest + "  ", "-" + deepest, "1^" + deepest, "sin(" + deepest + ")", "abs(" + most + ")",
	} {
		if _, _, err := evaluated(refused); reasonOf(err) != TooLong {
			t.Errorf("the error of %q is %v; want TooLong", refused, err)
		}
	}
}

func TestErrorsOfOperationsFollowTheirStepsAndNameTheExpression(t *testing.T) {
	for text, want := range map[string]Reason{
		"1+2/(3-3)": DivisionByZero, "(1-9)^0.5": Undefined, "1*1+sqrt(-1)": Undefined, "2-1+ln(0)": Undefined,
		"(1+1)*exp(1000)": Overflow, "1*1+asin(2)": Undefined, "2-1+1e308*10": Overflow,
	} {
		steps, _, err := evaluated(text)
		var failure *Error
		if !errors.As(err, &failure) || failure.Reason != want || failure.Field != "expression" || len(steps) == 0 {
			t.Errorf("%q: steps %v, error %+v; want %s", text, steps, failure, want)
		}
	}
	if _, _, err := evaluated("1e999"); reasonOf(err) != Overflow {
		t.Errorf("the error of 1e999 is %v; want Overflow", err)
	}
}

func TestTheErrorOfAReceiverEndsTheEvaluation(t *testing.T) {
	gone := errors.New("the client is gone")
	calls := 0
	_, err := Evaluate("1+1+1", func(Step) error {
		calls++
		return gone
	})
	if !errors.Is(err, gone) || calls != 1 {
		t.Errorf("the error is %v after %d steps", err, calls)
	}
}

// expressionOf returns a random expression with at most the given depth.
func expressionOf(random *rand.Rand, depth int) string {
	if depth == 0 {
		return []string{"pi", "e", "0", FormatNumber(float64(random.Intn(400)) / 4)}[random.Intn(4)]
	}
	one, other := expressionOf(random, depth-1), expressionOf(random, depth-1)
	switch random.Intn(5) {
	case 0:
		return "(" + one + ")"
	case 1:
		return "(-" + one + ")"
	case 2:
		return "max(" + one + ", " + other + ")"
	case 3:
		name := functions[2+random.Intn(11)].name
		return name + "(" + one + ")"
	default:
		return one + string(allOperations[random.Intn(len(allOperations))]) + other
	}
}

func TestTheRemainingExpressionOfEachStepParsesAndHasTheSameValue(t *testing.T) {
	evaluatedOnce := 0
	check(t, func(seed int64) bool {
		steps, value, err := evaluated(expressionOf(rand.New(rand.NewSource(seed)), 4))
		if err != nil {
			return true // most expressions have no result
		}
		evaluatedOnce++
		for _, step := range steps {
			_, again, err := evaluated(step.Remaining)
			if err != nil || math.Float64bits(again) != math.Float64bits(value) {
				t.Logf("%q has the value %v, error %v; want %v", step.Remaining, again, err, value)
				return false
			}
		}
		return true
	})
	if evaluatedOnce < 100 {
		t.Errorf("only %d of the expressions have a result", evaluatedOnce)
	}
}

func FuzzAnyTextIsEvaluatedOrRefusedWithAPositionInTheText(f *testing.F) {
	for _, text := range []string{"", "1+", "sqrt(", "max(1,", "((", "-", "π", "\xff", "1e", "0x1", "sine(1)", "2 3"} {
		f.Add(text)
	}
	f.Fuzz(checkAnyText)
}

func TestAnyTextOfTokensIsEvaluatedOrRefused(t *testing.T) {
	tokens := []string{"(", ")", "+", "-", "*", "/", "^", "%", ",", ".", "1", "2e3", "π", " ", "x", "max", "sqrt", "'"}
	checkTimes(t, 20000, func(choices []uint8) bool {
		var text strings.Builder
		for _, choice := range choices {
			text.WriteString(tokens[int(choice)%len(tokens)])
		}
		checkAnyText(t, text.String())
		return !t.Failed()
	})
}

func checkAnyText(t *testing.T, text string) {
	_, value, err := evaluated(text)
	var failure *Error
	switch {
	case err == nil && isFinite(value):
	case !errors.As(err, &failure):
		t.Errorf("%q has the value %v, error %v", text, value, err)
	case failure.Reason == MalformedExpression:
		position, err := strconv.Atoi(failure.Metadata["position"])
		if err != nil || position < 1 || position > utf8.RuneCountInString(text)+1 {
			t.Errorf("%q: the position is %q", text, failure.Metadata["position"])
		}
	}
}
