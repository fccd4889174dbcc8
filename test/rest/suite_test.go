package rest

import (
	"testing"
)

// TestSuite checks that the suite itself is whole: a case that names nothing real would
// never be sent.
func TestSuite(t *testing.T) {
	s := load(t)
	if len(s.Cases) != 210 || len(s.byName) != len(s.Cases) || len(s.Routes) != 32 {
		t.Errorf("%d cases with %d names and %d routes, want 210 of each and 32", len(s.Cases), len(s.byName), len(s.Routes))
	}
	states := states()
	for _, c := range s.Cases {
		if _, err := s.body(c, func(text string) string { return text }); err != nil {
			t.Error(err)
		}
		for _, given := range s.needed(c) {
			if s.byName[given] == nil && states[given] == nil {
				t.Errorf("case %s: nothing brings about %q", c.Name, given)
			}
		}
		if s.Roles[c.As] == "" {
			t.Errorf("case %s: unknown role %s", c.Name, c.As)
		}
	}
}
