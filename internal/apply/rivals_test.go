package apply

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

// Restores count within a window, which is at least twice the last pause.
func TestRestoresAreForgotten(t *testing.T) {
	now := time.Now()
	r := &rivals{now: func() time.Time { return now }}
	key, id := memoKey{}, plan.ID{Name: "x"}
	for _, step := range []struct {
		name string
		// after the last restore, or the end of the pause.
		after time.Duration
		// free restores come before the pause.
		free int
		want time.Duration
	}{
		{"the first ones", 0, maxRestores, firstPause},
		{"soon after the pause", 2 * firstPause, 1, 2 * firstPause},
		{"late after the pause", 4*firstPause + 1, maxRestores, firstPause},
	} {
		now = now.Add(step.after)
		for i := range step.free {
			if pause, _ := r.restore(key, id); pause != 0 {
				t.Errorf("%s: restore %d waits for %s", step.name, i, pause)
			}
		}
		if pause, _ := r.restore(key, id); pause != step.want {
			t.Errorf("%s: the pause is %s, want %s", step.name, pause, step.want)
		}
		now = now.Add(step.want)
	}
	other := plan.ID{Name: "y"}
	for range maxRestores {
		_, _ = r.restore(key, other)
	}
	now = now.Add(restoreWindow)
	if pause, _ := r.restore(key, other); pause != firstPause {
		t.Errorf("the last restore in the window waits for %s, want %s", pause, firstPause)
	}
}

// Only the restore of an object of ours, as it was applied before, counts.
func TestMayRestore(t *testing.T) {
	now := metav1.Now()
	ours := func() *metav1.PartialObjectMetadata { return meta(secretKind, "ns", "s", ourLabels) }
	leaving := ours()
	leaving.DeletionTimestamp = &now
	for name, test := range map[string]struct {
		hash          string
		seen          *metav1.PartialObjectMetadata
		wantContested bool
	}{
		"changed by another writer": {hash: "h", seen: ours(), wantContested: true},
		"a changed intent":          {hash: "i", seen: ours()},
		"an object that is gone":    {hash: "h"},
		"an object that goes":       {hash: "h", seen: leaving},
		"an object of others":       {hash: "h", seen: meta(secretKind, "ns", "s", nil)},
	} {
		p := newPass(t, &stubConn{})
		p.memory.put(p.key, testID, record{intent: "h"})
		var err error
		for range maxRestores + 1 {
			if err != nil {
				t.Errorf("%s: %v before its time", name, err)
			}
			err = p.mayRestore(testID, test.hash, test.seen)
		}
		var contested *ContestedError
		if errors.As(err, &contested) != test.wantContested {
			t.Errorf("%s: error %v", name, err)
		}
		if contested != nil && (contested.ID != testID || contested.Target != onCluster || contested.Retry != firstPause) {
			t.Errorf("%s: %+v", name, contested)
		}
	}
}
