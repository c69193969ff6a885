package domain

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// node is an operation or function with its operands, or a number. Evaluation turns each into a number.
type node struct {
	operation Operation // "" if it is not an operation
	function  *function // nil if it is not a function
	operands  []*node
	value     float64
}

// negation is the sign of an operand.
var negation = unary("-", func(x float64) float64 { return -x }, "")

// The precedence of a sign is between those of * and ^, so that -2^2 is -(2^2) and 2^-1 is 1/2.
const (
	lowestPrecedence = 1
	signPrecedence   = 3
	atomPrecedence   = 5
)

var precedences = map[Operation]int{Add: 1, Subtract: 1, Multiply: 2, Divide: 2, Remainder: 2, Power: 4}

// operators includes the signs that people paste from documents.
var operators = map[string]Operation{
	"+": Add, "-": Subtract, "*": Multiply, "/": Divide, "^": Power, "%": Remainder,
	"×": Multiply, "⋅": Multiply, "÷": Divide, "−": Subtract,
}

var (
	// ASCII whitespace, and the spaces of documents, such as thin and no-break spaces.
	spacePattern  = regexp.MustCompile(`^[ \t\r\n\x{a0}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]+`)
	numberPattern = regexp.MustCompile(`^(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?`)
	// Errors quote a name, so a longer one is cut. All functions have shorter names.
	namePattern = regexp.MustCompile(`^(?:[A-Za-z][A-Za-z0-9_]{0,19}|π)`)
)

// parser parses one expression from left to right, by precedence climbing.
type parser struct {
	text string
	rest string // the part of the text that is not parsed yet, without leading spaces
}

// parse returns the tree of an expression. Its errors are MalformedExpression, TooLong and Overflow.
func parse(text string) (*node, error) {
	p := &parser{text: text, rest: text}
	p.advance(0)
	root, err := p.expression(lowestPrecedence, 0)
	if err != nil {
		return nil, err
	}
	switch next := p.next(); {
	case next == "":
		return root, nil
	case p.misplaced() != "":
		return nil, p.errorf("%s", p.misplaced())
	case next == ")":
		return nil, p.errorf("no parenthesis is open")
	default:
		return nil, p.errorf("an operator is expected, not %s", quoted(next))
	}
}

// expression parses operators with at least the given precedence, and their operands.
func (p *parser) expression(lowest, depth int) (*node, error) {
	first, err := p.operand(depth)
	for err == nil {
		operation, ok := operators[p.next()]
		if !ok || precedences[operation] < lowest {
			return first, nil
		}
		p.advance(len(p.next()))
		// The right operand contains operators of higher precedence. For powers, which are right-associative, it also
		// contains those of the same precedence.
		var second *node
		if operation == Power {
			second, err = p.expression(precedences[operation], depth+1)
		} else {
			second, err = p.expression(precedences[operation]+1, depth)
		}
		first = &node{operation: operation, operands: []*node{first, second}}
	}
	return nil, err
}

func (p *parser) operand(depth int) (*node, error) {
	if depth > MaxDepth {
		return nil, errorf(TooLong, "expression", "the expression nests deeper than %d", MaxDepth)
	}
	switch next := p.next(); next {
	case "-", "−":
		p.advance(len(next))
		operand, err := p.expression(signPrecedence, depth+1)
		return &node{function: negation, operands: []*node{operand}}, err
	case "+":
		p.advance(len(next))
		return p.expression(signPrecedence, depth+1)
	case "(":
		opened := p.open()
		inner, err := p.expression(lowestPrecedence, depth+1)
		if err != nil {
			return nil, err
		}
		return inner, p.close(opened)
	}
	if name := p.name(); name != "" {
		return p.named(name, depth)
	}
	return p.number()
}

// named parses a constant, or a function and its arguments.
func (p *parser) named(name string, depth int) (*node, error) {
	start := p.rest
	found := functionNamed(strings.Replace(name, "π", "pi", 1))
	if found == nil {
		return nil, p.errorf("one of the names %s is expected, not %s", functionNames(), quoted(name))
	}
	p.advance(len(name))
	if found.arguments == 0 {
		return &node{function: found}, nil
	}
	if p.next() != "(" {
		return nil, p.errorf("a parenthesis is expected after %s, not %s", name, p.found())
	}
	opened := p.open()
	arguments, err := p.arguments(depth + 1)
	if err != nil {
		return nil, err
	}
	if err := p.close(opened); err != nil {
		return nil, err
	}
	if len(arguments) == found.arguments || (found.arguments == anyNumber && len(arguments) > 0) {
		return &node{function: found, operands: arguments}, nil
	}
	p.rest = start
	expected := "1 argument is"
	if found.arguments == anyNumber {
		expected = "1 or more arguments are"
	}
	return nil, p.errorf("%s expected, not %d, by %s", expected, len(arguments), name)
}

func functionNames() string {
	names := make([]string, len(functions))
	for i, each := range functions {
		names[i] = each.name
	}
	return strings.Join(names, ", ")
}

func (p *parser) arguments(depth int) ([]*node, error) {
	if p.next() == ")" {
		return nil, nil
	}
	var arguments []*node
	for {
		argument, err := p.expression(lowestPrecedence, depth)
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, argument)
		if p.next() != "," {
			return arguments, nil
		}
		p.advance(1)
	}
}

// open skips an opening parenthesis, and returns its position.
func (p *parser) open() int {
	opened := p.position()
	p.advance(1)
	return opened
}

// close skips the closing parenthesis of the one that was opened at a position.
func (p *parser) close(opened int) error {
	if p.next() == ")" {
		p.advance(1)
		return nil
	}
	if hint := p.misplaced(); hint != "" {
		return p.errorf("%s", hint)
	}
	return p.errorf("the parenthesis of position %d is not closed before %s", opened, p.found())
}

// misplaced explains what cannot follow an operand here, but can in other notations: 2pi, 2(3+4) and 1,5.
func (p *parser) misplaced() string {
	switch {
	case p.name() != "" || p.next() == "(":
		return "an operator, such as *, is expected before " + p.found()
	case p.next() == ",":
		return "an operator or a decimal point is expected, not ','"
	}
	return ""
}

func (p *parser) number() (*node, error) {
	text := numberPattern.FindString(p.rest)
	if text == "" {
		return nil, p.errorf("a number, a name, a parenthesis or a sign is expected, not %s", p.found())
	}
	value, err := strconv.ParseFloat(text, 64)
	if math.IsInf(value, 0) || err != nil {
		return nil, errorf(Overflow, "expression", "%s is beyond the largest number", text)
	}
	p.advance(len(text))
	return &node{value: value}, nil
}

// next returns the next character, or "" at the end.
func (p *parser) next() string {
	_, size := utf8.DecodeRuneInString(p.rest)
	return p.rest[:size]
}

// name returns the name that comes next, or "".
func (p *parser) name() string {
	return namePattern.FindString(p.rest)
}

// found describes the next symbol in an error.
func (p *parser) found() string {
	if name := p.name(); name != "" {
		return quoted(name)
	}
	if next := p.next(); next != "" {
		return quoted(next)
	}
	return "the end"
}

// advance skips a number of bytes, and spaces after them.
func (p *parser) advance(bytes int) {
	p.rest = p.rest[bytes:]
	p.rest = p.rest[len(spacePattern.FindString(p.rest)):]
}

// position returns the position of what comes next, in characters from 1.
func (p *parser) position() int {
	return utf8.RuneCountInString(p.text[:len(p.text)-len(p.rest)]) + 1
}

// errorf returns a MalformedExpression with the current position.
func (p *parser) errorf(format string, values ...any) *Error {
	position := strconv.Itoa(p.position())
	err := errorf(MalformedExpression, "expression", "%s at position %s", fmt.Sprintf(format, values...), position)
	err.Metadata = map[string]string{"position": position}
	return err
}

// quoted quotes a name or a character like Python, so that both servers have the same messages.
func quoted(text string) string {
	switch text {
	case "'":
		return `"'"`
	case `\`:
		return `'\\'`
	}
	character, _ := utf8.DecodeRuneInString(text)
	switch {
	case unicode.IsPrint(character):
		return "'" + text + "'"
	case character < 0x100:
		return fmt.Sprintf(`'\x%02x'`, character)
	case character < 0x10000:
		return fmt.Sprintf(`'\u%04x'`, character)
	default:
		return fmt.Sprintf(`'\U%08x'`, character)
	}
}
