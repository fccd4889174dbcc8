package controllers

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
)

// Of the kinds that are only declared.

func (s *Shared) environmentsBeside(ctx context.Context, e *v1alpha1.Environment) []reconcile.Request {
	return requestsFor(find(ctx, s, &v1alpha1.EnvironmentList{}, func(other *v1alpha1.Environment) bool {
		return other.Name != e.Name && other.Spec.Cluster == e.Spec.Cluster
	}, client.InNamespace(e.Namespace)))
}

func (s *Shared) environmentsOn(ctx context.Context, c *v1alpha1.Cluster) []reconcile.Request {
	return requestsFor(s.environmentsByCluster(ctx, c.Name))
}

func (s *Shared) environmentsOfProduct(ctx context.Context, p *v1alpha1.Product) []reconcile.Request {
	return requestsFor(find[*v1alpha1.Environment](ctx, s, &v1alpha1.EnvironmentList{}, nil, client.InNamespace(p.Name)))
}

func (s *Shared) projectsOfProduct(ctx context.Context, p *v1alpha1.Product) []reconcile.Request {
	return requestsFor(find[*v1alpha1.Project](ctx, s, &v1alpha1.ProjectList{}, nil, client.InNamespace(p.Name)))
}

func (s *Shared) codeReposOfProduct(ctx context.Context, p *v1alpha1.Product) []reconcile.Request {
	return requestsFor(find[*v1alpha1.CodeRepo](ctx, s, &v1alpha1.CodeRepoList{}, nil, client.InNamespace(p.Name)))
}

func (s *Shared) codeReposOfProvider(ctx context.Context, p *v1alpha1.CodeRepoProvider) []reconcile.Request {
	return requestsFor(s.codeReposByProvider(ctx, p.Name))
}

func (s *Shared) codeReposOfProject(ctx context.Context, p *v1alpha1.Project) []reconcile.Request {
	return requestsFor(find(ctx, s, &v1alpha1.CodeRepoList{}, func(r *v1alpha1.CodeRepo) bool { return r.Spec.Project == p.Name }, client.InNamespace(p.Namespace)))
}

func (s *Shared) bindings(ctx context.Context, product string, match func(*v1alpha1.CodeRepoBinding) bool) []reconcile.Request {
	return requestsFor(find(ctx, s, &v1alpha1.CodeRepoBindingList{}, match, client.InNamespace(product)))
}

func (s *Shared) bindingsOfProduct(ctx context.Context, p *v1alpha1.Product) []reconcile.Request {
	return s.bindings(ctx, p.Name, nil)
}

func (s *Shared) bindingsOfCodeRepo(ctx context.Context, r *v1alpha1.CodeRepo) []reconcile.Request {
	return s.bindings(ctx, r.Namespace, func(b *v1alpha1.CodeRepoBinding) bool { return b.Spec.CodeRepo == r.Name })
}

func (s *Shared) bindingsOfProject(ctx context.Context, p *v1alpha1.Project) []reconcile.Request {
	return s.bindings(ctx, p.Namespace, func(b *v1alpha1.CodeRepoBinding) bool { return slices.Contains(b.Spec.Projects, p.Name) })
}

func (s *Shared) productProvidersOf(ctx context.Context, p *v1alpha1.CodeRepoProvider) []reconcile.Request {
	return requestsFor(find(ctx, s, &v1alpha1.ProductProviderList{}, func(o *v1alpha1.ProductProvider) bool { return o.Spec.Name == p.Name }, client.InNamespace(s.Namespace)))
}

// Of Clusters.

// clustersOfSecret returns the clusters whose kubeconfig a Secret holds.
func (s *Shared) clustersOfSecret(ctx context.Context, secret *corev1.Secret) []reconcile.Request {
	named := s.clusters(ctx, func(c *v1alpha1.Cluster) bool {
		return c.Spec.KubeconfigSecretRef != nil && c.Spec.KubeconfigSecretRef.Name == secret.Name
	})
	if ref, stored := kube.RefOf(secret); stored {
		named = append(named, s.clustersOfRef(ctx, ref)...)
	}
	return named
}

// clustersOfRef returns the clusters that a stored secret is for: its kubeconfig,
// or what components of any cluster may need.
func (s *Shared) clustersOfRef(ctx context.Context, ref secrets.Ref) []reconcile.Request {
	return s.clusters(ctx, func(c *v1alpha1.Cluster) bool {
		return ref.Engine == secrets.ProviderToken("").Engine ||
			c.Spec.KubeconfigSecretRef == nil && ref == secrets.ClusterKubeconfig(c.Name) || ref == secrets.ClusterReviewer(c.Name)
	})
}

// secretChanged wakes whose secret changed in a store that has no Secrets to watch.
func (s *Shared) secretChanged(ref secrets.Ref) {
	ctx := context.Background()
	for _, r := range s.clustersOfRef(ctx, ref) {
		s.WakeCluster.Wake(r)
	}
	for _, key := range s.spacesOfRef(ctx, ref) {
		s.WakeSpace.Wake(key)
	}
	for _, r := range s.pipelineRuntimesOfRef(ctx, ref) {
		s.WakePipelineRuntime.Wake(r)
	}
	if ref.Engine == secrets.ProviderToken("").Engine {
		for _, key := range s.syncsByProvider(ctx) {
			s.WakeSync.Wake(key)
		}
	}
}

// secretsReturned wakes everything that a secret store may have held up.
func (s *Shared) secretsReturned() {
	ctx := context.Background()
	for _, r := range s.clusters(ctx, nil) {
		s.WakeCluster.Wake(r)
		for _, key := range s.spacesOn(ctx, r.Name) {
			s.WakeSpace.Wake(key)
		}
	}
	for _, r := range s.pipelineRuntimes(ctx, "", nil) {
		s.WakePipelineRuntime.Wake(r)
	}
	for _, key := range s.syncs(ctx, nil) {
		s.WakeSync.Wake(key)
	}
}

// clusters returns the clusters that match.
func (s *Shared) clusters(ctx context.Context, match func(*v1alpha1.Cluster) bool) []reconcile.Request {
	return requestsFor(find(ctx, s, &v1alpha1.ClusterList{}, match, client.InNamespace(s.Namespace)))
}

// clustersBeside returns the clusters that a change of a cluster concerns: its
// host, the virtual clusters on it, and those that share its host.
func (s *Shared) clustersBeside(ctx context.Context, c *v1alpha1.Cluster) []reconcile.Request {
	wake := requests(s.Namespace, c.Spec.HostCluster)
	return append(wake, s.clusters(ctx, func(other *v1alpha1.Cluster) bool {
		return other.Spec.HostCluster != "" && (other.Spec.HostCluster == c.Name || other.Spec.HostCluster == c.Spec.HostCluster)
	})...)
}

// clustersNaming returns the clusters that grant something to a product by its name.
func (s *Shared) clustersNaming(ctx context.Context, product string) []reconcile.Request {
	return requestsFor(find(ctx, s, &v1alpha1.ClusterList{}, func(c *v1alpha1.Cluster) bool {
		for _, names := range c.Spec.ReservedNamespacesAllowedProducts {
			if slices.Contains(names, product) {
				return true
			}
		}
		_, granted := c.Spec.ProductAllowedClusterResources[product]
		return granted
	}, client.InNamespace(s.Namespace)))
}
