package services

import (
	"context"
	"errors"
	"fmt"
	"io"

	pb "calculator/proto/calculator/v1/calculatorpb"
	"calculator/server/domain"
)

// maxNumbers is the maximum count of numbers in a message, and with it the time for which a message keeps a core busy.
const maxNumbers = 10_000

var operations = map[pb.Operation]domain.Operation{
	pb.Operation_OPERATION_ADD:       domain.Add,
	pb.Operation_OPERATION_SUBTRACT:  domain.Subtract,
	pb.Operation_OPERATION_MULTIPLY:  domain.Multiply,
	pb.Operation_OPERATION_DIVIDE:    domain.Divide,
	pb.Operation_OPERATION_POWER:     domain.Power,
	pb.Operation_OPERATION_REMAINDER: domain.Remainder,
}

// calculator is calculator.v1.Calculator.
type calculator struct {
	pb.UnimplementedCalculatorServer
}

func calculate(number pb.Operation, first, second float64) (float64, error) {
	operation, ok := operations[number]
	if !ok {
		return 0, unknownOperation(number.Number(), number.Descriptor(), 1) // without OPERATION_UNSPECIFIED
	}
	return domain.Calculate(operation, first, second)
}

// Calculate returns the result of one operation.
func (calculator) Calculate(_ context.Context, request *pb.CalculateRequest) (*pb.CalculateResponse, error) {
	result, err := calculate(request.Operation, request.FirstOperand, request.SecondOperand)
	if err != nil {
		return nil, err
	}
	return &pb.CalculateResponse{Result: result}, nil
}

// Evaluate sends each step as it is taken, then the value.
func (calculator) Evaluate(request *pb.EvaluateRequest, stream pb.Calculator_EvaluateServer) error {
	value, err := domain.Evaluate(request.Expression, func(step domain.Step) error {
		return stream.Send(&pb.EvaluateResponse{Progress: &pb.EvaluateResponse_Step_{Step: stepMessage(step)}})
	})
	if err != nil {
		return err
	}
	return stream.Send(&pb.EvaluateResponse{Progress: &pb.EvaluateResponse_Result{Result: value}})
}

func stepMessage(step domain.Step) *pb.EvaluateResponse_Step {
	message := &pb.EvaluateResponse_Step{Result: step.Result, Remaining: step.Remaining}
	if step.Function != "" {
		message.Function, message.Arguments = step.Function, step.Operands
		return message
	}
	message.FirstOperand, message.SecondOperand = step.Operands[0], step.Operands[1]
	for number, operation := range operations {
		if operation == step.Operation {
			message.Operation = number
		}
	}
	return message
}

// Aggregate returns the statistics of all numbers once the request stream has ended.
func (calculator) Aggregate(stream pb.Calculator_AggregateServer) error {
	var numbers domain.Aggregation
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if count := len(request.Numbers); count > maxNumbers {
			text := "a message has %d numbers; at most %d are allowed per message"
			return &domain.Error{
				Reason: domain.TooLong, Field: "numbers", Message: fmt.Sprintf(text, count, maxNumbers),
			}
		}
		if err := numbers.Add(request.Numbers); err != nil {
			return err
		}
	}
	response, err := statistics(&numbers)
	if err != nil {
		return err
	}
	return stream.SendAndClose(response)
}

func statistics(numbers *domain.Aggregation) (*pb.AggregateResponse, error) {
	if numbers.Count == 0 {
		return &pb.AggregateResponse{}, nil
	}
	sum, err := numbers.Sum()
	if err != nil {
		return nil, err
	}
	variance, err := numbers.Variance()
	if err != nil {
		return nil, err
	}
	mean := numbers.Mean()
	return &pb.AggregateResponse{
		Count:    numbers.Count,
		Sum:      sum,
		Mean:     &mean,
		Variance: &variance,
		Minimum:  &numbers.Minimum,
		Maximum:  &numbers.Maximum,
	}, nil
}

// Converse sends a response to each operation before it reads the next. A failed operation does not end the stream.
func (calculator) Converse(stream pb.Calculator_ConverseServer) error {
	last := 0.0
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		first := last
		if request.FirstOperand != nil {
			first = *request.FirstOperand
		}
		result, err := calculate(request.Operation, first, request.SecondOperand)
		var failure *domain.Error
		if errors.As(err, &failure) {
			outcome := &pb.ConverseResponse_Failure{Reason: string(failure.Reason), Message: failure.Message}
			err = stream.Send(&pb.ConverseResponse{Outcome: &pb.ConverseResponse_Failure_{Failure: outcome}})
		} else {
			last = result
			err = stream.Send(&pb.ConverseResponse{Outcome: &pb.ConverseResponse_Result{Result: result}})
		}
		if err != nil {
			return err
		}
	}
}
