package reconcile

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/secrets"
)

// ClusterChanged enqueues the owner of an object that changed on a runtime cluster:
// the space, the runtime or the cluster that its labels name. A kind that starts to
// be served enqueues everything on the cluster.
func (d *Deps) ClusterChanged(cluster string, gvk schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool) {
	ctx := context.Background()
	product, name := meta.Labels[v1alpha1.LabelProduct], meta.Labels[v1alpha1.LabelOwnerName]
	switch {
	case gvk.Kind == "CustomResourceDefinition":
		d.EnqueueCluster(cluster)
	case gvk.Kind == "Service":
		// Virtual clusters have the entry points of their host.
		d.enqueueRegistrations(ctx, cluster)
	case remote.IsRun(gvk):
		d.runChanged(ctx, cluster, meta)
	case meta.Labels[v1alpha1.LabelOwnerKind] == build.OwnerCluster:
		d.Triggers.Cluster.Enqueue(Request(d.Namespace, name))
	case product == "":
	case meta.Labels[v1alpha1.LabelOwnerKind] == build.OwnerSpace:
		d.Triggers.Space.Enqueue(Request(product, cluster))
		if deleted && gvk.Kind == "Namespace" {
			// Another product that wants the namespace can have it now.
			d.Triggers.Space.EnqueueAll(d.Relations.SpacesWanting(ctx, cluster, meta.Name))
		}
	case meta.Labels[v1alpha1.LabelOwnerKind] == build.OwnerDeploymentRuntime:
		d.Triggers.DeploymentRuntime.Enqueue(Request(product, name))
	case meta.Labels[v1alpha1.LabelOwnerKind] == build.OwnerPipelineRuntime:
		d.Triggers.PipelineRuntime.Enqueue(Request(product, name))
	}
}

// runChanged enqueues the pipeline runtime of a run. Anyone who may create runs can
// choose their labels, so only runs in the namespace of the runtime count.
func (d *Deps) runChanged(ctx context.Context, cluster string, meta *metav1.PartialObjectMetadata) {
	request := Request(meta.Labels[launch.LabelProduct], meta.Labels[launch.LabelRuntime])
	r := &v1alpha1.ProjectPipelineRuntime{}
	if err := d.Client.Get(ctx, request.NamespacedName, r); err != nil {
		return
	}
	if at := r.DeployedTarget(); at != nil && at.Cluster == cluster && at.Namespaces[0] == meta.Namespace {
		d.Triggers.PipelineRuntime.Enqueue(request)
	}
}

// TenantChanged enqueues the owner of an object that changed on the tenant cluster.
func (d *Deps) TenantChanged(_ schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, _ bool) {
	product := meta.Labels[v1alpha1.LabelProduct]
	switch meta.Labels[v1alpha1.LabelOwnerKind] {
	case build.OwnerCluster:
		d.Triggers.Cluster.Enqueue(Request(d.Namespace, meta.Labels[v1alpha1.LabelOwnerName]))
	case build.OwnerProductNamespace:
		d.Triggers.Product.Enqueue(Request(d.Namespace, product))
	case OwnerProduct:
		d.Triggers.Sync.Enqueue(SyncKey{Product: product})
	case OwnerTenant:
		d.Triggers.Sync.Enqueue(SyncKey{})
	}
}

// EnqueueCluster enqueues a cluster and everything on it.
func (d *Deps) EnqueueCluster(cluster string) {
	ctx := context.Background()
	d.enqueueRegistrations(ctx, cluster)
	d.Triggers.Space.EnqueueAll(d.Relations.SpacesOn(ctx, cluster))
	named := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: cluster}}
	d.Triggers.DeploymentRuntime.EnqueueAll(d.Relations.RuntimesOfCluster(ctx, named))
	d.Triggers.PipelineRuntime.EnqueueAll(d.Relations.PipelineRuntimesOfCluster(ctx, named))
}

// enqueueRegistrations enqueues a cluster and the virtual clusters on it.
func (d *Deps) enqueueRegistrations(ctx context.Context, cluster string) {
	d.Triggers.Cluster.Enqueue(Request(d.Namespace, cluster))
	d.Triggers.Cluster.EnqueueAll(d.Relations.Clusters(ctx, func(c *v1alpha1.Cluster) bool { return c.Spec.HostCluster == cluster }))
}

// SecretChanged enqueues the readers of a secret that changed in a store without
// Secrets to watch.
func (d *Deps) SecretChanged(ref secrets.Ref) {
	ctx := context.Background()
	d.Triggers.Cluster.EnqueueAll(d.Relations.ClustersOfRef(ctx, ref))
	d.Triggers.Space.EnqueueAll(d.Relations.SpacesOfRef(ctx, ref))
	d.Triggers.PipelineRuntime.EnqueueAll(d.Relations.PipelineRuntimesOfRef(ctx, ref))
	if ref.Engine == secrets.ProviderToken("").Engine {
		d.Triggers.Sync.EnqueueAll(d.Relations.SyncsByProvider(ctx))
	}
}

// SecretsReturned enqueues everything that an absent secret store may have held up.
func (d *Deps) SecretsReturned() {
	ctx := context.Background()
	for _, r := range d.Relations.Clusters(ctx, nil) {
		d.Triggers.Cluster.Enqueue(r)
		d.Triggers.Space.EnqueueAll(d.Relations.SpacesOn(ctx, r.Name))
	}
	d.Triggers.PipelineRuntime.EnqueueAll(d.Relations.PipelineRuntimes(ctx, "", nil))
	d.Triggers.Sync.EnqueueAll(d.Relations.Syncs(ctx, nil))
}
