// Command grpc_go_server serves our services in Go, and an echo of bytes, with grpc-go on one core.
package main

import (
	"context"
	"log"
	"net"
	"runtime"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"

	"calculator/server/services"
)

// rawCodec does not parse messages of type *[]byte. Other messages are protobuf's.
type rawCodec struct {
	encoding.Codec
}

func (c rawCodec) Marshal(message any) ([]byte, error) {
	if raw, ok := message.(*[]byte); ok {
		return *raw, nil
	}
	return c.Codec.Marshal(message)
}

func (c rawCodec) Unmarshal(data []byte, message any) error {
	if raw, ok := message.(*[]byte); ok {
		*raw = data
		return nil
	}
	return c.Codec.Unmarshal(data, message)
}

var echoService = grpc.ServiceDesc{
	ServiceName: "benchmarks.Echo",
	Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: echo}},
}

// echo returns the request.
func echo(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	var message []byte
	err := decode(&message)
	return &message, err
}

func main() {
	runtime.GOMAXPROCS(1) // the benchmark pins the process to one core, but only after it has started
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{encoding.GetCodec(proto.Name)}))
	if err := services.Register(server); err != nil {
		log.Fatal(err)
	}
	server.RegisterService(&echoService, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("Listening on %v", listener.Addr())
	log.Fatal(server.Serve(listener))
}
