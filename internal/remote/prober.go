package remote

import (
	"context"
	"fmt"
	"time"

	"nautes.io/nautes/api/v1alpha1"
)

// prober probes the cluster of one connection.
type prober struct {
	*connector
	conn *Conn
	// version of Kubernetes at the last successful probe.
	version string
	// slow reports whether the last probe was slow. synced reports whether the caches
	// have been filled once.
	slow, synced bool
	// failed is the number of consecutive failed probes. denied is the number of
	// consecutive probes at which the account was not permitted to read a kind.
	failed, denied int
}

// probe probes the cluster and publishes the result. An error ends the connection.
func (p *prober) probe(ctx context.Context) error {
	began := time.Now()
	err := p.identify(ctx)
	p.slow = time.Since(began) > p.o.slowAfter
	if err != nil {
		p.failed++
		if p.failed >= p.o.FailureThreshold || reasonOf(err) == v1alpha1.ReasonClusterReplaced {
			return err
		}
		if p.synced && p.denied < p.o.FailureThreshold {
			p.publishConnected()
		}
		return nil
	}
	p.failed = 0
	if !p.synced {
		if err := p.conn.Synced(); err != nil {
			p.publishUnsynced(err)
		}
		return nil
	}
	// A starting API server denies requests that it permits a moment later.
	denied := p.conn.denied()
	if denied == nil {
		p.denied = 0
	} else if p.denied++; p.denied >= p.o.FailureThreshold {
		p.publishUnsynced(denied)
		return nil
	}
	p.publishConnected()
	return nil
}

// identify reads the identity of the cluster. Success shows that the network, the
// credentials and the storage of the API server work, and that it is still the
// same cluster.
func (p *prober) identify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.o.ProbeTimeout)
	defer cancel()
	_, version, err := p.conn.identity(ctx, p.conn.UID())
	if err == nil {
		p.version = version
	}
	return err
}

// publishUnsynced publishes that the cluster answers, but that not all kinds can
// be read.
func (p *prober) publishUnsynced(err error) {
	p.publish(nil, State{Reason: v1alpha1.ReasonNotConnected, Message: err.Error(), Version: p.version, UID: p.conn.UID()})
}

func (p *prober) publishConnected() {
	p.publish(p.conn, State{
		Connected: true, Reason: v1alpha1.ReasonConnected, Version: p.version, UID: p.conn.UID(),
		Message: fmt.Sprintf("Kubernetes %s answers", p.version), Slow: p.slow,
	})
}
