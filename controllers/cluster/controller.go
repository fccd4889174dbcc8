// Package cluster reconciles Clusters: it connects a cluster, has the tenant's Argo CD
// install its components, and lets its accounts log in to the secret store. It guarantees
// that a deleted cluster loses its components in an order that lets each one clean up.
package cluster

import (
	"context"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/summary"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=clusters,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=clusters/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch,namespace=nautes
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete,namespace=argocd
// +kubebuilder:rbac:groups=argoproj.io,resources=applications;appprojects,verbs=get;list;watch;create;patch;delete,namespace=argocd

// Add adds the controller of Clusters.
func Add(d *reconcile.Deps) error {
	return reconcile.Start(d, work{d}.phases, engine.Options[*v1alpha1.Cluster]{})
}

type work struct{ deps *reconcile.Deps }

// pass is one pass over a cluster.
type pass struct {
	deps  *reconcile.Deps
	s     *engine.Session[*v1alpha1.Cluster]
	built build.Result[build.ClusterFacts]
	// refused holds the objects that must not be written.
	refused []apply.ItemError
	// failed holds the objects that could not be written, by target.
	failed map[plan.Target]map[plan.ID]error
}

func (w work) phases(s *engine.Session[*v1alpha1.Cluster]) engine.Phases {
	p, c := &pass{deps: w.deps, s: s, failed: map[plan.Target]map[plan.ID]error{}}, s.Object
	phases := engine.Phases{
		Conditions: []string{
			v1alpha1.ConditionValid, v1alpha1.ConditionConnected, v1alpha1.ConditionCredentials,
			v1alpha1.ConditionSupported, v1alpha1.ConditionRegistered, v1alpha1.ConditionComponents,
		},
		Load:     func(ctx context.Context) (*snapshot.Snapshot, error) { return w.deps.Loader.Cluster(ctx, c.Name) },
		Clusters: func() []string { return []string{c.Name, c.Spec.HostCluster} },
		Prepare:  p.prepare,
		Plan:     p.plan,
		Commit:   p.commit,
		Options: func(set plan.Set) apply.Options {
			return apply.Options{Isolate: set.Target == plan.Tenant || set.Target == plan.Cluster(c.Name)}
		},
		Before:   p.before,
		After:    p.after,
		Observe:  p.observe,
		Withdraw: p.withdraw,
	}
	if c.Spec.Usage == v1alpha1.UsageWorker {
		phases.Conditions = w.deps.AccessCondition(phases.Conditions...)
	}
	if c.Spec.Suspend {
		phases.Suspended = "spec.suspend is set: the connection is kept, and nothing else is done"
	}
	return phases
}

// prepare keeps the connection whatever the rules say: the objects on the cluster need it.
func (p *pass) prepare(ctx context.Context) error {
	c := p.s.Object
	c.Status.ProductIDMap = summary.ProductIDs(p.s.Snapshot, c)
	c.Status.UsedBy = summary.UsedBy(p.s.Snapshot, c)
	if connection := p.connect(ctx); connection != nil {
		return connection
	}
	return summary.Supported(p.s.Facts, p.s.Snapshot, p.s.Object)
}
