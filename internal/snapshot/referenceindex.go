package snapshot

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// IndexReferences is the name of the one field index: it finds objects by their
// References, as IndexKey writes them.
const IndexReferences = "nautes.references"

// IndexKey returns the value of IndexReferences for a reference.
func IndexKey(ref plan.Ref) string { return ref.Kind + "/" + ref.Namespace + "/" + ref.Name }

// ReferringTo returns the list option for objects that have an object among their
// References. The namespace is empty for an object of the tenant.
func ReferringTo(kind, namespace, name string) client.MatchingFields {
	return client.MatchingFields{IndexReferences: IndexKey(plan.Ref{Kind: kind, Namespace: namespace, Name: name})}
}

// Claiming returns the list option for runtimes that claim a namespace and have it
// on record on a cluster. With an empty cluster it finds the runtimes whose cluster
// depends on their environment.
func Claiming(cluster, namespace string) client.MatchingFields {
	return ReferringTo(sharedClaim, cluster, namespace)
}

// NamedRepository returns the list option for the code repositories of a name, in
// all products.
func NamedRepository(name string) client.MatchingFields { return ReferringTo(sharedRepoName, "", name) }

// Kinds returns an empty object of each kind that a snapshot holds.
func Kinds() []v1alpha1.Object {
	return []v1alpha1.Object{
		&v1alpha1.Product{}, &v1alpha1.ProductProvider{}, &v1alpha1.CodeRepoProvider{}, &v1alpha1.Cluster{},
		&v1alpha1.ComponentCatalogue{}, &v1alpha1.PipelineHook{}, &v1alpha1.Environment{}, &v1alpha1.Project{},
		&v1alpha1.CodeRepo{}, &v1alpha1.CodeRepoBinding{}, &v1alpha1.DeploymentRuntime{},
		&v1alpha1.ProjectPipelineRuntime{}, &v1alpha1.Space{},
	}
}

// IndexValues returns the values of IndexReferences for an object.
func IndexValues(o client.Object) []string {
	refs := References(o)
	values := make([]string, 0, len(refs))
	for _, r := range refs {
		values = append(values, IndexKey(r.Ref))
	}
	return values
}
