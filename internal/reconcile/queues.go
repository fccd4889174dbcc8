package reconcile

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"nautes.io/nautes/internal/forge"
)

// Queues are the queues of the controllers of one operator.
type Queues struct {
	// Sync is the queue of the mirrors.
	Sync Queue[SyncKey]

	mu    sync.Mutex
	kinds map[string]*Queue[ctrl.Request]
}

// Of returns the queue of a kind.
func (q *Queues) Of(kind string) *Queue[ctrl.Request] {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.kinds == nil {
		q.kinds = map[string]*Queue[ctrl.Request]{}
	}
	if q.kinds[kind] == nil {
		q.kinds[kind] = &Queue[ctrl.Request]{}
	}
	return q.kinds[kind]
}

// running returns the kinds whose controllers run in this process, in order.
func (q *Queues) running() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(q.kinds)), func(kind string) bool { return !q.kinds[kind].Bound() })
}

// Queue adds keys to a controller's queue from anywhere in the process. A key
// that arrives before the controller runs is kept until it does.
type Queue[K comparable] struct {
	mu      sync.Mutex
	queue   workqueue.TypedRateLimitingInterface[K]
	pending map[K]struct{}
}

// Add adds keys to the queue. It never blocks, and a key that is queued already stays
// there once.
func (q *Queue[K]) Add(keys ...K) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, key := range keys {
		if q.queue != nil {
			q.queue.Add(key)
			continue
		}
		if q.pending == nil {
			q.pending = map[K]struct{}{}
		}
		q.pending[key] = struct{}{}
	}
}

// AddAfter adds a key after a while, or with the next event if the controller does not
// run yet.
func (q *Queue[K]) AddAfter(key K, after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.queue != nil {
		q.queue.AddAfter(key, after)
	}
}

// Source binds the queue to the controller that watches it.
func (q *Queue[K]) Source() source.TypedSource[K] {
	return source.TypedFunc[K](func(_ context.Context, queue workqueue.TypedRateLimitingInterface[K]) error {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.queue = queue
		for key := range q.pending {
			queue.Add(key)
		}
		q.pending = nil
		return nil
	})
}

// Bound reports whether the controller of the queue was started.
func (q *Queue[K]) Bound() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queue != nil
}

// SyncKey names a mirrored repository: the one of a product, or the tenant's if Product
// is empty.
type SyncKey struct{ Product string }

// Pushes remembers for each repository the oldest push that no fetch has answered, and
// the announcement of the newest one.
type Pushes struct {
	mu   sync.Mutex
	at   map[SyncKey]time.Time
	push map[SyncKey]forge.Push
}

// Note records that a repository was pushed to.
func (p *Pushes) Note(key SyncKey, push forge.Push) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nil {
		p.at, p.push = map[SyncKey]time.Time{}, map[SyncKey]forge.Push{}
	}
	if p.at[key].IsZero() {
		p.at[key] = time.Now()
	}
	p.push[key] = push
}

// Take returns the time of the oldest push to a repository since the last call, or
// zero if there was none, and the newest push.
func (p *Pushes) Take(key SyncKey) (time.Time, forge.Push) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, push := p.at[key], p.push[key]
	delete(p.at, key)
	delete(p.push, key)
	return at, push
}

// Pushed records a push to a repository and enqueues its mirror.
func (d *Deps) Pushed(key SyncKey, push forge.Push) {
	d.Pushes.Note(key, push)
	d.Queues.Sync.Add(key)
}

// Request returns the request for an object by its name.
func Request(namespace, name string) ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}
