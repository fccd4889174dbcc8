package vault

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
	"golang.org/x/sync/singleflight"
	"k8s.io/apimachinery/pkg/util/wait"
)

// Vault is a secrets.Store in HashiCorp Vault. It is safe for concurrent use. All
// its callers, and its System, share one session. While Vault cannot be used,
// requests fail at once, and one loop in the background tries until it can.
type Vault struct {
	o         Options
	client    *api.Client // without a token
	transport *http.Transport
	versions  versions
	policies  policies
	// engines holds the names of engines that were found to be KV version 2.
	engines sync.Map

	// life ends with Start, or with Close.
	life context.Context
	end  context.CancelFunc
	// logins merges concurrent attempts to get a session.
	logins singleflight.Group
	// recovering is held from one OnState(false) to its OnState(true).
	recovering sync.Mutex

	mu      sync.Mutex
	session *session // nil before the first login
	// down is the reason why Vault cannot be used, a *failure, or nil.
	down error
}

// outagePauses are the pauses between two attempts to use a Vault that cannot be used.
func outagePauses() wait.Backoff {
	return wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Jitter: jitter, Steps: math.MaxInt32, Cap: 15 * time.Second}
}

// jitter spreads pauses, so that several operators do not ask at the same time.
const jitter = 0.2

// State returns nil while Vault can be used, as far as is known. Otherwise it
// returns the reason, as an error like the errors of the other methods.
func (v *Vault) State() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.down
}

// Start logs in, renews the session and polls the versions of the secrets in use
// until ctx ends. Then it closes the Vault and returns nil.
func (v *Vault) Start(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { wait.UntilWithContext(ctx, v.keepSession, renewCheck) })
	running.Go(func() { v.poll(ctx) })
	<-ctx.Done()
	v.Close()
	running.Wait()
	return nil
}

// NeedLeaderElection returns true: only the leader uses Vault.
func (v *Vault) NeedLeaderElection() bool { return true }

// Close stops all work in the background.
func (v *Vault) Close() {
	v.end()
	v.transport.CloseIdleConnections()
}

// do runs one request with the client of the session. If the session has ended,
// it runs it once more with another one. The error is a *failure, or wraps the
// error of ctx.
func (v *Vault) do(ctx context.Context, r request, run func(context.Context, *api.Client) error) error {
	if down := v.State(); down != nil {
		return about(r.action, down)
	}
	s, err := v.obtain(ctx, nil)
	if err != nil {
		return about(r.action, err)
	}
	err = v.send(ctx, s.client, r, run)
	if failureOf(err).forbidden() {
		next, failed := v.obtain(ctx, s)
		switch {
		case failed != nil:
			return about(r.action, failed)
		case next != s:
			err = v.send(ctx, next.client, r, run)
		}
	}
	if failureOf(err).outage {
		v.trip(err)
	}
	return err
}

// trip records that Vault cannot be used, and starts to recover.
func (v *Vault) trip(err error) {
	down, ok := errors.AsType[*failure](err)
	if !ok || v.life.Err() != nil {
		return
	}
	v.mu.Lock()
	first := v.down == nil
	v.down = down
	v.mu.Unlock()
	if !first {
		return
	}
	v.o.Log.Info("Vault cannot be used", "reason", fmt.Sprintf("%v: %s", down.class, down.reason))
	// A connection that hangs would be used again.
	v.transport.CloseIdleConnections()
	go v.recover(v.life)
}

// recover tries to get a session until Vault can be used again.
func (v *Vault) recover(ctx context.Context) {
	v.recovering.Lock()
	defer v.recovering.Unlock()
	v.o.OnState(false)
	err := outagePauses().DelayFunc().Until(ctx, false, true, func(ctx context.Context) (bool, error) {
		_, err := v.obtain(ctx, v.current())
		return err == nil, nil
	})
	if err != nil {
		return
	}
	v.mu.Lock()
	v.down = nil
	v.mu.Unlock()
	v.o.Log.Info("Vault can be used again")
	v.o.OnState(true)
}
