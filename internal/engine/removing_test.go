package engine

import (
	"testing"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
)

// The message names the first object that says why it is not gone.
func TestRemoving(t *testing.T) {
	one, two := plan.ID{Kind: "Namespace", Name: "one"}, plan.ID{Kind: "Namespace", Name: "two"}
	for name, test := range map[string]struct {
		result apply.Result
		want   string
	}{
		"nothing":         {},
		"one":             {result: apply.Result{Removing: []plan.ID{one}}, want: "Namespace one on Cluster alpha is being removed"},
		"two":             {result: apply.Result{Removing: []plan.ID{one, two}}, want: "Namespace one on Cluster alpha is being removed (and 1 more)"},
		"the second says": {result: apply.Result{Removing: []plan.ID{one, two}, Held: map[plan.ID]string{two: "x remains"}}, want: "Namespace two on Cluster alpha is being removed (and 1 more): x remains"},
		"both say":        {result: apply.Result{Removing: []plan.ID{one, two}, Held: map[plan.ID]string{one: "x remains", two: "y"}}, want: "Namespace one on Cluster alpha is being removed (and 1 more): x remains"},
	} {
		outcome := Classify(Removing(test.result, plan.Cluster("alpha")), nil)
		if outcome.Message != test.want || test.want != "" && (outcome.Class != ClassWaiting || outcome.Reason != v1alpha1.ReasonDeleting) {
			t.Errorf("%s: %s %q, want %q", name, outcome.Reason, outcome.Message, test.want)
		}
	}
}
