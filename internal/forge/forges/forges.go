// Package forges is the list of the forges that Nautes supports. It guarantees
// that a new forge is a package below internal/forge and an entry here.
package forges

import (
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/gitea"
	"nautes.io/nautes/internal/forge/gitlab"
)

// Default is the provider type where none is named.
const Default = gitlab.Type

// All returns the supported forges.
func All() []forge.Forge { return []forge.Forge{gitlab.Forge(), gitea.Forge()} }

// Types returns the provider types that a CodeRepoProvider can have, supported or
// not, in the order of its schema.
func Types() []string { return []string{gitlab.Type, "github", gitea.Type} }

// Of returns the forge with a provider type, or false if it is not supported.
func Of(providerType string) (forge.Forge, bool) {
	return find(func(f forge.Forge) bool { return f.Type == providerType })
}

// ListensTo returns the forge that event sources of a type listen to, or false for
// a type that listens to no forge.
func ListensTo(source v1alpha1.EventSourceType) (forge.Forge, bool) {
	return find(func(f forge.Forge) bool { return f.Events.Source == source })
}

// SourceOf returns the forge and the repository that an event source listens to, or
// false if it listens to no forge.
func SourceOf(e v1alpha1.EventSource) (forge.Forge, forge.Source, bool) {
	for _, f := range All() {
		if source, listens := f.Events.SourceOf(e); listens {
			return f, source, true
		}
	}
	return forge.Forge{}, forge.Source{}, false
}

func find(matches func(forge.Forge) bool) (forge.Forge, bool) {
	all := All()
	if i := slices.IndexFunc(all, matches); i >= 0 {
		return all[i], true
	}
	return forge.Forge{}, false
}
