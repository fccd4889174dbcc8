// Package controllers holds one thin reconciler per kind: what wakes it, what
// it loads, which builder it calls and what its status says. It guarantees that
// every decision is made by the pure packages below it.
package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/telemetry"
)

// Shared is what the controllers have in common.
type Shared struct {
	// Tenant is the tenant's name, Namespace the operator's namespace.
	Tenant, Namespace string
	// Workers is how many objects of a kind are reconciled at the same time.
	Workers int
	// SafetyInterval between two looks at an object that nothing happened to.
	SafetyInterval time.Duration
	// PollInterval between two looks at a repository that reported no push.
	PollInterval time.Duration

	Manager  manager.Manager
	Client   client.Client
	Loader   *snapshot.Loader
	Applier  *apply.Applier
	Clusters *remote.Manager
	// TenantConn is the tenant cluster as a target.
	TenantConn *remote.Conn
	Secrets    secrets.Store
	// Access is the secret store as a target; nil when accounts of clusters
	// cannot log in to it.
	Access  apply.System
	Mirrors *git.Mirrors

	Spaces *Board[SpaceKey, SpaceResult]
	Syncs  *Board[SyncKey, SyncResult]

	// The queues of the controllers that are woken by more than objects of the
	// tenant cluster.
	WakeProduct, WakeCodeRepo, WakeDeploymentRuntime, WakePipelineRuntime, WakeCluster Waker[reconcile.Request]
	WakeSpace                                                                          Waker[SpaceKey]
	WakeSync                                                                           Waker[SyncKey]

	// pushed notes that a repository has moved; set by the gitsync controller.
	pushed func(SyncKey)
}

// The owners of mirrored objects.
const (
	ownerProduct = "Product"
	ownerTenant  = "Tenant"
)

// watch adds a kind of the tenant cluster whose events wake the objects that
// keys returns for them.
func watch[O client.Object](b *builder.Builder, o O, keys func(context.Context, O) []reconcile.Request) {
	b.Watches(o, handler.EventHandler(keysOf(keys)))
}

// start builds the controller of one kind around the skeleton.
func start[T v1alpha1.Object](s *Shared, b *builder.Builder, work engine.Work[T], o engine.Options[T]) error {
	o.Client = s.Client
	o.Recorder = s.Manager.GetEventRecorder("nautes")
	o.Classify = classify
	o.SafetyInterval = s.SafetyInterval
	o.Observe = func(kind string, class engine.Class) {
		telemetry.ReconcileOutcomes.WithLabelValues(kind, class.String()).Inc()
	}
	err := b.WithOptions(controller.Options{MaxConcurrentReconciles: s.Workers}).Complete(engine.New(work, o))
	if err != nil {
		return fmt.Errorf("start the controller of %s: %w", o.Kind, err)
	}
	return nil
}

// changed wakes whose object changed on a runtime cluster. Objects of a space
// wake the space; those of a runtime wake the runtime; a kind that comes to be
// served wakes everything on the cluster.
func (s *Shared) changed(cluster string, gvk schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool) {
	product, name := meta.Labels[v1alpha1.LabelProduct], meta.Labels[v1alpha1.LabelOwnerName]
	switch {
	case gvk.Kind == "CustomResourceDefinition":
		s.wakeCluster(cluster)
	case gvk.Kind == "Service":
		// The entry points of a host are those of its virtual clusters.
		s.wakeRegistrations(context.Background(), cluster)
	case remote.IsRun(gvk):
		s.runChanged(context.Background(), cluster, meta)
	case meta.Labels[v1alpha1.LabelOwnerKind] == build.OwnerCluster:
		s.WakeCluster.Wake(request(s.Namespace, name))
	case product == "":
	case meta.Labels[v1alpha1.LabelOwnerKind] == build.OwnerSpace:
		s.WakeSpace.Wake(SpaceKey{Product: product, Cluster: cluster})
		if deleted && gvk.Kind == "Namespace" {
			// Whoever wants a namespace that another product had can have it now.
			for _, key := range s.spacesWanting(context.Background(), cluster, meta.Name) {
				s.WakeSpace.Wake(key)
			}
		}
	case meta.Labels[v1alpha1.LabelOwnerKind] == build.OwnerDeploymentRuntime:
		s.WakeDeploymentRuntime.Wake(request(product, name))
	case meta.Labels[v1alpha1.LabelOwnerKind] == build.OwnerPipelineRuntime:
		s.WakePipelineRuntime.Wake(request(product, name))
	}
}

// runChanged wakes the pipeline runtime of a run. Anybody can write the labels of
// one, so only those in the namespace that the runtime has count.
func (s *Shared) runChanged(ctx context.Context, cluster string, meta *metav1.PartialObjectMetadata) {
	wake := request(meta.Labels[launch.LabelProduct], meta.Labels[launch.LabelRuntime])
	r := &v1alpha1.ProjectPipelineRuntime{}
	if err := s.Client.Get(ctx, wake.NamespacedName, r); err != nil {
		return
	}
	if at := snapshot.RecordedTarget(r); at != nil && at.Cluster == cluster && at.Namespaces[0] == meta.Namespace {
		s.WakePipelineRuntime.Wake(wake)
	}
}

// tenantChanged wakes whose object changed on the tenant cluster.
func (s *Shared) tenantChanged(_ schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, _ bool) {
	product := meta.Labels[v1alpha1.LabelProduct]
	switch meta.Labels[v1alpha1.LabelOwnerKind] {
	case build.OwnerCluster:
		s.WakeCluster.Wake(request(s.Namespace, meta.Labels[v1alpha1.LabelOwnerName]))
	case build.OwnerProductNamespace:
		s.WakeProduct.Wake(request(s.Namespace, product))
	case ownerProduct:
		s.WakeSync.Wake(SyncKey{Product: product})
	case ownerTenant:
		s.WakeSync.Wake(SyncKey{})
	}
}

// wakeCluster wakes a cluster and everything on it.
func (s *Shared) wakeCluster(cluster string) {
	ctx := context.Background()
	s.wakeRegistrations(ctx, cluster)
	for _, key := range s.spacesOn(ctx, cluster) {
		s.WakeSpace.Wake(key)
	}
	named := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: cluster}}
	for _, r := range s.runtimesOfCluster(ctx, named) {
		s.WakeDeploymentRuntime.Wake(r)
	}
	for _, r := range s.pipelineRuntimesOfCluster(ctx, named) {
		s.WakePipelineRuntime.Wake(r)
	}
}

// wakeRegistrations wakes a cluster and the virtual clusters on it.
func (s *Shared) wakeRegistrations(ctx context.Context, cluster string) {
	s.WakeCluster.Wake(request(s.Namespace, cluster))
	for _, r := range s.clusters(ctx, func(c *v1alpha1.Cluster) bool { return c.Spec.HostCluster == cluster }) {
		s.WakeCluster.Wake(r)
	}
}

// conn returns the connection to a cluster. While the Cluster says that it is
// connected and it is not, as just after a start, nothing can be told yet: its
// controller is about to connect it or to say that it is lost, and either wakes
// who asked.
func (s *Shared) conn(snap *snapshot.Snapshot, cluster string) (*remote.Conn, error) {
	c := snap.Cluster(cluster)
	conn, err := s.Clusters.Get(cluster)
	if err == nil {
		if c == nil {
			return conn, nil
		}
		// What one Cluster has on a real cluster, another one must not prune.
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

// applySet applies a set and counts what it did.
func (s *Shared) applySet(ctx context.Context, conn apply.Connection, set plan.Set, o apply.Options) (apply.Result, error) {
	result, err := s.Applier.Apply(ctx, conn, set, o)
	countApply(set, result)
	return result, err
}

func countApply(set plan.Set, result apply.Result) {
	telemetry.ObserveApply(string(set.Target.Kind), result.Written, result.Unchanged, result.Deleted)
}

// abandoned tells that what an object has on a lost cluster is given up, as its
// annotation asks.
func (s *Shared) abandoned(o client.Object, cluster string) {
	s.Manager.GetEventRecorder("nautes").Eventf(o, nil, corev1.EventTypeWarning, v1alpha1.ReasonAbandoned, "Finalize",
		"what it has on cluster %s is given up, as the annotation %s asks: remove it there by hand", cluster, v1alpha1.AnnotationAbandon)
}
