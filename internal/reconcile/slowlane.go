package reconcile

import (
	"slices"
	"sync"
	"time"

	"nautes.io/nautes/internal/engine"
)

// SlowLane limits how many workers of a controller may be busy with slow clusters,
// so that the others stay free. A key that finds the lane full is enqueued, in order
// of arrival, when a place is free; waiting costs nothing, however many wait.
type SlowLane[K comparable] struct {
	places  int
	enqueue func(K)

	mu    sync.Mutex
	taken int
	// line holds the keys in order of arrival. Keys that are no longer in waiting
	// have been reconciled in the meantime.
	line    []K
	waiting map[K]bool
}

// slowLaneShare is the divisor of a controller's workers that gives the places.
const slowLaneShare = 4

// SlowLaneRetry is the time after which a key that found the lane full is
// reconciled again without having been enqueued: the key that was enqueued in its
// place may never have come.
const SlowLaneRetry = 30 * time.Second

// NewSlowLane returns the lane of a controller with some workers.
func NewSlowLane[K comparable](workers int, enqueue func(K)) *SlowLane[K] {
	return &SlowLane[K]{places: max(1, workers/slowLaneShare), enqueue: enqueue, waiting: map[K]bool{}}
}

// ErrSlowLaneFull is returned when the lane has no place.
var ErrSlowLaneFull error = &engine.Error{Class: engine.ClassSilent, Message: "the cluster is slow, and it is not its turn", RetryAfter: SlowLaneRetry}

// Enter takes a place in the lane for key if one of the clusters is slow; leave,
// which is never nil, gives it back. It never blocks: it returns ErrSlowLaneFull if
// there is no place, and enqueues key when there is one.
func (l *SlowLane[K]) Enter(slow func(cluster string) bool, key K, clusters ...string) (leave func(), err error) {
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
	return func() {}, ErrSlowLaneFull
}

func (l *SlowLane[K]) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken--
	l.next()
}

// next enqueues one key for each free place; l.mu is held.
func (l *SlowLane[K]) next() {
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
