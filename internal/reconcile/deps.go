// Package reconcile holds the parts that controllers share: their dependencies,
// which each controller keeps in a field, the classification of errors, the
// relations between the kinds, the triggers and the queue for slow clusters. It
// guarantees that each of these questions is answered in one place.
package reconcile

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/schema"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/telemetry"
)

// Deps are the dependencies of the controllers of one operator.
type Deps struct {
	// Tenant is the tenant's name, Namespace the operator's namespace.
	Tenant, Namespace string
	// Workers is the number of objects of a kind that are reconciled at the same time.
	Workers int
	// SafetyInterval is the time after which an object is reconciled without an event.
	SafetyInterval time.Duration
	// PollInterval is the time between two polls of a repository that reported no push.
	PollInterval time.Duration

	Manager  manager.Manager
	Client   client.Client
	Loader   *snapshot.Loader
	Applier  *apply.Applier
	Clusters *remote.Manager
	// TenantConn is the tenant cluster as a target.
	TenantConn *remote.Conn
	Secrets    secrets.Store
	// Access is the secret store as a target, or nil when the accounts of clusters
	// cannot log in to it.
	Access  apply.System
	Mirrors *git.Mirrors
	// Kinds checks the objects in resource files.
	Kinds *schema.Kinds

	Relations *Relations
	Triggers  *Triggers
	Pushes    *Pushes

	Spaces *Board[SpaceKey, SpaceResult]
	Syncs  *Board[SyncKey, SyncResult]
}

// The owners of mirrored objects.
const (
	OwnerProduct = "Product"
	OwnerTenant  = "Tenant"
)

// Watch adds a kind of the tenant cluster to a controller. An event of an object
// enqueues the requests that keys returns for it.
func Watch[O client.Object](b *builder.Builder, o O, keys func(context.Context, O) []ctrl.Request) {
	b.Watches(o, handler.EventHandler(KeysOf(keys)))
}

// Start builds the controller of one kind around the skeleton.
func Start[T v1alpha1.Object](d *Deps, b *builder.Builder, work engine.Work[T], o engine.Options[T]) error {
	o.Client = d.Client
	o.Recorder = d.Manager.GetEventRecorder("nautes")
	o.Classify = Classify
	o.SafetyInterval = d.SafetyInterval
	o.Observe = func(kind string, class engine.Class) {
		telemetry.ReconcileOutcomes.WithLabelValues(kind, class.String()).Inc()
	}
	err := b.WithOptions(controller.Options{MaxConcurrentReconciles: d.Workers}).Complete(engine.New(work, o))
	if err != nil {
		return fmt.Errorf("start the controller of %s: %w", o.Kind, err)
	}
	return nil
}

// Conn returns the connection to a cluster. It returns engine.ErrNotYet while the
// Cluster is on record as connected and the connection is not there, for example
// just after a start: the cluster's controller then connects it or reports it as
// lost, and either event enqueues the caller again.
func (d *Deps) Conn(snap *snapshot.Snapshot, cluster string) (*remote.Conn, error) {
	c := snap.Cluster(cluster)
	conn, err := d.Clusters.Get(cluster)
	if err == nil {
		if c == nil {
			return conn, nil
		}
		// Objects that one Cluster has on a real cluster must not be pruned for another.
		for _, other := range snap.Clusters() {
			if other.Name != cluster && other.Status.Connection != nil && other.Status.Connection.UID == conn.UID() && snapshot.Older(other, c) {
				return nil, engine.Terminal(v1alpha1.ReasonInvalid, "Cluster %s is the same cluster as %s: delete one of the two", cluster, other.Name)
			}
		}
		return conn, nil
	}
	if c != nil && apimeta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionConnected) {
		return nil, engine.ErrNotYet
	}
	return nil, err
}

// IsSlow reports whether a cluster took long to answer the last probe.
func (d *Deps) IsSlow(cluster string) bool { return d.Clusters.State(cluster).Slow }

// ApplySet applies a set and counts its writes.
func (d *Deps) ApplySet(ctx context.Context, conn apply.Connection, set plan.Set, o apply.Options) (apply.Result, error) {
	result, err := d.Applier.Apply(ctx, conn, set, o)
	CountApply(set, result)
	return result, err
}

// ApplyFor applies a set of an owner. The log lines of the applier name the commit,
// and an event on the owner announces the deleted objects.
func (d *Deps) ApplyFor(ctx context.Context, owner client.Object, commit plan.Commit, conn apply.Connection, set plan.Set, o apply.Options) (apply.Result, error) {
	result, err := d.ApplySet(engine.WithCommit(ctx, commit), conn, set, o)
	engine.AnnouncePrune(d.Manager.GetEventRecorder("nautes"), owner, set, result.Deleted, commit)
	return result, err
}

// CommitOf returns the commit of default.project that the Product of a snapshot
// reports as mirrored.
func CommitOf(snap *snapshot.Snapshot, product string) plan.Commit {
	if p := snap.Product(product); p != nil {
		return engine.CommitOf(p.Status.Sync)
	}
	return plan.Commit{}
}

// ApplyTenant applies a set to the tenant cluster. It returns a Waiting error while
// objects are still terminating.
func (d *Deps) ApplyTenant(ctx context.Context, set plan.Set, o apply.Options) error {
	result, err := d.ApplySet(ctx, d.TenantConn, set, o)
	if err != nil {
		return err
	}
	return Removing(result, "tenant")
}

// CountApply adds the result of an application to the metrics.
func CountApply(set plan.Set, result apply.Result) {
	telemetry.ObserveApply(string(set.Target.Kind), result.Written, result.Unchanged, len(result.Deleted))
}

// Abandoned sends the event that the objects on a lost cluster are given up.
func (d *Deps) Abandoned(o client.Object, cluster string) {
	d.Manager.GetEventRecorder("nautes").Eventf(o, nil, corev1.EventTypeWarning, v1alpha1.ReasonAbandoned, "Finalize",
		"its objects on cluster %s are given up, as the annotation %s asks: remove them there by hand", cluster, v1alpha1.AnnotationAbandon)
}
