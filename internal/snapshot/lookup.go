package snapshot

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/hooks"
)

// Objects of the tenant count only in the operator's namespace, objects of a product
// only in the namespace of its name. Lookups return nil for objects that do not
// exist, and lists are in name order.

// Product returns the product of that id, for example product-123.
func (s *Snapshot) Product(name string) *v1alpha1.Product { return s.products.get(s.Namespace, name) }

// Products returns the products.
func (s *Snapshot) Products() []*v1alpha1.Product { return s.products.in(s.Namespace) }

// ProductByName returns the oldest product whose spec.name, the path of its group, is
// name.
func (s *Snapshot) ProductByName(name string) *v1alpha1.Product {
	var found *v1alpha1.Product
	for _, p := range s.products.byNamespace[s.Namespace] {
		if p.Spec.Name == name && (found == nil || Older(p, found)) {
			found = p
		}
	}
	return found
}

// ProductProvider returns the product provider of that name.
func (s *Snapshot) ProductProvider(name string) *v1alpha1.ProductProvider {
	return s.productProviders.get(s.Namespace, name)
}

// CodeRepoProvider returns the Git hosting service of that name.
func (s *Snapshot) CodeRepoProvider(name string) *v1alpha1.CodeRepoProvider {
	return s.providers.get(s.Namespace, name)
}

// CodeRepoProviders returns the Git hosting services.
func (s *Snapshot) CodeRepoProviders() []*v1alpha1.CodeRepoProvider {
	return s.providers.in(s.Namespace)
}

// Cluster returns the cluster of that name.
func (s *Snapshot) Cluster(name string) *v1alpha1.Cluster { return s.clusters.get(s.Namespace, name) }

// Clusters returns the clusters.
func (s *Snapshot) Clusters() []*v1alpha1.Cluster { return s.clusters.in(s.Namespace) }

// ClusterTwin returns the oldest Cluster that stands for the same real cluster as c, or
// nil if there is none older than c. The UID of the kube-system namespace identifies a
// real cluster.
func (s *Snapshot) ClusterTwin(c *v1alpha1.Cluster) *v1alpha1.Cluster {
	if c.Status.Connection == nil || c.Status.Connection.UID == "" {
		return nil
	}
	var twin *v1alpha1.Cluster
	for _, other := range s.clusters.byNamespace[s.Namespace] {
		same := other.Status.Connection != nil && other.Status.Connection.UID == c.Status.Connection.UID
		if same && other.Name != c.Name && Older(other, c) && (twin == nil || Older(other, twin)) {
			twin = other
		}
	}
	return twin
}

// ComponentCatalogue returns the changes of the tenant to the built-in catalogue of
// components.
func (s *Snapshot) ComponentCatalogue() *v1alpha1.ComponentCatalogue {
	return s.catalogues.get(s.Namespace, v1alpha1.ComponentCatalogueName)
}

// ParsedHook returns a PipelineHook as tasks use it, or its errors, as hooks.Parse does.
func (s *Snapshot) ParsedHook(h *v1alpha1.PipelineHook) (*hooks.Hook, field.ErrorList) {
	return s.hookReader.Parse(h)
}

// PipelineHook returns the hook of that name.
func (s *Snapshot) PipelineHook(name string) *v1alpha1.PipelineHook {
	return s.hooks.get(s.Namespace, name)
}

// Environment returns an environment of a product.
func (s *Snapshot) Environment(product, name string) *v1alpha1.Environment {
	return s.environments.get(product, name)
}

// Environments returns the environments of a product.
func (s *Snapshot) Environments(product string) []*v1alpha1.Environment {
	return s.environments.in(product)
}

// Project returns a project of a product.
func (s *Snapshot) Project(product, name string) *v1alpha1.Project {
	return s.projects.get(product, name)
}

// Projects returns the projects of a product.
func (s *Snapshot) Projects(product string) []*v1alpha1.Project { return s.projects.in(product) }

// CodeRepo returns a code repository of a product.
func (s *Snapshot) CodeRepo(product, name string) *v1alpha1.CodeRepo {
	return s.repos.get(product, name)
}

// CodeRepos returns the code repositories of a product.
func (s *Snapshot) CodeRepos(product string) []*v1alpha1.CodeRepo { return s.repos.in(product) }

// DeploymentRuntime returns a deployment runtime of a product.
func (s *Snapshot) DeploymentRuntime(product, name string) *v1alpha1.DeploymentRuntime {
	return s.runtimes.get(product, name)
}

// DeploymentRuntimes returns the deployment runtimes of a product, leaving ones included.
func (s *Snapshot) DeploymentRuntimes(product string) []*v1alpha1.DeploymentRuntime {
	return s.runtimes.in(product)
}

// Runtimes returns the runtimes of a product, deployment runtimes first, each
// kind in name order. Runtimes that are being deleted are included: they need
// their targets until they are gone.
func (s *Snapshot) Runtimes(product string) []v1alpha1.Runtime {
	found := make([]v1alpha1.Runtime, 0, len(s.runtimes.byNamespace[product])+len(s.pipelines.byNamespace[product]))
	for _, r := range s.runtimes.byNamespace[product] {
		found = append(found, r)
	}
	for _, r := range s.pipelines.byNamespace[product] {
		found = append(found, r)
	}
	return found
}

// eachRuntime calls f for every runtime, deployment runtimes first, each kind by
// namespace and name.
func (s *Snapshot) eachRuntime(f func(v1alpha1.Runtime)) {
	s.runtimes.all(func(r *v1alpha1.DeploymentRuntime) { f(r) })
	s.pipelines.all(func(r *v1alpha1.ProjectPipelineRuntime) { f(r) })
}

// Space returns the space of a product on a cluster.
func (s *Snapshot) Space(product, cluster string) *v1alpha1.Space {
	return s.spaces.get(product, cluster)
}

// PipelineRuntime returns a pipeline runtime of a product.
func (s *Snapshot) PipelineRuntime(product, name string) *v1alpha1.ProjectPipelineRuntime {
	return s.pipelines.get(product, name)
}

// PipelineRuntimes returns the pipeline runtimes of a product.
func (s *Snapshot) PipelineRuntimes(product string) []*v1alpha1.ProjectPipelineRuntime {
	return s.pipelines.in(product)
}
