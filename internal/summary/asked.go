package summary

import (
	"slices"
	"sync"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// asked is everything that the runtimes of a product name on a cluster, whether they are
// valid and granted it or not.
type asked struct {
	namespaces, repositories []string
	// accounts are the names of the objects of accounts, by namespace.
	accounts map[string][]string
}

// StillAsked returns a function that reports whether a runtime of a product still names
// an object of the space on a cluster. If none does, people have removed every
// reference to the object, and its removal needs no confirmation. An object of an unknown kind
// counts as named where a runtime names its namespace.
func StillAsked(s *snapshot.Snapshot, product, cluster string) func(plan.ID) bool {
	read := sync.OnceValue(func() *asked { return newAsked(s, product, cluster) })
	return func(id plan.ID) bool { return read().names(product, id) }
}

func newAsked(s *snapshot.Snapshot, product, cluster string) *asked {
	a := &asked{namespaces: []string{product}, accounts: map[string][]string{}}
	for _, r := range s.Runtimes(product) {
		target, known := askedTarget(s, r, cluster)
		if !known {
			continue
		}
		a.namespaces = append(a.namespaces, target.Namespaces...)
		account := r.AccountName()
		for _, namespace := range target.Namespaces {
			a.accounts[namespace] = append(a.accounts[namespace], account, names.AccountBinding(account), names.SecretStore(account))
		}
		for _, repo := range repositoriesOf(r) {
			a.repositories = append(a.repositories, names.Repository(product, repo))
		}
	}
	return a
}

// askedTarget returns the namespaces that a runtime names on a cluster. If its
// environment cannot be found, that may be any cluster.
func askedTarget(s *snapshot.Snapshot, r v1alpha1.Runtime, cluster string) (v1alpha1.RuntimeTarget, bool) {
	if target, ok := s.EffectiveTarget(r); ok {
		return target, target.Cluster == cluster
	}
	_, namespaces := r.Destination()
	return v1alpha1.RuntimeTarget{Namespaces: namespaces}, r.GetDeletionTimestamp().IsZero()
}

// repositoriesOf returns the names of the CodeRepos that a runtime has Argo CD read.
func repositoriesOf(r v1alpha1.Runtime) []string {
	switch r := r.(type) {
	case *v1alpha1.DeploymentRuntime:
		return []string{r.Spec.ManifestSource.CodeRepo}
	case *v1alpha1.ProjectPipelineRuntime:
		if more := r.Spec.AdditionalResources; more != nil && more.Git != nil {
			return []string{more.Git.CodeRepo}
		}
	}
	return nil
}

func (a *asked) names(product string, id plan.ID) bool {
	switch id.Kind {
	case "Namespace":
		return slices.Contains(a.namespaces, id.Name)
	case "AppProject":
		return true
	case "Secret":
		return slices.Contains(a.repositories, id.Name)
	case "ServiceAccount", "RoleBinding", "SecretStore":
		if id.Name == names.GroupBinding || id.Namespace == product {
			break
		}
		return slices.Contains(a.accounts[id.Namespace], id.Name)
	}
	return slices.Contains(a.namespaces, id.Namespace)
}
