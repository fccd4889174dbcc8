package vault

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
)

// Vault is a HashiCorp Vault: a secrets.Store. It is safe for concurrent use. All
// who use it, and its System, share one session. While Vault cannot be used, requests fail at once, and one goes on in
// the background until it can be.
type Vault struct {
	o         Options
	client    *api.Client // without a token
	transport *http.Transport
	versions  versions
	policies  policies

	// life ends with Start, or with Close.
	life context.Context
	end  context.CancelFunc
	// fresh holds a token when there is a session that the renewal has not seen.
	fresh chan struct{}

	mu      sync.Mutex
	session *session // nil before the first login
	attempt *attempt // nil when nobody logs in
	// down is why Vault cannot be used; nil while it can, as far as is known.
	down *failure
	// changes counts how often down has come or gone.
	changes int
	// engines lists the engines that were found to be as they must.
	engines map[string]bool

	// telling is held while OnState runs; told is what changes was then.
	telling sync.Mutex
	told    int
}

// The pauses between two attempts to use a Vault that cannot be used.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 15 * time.Second
)

// State returns nil while Vault can be used, as far as is known, and why not
// otherwise: an error as those of the other methods.
func (v *Vault) State() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.down == nil {
		return nil
	}
	return v.down
}

// Start logs in, keeps the session alive and looks at the versions of the
// secrets in use, until ctx ends; then it closes the Vault and returns nil.
func (v *Vault) Start(ctx context.Context) error {
	// What is wrong with the login is State's to tell; it is tried again.
	_, _ = v.obtain(ctx, nil)
	var running sync.WaitGroup
	running.Go(func() { v.keepSession(ctx) })
	running.Go(func() { v.poll(ctx) })
	<-ctx.Done()
	v.Close()
	running.Wait()
	return nil
}

// NeedLeaderElection tells that only the leader uses Vault.
func (v *Vault) NeedLeaderElection() bool { return true }

// Close ends what goes on in the background.
func (v *Vault) Close() {
	v.end()
	v.transport.CloseIdleConnections()
}

// do asks, and once more with another session when this one has ended. The error
// is a *failure, or that of ctx.
func (v *Vault) do(ctx context.Context, r request) (reply, error) {
	s, err := v.enter(ctx)
	if err != nil {
		return reply{}, about(r, err)
	}
	answer, err := v.send(ctx, s.client, r)
	if forbidden(err) {
		next, failed := v.obtain(ctx, s)
		switch {
		case failed != nil:
			return reply{}, about(r, failed)
		case next != s:
			answer, err = v.send(ctx, next.client, r)
		}
	}
	if isOutage(err) {
		v.trip(err)
	}
	return answer, err
}

// about makes an error of a login, or of another request, one of this request.
func about(r request, err error) error {
	if f, ok := err.(*failure); ok {
		return f.of(r.what)
	}
	return fmt.Errorf("%s: %w", r.what, err)
}

// enter returns the session, unless Vault is known to be of no use.
func (v *Vault) enter(ctx context.Context) (*session, error) {
	v.mu.Lock()
	down := v.down
	v.mu.Unlock()
	if down != nil {
		return nil, down
	}
	return v.obtain(ctx, nil)
}

// trip notes that Vault cannot be used, and begins to try again.
func (v *Vault) trip(err error) {
	down, ok := err.(*failure)
	if !ok || v.life.Err() != nil {
		return
	}
	v.mu.Lock()
	first := v.down == nil
	v.down = down
	if first {
		v.changes++
	}
	v.mu.Unlock()
	if !first {
		return
	}
	v.o.Log.Info("Vault cannot be used", "why", fmt.Sprintf("%v: %s", down.is, down.why))
	// A connection that hangs would be used again.
	v.transport.CloseIdleConnections()
	v.tell()
	go v.recover(v.life)
}

// recover tries until Vault can be used again.
func (v *Vault) recover(ctx context.Context) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(jittered(pause)):
		}
		if v.probe(ctx) == nil {
			break
		}
	}
	v.mu.Lock()
	v.down = nil
	v.changes++
	v.mu.Unlock()
	v.o.Log.Info("Vault can be used again")
	v.tell()
}

// current returns the session; nil before the first login.
func (v *Vault) current() *session {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.session
}

// probe asks for no more than the session, which is asked for in the namespace
// that we may use, and needs all of Vault.
func (v *Vault) probe(ctx context.Context) error {
	s := v.current()
	if s == nil {
		_, err := v.obtain(ctx, nil)
		return err
	}
	_, _, err := v.lookup(ctx, s.client)
	if forbidden(err) {
		_, err = v.obtain(ctx, s)
	}
	return err
}

// tell tells OnState of the changes, in their order.
func (v *Vault) tell() {
	v.telling.Lock()
	defer v.telling.Unlock()
	v.mu.Lock()
	healthy, changes := v.down == nil, v.changes
	v.mu.Unlock()
	if changes != v.told {
		v.told = changes
		v.o.OnState(healthy)
	}
}
