package cluster

import (
	"context"
	"errors"

	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/summary"
	"nautes.io/nautes/internal/telemetry"
	"nautes.io/nautes/internal/unregister"
)

// withdraw keeps a deleted cluster while something is on it. Then it removes the
// installed objects, unless spec.deletionPolicy keeps them.
func (p *pass) withdraw(ctx context.Context) error {
	c := p.s.Object
	c.Status.UsedBy = summary.UsedBy(p.s.Snapshot, c)
	connection := p.connect(ctx)
	if errors.Is(connection, engine.ErrNotYet) {
		return connection
	}
	if err := engine.InUse(p.s.Snapshot, c); err != nil {
		// It goes on working for its users.
		return errors.Join(err, connection)
	}
	if err := p.unregister(ctx); err != nil {
		return err
	}
	if connection := c.Status.Connection; connection != nil {
		p.deps.Applier.Forget(connection.UID)
	}
	telemetry.ClusterConnected.DeleteLabelValues(c.Name)
	return nil
}

// reregister removes the objects of an unused cluster that has changed its type, usage
// or host. It returns nil if there is nothing left to remove.
func (p *pass) reregister(ctx context.Context) error {
	c := p.s.Object
	if c.Status.Registered == nil || *c.Status.Registered == c.Identity() {
		return nil
	}
	if err := p.unregister(ctx); err != nil {
		outcome := engine.Classify(err, reconcile.Classify)
		if outcome.Class != engine.ClassWaiting {
			return err
		}
		return summary.Reregistering(outcome.Message)
	}
	c.Status.Registered, c.Status.Components, c.Status.Progress, c.Status.EntryPoints = nil, nil, "", nil
	c.Status.Connection = nil
	return p.s.Record(ctx)
}

// unregister removes everything that was installed for the cluster, and then the
// connection. It returns nil if all is gone.
func (p *pass) unregister(ctx context.Context) error {
	err := unregister.Cluster(ctx, p.s, p.s.Object, unregister.Deps{
		Snapshot: p.s.Snapshot, Tenant: p.deps.TenantConn, Secrets: p.deps.Secrets, Message: reconcile.Message,
	})
	if err == nil {
		p.deps.Clusters.Remove(p.s.Object.Name)
	}
	return err
}
