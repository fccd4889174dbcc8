package snapshot

import (
	"slices"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
)

// Spaces returns the spaces of a product, by the names of their clusters.
func (s *Snapshot) Spaces(product string) []*v1alpha1.Space { return s.spaces.in(product) }

// SpaceProblems returns the problems of a space that keep a runtime with the target
// from being deployed: problems of its namespaces, of the code repository, and of the
// objects that all runtimes share.
func SpaceProblems(space *v1alpha1.Space, target v1alpha1.RuntimeTarget, repo string) []v1alpha1.SpaceProblem {
	return slices.DeleteFunc(slices.Clone(space.Status.Problems), func(p v1alpha1.SpaceProblem) bool {
		kind, _, _ := strings.Cut(p.Object.Kind, ".")
		namespace := p.Object.Namespace
		if kind == "Namespace" {
			namespace = p.Object.Name
		}
		switch {
		case p.Kept, kind == "SecretStore", p.Source != nil && p.Source.Kind == "ArtifactRepo":
			// No Application waits for these.
			return true
		case slices.Contains(target.Namespaces, namespace), namespace == space.Namespace, kind == "AppProject":
			return false
		}
		return p.Source == nil || p.Source.Kind != "CodeRepo" || p.Source.Name != repo
	})
}
