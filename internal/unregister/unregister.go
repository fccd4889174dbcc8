// Package unregister removes everything that was installed for a Cluster. It guarantees
// that nothing goes before the objects that only it can clean up.
package unregister

import (
	"context"
	"errors"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// Session is the pass over the Cluster.
type Session interface {
	// Connect returns the connection to a target.
	Connect(target plan.Target) (apply.Connection, error)
	// Apply applies a set to its target.
	Apply(ctx context.Context, set plan.Set, o apply.Options) engine.Applied
	// Abandons reports whether a person gives up the objects on a cluster.
	Abandons(cluster string) bool
	// Record writes the status of the Cluster.
	Record(ctx context.Context) error
}

// Deps are the dependencies of a removal.
type Deps struct {
	// Snapshot of the Cluster.
	Snapshot *snapshot.Snapshot
	// Tenant is the connection to the tenant cluster.
	Tenant  apply.Connection
	Secrets secrets.Store
	// Message returns the message of an error for a status.
	Message func(error) string
}

// Cluster removes the objects of a cluster in an order in which each of them can still
// be cleaned up: the objects that its controllers must release; the components;
// the virtual cluster itself; the namespaces; the access to the secret store, and the
// credentials. It returns nil if all is gone.
func Cluster(ctx context.Context, s Session, c *v1alpha1.Cluster, d Deps) error {
	if c.Status.Registered == nil {
		return nil
	}
	r := &removal{deps: d, s: s, c: c, owner: build.ClusterOwner(c), virtual: installedVirtual(c)}
	steps := []func(context.Context) error{r.removeApplications, r.removeHostNamespace, r.removeNamespaces, r.removeAccess}
	if err := r.check(ctx); err != nil {
		return err
	}
	if !r.lost && c.Spec.DeletionPolicy != v1alpha1.DeletionPolicyOrphan {
		steps = append([]func(context.Context) error{r.removeObjects}, steps...)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	// On record while the connection is there: if the finalizer cannot be taken off at
	// once, a completed removal must not start again without it.
	c.Status.Registered = nil
	return s.Record(ctx)
}

// installedVirtual reports whether a cluster is a virtual one that Nautes installed.
func installedVirtual(c *v1alpha1.Cluster) bool {
	return slices.ContainsFunc(c.Status.Components, func(s v1alpha1.ComponentStatus) bool {
		return s.Category == v1alpha1.CategoryVirtualCluster && s.State != v1alpha1.ComponentExternal
	})
}

// removal removes the objects that were installed for a cluster.
type removal struct {
	deps  Deps
	s     Session
	c     *v1alpha1.Cluster
	owner plan.Owner
	// conn is nil if the cluster does not answer. Then lost is true: the cluster is
	// given up, or nothing was ever written to it.
	conn apply.Connection
	lost bool
	// virtual is true if the cluster itself was installed, and goes with its objects.
	virtual bool
}

// check connects to the cluster, or returns an error if the removal needs a connection.
func (r *removal) check(ctx context.Context) error {
	conn, err := r.s.Connect(plan.Cluster(r.c.Name))
	if err == nil {
		r.conn = conn
		return nil
	}
	if errors.Is(err, engine.ErrNotYet) {
		return err
	}
	applications, ownErr := r.owned(ctx, r.deps.Tenant, "Application")
	if ownErr != nil {
		return ownErr
	}
	switch {
	case r.s.Abandons(r.c.Name):
	case r.c.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan:
	case r.c.Status.Connection == nil || len(applications) == 0 && (r.virtual || !r.writes()):
		// Nothing of ours can be on it, or it is gone itself.
	default:
		return engine.Waiting(v1alpha1.ReasonNotConnected,
			"cluster %s is not connected, so what was installed on it cannot be removed (%d Applications): bring it back, or give it up with the annotation %s: %s",
			r.c.Name, len(applications), v1alpha1.AnnotationAbandon, r.c.Name)
	}
	r.lost = true
	return nil
}

// writes reports whether the plan has objects on the cluster itself. If the plan is
// unknown, the answer is true.
func (r *removal) writes() bool {
	alive := r.c.DeepCopy()
	alive.DeletionTimestamp = nil
	wanted, err := build.Cluster(r.deps.Snapshot, alive)
	return err != nil || len(wanted.On(plan.Cluster(r.c.Name)).Items) > 0
}

// owned returns the objects of a kind that the cluster has on a connection.
func (r *removal) owned(ctx context.Context, conn apply.Connection, kind string) ([]metav1.PartialObjectMetadata, error) {
	all, err := conn.Owned(ctx, r.owner)
	if err != nil {
		return nil, err
	}
	var found []metav1.PartialObjectMetadata
	for _, o := range all {
		if o.Kind == kind {
			found = append(found, o)
		}
	}
	return found, nil
}

// empty removes the objects of the cluster from a target, except for the kept ones.
func (r *removal) empty(ctx context.Context, target plan.Target, keep []plan.ID, release ...string) error {
	set := plan.Set{Owner: r.owner, Target: target, Keep: keep}
	return r.s.Apply(ctx, set, apply.Options{NoGuard: true, Release: release}).Outcome()
}

// removeObjects removes the objects on the cluster except for the namespaces. The
// controllers of the cluster, which still run, may have to release them.
func (r *removal) removeObjects(ctx context.Context) error {
	namespaces, err := r.owned(ctx, r.conn, "Namespace")
	if err != nil {
		return err
	}
	return r.empty(ctx, plan.Cluster(r.c.Name), idsOf(namespaces))
}

// removeApplications removes the components. Argo CD removes the installed objects,
// unless they stay or are lost. The components on a virtual cluster go before the
// virtual cluster.
func (r *removal) removeApplications(ctx context.Context) error {
	orphan := r.c.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan
	all, err := r.deps.Tenant.Owned(ctx, r.owner)
	if err != nil {
		return err
	}
	var keep []plan.ID
	for i := range all {
		if id := plan.IDOf(all[i].GroupVersionKind(), &all[i]); id.Kind != "Application" || build.InstallsVirtualCluster(&all[i]) {
			keep = append(keep, id)
		}
	}
	var release []string
	if orphan || r.lost {
		release = []string{build.ApplicationFinalizer}
	}
	if r.virtual {
		if err := r.empty(ctx, plan.Tenant, keep, release...); err != nil {
			return err
		}
		// The virtual cluster is on its host, which is there even if it is not.
		release = nil
		if orphan {
			release = []string{build.ApplicationFinalizer}
		}
	}
	return r.empty(ctx, plan.Tenant, nil, release...)
}

// removeHostNamespace removes the namespace of a virtual cluster on its host.
func (r *removal) removeHostNamespace(ctx context.Context) error {
	host := r.c.Status.Registered.HostCluster
	if host == "" || r.c.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan || r.deps.Snapshot.Cluster(host) == nil {
		return nil
	}
	_, err := r.s.Connect(plan.Cluster(host))
	if errors.Is(err, engine.ErrNotYet) {
		return err
	}
	if err != nil {
		if r.c.Annotations[v1alpha1.AnnotationAbandon] == r.c.Name {
			return nil
		}
		return engine.Waiting(v1alpha1.ReasonHostNotReady,
			"the host of the virtual cluster is not ready, so its namespace there cannot be removed: %s; the annotation %s: %s gives it up",
			r.deps.Message(err), v1alpha1.AnnotationAbandon, r.c.Name)
	}
	return r.empty(ctx, plan.Cluster(host), nil)
}

// removeNamespaces removes the namespaces that were created for the components. The
// namespaces of an installed virtual cluster went with it.
func (r *removal) removeNamespaces(ctx context.Context) error {
	if r.lost || r.virtual || r.c.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan {
		return nil
	}
	return r.empty(ctx, plan.Cluster(r.c.Name), nil)
}

// removeAccess revokes the access of the cluster's accounts to the secret store, and removes
// the credentials of the cluster, but for a Secret that a person named.
func (r *removal) removeAccess(ctx context.Context) error {
	if r.c.Status.Registered.Usage == v1alpha1.UsageWorker {
		if err := r.empty(ctx, plan.Vault(r.c.Name), nil); err != nil {
			return err
		}
	}
	if err := r.deps.Secrets.Delete(ctx, secrets.ClusterReviewer(r.c.Name)); err != nil {
		return err
	}
	deleted := !r.c.DeletionTimestamp.IsZero()
	wasVirtual := r.c.Status.Registered.ClusterType == v1alpha1.ClusterVirtual
	if r.c.Spec.KubeconfigSecretRef != nil || (!deleted && !wasVirtual) {
		return nil
	}
	return r.deps.Secrets.Delete(ctx, secrets.ClusterKubeconfig(r.c.Name))
}

func idsOf(objects []metav1.PartialObjectMetadata) []plan.ID {
	ids := make([]plan.ID, 0, len(objects))
	for i := range objects {
		ids = append(ids, plan.IDOf(objects[i].GroupVersionKind(), &objects[i]))
	}
	return ids
}
