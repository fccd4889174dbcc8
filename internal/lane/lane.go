// Package lane keeps slow clusters from taking all workers of a controller. It guarantees
// that a key that waits for a place costs nothing, and gets one in the order of arrival.
package lane

import (
	"slices"
	"sync"
	"time"

	"nautes.io/nautes/internal/engine"
)

// Lane limits how many workers of a controller may be busy with slow clusters,
// so that the others stay free. A key that finds the lane full is enqueued, in order
// of arrival, when a place is free; waiting costs nothing, however many wait.
type Lane[K comparable] struct {
	places  int
	enqueue func(K)

	mu    sync.Mutex
	taken int
	// line holds the keys in order of arrival. Keys that are no longer in waiting
	// have been reconciled in the meantime.
	line    []K
	waiting map[K]bool
}

// share is the divisor of a controller's workers that gives the places.
const share = 4

// Retry is the time after which a key that found the lane full is
// reconciled again without having been enqueued: the key that was enqueued in its
// place may never have come.
const Retry = 30 * time.Second

// New returns the lane of a controller with some workers.
func New[K comparable](workers int, enqueue func(K)) *Lane[K] {
	return &Lane[K]{places: max(1, workers/share), enqueue: enqueue, waiting: map[K]bool{}}
}

// ErrFull is returned when the lane has no place.
var ErrFull error = &engine.Error{Class: engine.ClassSilent, Message: "the cluster is slow, and it is not its turn", RetryAfter: Retry}

// Enter takes a place in the lane for key if one of the clusters is slow; leave,
// which is never nil, gives it back. It never blocks: it returns ErrFull if
// there is no place, and enqueues key when there is one.
func (l *Lane[K]) Enter(slow func(cluster string) bool, key K, clusters ...string) (leave func(), err error) {
	needed := slices.ContainsFunc(clusters, func(cluster string) bool { return cluster != "" && slow(cluster) })
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !needed:
		// It may have been enqueued for a place that it no longer needs.
		delete(l.waiting, key)
		l.next()
		return func() {}, nil
	case l.taken < l.places:
		delete(l.waiting, key)
		l.taken++
		return l.leave, nil
	case !l.waiting[key]:
		l.waiting[key] = true
		l.line = append(l.line, key)
	}
	return func() {}, ErrFull
}

func (l *Lane[K]) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken--
	l.next()
}

// next enqueues one key for each free place; l.mu is held.
func (l *Lane[K]) next() {
	for free := l.places - l.taken; free > 0 && len(l.line) > 0; {
		key := l.line[0]
		l.line = l.line[1:]
		if l.waiting[key] {
			delete(l.waiting, key)
			l.enqueue(key)
			free--
		}
	}
}
