// Package services has the servicers, which convert request messages to calls of the domain, and results to responses.
package services

import (
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // so that clients may compress

	"calculator/proto/calculator/v1/calculatorpb"
	"calculator/proto/routeguide/routeguidepb"
	"calculator/proto/tutorialpb"
	"calculator/server/domain"
)

// Options are the options of a server that has the services of Register: how it converts errors to statuses.
var Options = []grpc.ServerOption{
	grpc.UnaryInterceptor(unaryErrors),
	grpc.StreamInterceptor(streamErrors),
	grpc.UnknownServiceHandler(refuseUnknown),
}

// Register adds all services to a server. It returns an error if the program's own data cannot be read.
func Register(server grpc.ServiceRegistrar) error {
	features, err := domain.ReadFeatures()
	if err != nil {
		return err
	}
	tutorialpb.RegisterCalculatorServer(server, tutorial{})
	calculatorpb.RegisterCalculatorServer(server, calculator{})
	routeguidepb.RegisterRouteGuideServer(server, newRouteGuide(features))
	return nil
}
