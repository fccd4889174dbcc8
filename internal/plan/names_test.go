package plan_test

import (
	"testing"

	"nautes.io/nautes/internal/plan"
)

func TestJoinNames(t *testing.T) {
	for name, test := range map[string]struct {
		names  []string
		length int
		want   string
	}{
		"nothing":               {length: 9},
		"all":                   {names: []string{"a", "b", "c"}, length: 9, want: "a, b, c"},
		"the second fits":       {names: []string{"a", "b", "c"}, length: 2, want: "a, b and 1 more"},
		"only the first":        {names: []string{"a", "b", "c"}, length: 1, want: "a and 2 more"},
		"a first of any length": {names: []string{"long"}, length: 1, want: "long"},
	} {
		if got := plan.JoinNames(test.names, test.length); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestJoinIDs(t *testing.T) {
	ids := []plan.ID{{Group: "apps", Kind: "Deployment", Namespace: "ns", Name: "d"}, {Kind: "Namespace", Name: "ns"}}
	if got, want := plan.JoinIDs(ids, 99), "Deployment ns/d, Namespace ns"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
