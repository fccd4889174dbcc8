package operator

import (
	"context"
	"fmt"

	"k8s.io/client-go/rest"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/schema"
	"nautes.io/nautes/internal/snapshot"
)

// NewReader returns the parts of a server that reads custom resources and writes none:
// a manager without leader election, caches, the secret store and the mirrors. It opens
// no connection to runtime clusters, and receives no push hooks.
func NewReader(ctx context.Context, cfg *rest.Config, o *config.Operator) (*reconcile.Deps, error) {
	alone := *o
	never := false
	alone.LeaderElection.Enabled = &never
	mgr, err := newManager(cfg, &alone)
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	if err := snapshot.SetupIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, fmt.Errorf("index the cache: %w", err)
	}
	mirrors, err := git.New(o.Git.CacheDir, git.Options{Timeout: o.Git.Timeout.Duration, AllowedProtocols: o.Git.AllowedProtocols})
	if err != nil {
		return nil, fmt.Errorf("set up the mirrors: %w", err)
	}
	kinds, err := schema.New()
	if err != nil {
		return nil, fmt.Errorf("read the schemas: %w", err)
	}
	settings, err := settingsOf(o)
	if err != nil {
		return nil, err
	}
	d := &reconcile.Deps{
		Tenant: o.Tenant, Namespace: o.Namespace, Manager: mgr, Client: mgr.GetClient(),
		Loader:  &snapshot.Loader{Reader: mgr.GetClient(), Tenant: o.Tenant, Namespace: o.Namespace, Settings: settings},
		Mirrors: mirrors, Kinds: kinds, Queues: &reconcile.Queues{}, Pushes: &reconcile.Pushes{},
	}
	return d, openStore(d, o)
}
