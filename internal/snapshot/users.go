package snapshot

import (
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/references"
)

// UsersOf returns the objects that must be deleted before o, by kind, namespace
// and name. Objects that are being deleted count until they are gone.
func (s *Snapshot) UsersOf(o v1alpha1.Object) []plan.Ref {
	var users []plan.Ref
	key := references.Key(o)
	for _, t := range s.tables() {
		t.each(func(other client.Object) {
			used := slices.ContainsFunc(references.Of(other), func(r references.Reference) bool { return r.Uses && r.Ref == key })
			if used && references.Key(other) != key {
				users = append(users, RefOf(other))
			}
		})
	}
	if key.Kind == "Cluster" {
		s.eachRuntime(func(r v1alpha1.Runtime) {
			if target, _ := s.EffectiveTarget(r); target.Cluster == key.Name {
				users = append(users, RefOf(r))
			}
		})
	}
	slices.SortFunc(users, references.Compare)
	return slices.Compact(slices.DeleteFunc(users, func(ref plan.Ref) bool {
		// A product that lists the space stands for it.
		return ref.Kind == "Space" && slices.Contains(users, plan.Ref{Kind: "Product", Namespace: s.Namespace, Name: ref.Namespace})
	}))
}

// RefOf returns the reference to an object of a Nautes kind.
func RefOf(o client.Object) plan.Ref { return references.RefOf(o) }
