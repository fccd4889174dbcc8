package reconcile

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/queue"
)

// Queues are the queues of the controllers of one operator.
type Queues struct {
	// Sync is the queue of the mirrors.
	Sync queue.Queue[SyncKey]

	mu    sync.Mutex
	kinds map[string]*queue.Queue[ctrl.Request]
}

// Of returns the queue of a kind.
func (q *Queues) Of(kind string) *queue.Queue[ctrl.Request] {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.kinds == nil {
		q.kinds = map[string]*queue.Queue[ctrl.Request]{}
	}
	if q.kinds[kind] == nil {
		q.kinds[kind] = &queue.Queue[ctrl.Request]{}
	}
	return q.kinds[kind]
}

// running returns the kinds whose controllers run in this process, in order.
func (q *Queues) running() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(q.kinds)), func(kind string) bool { return !q.kinds[kind].Bound() })
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
