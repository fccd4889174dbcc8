package reconcile

import (
	"errors"
	"reflect"
	"slices"
	"sync"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// SpaceKey names the shared layer of a product on a cluster.
type SpaceKey struct{ Product, Cluster string }

// SpaceResult is what the last run for a space brought about.
type SpaceResult struct {
	// Namespaces and Repositories (their URLs) that the space consists of.
	Namespaces   []string
	Repositories []string
	// Problems are the objects of the space that could not be written.
	Problems []SpaceProblem
	// Err is why nothing can be told of the space as a whole; nil when it can.
	Err error
}

// SpaceProblem is an object of a space that could not be written.
type SpaceProblem struct {
	ID plan.ID
	// Source is the custom resource that asks for the object.
	Source plan.Ref
	Err    error
	// Kept: the object is there as it was written before, and can be relied on.
	Kept bool
}

// Equal tells whether two results say the same.
func (r SpaceResult) Equal(other SpaceResult) bool {
	return slices.Equal(r.Namespaces, other.Namespaces) && slices.Equal(r.Repositories, other.Repositories) &&
		errorText(r.Err) == errorText(other.Err) &&
		slices.EqualFunc(r.Problems, other.Problems, func(a, b SpaceProblem) bool {
			return a.ID == b.ID && a.Source == b.Source && a.Kept == b.Kept && errorText(a.Err) == errorText(b.Err)
		})
}

// ProblemFor returns what keeps a runtime from being deployed into the space:
// problems of its namespaces, of its repository, and of what all share.
func (r SpaceResult) ProblemFor(target v1alpha1.RuntimeTarget, product, repo string) error {
	if r.Err != nil {
		return r.Err
	}
	var found []error
	for _, p := range r.Problems {
		namespace := p.ID.Namespace
		if p.ID.Kind == "Namespace" {
			namespace = p.ID.Name
		}
		switch {
		case p.Kept, p.ID.Kind == "SecretStore":
			// No Application waits for these.
		case slices.Contains(target.Namespaces, namespace), namespace == product,
			p.Source.Kind == "CodeRepo" && p.Source.Name == repo, p.ID.Kind == "AppProject":
			found = append(found, p.Err)
		}
	}
	return errors.Join(found...)
}

// SyncKey names a mirrored repository: that of a product, or the tenant's when
// Product is empty.
type SyncKey struct{ Product string }

// SyncResult is what the last run for a repository brought about.
type SyncResult struct {
	Status v1alpha1.SyncStatus
	// Err is why the repository is not in step; nil when it is, apart from
	// files that were refused.
	Err error
	// Guarded is true while the prune guard keeps objects.
	Guarded bool
}

// Equal tells whether two results say the same.
func (r SyncResult) Equal(other SyncResult) bool {
	return reflect.DeepEqual(r.Status, other.Status) && errorText(r.Err) == errorText(other.Err) && r.Guarded == other.Guarded
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Board holds the last result of each key in memory, and tells its readers of
// changes. It is empty after a start: a missing result means "not known yet".
type Board[K comparable, V interface{ Equal(V) bool }] struct {
	mu      sync.RWMutex
	results map[K]V
	readers []func(K)
}

// NewBoard returns an empty board.
func NewBoard[K comparable, V interface{ Equal(V) bool }]() *Board[K, V] {
	return &Board[K, V]{results: map[K]V{}}
}

// OnChange registers a reader. It must be called before the first Set.
func (b *Board[K, V]) OnChange(reader func(K)) { b.readers = append(b.readers, reader) }

// Get returns the last result of a key.
func (b *Board[K, V]) Get(key K) (V, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	value, ok := b.results[key]
	return value, ok
}

// Set records a result and tells the readers when it differs from the last one.
func (b *Board[K, V]) Set(key K, value V) {
	b.mu.Lock()
	old, known := b.results[key]
	b.results[key] = value
	b.mu.Unlock()
	if !known || !old.Equal(value) {
		b.tell(key)
	}
}

// Drop forgets a key and tells the readers if it was known.
func (b *Board[K, V]) Drop(key K) {
	b.mu.Lock()
	_, known := b.results[key]
	delete(b.results, key)
	b.mu.Unlock()
	if known {
		b.tell(key)
	}
}

func (b *Board[K, V]) tell(key K) {
	for _, reader := range b.readers {
		reader(key)
	}
}
