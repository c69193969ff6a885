// The operations of calculator.v1 by their signs: the parser of lines such as 3 + 4, and the text of steps.

package main

import (
	"errors"
	"fmt"
	"strings"

	pb "calculator/proto/calculator/v1/calculatorpb"
)

// The signs of the operations, and how the help names them.
var (
	signs      = []string{"+", "-", "*", "/", "^", "%"}
	signChoice = "{" + strings.Join(signs, "|") + "}"
)

var operations = map[string]pb.Operation{
	"+": pb.Operation_OPERATION_ADD,
	"-": pb.Operation_OPERATION_SUBTRACT,
	"*": pb.Operation_OPERATION_MULTIPLY,
	"/": pb.Operation_OPERATION_DIVIDE,
	"^": pb.Operation_OPERATION_POWER,
	"%": pb.Operation_OPERATION_REMAINDER,
}

// describeStep returns what a step computed, such as 3 + 4, sqrt(9) or pi.
func describeStep(step *pb.EvaluateResponse_Step) string {
	if step.Function == "" {
		return fmt.Sprintf("%s %s %s",
			formatNumber(step.FirstOperand), signOf(step.Operation), formatNumber(step.SecondOperand))
	}
	if len(step.Arguments) == 0 {
		return step.Function
	}
	var arguments []string
	for _, argument := range step.Arguments {
		arguments = append(arguments, formatNumber(argument))
	}
	return fmt.Sprintf("%s(%s)", step.Function, strings.Join(arguments, ", "))
}

// signOf returns the sign of an operation; "?" for an operation that is newer than this client.
func signOf(operation pb.Operation) string {
	for sign, each := range operations {
		if each == operation {
			return sign
		}
	}
	return "?"
}

// parseOperation parses a line of a conversation, such as 3 + 4; * 2 continues from the last result.
func parseOperation(line string) (*pb.ConverseRequest, error) {
	words := strings.Fields(line)
	if len(words) == 2 {
		words = append([]string{""}, words...)
	}
	if len(words) != 3 || operations[words[1]] == 0 {
		return nil, errors.New("must be an operation such as 3 + 4, or * 2 to continue from the last result")
	}
	request := &pb.ConverseRequest{Operation: operations[words[1]]}
	if words[0] != "" {
		first, err := parseNumber(words[0])
		if err != nil {
			return nil, err
		}
		request.FirstOperand = &first
	}
	second, err := parseNumber(words[2])
	request.SecondOperand = second
	return request, err
}
