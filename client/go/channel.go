// Channels to the calculator's server.

package client

import (
	"context"
	"net/url"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/keepalive"
)

// DefaultTarget is the address of a server on this machine.
const DefaultTarget = "localhost:50051"

// If a connection is silent for the keepalive time during a call, a ping checks it. Without an answer to the ping, the
// calls fail with UNAVAILABLE. The other clients have the same interval.
const (
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
)

// connectTimeout is gRPC's default, which WithConnectParams replaces.
const connectTimeout = 20 * time.Second

// reconnectDelay is how long to wait after the first failed connection. It is much shorter than the backoff of calls,
// so that there is a connection when a call is retried. gRPC's default of a second is usually longer than the
// backoffs of a call together.
const reconnectDelay = 20 * time.Millisecond

// Connect opens a channel, which the caller closes. The server is not contacted before the first call, but an identity
// token is fetched now if calls need one; ctx limits how long that takes.
//
// Connect(ctx, "my-service-….run.app", Access{}) is enough for a service on Cloud Run: the channel uses TLS, and sends
// an identity token from the available credentials with every call.
//
// A call with a single request is attempted up to five times before its deadline if the server is unreachable or busy.
// If the server does not respond for about 40 s, not even to a ping, calls fail with UNAVAILABLE.
//
// The target is an address as described at ParseAddress. Connect returns an error if it is invalid, if a token would be
// sent in plaintext, if a required token is not available, or if the CA certificates cannot be read.
func Connect(ctx context.Context, target string, access Access) (*grpc.ClientConn, error) {
	address, err := ParseAddress(target)
	if err != nil {
		return nil, err
	}
	options, err := access.dialOptions(ctx, address)
	if err != nil {
		return nil, err
	}
	reconnect := backoff.Config{
		BaseDelay: reconnectDelay, Multiplier: 2, Jitter: 0.2, MaxDelay: time.Duration(policy.MaxBackoff),
	}
	options = append(options,
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(), // ignore service configs from DNS
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: connectTimeout}),
	)
	if address.IsLoopback() {
		options = append(options, grpc.WithNoProxy())
	}
	return grpc.NewClient(grpcTarget(address), options...)
}

// grpcTarget returns the target for gRPC. With the passthrough resolver an HTTP proxy resolves the host name; gRPC's DNS
// resolver would resolve it on this machine.
func grpcTarget(address Address) string {
	if address.Host == "" {
		return address.Target
	}
	return "passthrough:///" + url.PathEscape(address.Target)
}
