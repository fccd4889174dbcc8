package reconcile

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/discover"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
)

// The kinds that have objects on runtime clusters.
const (
	kindCluster           = "Cluster"
	kindProduct           = "Product"
	kindSpace             = "Space"
	kindDeploymentRuntime = "DeploymentRuntime"
	kindPipelineRuntime   = "ProjectPipelineRuntime"
	kindProductProvider   = "ProductProvider"
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
		d.Queues.Of(kindCluster).Add(Request(d.Namespace, name))
	case product == "":
	case meta.Labels[v1alpha1.LabelOwnerKind] == build.OwnerSpace:
		d.Queues.Of(kindSpace).Add(Request(product, cluster))
		if deleted && gvk.Kind == "Namespace" {
			// Another product that wants the namespace can have it now.
			d.enqueueClaimants(ctx, cluster, meta.Name)
		}
	case meta.Labels[v1alpha1.LabelOwnerKind] == build.OwnerDeploymentRuntime:
		d.Queues.Of(kindDeploymentRuntime).Add(Request(product, name))
	case meta.Labels[v1alpha1.LabelOwnerKind] == build.OwnerPipelineRuntime:
		d.Queues.Of(kindPipelineRuntime).Add(Request(product, name))
	}
}

// enqueueClaimants enqueues the spaces on a cluster of the runtimes that claim a
// namespace.
func (d *Deps) enqueueClaimants(ctx context.Context, cluster, namespace string) {
	for _, at := range []string{cluster, ""} {
		claim := plan.Ref{Kind: references.SharedClaim, Namespace: at, Name: namespace}
		for _, kind := range []string{kindDeploymentRuntime, kindPipelineRuntime} {
			for _, r := range d.finder(ctx).Referring(kind, claim) {
				d.Queues.Of(kindSpace).Add(Request(r.GetNamespace(), cluster))
			}
		}
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
		d.Queues.Of(kindPipelineRuntime).Add(request)
	}
}

// TenantChanged enqueues the owner of an object that changed on the tenant cluster.
func (d *Deps) TenantChanged(_ schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, _ bool) {
	product := meta.Labels[v1alpha1.LabelProduct]
	switch meta.Labels[v1alpha1.LabelOwnerKind] {
	case build.OwnerCluster:
		d.Queues.Of(kindCluster).Add(Request(d.Namespace, meta.Labels[v1alpha1.LabelOwnerName]))
	case build.OwnerProductNamespace:
		d.Queues.Of(kindProduct).Add(Request(d.Namespace, product))
	case discover.OwnerKind:
		d.Queues.Of(kindProductProvider).Add(Request(d.Namespace, meta.Labels[v1alpha1.LabelOwnerName]))
	case OwnerProduct:
		d.Queues.Sync.Add(SyncKey{Product: product})
	case OwnerTenant:
		d.Queues.Sync.Add(SyncKey{})
	}
}

// EnqueueCluster enqueues a cluster and everything on it.
func (d *Deps) EnqueueCluster(cluster string) {
	ctx := context.Background()
	d.enqueueRegistrations(ctx, cluster)
	d.enqueueReaders(ctx, d.namedCluster(cluster), kindSpace, kindDeploymentRuntime, kindPipelineRuntime)
}

// EnqueueSpaces enqueues the spaces on a cluster.
func (d *Deps) EnqueueSpaces(ctx context.Context, cluster string) {
	d.enqueueReaders(ctx, d.namedCluster(cluster), kindSpace)
}

func (d *Deps) namedCluster(name string) *v1alpha1.Cluster {
	return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: name}}
}

// enqueueRegistrations enqueues a cluster and the virtual clusters on it.
func (d *Deps) enqueueRegistrations(ctx context.Context, cluster string) {
	d.Queues.Of(kindCluster).Add(Request(d.Namespace, cluster))
	for _, c := range d.finder(ctx).Referring(kindCluster, references.Key(d.namedCluster(cluster))) {
		d.Queues.Of(kindCluster).Add(Request(d.Namespace, c.GetName()))
	}
}

// namedSecretChanged enqueues the readers of a Secret in the operator's namespace: the
// objects that name it, and the readers of the secret that the store keeps in it.
func (d *Deps) namedSecretChanged(ctx context.Context, secret *corev1.Secret) {
	d.enqueueAll(ctx, kindCluster, func(o v1alpha1.Object) bool {
		ref := o.(*v1alpha1.Cluster).Spec.KubeconfigSecretRef
		return ref != nil && ref.Name == secret.Name
	})
	d.Queues.Sync.Add(d.SyncKeys(ctx, func(p *v1alpha1.Product) bool {
		return !UsesProvider(p) && p.Spec.SecretRef.Name == secret.Name
	})...)
	if ref, stored := kube.RefOf(secret); stored {
		d.SecretChanged(ref)
	}
}

// SecretChanged enqueues the readers of a secret in the secret store.
func (d *Deps) SecretChanged(ref secrets.Ref) {
	ctx := context.Background()
	token := ref.Engine == secrets.ProviderToken("").Engine
	d.enqueueAll(ctx, kindCluster, func(o v1alpha1.Object) bool {
		c := o.(*v1alpha1.Cluster)
		// Components of any cluster may need a token.
		return token || c.Spec.KubeconfigSecretRef == nil && ref == secrets.ClusterKubeconfig(c.Name) || ref == secrets.ClusterReviewer(c.Name)
	})
	switch {
	case strings.HasSuffix(ref.Path, "proxy") && token:
		// The login for a proxy has many readers, and hardly ever changes.
		d.SecretsReturned()
	case token:
		d.Queues.Sync.Add(d.SyncKeys(ctx, UsesProvider)...)
		d.enqueueAll(ctx, kindProductProvider, func(o v1alpha1.Object) bool {
			return ref == secrets.ProviderToken(o.(*v1alpha1.ProductProvider).Spec.Name)
		})
		d.retryForges(ctx)
	}
	if ref == secrets.WebhookKey() {
		d.enqueueAll(ctx, kindPipelineRuntime, nil)
	}
	if ref.Engine == secrets.Artifacts("", "").Engine {
		for _, o := range d.finder(ctx).list("ArtifactRepo") {
			if slices.Contains(build.ArtifactRefs(o), ref) {
				d.enqueueReaders(ctx, o, kindSpace)
			}
		}
	}
	if name, ok := secrets.RepositoryOf(ref); ok {
		for _, repo := range d.finder(ctx).Referring("CodeRepo", plan.Ref{Kind: references.SharedRepoName, Name: name}) {
			d.enqueueReaders(ctx, repo, kindSpace, kindPipelineRuntime)
			if repo.(*v1alpha1.CodeRepo).Status.DeployKeys != nil {
				d.Queues.Of("CodeRepo").Add(Request(repo.GetNamespace(), repo.GetName()))
			}
		}
	}
}

// retryForges enqueues the owners of push hooks, deploy keys and commit statuses, to look at
// once at the ones that failed.
func (d *Deps) retryForges(ctx context.Context) {
	hooks := d.Hooks.Retry()
	if hooks {
		d.enqueueAll(ctx, kindProduct, nil)
	}
	d.Keys.Looks.Retry()
	d.Reports.Sent.Retry()
	for _, kind := range []string{kindDeploymentRuntime, kindPipelineRuntime} {
		d.enqueueAll(ctx, kind, func(o v1alpha1.Object) bool {
			return apimeta.IsStatusConditionFalse(o.GetStatus().Conditions, v1alpha1.ConditionReported)
		})
	}
	d.enqueueAll(ctx, "CodeRepo", func(o v1alpha1.Object) bool {
		conditions := o.GetStatus().Conditions
		return hooks && (d.IsTenantRepository(o) || apimeta.IsStatusConditionFalse(conditions, v1alpha1.ConditionHooked)) ||
			apimeta.IsStatusConditionFalse(conditions, v1alpha1.ConditionDeployKeys)
	})
}

// SecretsReturned enqueues everything that an absent secret store may have held up.
func (d *Deps) SecretsReturned() {
	ctx := context.Background()
	for _, kind := range []string{kindCluster, kindSpace, kindPipelineRuntime, kindProductProvider} {
		d.enqueueAll(ctx, kind, nil)
	}
	d.Queues.Sync.Add(d.SyncKeys(ctx, nil)...)
	d.retryForges(ctx)
}

// enqueueAll enqueues the objects of a kind that match; a nil match takes all.
func (d *Deps) enqueueAll(ctx context.Context, kind string, match func(v1alpha1.Object) bool) {
	for _, o := range d.finder(ctx).list(kind) {
		if match == nil || match(o) {
			d.Queues.Of(kind).Add(Request(o.GetNamespace(), o.GetName()))
		}
	}
}

// SyncKeys returns the keys of the mirrors of the products that match, and of the mirror
// of the tenant repository. A nil match takes all products.
func (d *Deps) SyncKeys(ctx context.Context, match func(*v1alpha1.Product) bool) []SyncKey {
	keys := []SyncKey{{}}
	for _, o := range d.finder(ctx).list(kindProduct) {
		if p := o.(*v1alpha1.Product); match == nil || match(p) {
			keys = append(keys, SyncKey{Product: p.Name})
		}
	}
	return keys
}

// UsesProvider reports whether the mirror of a product has the credentials of the
// provider.
func UsesProvider(p *v1alpha1.Product) bool { return p.Spec.SecretRef == nil }
