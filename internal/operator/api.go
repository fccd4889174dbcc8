package operator

import (
	"context"

	"k8s.io/client-go/rest"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/reconcile"
)

// NewReader returns the parts of a server that reads custom resources and writes none:
// a manager without leader election, caches, the secret store and the mirrors. It opens
// no connection to runtime clusters, and receives no push hooks.
func NewReader(ctx context.Context, cfg *rest.Config, o *config.Operator) (*reconcile.Deps, error) {
	alone := *o
	never := false
	alone.LeaderElection.Enabled = &never
	return newDeps(ctx, cfg, &alone)
}
