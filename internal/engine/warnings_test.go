package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// Warnings are in the status, and each new one is announced once.
func TestWarnings(t *testing.T) {
	w := newWorld(t, project())
	var warnings []string
	w.work.phases.Load = func(context.Context) (*snapshot.Snapshot, error) {
		return snapshot.New("nautes", "nautes"), nil
	}
	w.work.phases.Stop = func(field.ErrorList) error { return nil }
	var s *Session[*v1alpha1.Project]
	w.work.reconcile = func(session *Session[*v1alpha1.Project]) error { s = session; return nil }
	w.work.phases.Observe = func(context.Context, error) error {
		for _, warning := range warnings {
			s.Warn(warning)
		}
		return nil
	}
	many := make([]string, 0, 30)
	for i := range 30 {
		many = append(many, fmt.Sprintf("warning %02d", i))
	}
	long := strings.Repeat("ü", 2000)
	for _, step := range []struct {
		name     string
		warnings []string
		// wantEvents are the ends of the events of the reason Warned.
		want, wantEvents []string
	}{
		{name: "none"},
		{name: "two", warnings: []string{"spec.a: x", "spec.b: y", "spec.a: x"}, want: []string{"spec.a: x", "spec.b: y"}, wantEvents: []string{"spec.a: x (and 1 more)"}},
		{name: "the same", warnings: []string{"spec.a: x", "spec.b: y"}, want: []string{"spec.a: x", "spec.b: y"}},
		{name: "one goes", warnings: []string{"spec.b: y"}, want: []string{"spec.b: y"}},
		{name: "another one", warnings: []string{"spec.b: y", "spec.c: z"}, want: []string{"spec.b: y", "spec.c: z"}, wantEvents: []string{"spec.c: z"}},
		{name: "a long one", warnings: []string{long}, want: []string{plan.Cut(long, maxWarning)}, wantEvents: []string{plan.Cut(plan.Cut(long, maxWarning), maxNote)}},
		{name: "many", warnings: many, want: append(many[:20:20], "and 10 more"), wantEvents: []string{"warning 00 (and 20 more)"}},
		{name: "as many as fit", warnings: many[:20], want: many[:20]},
		{name: "none again"},
	} {
		warnings = step.warnings
		if _, err := w.run(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, w.get().Status.Warnings); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		var got []string
		for _, event := range w.said() {
			if text, warned := strings.CutPrefix(event, "Warning Warned "); warned {
				got = append(got, text)
			}
		}
		if diff := cmp.Diff(step.wantEvents, got); diff != "" {
			t.Errorf("the events of %s (-want +got):\n%s", step.name, diff)
		}
		writes := w.writes
		if _, err := w.run(); err != nil || w.writes != writes || len(w.said()) != 0 {
			t.Errorf("%s: a second pass writes or says something: %v", step.name, err)
		}
	}
}

// A pass that does not come to the rules keeps the warnings, and announces none.
func TestWarningsAreKept(t *testing.T) {
	o := project()
	o.Status.Warnings = []string{"spec.a: x"}
	w := newWorld(t, o)
	w.work.phases.Suspended = "spec.suspend is set"
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"spec.a: x"}, w.get().Status.Warnings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, event := range w.said() {
		if strings.Contains(event, "Warned") {
			t.Errorf("it is announced: %s", event)
		}
	}
}
