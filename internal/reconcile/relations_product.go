package reconcile

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
)

// products returns the requests of the products that own some namespaces.
func (rel *Relations) products(namespaces ...string) []ctrl.Request {
	return Requests(rel.Namespace, namespaces...)
}

// ProductOf returns the product that an object belongs to.
func ProductOf[T client.Object](rel *Relations) func(context.Context, T) []ctrl.Request {
	return func(_ context.Context, o T) []ctrl.Request { return rel.products(o.GetNamespace()) }
}

// ProductsOfRuntime returns the product of a runtime, of either kind, and the products
// of the runtimes that want the same namespaces.
func (rel *Relations) ProductsOfRuntime(ctx context.Context, r v1alpha1.Runtime) []ctrl.Request {
	return rel.products(append(namespacesOfAll(rel.Rivals(ctx, r)), r.GetNamespace())...)
}

// ProductsOfEnvironment returns the product of an environment, and the products that
// want the namespaces of its runtimes.
func (rel *Relations) ProductsOfEnvironment(ctx context.Context, e *v1alpha1.Environment) []ctrl.Request {
	return rel.products(append(namespacesOfAll(rel.RivalsOfEnvironment(ctx, e)), e.Namespace)...)
}

// ProductsOfCodeRepo returns the product of a code repository, and the products with a
// code repository of the same name.
func (rel *Relations) ProductsOfCodeRepo(ctx context.Context, r *v1alpha1.CodeRepo) []ctrl.Request {
	return rel.products(append(namespacesOfAll(rel.Namesakes(ctx, r)), r.Namespace)...)
}

// ProductsOfProvider returns the products with a code repository of a provider.
func (rel *Relations) ProductsOfProvider(ctx context.Context, p *v1alpha1.CodeRepoProvider) []ctrl.Request {
	return rel.products(namespacesOfAll(rel.CodeReposByProvider(ctx, p.Name))...)
}

// ProductsOfCluster returns the products with an environment, a runtime or a space on a
// cluster.
func (rel *Relations) ProductsOfCluster(ctx context.Context, c *v1alpha1.Cluster) []ctrl.Request {
	names := namespacesOfAll(rel.EnvironmentsByCluster(ctx, c.Name))
	names = append(names, namespacesOfAll(rel.RuntimesOfBothKinds(ctx, client.MatchingFields{snapshot.IndexRecordedCluster: c.Name}))...)
	for _, space := range rel.SpacesOn(ctx, c.Name) {
		names = append(names, space.Namespace)
	}
	return rel.products(names...)
}

// AllProducts returns every product.
func (rel *Relations) AllProducts(ctx context.Context) []ctrl.Request {
	return RequestsFor(find[*v1alpha1.Product](ctx, rel, &v1alpha1.ProductList{}, nil, client.InNamespace(rel.Namespace)))
}

// RuntimesOfSpace returns the deployment runtimes that are or will be in a space.
func (rel *Relations) RuntimesOfSpace(ctx context.Context, space *v1alpha1.Space) []ctrl.Request {
	return rel.RuntimesIn(ctx, Request(space.Namespace, space.Name))
}

// PipelineRuntimesOfSpace returns the pipeline runtimes that are or will be in a space.
func (rel *Relations) PipelineRuntimesOfSpace(ctx context.Context, space *v1alpha1.Space) []ctrl.Request {
	return rel.PipelineRuntimesIn(ctx, Request(space.Namespace, space.Name))
}

// namespacesOfAll returns the namespaces of some objects.
func namespacesOfAll[T client.Object](objects []T) []string {
	names := make([]string, 0, len(objects))
	for _, o := range objects {
		names = append(names, o.GetNamespace())
	}
	return names
}
