// Command server is the server in Go: bazel run //server/go. It serves the APIs of //server on grpc-go.
//
// It listens on $PORT without TLS, since Cloud Run's front end terminates TLS. It has no flags, does not verify
// identity tokens, and logs only its start and stop. It limits the number of calls per connection, not in total: a
// client that is at the limit waits, while //server refuses its call.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"calculator/server/services"
)

const (
	defaultPort = "50051"
	// Cloud Run kills an instance 10 s after SIGTERM.
	shutdownGrace = 9 * time.Second
)

func main() {
	log.SetOutput(os.Stderr)
	if len(os.Args) > 1 {
		exit(2, fmt.Errorf("%q is not accepted: the server has no flags; set PORT to choose its port", os.Args[1]))
	}
	address, err := address(os.LookupEnv("PORT"))
	exitOn(2, err)
	listener, err := net.Listen("tcp", address)
	exitOn(1, err)
	exitOn(1, serve(listener))
}

func exitOn(code int, err error) {
	if err != nil {
		exit(code, err)
	}
}

func exit(code int, err error) {
	fmt.Fprintf(os.Stderr, "server: %v\n", err)
	os.Exit(code)
}

// address returns the address to listen on: all interfaces, and the given port, if there is one.
func address(port string, isSet bool) (string, error) {
	if !isSet {
		port = defaultPort
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "", fmt.Errorf("PORT='%s': must be 0-65535, where 0 means any free port", port)
	}
	return net.JoinHostPort("", port), nil
}

// serve serves until a signal to stop, then drains; a second signal ends the process at once.
func serve(listener net.Listener) error {
	server := grpc.NewServer(append(limits, services.Options...)...)
	if err := services.Register(server); err != nil {
		return err
	}
	checks := health.NewServer()
	grpc_health_v1.RegisterHealthServer(server, checks)
	for name := range server.GetServiceInfo() {
		checks.SetServingStatus(name, grpc_health_v1.HealthCheckResponse_SERVING)
	}
	reflection.Register(server)
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, func() {
		restore()
		log.Printf("Stopping: calls in flight have %v to finish", shutdownGrace)
		checks.Shutdown() // before the port closes, so that watches see it
		time.AfterFunc(shutdownGrace, server.Stop)
		server.GracefulStop()
	})
	log.Printf("Listening on %v", listener.Addr())
	if err := server.Serve(listener); err != nil { // returns once the server has stopped
		return err
	}
	log.Print("Stopped")
	return nil
}
