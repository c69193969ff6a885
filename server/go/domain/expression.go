package domain

import (
	"errors"
	"math"
	"strings"
	"unicode/utf8"
)

const (
	// MaxLength is the maximum length of an expression, in characters.
	MaxLength = 1000
	// MaxDepth is the maximum nesting depth of parentheses, functions, powers and signs.
	MaxDepth = 50
	// MaxSteps is the maximum number of steps. Each formats the whole remaining expression, so the time grows with
	// their square.
	MaxSteps = 500
)

// Step is one operation or function that was carried out, and the expression that remains after it.
type Step struct {
	Operation Operation // "" if the step is a function or a constant
	Function  string    // the name of the function or constant; "" if the step is an operation
	Operands  []float64 // the two operands of the operation, or the arguments of the function
	Result    float64
	Remaining string // the expression in which the result replaces the operation
}

// Evaluate evaluates an expression, and returns its value.
//
// It calls onStep with each operation, function and constant, from the inside out and from left to right, and ends with
// the error of onStep, if there is one. The other errors are an *Error: MalformedExpression; TooLong if the expression
// exceeds MaxLength, MaxDepth or MaxSteps; or the reason why an operation or a function has no result. No step precedes
// the first two.
func Evaluate(text string, onStep func(Step) error) (float64, error) {
	if length := utf8.RuneCountInString(text); length > MaxLength {
		return 0, errorf(TooLong, "expression", "the expression has %d characters; accepted: %d", length, MaxLength)
	}
	root, err := parse(text)
	if err != nil {
		return 0, err
	}
	order := insideOut(root, nil)
	if steps := countSteps(order); steps > MaxSteps {
		return 0, errorf(TooLong, "expression", "the expression needs %d steps; accepted: %d", steps, MaxSteps)
	}
	for _, each := range order {
		step, err := each.carryOut()
		if err != nil {
			return 0, withField(err)
		}
		if step.Function == negation.name {
			continue
		}
		step.Remaining = root.String()
		if err := onStep(step); err != nil {
			return 0, err
		}
	}
	return root.value, nil
}

func countSteps(order []*node) int {
	steps := 0
	for _, each := range order {
		if each.function != negation {
			steps++
		}
	}
	return steps
}

// withField makes an error of an operation name the field that has the expression.
func withField(err error) error {
	var failure *Error
	if errors.As(err, &failure) {
		failure.Field = "expression"
	}
	return err
}

func (n *node) isNumber() bool {
	return n.operation == "" && n.function == nil
}

// carryOut turns the node, whose operands are numbers, into a number. It returns the step without what remains.
func (n *node) carryOut() (Step, error) {
	step := Step{Operation: n.operation, Operands: make([]float64, len(n.operands))}
	for i, operand := range n.operands {
		step.Operands[i] = operand.value
	}
	var err error
	if n.function != nil {
		step.Function = n.function.name
		step.Result, err = n.function.apply(step.Operands)
	} else {
		step.Result, err = Calculate(n.operation, step.Operands[0], step.Operands[1])
	}
	*n = node{value: step.Result}
	return step, err
}

// insideOut appends the nodes to evaluate: operands before their operation, left before right.
func insideOut(root *node, order []*node) []*node {
	if root.isNumber() {
		return order
	}
	for _, operand := range root.operands {
		order = insideOut(operand, order)
	}
	return append(order, root)
}

func (n *node) precedence() int {
	switch {
	case n.operation != "":
		return precedences[n.operation]
	case n.function == negation, n.function == nil && math.Signbit(n.value):
		return signPrecedence
	}
	return atomPrecedence
}

// String formats the expression with the fewest parentheses.
func (n *node) String() string {
	var text strings.Builder
	n.write(&text, 0)
	return text.String()
}

// write writes the expression, in parentheses if its precedence is below the lowest.
func (n *node) write(text *strings.Builder, lowest int) {
	if n.precedence() < lowest {
		text.WriteByte('(')
		defer text.WriteByte(')')
	}
	switch {
	case n.isNumber():
		text.WriteString(FormatNumber(n.value))
	case n.function == negation:
		text.WriteByte('-')
		n.operands[0].write(text, signPrecedence)
	case n.function != nil:
		n.writeCall(text)
	default:
		n.writeOperation(text)
	}
}

func (n *node) writeCall(text *strings.Builder) {
	text.WriteString(n.function.name)
	separator := "("
	for _, argument := range n.operands {
		text.WriteString(separator)
		argument.write(text, 0)
		separator = ","
	}
	if len(n.operands) > 0 {
		text.WriteByte(')')
	}
}

func (n *node) writeOperation(text *strings.Builder) {
	left, right := n.precedence(), n.precedence()+1
	if n.operation == Power { // right-associative
		left, right = right, left
	}
	n.operands[0].write(text, left)
	text.WriteString(string(n.operation))
	// A negative right operand always has parentheses: 3-(-2).
	n.operands[1].write(text, max(right, signPrecedence+1))
}
