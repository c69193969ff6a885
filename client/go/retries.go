// The retries of calls, according to the service config.

package client

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
)

// Calls that are safe to repeat are retried within their deadline, since an instance may be starting, stopping or busy:
// https://github.com/grpc/proposal/blob/master/A6-client-retries.md
// gRPC does not retry a stream after its first response, so Converse reopens its streams. All clients use the same
// service config.
//
//go:embed service_config.json
var serviceConfig string

// policy is the retry policy of the service config, whose methods all have the same.
var policy = mustParsePolicy(serviceConfig)

type retryPolicy struct {
	MaxAttempts          int
	InitialBackoff       duration
	MaxBackoff           duration
	BackoffMultiplier    float64
	RetryableStatusCodes []codes.Code
}

// duration is a duration such as 0.1s, as protobuf's JSON format writes it.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = duration(parsed)
	return err
}

// mustParsePolicy panics if the service config is invalid, which is an error of the build, not of the user.
func mustParsePolicy(text string) retryPolicy {
	var config struct {
		MethodConfig []struct{ RetryPolicy retryPolicy }
	}
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		panic(fmt.Sprintf("service_config.json is invalid: %v", err))
	}
	return config.MethodConfig[0].RetryPolicy
}

// backoff returns how long Converse waits after a number of failed attempts: exponential backoff with 20 % jitter.
func (p retryPolicy) backoff(attempts int) time.Duration {
	if attempts == 0 {
		return 0
	}
	usual := float64(p.InitialBackoff) * math.Pow(p.BackoffMultiplier, float64(attempts-1))
	return time.Duration(min(usual, float64(p.MaxBackoff)) * (0.8 + 0.4*rand.Float64()))
}

func (p retryPolicy) isRetryable(code codes.Code) bool {
	return slices.Contains(p.RetryableStatusCodes, code)
}
