package operator

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/reconcile"
)

// NewReader returns the parts of a server that reads custom resources and writes none:
// a manager without leader election, caches, the secret store and the mirrors. Secrets are
// not cached: it reads the ones that it has just written, and has no right to list them.
func NewReader(ctx context.Context, cfg *rest.Config, o *config.Operator) (*reconcile.Deps, error) {
	alone := *o
	alone.LeaderElection.Enabled = new(bool)
	return newDeps(ctx, cfg, &alone, &corev1.Secret{})
}
