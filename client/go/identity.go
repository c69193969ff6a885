// Identity tokens, with which Cloud Run authenticates callers, and their reuse by concurrent calls.

package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/oauth2/jws"
)

// early is how long before its expiry a token is replaced. A token is valid for an hour.
const early = 5 * time.Minute

// token is an identity token. Its value is a secret: anyone who has it can call as its account.
type token struct {
	value  string
	expiry time.Time
}

// parseToken reads the expiry of a token. It does not verify the signature, which is the server's task.
func parseToken(value string) (token, error) {
	claims, err := jws.Decode(value)
	if err != nil || claims.Exp == 0 {
		return token{}, errors.New("the answer is not an identity token with an expiry")
	}
	return token{value, time.Unix(claims.Exp, 0)}, nil
}

// isValidFor returns whether the token expires later than a duration from now.
func (t token) isValidFor(left time.Duration) bool {
	return time.Now().Add(left).Before(t.expiry)
}

// source fetches a new token. Its error says what was tried, and what to do.
type source func() (token, error)

// tokens keeps the current token of a source, for concurrent calls.
type tokens struct {
	fetch source
	early time.Duration

	mu      sync.Mutex
	current token
	pending *fetching // nil if no token is being fetched
}

// fetching is a token that is being fetched. The fields below done are set when done is closed.
type fetching struct {
	done  chan struct{}
	token token
	err   error
}

// get returns a valid token; if necessary, it fetches one, once for all calls that need it. While the next token is
// being fetched, and if that fails, the current one is used until it expires. Without a valid token, get waits for the
// next one, at most until ctx is done.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	if t.pending == nil && !t.current.isValidFor(t.early) {
		t.pending = &fetching{done: make(chan struct{})}
		go t.replace(t.pending)
	}
	current, pending := t.current, t.pending
	t.mu.Unlock()
	if current.isValidFor(0) {
		return current.value, nil
	}
	select {
	case <-pending.done:
		return pending.token.value, pending.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// replace fetches the next token. If that fails, the next call of get tries again.
func (t *tokens) replace(pending *fetching) {
	pending.token, pending.err = t.fetch()
	t.mu.Lock()
	if pending.err == nil {
		t.current = pending.token
	}
	t.pending = nil
	t.mu.Unlock()
	close(pending.done)
}
