// Package queue adds keys to the queue of a controller from anywhere in the process. It
// guarantees that a key that comes before the controller runs is not lost.
package queue

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

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
