package controllers

import (
	"slices"
	"sync"
	"time"

	"nautes.io/nautes/internal/engine"
)

// lane is where the work on slow clusters waits for its turn: it takes so many
// workers of a controller at most, so that the others stay free for the rest. Who
// finds it full is woken when there is a place, in the order of arrival, so that
// waiting costs nothing, however many wait.
type lane[K comparable] struct {
	places int
	wake   func(K)

	mu    sync.Mutex
	taken int
	// line is who waits, the first one first; those that are no longer in
	// waiting have been here in the meantime.
	line    []K
	waiting map[K]bool
}

// laneShare is the part of a controller's workers that slow clusters may take.
const laneShare = 4

// laneRetry is after what time work that found the lane full looks again although
// it was not woken: what was woken in its place may never have come.
const laneRetry = 30 * time.Second

func newLane[K comparable](workers int, wake func(K)) *lane[K] {
	return &lane[K]{places: max(1, workers/laneShare), wake: wake, waiting: map[K]bool{}}
}

// errLaneFull: the object is looked at again when there is room.
var errLaneFull error = &engine.Error{Class: engine.ClassSilent, Message: "the cluster is slow, and it is not its turn", RetryAfter: laneRetry}

// enter takes a place in the lane for key if one of the clusters is slow; leave,
// which is never nil, gives it back. It never waits: errLaneFull says that there
// is no place, and that key is woken when there is.
func (l *lane[K]) enter(slow func(cluster string) bool, key K, clusters ...string) (leave func(), err error) {
	needed := slices.ContainsFunc(clusters, func(cluster string) bool { return cluster != "" && slow(cluster) })
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !needed:
		// It may have been woken for a place that it does not need any more.
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
	return func() {}, errLaneFull
}

func (l *lane[K]) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken--
	l.next()
}

// next wakes as many as there are places; l.mu is held.
func (l *lane[K]) next() {
	for free := l.places - l.taken; free > 0 && len(l.line) > 0; {
		key := l.line[0]
		l.line = l.line[1:]
		if l.waiting[key] {
			delete(l.waiting, key)
			l.wake(key)
			free--
		}
	}
}

// isSlow tells whether a cluster took long to answer when it was looked at last.
func (s *Shared) isSlow(cluster string) bool { return s.Clusters.State(cluster).Slow }
