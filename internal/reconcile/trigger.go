package reconcile

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Triggers are the queues of the controllers that react to more than objects of
// the tenant cluster.
type Triggers struct {
	Product, Space, DeploymentRuntime, PipelineRuntime, Cluster Trigger[ctrl.Request]
	Sync                                                        Trigger[SyncKey]
}

// Trigger adds keys to a controller's queue from anywhere in the process. A key
// that arrives before the controller runs is kept until it does.
type Trigger[K comparable] struct {
	mu      sync.Mutex
	queue   workqueue.TypedRateLimitingInterface[K]
	pending map[K]struct{}
}

// Enqueue adds a key to the queue. It never blocks, and a key that is queued
// already stays there once.
func (t *Trigger[K]) Enqueue(key K) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queue == nil {
		if t.pending == nil {
			t.pending = map[K]struct{}{}
		}
		t.pending[key] = struct{}{}
		return
	}
	t.queue.Add(key)
}

// EnqueueAll adds some keys to the queue.
func (t *Trigger[K]) EnqueueAll(keys []K) {
	for _, key := range keys {
		t.Enqueue(key)
	}
}

// Source binds the trigger to the controller that watches it.
func (t *Trigger[K]) Source() source.TypedSource[K] {
	return source.TypedFunc[K](func(_ context.Context, queue workqueue.TypedRateLimitingInterface[K]) error {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.queue = queue
		for key := range t.pending {
			queue.Add(key)
		}
		t.pending = nil
		return nil
	})
}

// SyncKey names a mirrored repository: the one of a product, or the tenant's if Product
// is empty.
type SyncKey struct{ Product string }

// Pushes remembers for each repository the oldest push that no fetch has answered.
type Pushes struct {
	mu sync.Mutex
	at map[SyncKey]time.Time
}

// Note records that a repository was pushed to.
func (p *Pushes) Note(key SyncKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at == nil {
		p.at = map[SyncKey]time.Time{}
	}
	if p.at[key].IsZero() {
		p.at[key] = time.Now()
	}
}

// Take returns the time of the oldest push to a repository since the last call, or
// zero if there was none.
func (p *Pushes) Take(key SyncKey) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.at[key]
	delete(p.at, key)
	return at
}

// Pushed records a push to a repository and enqueues its mirror.
func (d *Deps) Pushed(key SyncKey) {
	d.Pushes.Note(key)
	d.Triggers.Sync.Enqueue(key)
}

// Request returns the request for an object by its name.
func Request(namespace, name string) ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// KeysOf maps the events of one kind to keys. An update is mapped for the old and
// for the new object, so that objects related to the old one are enqueued too.
func KeysOf[O client.Object, K comparable](keys func(context.Context, O) []K) handler.TypedEventHandler[client.Object, K] {
	add := func(ctx context.Context, o client.Object, queue workqueue.TypedRateLimitingInterface[K], seen map[K]bool) {
		object, ok := o.(O)
		if !ok {
			return
		}
		for _, key := range keys(ctx, object) {
			if !seen[key] {
				seen[key] = true
				queue.Add(key)
			}
		}
	}
	return handler.TypedFuncs[client.Object, K]{
		CreateFunc: func(ctx context.Context, e event.TypedCreateEvent[client.Object], q workqueue.TypedRateLimitingInterface[K]) {
			add(ctx, e.Object, q, map[K]bool{})
		},
		UpdateFunc: func(ctx context.Context, e event.TypedUpdateEvent[client.Object], q workqueue.TypedRateLimitingInterface[K]) {
			seen := map[K]bool{}
			add(ctx, e.ObjectOld, q, seen)
			add(ctx, e.ObjectNew, q, seen)
		},
		DeleteFunc: func(ctx context.Context, e event.TypedDeleteEvent[client.Object], q workqueue.TypedRateLimitingInterface[K]) {
			add(ctx, e.Object, q, map[K]bool{})
		},
	}
}
