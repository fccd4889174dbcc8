package controllers

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Waker puts keys into a controller's queue from anywhere in the process. A key
// that is woken before the controller runs is kept until it does.
type Waker[K comparable] struct {
	mu      sync.Mutex
	queue   workqueue.TypedRateLimitingInterface[K]
	pending map[K]struct{}
}

// Wake queues a key; it never blocks, and waking a queued key changes nothing.
func (w *Waker[K]) Wake(key K) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue == nil {
		if w.pending == nil {
			w.pending = map[K]struct{}{}
		}
		w.pending[key] = struct{}{}
		return
	}
	w.queue.Add(key)
}

// Source binds the waker to the controller that watches it.
func (w *Waker[K]) Source() source.TypedSource[K] {
	return source.TypedFunc[K](func(_ context.Context, queue workqueue.TypedRateLimitingInterface[K]) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.queue = queue
		for key := range w.pending {
			queue.Add(key)
		}
		w.pending = nil
		return nil
	})
}

// request returns the request for an object by its name.
func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// keysOf maps the events of one kind to keys. An update is mapped for the old
// and for the new object, so that what was related to the old one is woken too.
func keysOf[O client.Object, K comparable](keys func(context.Context, O) []K) handler.TypedEventHandler[client.Object, K] {
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
