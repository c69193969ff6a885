// Tests of the retry policy.

package client

import (
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func TestTheServiceConfigSetsThePolicy(t *testing.T) {
	if policy.MaxAttempts != 5 || !policy.isRetryable(codes.Canceled) || policy.isRetryable(codes.Internal) {
		t.Errorf("the policy is %+v", policy)
	}
}

func TestBackoffGrowsWithTheFailedAttemptsUpToALimit(t *testing.T) {
	for attempts, usual := range map[int]time.Duration{
		0:   0,
		1:   100 * time.Millisecond,
		4:   800 * time.Millisecond,
		100: 2 * time.Second,
	} {
		got := policy.backoff(attempts)
		if got < usual*8/10 || got > usual*12/10 {
			t.Errorf("the backoff after %d attempts is %v; want about %v", attempts, got, usual)
		}
	}
}
