package edit

import (
	"context"
	"errors"
	"strings"
	"testing"

	"nautes.io/nautes/internal/git"
	. "nautes.io/nautes/test/testutil"
)

// TestFollow holds that revisions of the history can be read, and compared.
func TestFollow(t *testing.T) {
	w := *newWorld(t).tenant(t)
	first := w.seed(t)
	w.see(t)
	got, err := w.Do(context.Background(), w.save(Environment(product, "test", "worker")))
	if err != nil {
		t.Fatal(describe(err))
	}
	pushed := w.repo.Push(map[string]string{"envs/more.yaml": environment("more")})
	for name, tt := range map[string]struct {
		revision, commit string
		want             bool
	}{
		"itself":        {got.Commit, got.Commit, true},
		"before":        {got.Commit, first, true},
		"after":         {first, got.Commit, false},
		"not fetched":   {pushed, got.Commit, true},
		"unknown":       {strings.Repeat("1", 40), got.Commit, false},
		"none mirrored": {"", got.Commit, false},
	} {
		if included, err := w.Includes(t.Context(), w.repository(), tt.revision, tt.commit); included != tt.want || err != nil {
			t.Errorf("%s: %t, %v", name, included, err)
		}
	}
	for revision, want := range map[string]int{first: 2, got.Commit: 3, pushed: 4} {
		v, err := w.At(t.Context(), w.repository(), revision)
		if err != nil || len(v.List("Environment")) != want || v.Revision() != revision {
			t.Errorf("at %s: %v", revision, err)
		}
	}
	if _, err := w.At(t.Context(), w.repository(), strings.Repeat("1", 40)); !errors.Is(err, git.ErrUnknownRevision) {
		t.Errorf("an unknown revision: %v", err)
	}
}
