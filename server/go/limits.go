// The limits of connections, and of their calls.

package main

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

const (
	maxCalls         = 100             // in flight per connection
	maxMetadata      = 16384           // of a call, in bytes
	fieldOverhead    = 32              // in bytes, as defined by RFC 9113 for the size of a header list
	largestHeaderSet = 4 * maxMetadata // in bytes
)

// limits are the limits of connections and of their calls, with the defaults of server/config.py.
var limits = []grpc.ServerOption{
	grpc.MaxConcurrentStreams(maxCalls),
	// grpc-go closes the connection of a call with more, and with it all other calls. So refuseMetadata has a lower limit.
	grpc.MaxHeaderListSize(largestHeaderSet),
	grpc.InTapHandle(refuseMetadata),
	grpc.KeepaliveParams(keepalive.ServerParameters{
		MaxConnectionAge:      10 * time.Minute,
		MaxConnectionAgeGrace: time.Hour,
		Time:                  time.Minute,
		Timeout:               20 * time.Second,
	}),
	grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
		MinTime:             5 * time.Second,
		PermitWithoutStream: true,
	}),
}

// refuseMetadata refuses a call whose metadata is too large, before the call reaches a handler.
func refuseMetadata(ctx context.Context, call *tap.Info) (context.Context, error) {
	if metadataSize(call.Header) > maxMetadata {
		return nil, status.Errorf(codes.ResourceExhausted, "the metadata has more than %d bytes", maxMetadata)
	}
	return ctx, nil
}

func metadataSize(fields metadata.MD) int {
	size := 0
	for name, values := range fields {
		for _, value := range values {
			size += len(name) + len(value) + fieldOverhead
		}
	}
	return size
}
