// Package snapshot holds the declared state of a tenant, or the part of it that one
// decision needs, as an immutable, indexed value. It guarantees that equal objects
// give equal answers in any order, and that no object is ever changed. References of a
// product are resolved only among its own objects and the tenant's.
package snapshot

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/hooks"
)

// Snapshot is a set of custom resources at one moment. It is safe for concurrent
// use. The objects that it returns are shared and must not be changed.
type Snapshot struct {
	// Tenant is the tenant's name.
	Tenant string
	// Namespace of the operator: objects of the tenant count only there.
	Namespace string
	// Settings of the operator.
	Settings Settings

	products         table[*v1alpha1.Product]
	productProviders table[*v1alpha1.ProductProvider]
	providers        table[*v1alpha1.CodeRepoProvider]
	clusters         table[*v1alpha1.Cluster]
	catalogues       table[*v1alpha1.ComponentCatalogue]
	hooks            table[*v1alpha1.PipelineHook]
	environments     table[*v1alpha1.Environment]
	projects         table[*v1alpha1.Project]
	repos            table[*v1alpha1.CodeRepo]
	bindings         table[*v1alpha1.CodeRepoBinding]
	artifacts        table[*v1alpha1.ArtifactRepo]
	runtimes         table[*v1alpha1.DeploymentRuntime]
	pipelines        table[*v1alpha1.ProjectPipelineRuntime]
	spaces           table[*v1alpha1.Space]

	// Derived from the tables at the first question.
	claims         func() map[claimKey][]Claim
	effective      func() *effectiveCatalogue
	credentials    func() map[string]*v1alpha1.CodeRepo
	ports          func() map[string][]PortUse
	bindingsByRepo func() map[types.NamespacedName][]*v1alpha1.CodeRepoBinding
	gitTrust       func() (map[string]string, string)

	hookReader *hooks.Reader
}

// New returns a snapshot of the objects, which are shared and never changed.
// Of two objects of one kind, namespace and name the last one counts; objects
// that are not of a Nautes kind are left out.
func New(tenant, namespace string, objects ...client.Object) *Snapshot {
	s := &Snapshot{Tenant: tenant, Namespace: namespace, Settings: Settings{}.defaulted(), hookReader: &hooks.Reader{}}
	for _, o := range objects {
		if t := s.tableOf(o); t != nil {
			t.put(o)
		}
	}
	for _, t := range s.tables() {
		t.sort()
	}
	return s.derive()
}

// With returns a snapshot in which o is laid over the objects of s.
func (s *Snapshot) With(o client.Object) *Snapshot {
	return s.edit(o, func(t editable) {
		t.put(o)
		t.sort()
	})
}

// Without returns a snapshot that lacks the object of o's kind, namespace and name.
func (s *Snapshot) Without(o client.Object) *Snapshot {
	return s.edit(o, func(t editable) { t.remove(o) })
}

// Replace returns a snapshot without the objects that gone selects, in which other
// objects are laid over the rest.
func (s *Snapshot) Replace(gone func(client.Object) bool, objects ...client.Object) *Snapshot {
	var all []client.Object
	for _, t := range s.tables() {
		t.each(func(o client.Object) {
			if !gone(o) {
				all = append(all, o)
			}
		})
	}
	next := New(s.Tenant, s.Namespace, append(all, objects...)...)
	next.Settings, next.hookReader = s.Settings, s.hookReader
	if next.ComponentCatalogue() == s.ComponentCatalogue() {
		next.effective = s.effective
	}
	return next
}

func (s *Snapshot) edit(o client.Object, change func(editable)) *Snapshot {
	next := *s
	t := next.tableOf(o)
	if t == nil {
		return s
	}
	t.own()
	change(t)
	next.derive()
	if _, changed := o.(*v1alpha1.ComponentCatalogue); !changed {
		next.effective = s.effective
	}
	return &next
}

func (s *Snapshot) derive() *Snapshot {
	s.claims = sync.OnceValue(s.allClaims)
	s.effective = readOnce(s.ComponentCatalogue())
	s.credentials = sync.OnceValue(s.allCredentials)
	s.ports = sync.OnceValue(s.allPorts)
	s.bindingsByRepo = sync.OnceValue(s.groupBindings)
	s.gitTrust = sync.OnceValues(s.readGitTrust)
	return s
}

// Holds reports whether exactly this object, not merely one of its name, is in s.
func (s *Snapshot) Holds(o client.Object) bool { return o != nil && s.Stored(o) == o }

// Stored returns the object of o's kind, namespace and name, or nil if there is none.
func (s *Snapshot) Stored(o client.Object) client.Object {
	if t := s.tableOf(o); t != nil {
		return t.stored(o)
	}
	return nil
}

func (s *Snapshot) tableOf(o client.Object) editable {
	switch o.(type) {
	case *v1alpha1.Product:
		return &s.products
	case *v1alpha1.ProductProvider:
		return &s.productProviders
	case *v1alpha1.CodeRepoProvider:
		return &s.providers
	case *v1alpha1.Cluster:
		return &s.clusters
	case *v1alpha1.ComponentCatalogue:
		return &s.catalogues
	case *v1alpha1.PipelineHook:
		return &s.hooks
	case *v1alpha1.Environment:
		return &s.environments
	case *v1alpha1.Project:
		return &s.projects
	case *v1alpha1.CodeRepo:
		return &s.repos
	case *v1alpha1.CodeRepoBinding:
		return &s.bindings
	case *v1alpha1.ArtifactRepo:
		return &s.artifacts
	case *v1alpha1.DeploymentRuntime:
		return &s.runtimes
	case *v1alpha1.ProjectPipelineRuntime:
		return &s.pipelines
	case *v1alpha1.Space:
		return &s.spaces
	}
	return nil
}

func (s *Snapshot) tables() []editable {
	return []editable{
		&s.products, &s.productProviders, &s.providers, &s.clusters, &s.catalogues, &s.hooks,
		&s.environments, &s.projects, &s.repos, &s.bindings, &s.artifacts, &s.runtimes, &s.pipelines, &s.spaces,
	}
}

// Older reports whether a comes before b: it was created first, or its namespace and
// name sort first. An object that does not exist yet is younger than every other.
func Older(a, b client.Object) bool { return compareAge(a, b) < 0 }

func compareAge(a, b client.Object) int {
	created, other := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	switch {
	case created.IsZero() != other.IsZero():
		if other.IsZero() {
			return -1
		}
		return 1
	case created.Before(&other):
		return -1
	case other.Before(&created):
		return 1
	}
	return cmp.Or(
		strings.Compare(a.GetNamespace(), b.GetNamespace()),
		strings.Compare(a.GetName(), b.GetName()),
		strings.Compare(RefOf(a).Kind, RefOf(b).Kind))
}

// editable is a table of any type.
type editable interface {
	put(client.Object)
	remove(client.Object)
	stored(client.Object) client.Object
	// each calls f for every object, by namespace and name.
	each(f func(client.Object))
	// own makes a table that shares its content with another one independent.
	own()
	sort()
}

// table holds the objects of one kind.
type table[T client.Object] struct {
	byKey       map[types.NamespacedName]T
	byNamespace map[string][]T
	// unsorted names the namespaces whose lists have grown.
	unsorted map[string]bool
}

func (t *table[T]) put(o client.Object) {
	object, ok := o.(T)
	if !ok {
		return
	}
	if t.byKey == nil {
		t.byKey, t.byNamespace = map[types.NamespacedName]T{}, map[string][]T{}
	}
	key := client.ObjectKeyFromObject(o)
	if _, known := t.byKey[key]; known {
		t.remove(o)
	}
	t.byKey[key] = object
	t.byNamespace[key.Namespace] = append(t.byNamespace[key.Namespace], object)
	if t.unsorted == nil {
		t.unsorted = map[string]bool{}
	}
	t.unsorted[key.Namespace] = true
}

func (t *table[T]) remove(o client.Object) {
	key := client.ObjectKeyFromObject(o)
	if _, known := t.byKey[key]; !known {
		return
	}
	delete(t.byKey, key)
	t.byNamespace[key.Namespace] = slices.Clip(slices.DeleteFunc(slices.Clone(t.byNamespace[key.Namespace]),
		func(other T) bool { return other.GetName() == key.Name }))
}

func (t *table[T]) stored(o client.Object) client.Object {
	if object, known := t.byKey[client.ObjectKeyFromObject(o)]; known {
		return object
	}
	return nil
}

func (t *table[T]) each(f func(client.Object)) { t.all(func(o T) { f(o) }) }

func (t *table[T]) own() {
	t.byKey = maps.Clone(t.byKey)
	t.byNamespace = maps.Clone(t.byNamespace)
	t.unsorted = nil
}

func (t *table[T]) sort() {
	for namespace := range t.unsorted {
		list := slices.Clone(t.byNamespace[namespace])
		slices.SortFunc(list, func(a, b T) int { return strings.Compare(a.GetName(), b.GetName()) })
		// Without spare room, so that no two snapshots append to one array.
		t.byNamespace[namespace] = slices.Clip(list)
	}
	t.unsorted = nil
}

// get returns an object by its name, or nil if there is none.
func (t *table[T]) get(namespace, name string) T {
	return t.byKey[types.NamespacedName{Namespace: namespace, Name: name}]
}

// in returns the objects of a namespace in name order. The caller may change
// the list.
func (t *table[T]) in(namespace string) []T { return slices.Clone(t.byNamespace[namespace]) }

// all calls f for each object, by namespace and name.
func (t *table[T]) all(f func(T)) {
	for _, namespace := range slices.Sorted(maps.Keys(t.byNamespace)) {
		for _, o := range t.byNamespace[namespace] {
			f(o)
		}
	}
}
