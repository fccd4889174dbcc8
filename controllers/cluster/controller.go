// Package cluster reconciles Clusters: it connects a cluster, has the tenant's Argo CD
// install its components, and lets its accounts log in to the secret store. It guarantees
// that a deleted cluster loses its components in an order that lets each one clean up.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=clusters,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=clusters/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch,namespace=nautes
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete,namespace=argocd
// +kubebuilder:rbac:groups=argoproj.io,resources=applications;appprojects,verbs=get;list;watch;create;patch;delete,namespace=argocd

// work keeps the connection to a cluster as its kubeconfig says, has the
// tenant's Argo CD install the cluster's components, lets the cluster's accounts
// log in to the secret store, and tells how far all of that is.
type work struct {
	deps *reconcile.Deps
	slow *reconcile.SlowLane[ctrl.Request]
}

// Add starts the controller of Clusters.
func Add(d *reconcile.Deps) error {
	b := ctrl.NewControllerManagedBy(d.Manager).Named("cluster").For(&v1alpha1.Cluster{}).
		WatchesRawSource(d.Triggers.Cluster.Source())
	reconcile.Watch(b, &corev1.Secret{}, d.Relations.ClustersOfSecret)
	reconcile.Watch(b, &v1alpha1.Product{}, func(ctx context.Context, p *v1alpha1.Product) []ctrl.Request {
		return append(d.Relations.ClustersNaming(ctx, p.Spec.Name), reconcile.Requests(d.Namespace, snapshot.SpaceClusters(p)...)...)
	})
	reconcile.Watch(b, &v1alpha1.Environment{}, func(_ context.Context, e *v1alpha1.Environment) []ctrl.Request {
		return []ctrl.Request{reconcile.Request(d.Namespace, e.Spec.Cluster)}
	})
	reconcile.Watch(b, &v1alpha1.DeploymentRuntime{}, func(_ context.Context, r *v1alpha1.DeploymentRuntime) []ctrl.Request {
		if r.Status.Target == nil {
			return nil
		}
		return []ctrl.Request{reconcile.Request(d.Namespace, r.Status.Target.Cluster)}
	})
	reconcile.WatchPipelineRuntimes(b, func(_ context.Context, r *v1alpha1.ProjectPipelineRuntime) []ctrl.Request {
		if r.Status.Target == nil {
			return nil
		}
		return []ctrl.Request{reconcile.Request(d.Namespace, r.Status.Target.Cluster)}
	})
	// Beside the connection, which wakes by itself, a cluster reads only the
	// specs of the others.
	b.Watches(&v1alpha1.Cluster{}, reconcile.KeysOf(d.Relations.ClustersBeside), builder.WithPredicates(predicate.GenerationChangedPredicate{}))
	reconcile.Watch(b, &v1alpha1.ComponentCatalogue{}, func(ctx context.Context, _ *v1alpha1.ComponentCatalogue) []ctrl.Request {
		return d.Relations.Clusters(ctx, nil)
	})
	return reconcile.Start(d, b, work{deps: d, slow: reconcile.NewSlowLane(d.Workers, d.Triggers.Cluster.Enqueue)}, engine.Options[*v1alpha1.Cluster]{
		Kind: "Cluster", New: func() *v1alpha1.Cluster { return &v1alpha1.Cluster{} },
	})
}

// Reconcile implements engine.Work.
func (w work) Reconcile(ctx context.Context, s *engine.Session[*v1alpha1.Cluster]) error {
	c := s.Object
	leave, err := w.slow.Enter(w.deps.IsSlow, reconcile.Request(c.Namespace, c.Name), c.Name, c.Spec.HostCluster)
	defer leave()
	if err != nil {
		return err
	}
	snap, err := w.deps.Loader.Cluster(ctx, c.Name)
	if err != nil {
		return err
	}
	c.Status.ProductIDMap = resolveProducts(snap, c)
	refusals, warnings := validate.Run(snap, validate.Request{New: c})
	c.Status.Warnings = warnings
	c.Status.UsedBy = usedBy(snap, c)
	// The connection is kept whatever the rules say: who is on the cluster needs it.
	connection := w.connect(ctx, s, snap)
	if errors.Is(connection, engine.ErrNotYet) {
		return connection
	}
	if err := reconcile.Verdict(refusals); err != nil {
		reconcile.SetFalse(s.Facts, v1alpha1.ConditionValid, err)
		return err
	}
	s.Facts.True(v1alpha1.ConditionValid, v1alpha1.ReasonValid, "every rule holds")
	if c.Spec.Suspend {
		return engine.Held(v1alpha1.ReasonSuspended, "spec.suspend is set: the connection is kept, and nothing else is done")
	}
	if again := w.reregister(ctx, s, snap); again != nil {
		return again
	}
	// What the tenant's Argo CD does needs no connection of ours.
	registration := w.register(ctx, s, snap)
	if errors.Is(registration, engine.ErrNotYet) {
		return registration
	}
	return errors.Join(connection, registration)
}

// resolveProducts returns the ids of the products that a cluster names. A name
// keeps its id as long as the spec has it, so that a new product of the same
// name does not inherit what was granted to another.
func resolveProducts(snap *snapshot.Snapshot, c *v1alpha1.Cluster) map[string]string {
	ids := map[string]string{}
	resolve := func(name string) {
		if id, known := c.Status.ProductIDMap[name]; known {
			ids[name] = id
		} else if p := snap.ProductByName(name); p != nil {
			ids[name] = p.Name
		}
	}
	for _, names := range c.Spec.ReservedNamespacesAllowedProducts {
		for _, name := range names {
			resolve(name)
		}
	}
	for name := range c.Spec.ProductAllowedClusterResources {
		resolve(name)
	}
	if len(ids) == 0 {
		return nil
	}
	return ids
}

// usedBy lists who uses a cluster, for people.
func usedBy(snap *snapshot.Snapshot, c *v1alpha1.Cluster) []string {
	var users []string
	for _, user := range snap.UsersOf(c) {
		users = append(users, fmt.Sprintf("%s/%s/%s", user.Kind, user.Namespace, user.Name))
	}
	slices.Sort(users)
	if len(users) > maxUsers {
		users = users[:maxUsers]
	}
	return users
}

const maxUsers = 20
