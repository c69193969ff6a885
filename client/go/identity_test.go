// Tests of the reuse of tokens. tests/e2e/client_identity_test.py tests where they come from.

package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var errNotReached = errors.New("the source cannot be reached")

// lasting returns a source of numbered tokens with a lifetime, and the count of its calls.
func lasting(lifetime time.Duration) (source, *atomic.Int32) {
	var count atomic.Int32
	return func() (token, error) {
		return token{fmt.Sprint("token ", count.Add(1)), time.Now().Add(lifetime)}, nil
	}, &count
}

func TestConcurrentCallsFetchOneToken(t *testing.T) {
	fetch, count := lasting(time.Hour)
	tokens := &tokens{fetch: fetch, early: early}
	var group sync.WaitGroup
	for range 1000 {
		group.Add(1)
		go func() {
			defer group.Done()
			if value, err := tokens.get(t.Context()); err != nil || value != "token 1" {
				t.Errorf("got %q, error %v", value, err)
			}
		}()
	}
	group.Wait()
	if count.Load() != 1 {
		t.Errorf("%d tokens were fetched", count.Load())
	}
}

func TestATokenIsReplacedBeforeItExpires(t *testing.T) {
	fetch, _ := lasting(time.Hour)
	tokens := &tokens{fetch: fetch, early: 2 * time.Hour}
	for value := ""; value != "token 3"; { // the test times out if it is not replaced
		var err error
		if value, err = tokens.get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAValidTokenIsUsedWhileANewOneIsBeingFetched(t *testing.T) {
	fetch, count := lasting(time.Hour)
	release := make(chan struct{})
	slow := func() (token, error) {
		if count.Load() > 0 {
			<-release
		}
		return fetch()
	}
	tokens := &tokens{fetch: slow, early: 2 * time.Hour}
	for range 3 {
		if value, err := tokens.get(t.Context()); err != nil || value != "token 1" {
			t.Errorf("got %q, error %v", value, err)
		}
	}
	close(release)
}

func TestAValidTokenIsUsedWhileItsSourceCannotBeReached(t *testing.T) {
	tokens := &tokens{early: 2 * time.Hour, fetch: func() (token, error) { return token{}, errNotReached }}
	tokens.current = token{"old", time.Now().Add(time.Hour)}
	for range 100 {
		if value, err := tokens.get(t.Context()); err != nil || value != "old" {
			t.Errorf("got %q, error %v", value, err)
		}
	}
}

func TestAnExpiredTokenIsNotUsedAndEachCallTriesAgain(t *testing.T) {
	var count int
	tokens := &tokens{early: early, fetch: func() (token, error) { count++; return token{}, errNotReached }}
	tokens.current = token{"old", time.Now()}
	for range 2 {
		if _, err := tokens.get(t.Context()); !errors.Is(err, errNotReached) {
			t.Errorf("error %v", err)
		}
	}
	if count != 2 {
		t.Errorf("the source was called %d times", count)
	}
}

func TestACallDoesNotWaitForATokenLongerThanItsDeadline(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	tokens := &tokens{early: early, fetch: func() (token, error) { <-release; return token{}, errNotReached }}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tokens.get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
