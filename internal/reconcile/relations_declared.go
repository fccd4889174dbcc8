package reconcile

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
)

// Of the kinds that are only declared.

func (rel *Relations) EnvironmentsBeside(ctx context.Context, e *v1alpha1.Environment) []ctrl.Request {
	return RequestsFor(find(ctx, rel, &v1alpha1.EnvironmentList{}, func(other *v1alpha1.Environment) bool {
		return other.Name != e.Name && other.Spec.Cluster == e.Spec.Cluster
	}, client.InNamespace(e.Namespace)))
}

func (rel *Relations) EnvironmentsOn(ctx context.Context, c *v1alpha1.Cluster) []ctrl.Request {
	return RequestsFor(rel.EnvironmentsByCluster(ctx, c.Name))
}

func (rel *Relations) EnvironmentsOfProduct(ctx context.Context, p *v1alpha1.Product) []ctrl.Request {
	return RequestsFor(find[*v1alpha1.Environment](ctx, rel, &v1alpha1.EnvironmentList{}, nil, client.InNamespace(p.Name)))
}

func (rel *Relations) ProjectsOfProduct(ctx context.Context, p *v1alpha1.Product) []ctrl.Request {
	return RequestsFor(find[*v1alpha1.Project](ctx, rel, &v1alpha1.ProjectList{}, nil, client.InNamespace(p.Name)))
}

func (rel *Relations) CodeReposOfProduct(ctx context.Context, p *v1alpha1.Product) []ctrl.Request {
	return RequestsFor(find[*v1alpha1.CodeRepo](ctx, rel, &v1alpha1.CodeRepoList{}, nil, client.InNamespace(p.Name)))
}

func (rel *Relations) CodeReposOfProvider(ctx context.Context, p *v1alpha1.CodeRepoProvider) []ctrl.Request {
	return RequestsFor(rel.CodeReposByProvider(ctx, p.Name))
}

func (rel *Relations) CodeReposOfProject(ctx context.Context, p *v1alpha1.Project) []ctrl.Request {
	return RequestsFor(find(ctx, rel, &v1alpha1.CodeRepoList{}, func(r *v1alpha1.CodeRepo) bool { return r.Spec.Project == p.Name }, client.InNamespace(p.Namespace)))
}

func (rel *Relations) Bindings(ctx context.Context, product string, match func(*v1alpha1.CodeRepoBinding) bool) []ctrl.Request {
	return RequestsFor(find(ctx, rel, &v1alpha1.CodeRepoBindingList{}, match, client.InNamespace(product)))
}

func (rel *Relations) BindingsOfProduct(ctx context.Context, p *v1alpha1.Product) []ctrl.Request {
	return rel.Bindings(ctx, p.Name, nil)
}

func (rel *Relations) BindingsOfCodeRepo(ctx context.Context, r *v1alpha1.CodeRepo) []ctrl.Request {
	return rel.Bindings(ctx, r.Namespace, func(b *v1alpha1.CodeRepoBinding) bool { return b.Spec.CodeRepo == r.Name })
}

func (rel *Relations) BindingsOfProject(ctx context.Context, p *v1alpha1.Project) []ctrl.Request {
	return rel.Bindings(ctx, p.Namespace, func(b *v1alpha1.CodeRepoBinding) bool { return slices.Contains(b.Spec.Projects, p.Name) })
}

func (rel *Relations) ProductProvidersOf(ctx context.Context, p *v1alpha1.CodeRepoProvider) []ctrl.Request {
	return RequestsFor(find(ctx, rel, &v1alpha1.ProductProviderList{}, func(o *v1alpha1.ProductProvider) bool { return o.Spec.Name == p.Name }, client.InNamespace(rel.Namespace)))
}

// Of Clusters.

// clustersOfSecret returns the clusters whose kubeconfig a Secret holds.
func (rel *Relations) ClustersOfSecret(ctx context.Context, secret *corev1.Secret) []ctrl.Request {
	named := rel.Clusters(ctx, func(c *v1alpha1.Cluster) bool {
		return c.Spec.KubeconfigSecretRef != nil && c.Spec.KubeconfigSecretRef.Name == secret.Name
	})
	if ref, stored := kube.RefOf(secret); stored {
		named = append(named, rel.ClustersOfRef(ctx, ref)...)
	}
	return named
}

// clustersOfRef returns the clusters that a stored secret is for: its kubeconfig,
// or what components of any cluster may need.
func (rel *Relations) ClustersOfRef(ctx context.Context, ref secrets.Ref) []ctrl.Request {
	return rel.Clusters(ctx, func(c *v1alpha1.Cluster) bool {
		return ref.Engine == secrets.ProviderToken("").Engine ||
			c.Spec.KubeconfigSecretRef == nil && ref == secrets.ClusterKubeconfig(c.Name) || ref == secrets.ClusterReviewer(c.Name)
	})
}

// clusters returns the clusters that match.
func (rel *Relations) Clusters(ctx context.Context, match func(*v1alpha1.Cluster) bool) []ctrl.Request {
	return RequestsFor(find(ctx, rel, &v1alpha1.ClusterList{}, match, client.InNamespace(rel.Namespace)))
}

// clustersBeside returns the clusters that a change of a cluster concerns: its
// host, the virtual clusters on it, and those that share its host.
func (rel *Relations) ClustersBeside(ctx context.Context, c *v1alpha1.Cluster) []ctrl.Request {
	wake := Requests(rel.Namespace, c.Spec.HostCluster)
	return append(wake, rel.Clusters(ctx, func(other *v1alpha1.Cluster) bool {
		return other.Spec.HostCluster != "" && (other.Spec.HostCluster == c.Name || other.Spec.HostCluster == c.Spec.HostCluster)
	})...)
}

// clustersNaming returns the clusters that grant something to a product by its name.
func (rel *Relations) ClustersNaming(ctx context.Context, product string) []ctrl.Request {
	return RequestsFor(find(ctx, rel, &v1alpha1.ClusterList{}, func(c *v1alpha1.Cluster) bool {
		for _, names := range c.Spec.ReservedNamespacesAllowedProducts {
			if slices.Contains(names, product) {
				return true
			}
		}
		_, granted := c.Spec.ProductAllowedClusterResources[product]
		return granted
	}, client.InNamespace(rel.Namespace)))
}
