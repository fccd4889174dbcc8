package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=clusters,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=clusters/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch,namespace=nautes
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete,namespace=argocd
// +kubebuilder:rbac:groups=argoproj.io,resources=applications;appprojects,verbs=get;list;watch;create;patch;delete,namespace=argocd

// clusterWork keeps the connection to a cluster as its kubeconfig says, has the
// tenant's Argo CD install the cluster's components, lets the cluster's accounts
// log in to the secret store, and tells how far all of that is.
type clusterWork struct {
	*Shared
	slow *lane[reconcile.Request]
}

// Cluster starts the controller of Clusters.
func (s *Shared) Cluster() error {
	b := ctrl.NewControllerManagedBy(s.Manager).Named("cluster").For(&v1alpha1.Cluster{}).
		WatchesRawSource(s.WakeCluster.Source())
	watch(b, &corev1.Secret{}, s.clustersOfSecret)
	watch(b, &v1alpha1.Product{}, func(ctx context.Context, p *v1alpha1.Product) []reconcile.Request {
		return append(s.clustersNaming(ctx, p.Spec.Name), requests(s.Namespace, snapshot.SpaceClusters(p)...)...)
	})
	watch(b, &v1alpha1.Environment{}, func(_ context.Context, e *v1alpha1.Environment) []reconcile.Request {
		return []reconcile.Request{request(s.Namespace, e.Spec.Cluster)}
	})
	watch(b, &v1alpha1.DeploymentRuntime{}, func(_ context.Context, r *v1alpha1.DeploymentRuntime) []reconcile.Request {
		if r.Status.Target == nil {
			return nil
		}
		return []reconcile.Request{request(s.Namespace, r.Status.Target.Cluster)}
	})
	watchPipelineRuntimes(b, func(_ context.Context, r *v1alpha1.ProjectPipelineRuntime) []reconcile.Request {
		if r.Status.Target == nil {
			return nil
		}
		return []reconcile.Request{request(s.Namespace, r.Status.Target.Cluster)}
	})
	// Beside the connection, which wakes by itself, a cluster reads only the
	// specs of the others.
	b.Watches(&v1alpha1.Cluster{}, keysOf(s.clustersBeside), builder.WithPredicates(predicate.GenerationChangedPredicate{}))
	watch(b, &v1alpha1.ComponentCatalogue{}, func(ctx context.Context, _ *v1alpha1.ComponentCatalogue) []reconcile.Request {
		return s.clusters(ctx, nil)
	})
	return start(s, b, clusterWork{Shared: s, slow: newLane(s.Workers, s.WakeCluster.Wake)}, engine.Options[*v1alpha1.Cluster]{
		Kind: "Cluster", New: func() *v1alpha1.Cluster { return &v1alpha1.Cluster{} },
	})
}

// ComponentCatalogue starts the controller of ComponentCatalogues.
func (s *Shared) ComponentCatalogue() error {
	b := ctrl.NewControllerManagedBy(s.Manager).Named("componentcatalogue").For(&v1alpha1.ComponentCatalogue{})
	work := declaredWork[*v1alpha1.ComponentCatalogue]{Shared: s}
	return start(s, b, work, engine.Options[*v1alpha1.ComponentCatalogue]{
		Kind: "ComponentCatalogue", New: func() *v1alpha1.ComponentCatalogue { return &v1alpha1.ComponentCatalogue{} },
		NoFinalizer: true,
	})
}

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=componentcatalogues,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=componentcatalogues/status,verbs=patch

// Reconcile implements engine.Work.
func (w clusterWork) Reconcile(ctx context.Context, s *engine.Session[*v1alpha1.Cluster]) error {
	c := s.Object
	leave, err := w.slow.enter(w.isSlow, request(c.Namespace, c.Name), c.Name, c.Spec.HostCluster)
	defer leave()
	if err != nil {
		return err
	}
	snap, err := w.Loader.Cluster(ctx, c.Name)
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
	if err := verdict(refusals); err != nil {
		fails(s.Facts, v1alpha1.ConditionValid, err)
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

// inUse is a Waiting error that names who uses an object; nil when nobody does.
func inUse(snap *snapshot.Snapshot, o v1alpha1.Object) error {
	users := snap.UsersOf(o)
	if len(users) == 0 {
		return nil
	}
	return engine.Waiting(v1alpha1.ReasonInUse, "it is deleted when nothing uses it any more; now %s does%s",
		users[0], more(len(users)-1))
}
