package pace

import (
	"errors"
	"testing"
	"time"
)

func TestMemory(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	m := &Memory{Now: func() time.Time { return now }}
	one, two := Identity{1}, Identity{2}
	within := func(what string, got, want time.Duration) {
		t.Helper()
		if got < want || got > want*11/10+1 {
			t.Errorf("%s: %v, want %v or a little more", what, got, want)
		}
	}
	if _, again := m.Last("a", one); again != 0 {
		t.Errorf("without a look, the next one is after %v", again)
	}
	within("after a look", m.Looked("a", Look{Of: one, Note: "n"}, 0), CheckEvery)
	for pause, want := range map[time.Duration]time.Duration{time.Minute: time.Minute, 0: 0} {
		if got := m.Since("a", pause); got != want || m.Since("b", pause) != 0 {
			t.Errorf("Since(%v) = %v, want %v", pause, got, want)
		}
	}
	now = now.Add(30 * time.Minute)
	if got := m.Since("a", time.Minute); got != 0 {
		t.Errorf("long after a look, Since = %v", got)
	}
	last, again := m.Last("a", one)
	within("later", again+30*time.Minute, CheckEvery)
	if last.Note != "n" || last.Err != nil {
		t.Errorf("the last look is %+v", last)
	}
	for name, ask := range map[string]func() (Look, time.Duration){
		"something else": func() (Look, time.Duration) { return m.Last("a", two) },
		"another owner":  func() (Look, time.Duration) { return m.Last("b", one) },
	} {
		if _, again := ask(); again != 0 {
			t.Errorf("%s: the next look is after %v", name, again)
		}
	}
	now = now.Add(time.Hour)
	if _, again := m.Last("a", one); again != 0 {
		t.Errorf("after more than an hour, the next look is after %v", again)
	}

	failed := errors.New("failed")
	for _, pause := range []time.Duration{FirstPause, 2 * FirstPause, 4 * FirstPause, 8 * FirstPause, 16 * FirstPause, LastPause, LastPause} {
		within("after a failure", m.Looked("a", Look{Of: one, Err: failed}, 0), pause)
	}
	within("a longer pause that the forge asks for", m.Looked("a", Look{Of: one, Err: failed}, time.Hour), time.Hour)
	m.Looked("b", Look{Of: one}, 0)
	m.Retry()
	if _, again := m.Last("a", one); again != 0 {
		t.Errorf("Retry: the look that failed follows after %v", again)
	}
	if _, again := m.Last("b", one); again == 0 {
		t.Error("Retry: the look that succeeded is forgotten")
	}
	m.Forget("b")
	if _, again := m.Last("b", one); again != 0 {
		t.Errorf("Forget: the look follows after %v", again)
	}
	m.Looked("a", Look{Of: one, Err: failed}, 0)
	m.Looked("a", Look{Of: one}, 0)
	within("the first failure after a success", m.Looked("a", Look{Of: one, Err: failed}, 0), FirstPause)
}
