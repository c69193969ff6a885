package services

import (
	"context"

	"calculator/proto/tutorialpb"
	"calculator/server/domain"
)

var tutorialOperations = map[tutorialpb.Operation]domain.Operation{
	tutorialpb.Operation_ADD:      domain.Add,
	tutorialpb.Operation_SUBTRACT: domain.Subtract,
}

// tutorial is the Calculator of proto/calculator.proto.
type tutorial struct {
	tutorialpb.UnimplementedCalculatorServer
}

// Calculate returns the result of one operation. A sum in double precision, rounded to 32 bits, is that of single
// precision.
func (tutorial) Calculate(
	_ context.Context, request *tutorialpb.BinaryOperation,
) (*tutorialpb.CalculationResult, error) {
	operation, ok := tutorialOperations[request.Operation]
	if !ok {
		return nil, unknownOperation(request.Operation.Number(), request.Operation.Descriptor(), 0)
	}
	first, second := float64(request.FirstOperand), float64(request.SecondOperand)
	result, err := domain.Calculate(operation, first, second)
	if err != nil {
		return nil, err
	}
	return &tutorialpb.CalculationResult{Result: float32(result)}, nil
}
