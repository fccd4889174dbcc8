package mirror

import (
	"strings"
	"testing"
	"time"

	"nautes.io/nautes/internal/forge"
)

// pauses returns the pauses before the looks that an early hook causes.
func pauses(e *Early, head string, has bool) (pauses []time.Duration) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	e.Looked(now, head, has)
	for range 10 {
		next := e.Before(now.Add(time.Hour))
		if next.Equal(now.Add(time.Hour)) {
			return pauses
		}
		pauses = append(pauses, next.Sub(now))
		now = next
		e.Looked(now, head, has)
	}
	return append(pauses, -1)
}

func TestEarly(t *testing.T) {
	head, announced := strings.Repeat("a", 40), strings.Repeat("b", 40)
	main := forge.Push{Ref: "refs/heads/main", Commit: announced}
	for name, tt := range map[string]struct {
		push  forge.Push
		has   bool
		wants int
	}{
		"not there yet":        {push: main, wants: maxLooks},
		"SHA-256":              {push: forge.Push{Ref: main.Ref, Commit: strings.Repeat("b", 64)}, wants: maxLooks},
		"the head":             {push: forge.Push{Ref: main.Ref, Commit: head}},
		"in the history":       {push: main, has: true},
		"another branch":       {push: forge.Push{Ref: "refs/heads/next", Commit: announced}},
		"a tag":                {push: forge.Push{Ref: "refs/tags/main", Commit: announced}},
		"no commit":            {push: forge.Push{Ref: main.Ref}},
		"not a hash":           {push: forge.Push{Ref: main.Ref, Commit: "--upload-pack=x"}},
		"nothing is announced": {},
	} {
		t.Run(name, func(t *testing.T) {
			e := &Early{}
			e.Announce(tt.push, "main")
			got := pauses(e, head, tt.has)
			want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}[:tt.wants]
			if len(got) != len(want) {
				t.Fatalf("looks after %v, want %v", got, want)
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("looks after %v, want %v", got, want)
				}
			}
			// The same hook once more costs no more looks.
			e.Announce(tt.push, "main")
			if again := pauses(e, head, tt.has); len(again) != 0 {
				t.Errorf("a replayed hook costs looks after %v", again)
			}
		})
	}
}

// A commit that is waited for is announced in vain, and a later one is waited for instead.
func TestEarlyAgain(t *testing.T) {
	first, second := strings.Repeat("a", 40), strings.Repeat("b", 40)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	push := func(commit string) forge.Push { return forge.Push{Ref: "refs/heads/main", Commit: commit} }
	e := &Early{}
	e.Announce(push(first), "main")
	e.Looked(now, "", false)
	e.Looked(now.Add(time.Second), "", false)
	e.Announce(push(first), "main")
	e.Looked(now.Add(time.Second), "", false)
	if got := e.Before(now.Add(time.Hour)).Sub(now); got != 3*time.Second {
		t.Errorf("the next look is after %s, want 3 seconds", got)
	}
	e.Announce(push(second), "main")
	if e.Commit != second || !e.Before(now.Add(time.Hour)).Before(now) {
		t.Errorf("%+v does not look for the second commit at once", e)
	}
	// A look before the time counts for nothing, and the commit that comes ends it all.
	e.Looked(now, "", false)
	e.Looked(now, "", false)
	if got := e.Before(now.Add(time.Hour)).Sub(now); got != time.Second {
		t.Errorf("the next look is after %s, want a second", got)
	}
	if later := e.Before(now); !later.Equal(now) {
		t.Errorf("a look that was due at %s is put off to %s", now, later)
	}
	e.Looked(now, second, false)
	if e.Waits() || !e.Before(now.Add(time.Hour)).Equal(now.Add(time.Hour)) {
		t.Errorf("%+v still waits", e)
	}
}

// A commit that did not come is remembered, however often the branch is looked at.
func TestEarlyIsRemembered(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	push := forge.Push{Ref: "refs/heads/main", Commit: strings.Repeat("b", 40)}
	e := &Early{}
	e.Announce(push, "main")
	for range 5 * maxLooks {
		e.Looked(now, strings.Repeat("a", 40), false)
		now = now.Add(time.Hour)
	}
	if e.Announce(push, "main"); e.Waits() {
		t.Error("the commit is waited for again")
	}
}
