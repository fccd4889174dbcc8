package cluster

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
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/telemetry"
)

// Finalize implements engine.Work: a cluster stays while something is on it, and
// then what was installed goes, or stays as spec.deletionPolicy says.
func (w work) Finalize(ctx context.Context, s *engine.Session[*v1alpha1.Cluster]) error {
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
	c.Status.UsedBy = usedBy(snap, c)
	connection := w.connect(ctx, s, snap)
	if errors.Is(connection, engine.ErrNotYet) {
		return connection
	}
	if err := reconcile.InUse(snap, c); err != nil {
		// It goes on working for those who use it.
		return errors.Join(err, connection)
	}
	if err := w.unregister(ctx, s, snap); err != nil {
		return err
	}
	if connection := c.Status.Connection; connection != nil {
		w.deps.Applier.Forget(connection.UID)
	}
	telemetry.ClusterConnected.DeleteLabelValues(c.Name)
	return nil
}

// reregister removes what was installed on a cluster that nobody uses and that
// has become another one: with another type, usage or host. The error says that
// it goes on; nil when there is nothing to remove any more.
func (w work) reregister(ctx context.Context, s *engine.Session[*v1alpha1.Cluster], snap *snapshot.Snapshot) error {
	c := s.Object
	if c.Status.Registered == nil || *c.Status.Registered == *build.Identity(c) {
		return nil
	}
	if err := w.unregister(ctx, s, snap); err != nil {
		outcome := engine.Classify(err, reconcile.Classify)
		if outcome.Class != engine.ClassWaiting {
			return err
		}
		return engine.Waiting(v1alpha1.ReasonReregistering, "what the cluster was before is removed first: %s", outcome.Message)
	}
	c.Status.Registered, c.Status.Components, c.Status.Progress, c.Status.EntryPoints = nil, nil, "", nil
	c.Status.Connection = nil
	return s.Record(ctx)
}

// unregister removes what a cluster has, in an order in which everything that is
// needed to remove a thing is still there: what controllers on the cluster must
// let go of; the components; the virtual cluster itself; the namespaces; the
// access to the secret store, and the credentials at last. It returns nil when
// all is gone, and says what it waits for otherwise.
func (w work) unregister(ctx context.Context, s *engine.Session[*v1alpha1.Cluster], snap *snapshot.Snapshot) error {
	c := s.Object
	if c.Status.Registered == nil {
		w.deps.Clusters.Remove(c.Name)
		return nil
	}
	r := &removal{work: w, snap: snap, c: c, owner: build.ClusterOwner(c), virtual: installedVirtual(c)}
	steps := []func(context.Context) error{r.applications, r.room, r.namespaces, r.access}
	if err := r.check(ctx); err != nil {
		return err
	}
	if !r.lost && c.Spec.DeletionPolicy != v1alpha1.DeletionPolicyOrphan {
		steps = append([]func(context.Context) error{r.objects}, steps...)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	// On record while the connection is there: when the finalizer cannot be taken
	// off at once, a removal that is done must not begin again without it.
	c.Status.Registered = nil
	if err := s.Record(ctx); err != nil {
		return err
	}
	w.deps.Clusters.Remove(c.Name)
	return nil
}

// installedVirtual tells whether a cluster is a virtual one that we have installed.
func installedVirtual(c *v1alpha1.Cluster) bool {
	return slices.ContainsFunc(c.Status.Components, func(s v1alpha1.ComponentStatus) bool {
		return s.Category == v1alpha1.CategoryVirtualCluster && s.State != v1alpha1.ComponentExternal
	})
}

// removal is the removal of what one cluster has.
type removal struct {
	work
	snap  *snapshot.Snapshot
	c     *v1alpha1.Cluster
	owner plan.Owner
	// conn is nil when the cluster does not answer; lost: it is given up, or
	// nothing was ever written to it.
	conn apply.Connection
	lost bool
	// virtual: the cluster itself is ours, and goes with everything on it.
	virtual bool
}

// check finds out whether the cluster answers, and whether that matters.
func (r *removal) check(ctx context.Context) error {
	conn, err := r.deps.Conn(r.snap, r.c.Name)
	if err == nil {
		r.conn = conn
		return nil
	}
	if errors.Is(err, engine.ErrNotYet) {
		return err
	}
	applications, ownErr := r.owned(ctx, r.deps.TenantConn, "Application")
	if ownErr != nil {
		return ownErr
	}
	switch {
	case r.c.Annotations[v1alpha1.AnnotationAbandon] == r.c.Name:
		r.deps.Abandoned(r.c, r.c.Name)
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

// writes tells whether we write anything to the cluster ourselves. What cannot
// be told counts as if we did.
func (r *removal) writes() bool {
	alive := r.c.DeepCopy()
	alive.DeletionTimestamp = nil
	wanted, err := build.Cluster(r.snap, alive)
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

// empty removes everything that the cluster has on a connection but what is kept.
func (r *removal) empty(ctx context.Context, conn apply.Connection, target plan.Target, keep []plan.ID, release ...string) error {
	set := plan.Set{Owner: r.owner, Target: target, Keep: keep}
	applied, err := r.deps.ApplyFor(ctx, r.c, plan.Commit{}, conn, set, apply.Options{NoGuard: true, Release: release})
	if err != nil {
		return err
	}
	return reconcile.Removing(applied, target.String())
}

// objects removes what was written on the cluster but the namespaces: its
// controllers, which are still there, may have to let go of it.
func (r *removal) objects(ctx context.Context) error {
	namespaces, err := r.owned(ctx, r.conn, "Namespace")
	if err != nil {
		return err
	}
	return r.empty(ctx, r.conn, plan.Cluster(r.c.Name), idsOf(namespaces))
}

// applications removes the components: Argo CD takes away what it installed,
// unless that stays or is lost. What runs on a virtual cluster goes before the
// virtual cluster does.
func (r *removal) applications(ctx context.Context) error {
	orphan := r.c.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan
	all, err := r.deps.TenantConn.Owned(ctx, r.owner)
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
		if err := r.empty(ctx, r.deps.TenantConn, plan.Tenant, keep, release...); err != nil {
			return err
		}
		// The virtual cluster is on its host, which is there even if it is not.
		release = nil
		if orphan {
			release = []string{build.ApplicationFinalizer}
		}
	}
	return r.empty(ctx, r.deps.TenantConn, plan.Tenant, nil, release...)
}

// room takes back the room of a virtual cluster on its host.
func (r *removal) room(ctx context.Context) error {
	host := r.c.Status.Registered.HostCluster
	if host == "" || r.c.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan || r.snap.Cluster(host) == nil {
		return nil
	}
	conn, err := r.deps.Conn(r.snap, host)
	if errors.Is(err, engine.ErrNotYet) {
		return err
	}
	if err != nil {
		if r.c.Annotations[v1alpha1.AnnotationAbandon] == r.c.Name {
			return nil
		}
		return engine.Waiting(v1alpha1.ReasonHostNotReady,
			"the host of the virtual cluster is not ready, so its namespace there cannot be removed: %s; the annotation %s: %s gives it up",
			reconcile.Message(err), v1alpha1.AnnotationAbandon, r.c.Name)
	}
	return r.empty(ctx, conn, plan.Cluster(host), nil)
}

// namespaces removes the namespaces of the components that were made for them.
// Those of a virtual cluster that was ours went with it.
func (r *removal) namespaces(ctx context.Context) error {
	if r.lost || r.virtual || r.c.Spec.DeletionPolicy == v1alpha1.DeletionPolicyOrphan {
		return nil
	}
	return r.empty(ctx, r.conn, plan.Cluster(r.c.Name), nil)
}

// access takes the cluster's accounts the way into the secret store, and removes
// the credentials of the cluster, but for a Secret that a person named.
func (r *removal) access(ctx context.Context) error {
	if r.deps.Access != nil && r.c.Status.Registered.Usage == v1alpha1.UsageWorker {
		set := plan.Set{Owner: r.owner, Target: plan.Vault(r.c.Name)}
		applied, err := r.deps.Applier.ApplySystem(ctx, r.deps.Access, set, apply.Options{NoGuard: true})
		if err == nil {
			err = reconcile.Removing(applied, "the secret store")
		}
		if err != nil {
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
