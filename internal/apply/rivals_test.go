package apply

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/plan"
)

// Objects that change again and again are left alone for growing pauses.
func TestRivals(t *testing.T) {
	now := time.Now()
	r := &rivals{now: func() time.Time { return now }}
	key, id := memoKey{uid: "u"}, plan.ID{Kind: "ConfigMap", Name: "x"}
	var pauses []time.Duration
	restore := func(times int, every time.Duration) {
		for range times {
			pause, _ := r.restore(key, id)
			pauses = append(pauses, pause)
			now = now.Add(every)
		}
	}
	check := func(name string, want ...time.Duration) {
		t.Helper()
		if diff := cmp.Diff(want, pauses); diff != "" {
			t.Errorf("%s: pauses (-want +got):\n%s", name, diff)
		}
		pauses = nil
	}
	restore(maxRestores, time.Second)
	check("up to the limit", make([]time.Duration, maxRestores)...)
	restore(2, 20*time.Second)
	check("above it", firstPause, firstPause-20*time.Second)
	now = now.Add(firstPause)
	restore(2, time.Second)
	check("after the pause", 0, 2*firstPause)
	for range 8 {
		now = now.Add(2 * maxPause)
		_, _ = r.restore(key, id)
		restore(maxRestores+1, 0)
		pauses = nil
	}
	now = now.Add(3 * maxPause)
	restore(1, 0)
	check("after a quiet time", 0)

	other := plan.ID{Kind: "ConfigMap", Name: "y"}
	if pause, _ := r.restore(key, other); pause != 0 {
		t.Errorf("another object waits for %s", pause)
	}
	r.name(key, id, []string{"kubectl-edit"})
	r.name(key, plan.ID{Name: "unknown"}, []string{"z"})
	restore(maxRestores, 0)
	if pause, managers := r.restore(key, id); pause == 0 || len(managers) != 1 || managers[0] != "kubectl-edit" {
		t.Errorf("pause %s, writers %v", pause, managers)
	}
	r.forgetWhere(func(key memoKey) bool { return key.uid == "u" })
	if pause, managers := r.restore(key, id); pause != 0 || managers != nil {
		t.Errorf("a forgotten object waits for %s, with the writers %v", pause, managers)
	}
}

// The pause doubles while the fight goes on, up to a limit.
func TestPausesGrow(t *testing.T) {
	now := time.Now()
	r := &rivals{now: func() time.Time { return now }}
	key, id := memoKey{}, plan.ID{Name: "x"}
	last := time.Duration(0)
	for range 20 {
		pause := time.Duration(0)
		for pause == 0 {
			pause, _ = r.restore(key, id)
		}
		if want := min(max(2*last, firstPause), maxPause); pause != want {
			t.Fatalf("the pause after %s is %s, want %s", last, pause, want)
		}
		last, now = pause, now.Add(pause)
	}
	if last != maxPause {
		t.Errorf("the last pause is %s", last)
	}
}

func TestContestedError(t *testing.T) {
	err := &ContestedError{ID: plan.ID{Kind: "ConfigMap", Namespace: "n", Name: "x"}, Target: plan.Cluster("c")}
	if text := err.Error(); !strings.Contains(text, "ConfigMap n/x on Cluster c") || !strings.Contains(text, "by another writer") {
		t.Errorf("the message is %q", text)
	}
	err.Managers = []string{"a", "b"}
	var contested *ContestedError
	if !errors.As(error(err), &contested) || !strings.Contains(err.Error(), "by a, b: stop that writer") {
		t.Errorf("the message is %q", err)
	}
}
