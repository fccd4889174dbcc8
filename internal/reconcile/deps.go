// Package reconcile holds the parts that controllers share: their dependencies,
// which each controller keeps in a field, the classification of errors, the queues,
// and the event handlers that fill them. It guarantees that each of these questions is
// answered in one place.
package reconcile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/lane"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/pushhooks"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/repokeys"
	"nautes.io/nautes/internal/reports"
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
	// Targets are the systems that the sets of all kinds are applied to.
	Targets *engine.Targets
	// TenantConn is the tenant cluster as a target.
	TenantConn *remote.Conn
	Secrets    secrets.Store
	// Access is the secret store as a target, or nil when the accounts of clusters
	// cannot log in to it.
	Access  apply.System
	Mirrors *git.Mirrors
	// Hooks makes the hooks of the receiver in forges.
	Hooks *pushhooks.Maker
	// Keys makes the deploy keys of code repositories.
	Keys *repokeys.Maker
	// Reports shows outcomes in forges.
	Reports *reports.Reporter
	// Kinds checks the objects in resource files.
	Kinds *schema.Kinds

	Queues *Queues
	Pushes *Pushes

	watches watches
}

// The owners of mirrored objects.
const (
	OwnerProduct = "Product"
	OwnerTenant  = "Tenant"
)

// Start starts the controller of one kind around the skeleton. It reconciles an object
// when the object changes, and when another one changes that its answers depend on.
func Start[T any, P engine.Object[T]](d *Deps, phases engine.Kind[P], o engine.Options[P]) error {
	o.Client, o.Recorder, o.Targets = d.Client, d.Manager.GetEventRecorder("nautes"), d.Targets
	o.Classify = Classify
	if o.SafetyInterval == 0 {
		o.SafetyInterval = d.SafetyInterval
	}
	o.Observe = func(kind string, class engine.Class) {
		telemetry.ReconcileOutcomes.WithLabelValues(kind, class.String()).Inc()
	}
	kind := references.RefOf(P(new(T))).Kind
	slow := lane.New(d.Workers, func(r ctrl.Request) { d.Queues.Of(kind).Add(r) })
	o.Enter = func(request ctrl.Request, clusters ...string) (func(), error) {
		return slow.Enter(d.IsSlow, request, clusters...)
	}
	reconciler, err := engine.New[T](phases, o)
	if err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(d.Manager).Named(strings.ToLower(kind)).For(P(new(T))).WatchesRawSource(d.Source(kind)).
		WithOptions(controller.Options{MaxConcurrentReconciles: d.Workers}).Complete(reconciler)
	if err != nil {
		return fmt.Errorf("start the controller of %s: %w", kind, err)
	}
	return nil
}

// NewTargets returns the targets of an operator.
func (d *Deps) NewTargets() *engine.Targets {
	targets := engine.NewTargets()
	targets.TenantConfirms = func(ctx context.Context) bool {
		repo, err := d.TenantRepository(ctx)
		return err == nil && repo != nil && repo.Status.Sync != nil && repo.Status.Sync.PruneConfirmed
	}
	targets.Applier, targets.Tenant, targets.Vault = d.Applier, d.TenantConn, d.Access
	targets.Connect = func(snap *snapshot.Snapshot, cluster string) (apply.Connection, error) { return d.Conn(snap, cluster) }
	targets.Applied = func(_ client.Object, set plan.Set, result apply.Result) {
		telemetry.ObserveApply(string(set.Target.Kind), result.Written, result.Unchanged, len(result.Deleted))
	}
	targets.Abandoned = d.Abandoned
	return targets
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

// ClustersOf returns the clusters that a runtime is on or goes to.
func ClustersOf(snap *snapshot.Snapshot, r v1alpha1.Runtime) []string {
	var clusters []string
	at := r.DeployedTarget()
	if at != nil {
		clusters = append(clusters, at.Cluster)
	}
	target, err := snap.Target(r)
	if goes := at == nil || v1alpha1.Movable(r); goes && err == nil && !slices.Contains(clusters, target.Cluster) {
		clusters = append(clusters, target.Cluster)
	}
	return clusters
}

// IsSlow reports whether a cluster took long to answer the last probe.
func (d *Deps) IsSlow(cluster string) bool { return d.Clusters.State(cluster).Slow }

// AccessCondition returns some condition types, and SecretAccess if the accounts of
// clusters can log in to the secret store.
func (d *Deps) AccessCondition(types ...string) []string {
	if d.Access == nil {
		return types
	}
	return append(types, v1alpha1.ConditionSecretAccess)
}

// Abandoned sends the event that the objects on a lost cluster are given up.
func (d *Deps) Abandoned(o client.Object, cluster string) {
	engine.AnnounceAbandoned(d.Manager.GetEventRecorder("nautes"), o, cluster)
}
