package snapshot

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/references"
)

// The names of the field indexes that a Loader needs.
const (
	// IndexSpaceCluster finds Products by the clusters of status.spaces.
	IndexSpaceCluster = "status.spaces.cluster"
	// IndexEnvironmentCluster finds Environments by spec.cluster.
	IndexEnvironmentCluster = "spec.cluster"
	// IndexRecordedCluster finds runtimes by status.target.cluster.
	IndexRecordedCluster = "status.target.cluster"
	// IndexClusterOfSpace finds Spaces by their clusters, over all products.
	IndexClusterOfSpace = "spec.cluster.space"
	// IndexWantedNamespace finds runtimes by the namespaces they want, as ClaimKey
	// writes them.
	IndexWantedNamespace = "nautes.wantedNamespaces"
	// IndexPipelineHook finds ProjectPipelineRuntimes by the hooks they use.
	IndexPipelineHook = "spec.hooks.name"
	// IndexCodeRepoProvider finds CodeRepos by spec.codeRepoProvider.
	IndexCodeRepoProvider = "spec.codeRepoProvider"
	// IndexCodeRepoName finds CodeRepos by their names, over all products.
	IndexCodeRepoName = "nautes.codeRepoName"
)

// Index is a field index of one kind.
type Index struct {
	Object client.Object
	Field  string
	Values client.IndexerFunc
}

// Indexes returns every index that a Loader needs.
func Indexes() []Index {
	indexes := []Index{
		index(&v1alpha1.Product{}, IndexSpaceCluster, func(p *v1alpha1.Product) []string {
			return SpaceClusters(p)
		}),
		index(&v1alpha1.Space{}, IndexClusterOfSpace, func(space *v1alpha1.Space) []string {
			return []string{space.Spec.Cluster}
		}),
		index(&v1alpha1.Environment{}, IndexEnvironmentCluster, func(e *v1alpha1.Environment) []string {
			return []string{e.Spec.Cluster}
		}),
		index(&v1alpha1.CodeRepo{}, IndexCodeRepoProvider, func(r *v1alpha1.CodeRepo) []string {
			return []string{r.Spec.CodeRepoProvider}
		}),
		index(&v1alpha1.CodeRepo{}, IndexCodeRepoName, func(r *v1alpha1.CodeRepo) []string {
			return []string{r.Name}
		}),
		index(&v1alpha1.ProjectPipelineRuntime{}, IndexPipelineHook, (*v1alpha1.ProjectPipelineRuntime).HookNames),
	}
	for _, r := range []v1alpha1.Runtime{&v1alpha1.DeploymentRuntime{}, &v1alpha1.ProjectPipelineRuntime{}} {
		indexes = append(indexes,
			indexRuntime(r, IndexRecordedCluster, recordedCluster),
			indexRuntime(r, IndexWantedNamespace, wantedKeys))
	}
	for _, kind := range references.Kinds() {
		indexes = append(indexes, Index{Object: kind, Field: references.Index, Values: references.IndexValues})
	}
	return indexes
}

// indexRuntime returns an index of one kind of runtimes.
func indexRuntime(kind v1alpha1.Runtime, name string, values func(v1alpha1.Runtime) []string) Index {
	return Index{Object: kind, Field: name, Values: func(o client.Object) []string {
		if r, ok := o.(v1alpha1.Runtime); ok {
			return values(r)
		}
		return nil
	}}
}

// index adapts a function of one kind.
func index[T client.Object](o T, name string, values func(T) []string) Index {
	return Index{Object: o, Field: name, Values: func(o client.Object) []string {
		if object, ok := o.(T); ok {
			return values(object)
		}
		return nil
	}}
}

// SetupIndexes adds the indexes to a cache, before it starts.
func SetupIndexes(ctx context.Context, indexer client.FieldIndexer) error {
	for _, i := range Indexes() {
		if err := indexer.IndexField(ctx, i.Object, i.Field, i.Values); err != nil {
			return fmt.Errorf("index %T by %s: %w", i.Object, i.Field, err)
		}
	}
	return nil
}

// ClaimKey returns the value of IndexWantedNamespace for a namespace on a
// cluster. It finds the runtimes that are recorded there; with an empty cluster
// it finds those whose cluster depends on their environment.
func ClaimKey(cluster, namespace string) string { return cluster + "/" + namespace }

// wantedKeys returns the keys of the places that a runtime is at or may want. A
// pipeline runtime can move from where it is recorded to where its spec says.
func wantedKeys(r v1alpha1.Runtime) []string {
	var keys []string
	for _, ref := range references.Of(r) {
		if ref.Kind == references.SharedClaim {
			keys = append(keys, ClaimKey(ref.Namespace, ref.Name))
		}
	}
	return keys
}

func recordedCluster(r v1alpha1.Runtime) []string {
	if recorded := r.DeployedTarget(); recorded != nil {
		return []string{recorded.Cluster}
	}
	return nil
}

// ReferringTo returns the list option for objects that have an object among their
// References. The namespace is empty for an object of the tenant.
func ReferringTo(kind, namespace, name string) client.MatchingFields {
	return client.MatchingFields{references.Index: references.IndexKey(plan.Ref{Kind: kind, Namespace: namespace, Name: name})}
}

// Claiming returns the list option for runtimes that claim a namespace and have it
// on record on a cluster. With an empty cluster it finds the runtimes whose cluster
// depends on their environment.
func Claiming(cluster, namespace string) client.MatchingFields {
	return ReferringTo(references.SharedClaim, cluster, namespace)
}

// NamedRepository returns the list option for the code repositories of a name, in
// all products.
func NamedRepository(name string) client.MatchingFields {
	return ReferringTo(references.SharedRepoName, "", name)
}

// SpaceClusters returns the clusters that hold, or may hold, objects of a product.
func SpaceClusters(p *v1alpha1.Product) []string {
	clusters := make([]string, 0, len(p.Status.Spaces))
	for _, space := range p.Status.Spaces {
		clusters = append(clusters, space.Cluster)
	}
	return clusters
}
