package controllers

import (
	"time"

	"nautes.io/nautes/internal/engine"
)

// lane is where the work on slow clusters waits for its turn: it takes so many
// workers of a controller at most, so that the others stay free for the rest.
type lane chan struct{}

// laneShare is the part of a controller's workers that slow clusters may take.
const laneShare = 4

// laneRetry is after what time work that found the lane full tries again.
const laneRetry = 500 * time.Millisecond

func newLane(workers int) lane { return make(lane, max(1, workers/laneShare)) }

// errLaneFull: the object is looked at again when there is room.
var errLaneFull error = &engine.Error{Class: engine.ClassSilent, Message: "the cluster is slow, and it is not its turn", RetryAfter: laneRetry}

// enter takes a place in the lane if one of the clusters is slow; leave, which is
// never nil, gives it back. It never waits: errLaneFull says that there is no place.
func (l lane) enter(slow func(cluster string) bool, clusters ...string) (leave func(), err error) {
	for _, cluster := range clusters {
		if cluster == "" || !slow(cluster) {
			continue
		}
		select {
		case l <- struct{}{}:
			return func() { <-l }, nil
		default:
			return func() {}, errLaneFull
		}
	}
	return func() {}, nil
}

// isSlow tells whether a cluster took long to answer when it was looked at last.
func (s *Shared) isSlow(cluster string) bool { return s.Clusters.State(cluster).Slow }
