package lane

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func slowly(cluster string) bool { return cluster == "slow" }

// Slow clusters take a share of the workers, and no other request enters their lane.
func TestLane(t *testing.T) {
	for workers, want := range map[int]int{1: 1, 4: 1, 8: 2, 32: 8} {
		if got := New(workers, func(string) {}).places; got != want {
			t.Errorf("of %d workers slow clusters may take %d, want %d", workers, got, want)
		}
	}
	l := New(8, func(string) {})
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
		leave, err := l.Enter(slowly, "any", step.clusters...)
		if errors.Is(err, ErrFull) != step.full || l.taken != step.inside {
			t.Errorf("%v: error %v and %d in the lane, want full %v and %d", step.clusters, err, l.taken, step.full, step.inside)
		}
		leaves = append(leaves, leave)
	}
	for _, leave := range leaves {
		leave()
	}
	if l.taken != 0 {
		t.Errorf("%d are left in the lane", l.taken)
	}
}

// Who finds the lane full is woken once, in the order of arrival, when there is a
// place; and a place that is not needed any more goes to the next one.
func TestLaneWakesInLine(t *testing.T) {
	var woken []string
	l := New(1, func(key string) { woken = append(woken, key) })
	told := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, woken); diff != "" {
			t.Fatalf("woken (-want +got):\n%s", diff)
		}
		woken = nil
	}
	enter := func(key, cluster string, full bool) func() {
		t.Helper()
		leave, err := l.Enter(slowly, key, cluster)
		if errors.Is(err, ErrFull) != full {
			t.Fatalf("%s enters for a %s cluster: %v, want full %v", key, cluster, err, full)
		}
		return leave
	}
	leave := enter("a", "slow", false)
	for _, key := range []string{"b", "c", "b", "d", "e"} {
		enter(key, "slow", true)
	}
	told()
	leave()
	told("b")

	// While b is on its way another one takes the place: b waits again, at the end.
	leave = enter("f", "slow", false)
	enter("b", "slow", true)
	leave()
	told("c")

	// The cluster of c answers again, so c passes the place on.
	enter("c", "fast", false)()
	told("d")

	// So does whoever was not woken: its turn in the line is gone.
	leave = enter("e", "slow", false)
	leave()
	told("b")
	enter("b", "slow", false)()
	told()
}
