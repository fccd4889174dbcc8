package controllers

import (
	"errors"
	"testing"
)

// Slow clusters take a share of the workers, and nobody else enters their lane.
func TestLane(t *testing.T) {
	for workers, want := range map[int]int{1: 1, 4: 1, 8: 2, 32: 8} {
		if got := cap(newLane(workers)); got != want {
			t.Errorf("of %d workers slow clusters may take %d, want %d", workers, got, want)
		}
	}
	slow := func(cluster string) bool { return cluster == "slow" }
	l := newLane(8)
	var leaves []func()
	for _, step := range []struct {
		clusters []string
		full     bool
		inside   int
	}{
		{[]string{"fast"}, false, 0},
		{[]string{"slow"}, false, 1},
		{[]string{"fast", "slow"}, false, 2},
		{[]string{"slow"}, true, 2},
		{[]string{"fast", ""}, false, 2},
	} {
		leave, err := l.enter(slow, step.clusters...)
		if errors.Is(err, errLaneFull) != step.full || len(l) != step.inside {
			t.Errorf("%v: error %v and %d in the lane, want full %v and %d", step.clusters, err, len(l), step.full, step.inside)
		}
		leaves = append(leaves, leave)
	}
	for _, leave := range leaves {
		leave()
	}
	if len(l) != 0 {
		t.Errorf("%d are left in the lane", len(l))
	}
}
