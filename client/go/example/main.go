// Command example calls the server on this machine with the client library.
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"calculator/client"
	pb "calculator/proto/calculator/v1/calculatorpb"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	channel, err := client.Connect(ctx, "localhost:50051", client.Access{})
	if err != nil {
		log.Fatal(err)
	}
	defer channel.Close()
	request := &pb.CalculateRequest{Operation: pb.Operation_OPERATION_MULTIPLY, FirstOperand: 6, SecondOperand: 7}
	response, err := pb.NewCalculatorClient(channel).Calculate(ctx, request)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(response.Result)
}
