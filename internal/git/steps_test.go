package git

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/test/githost"
)

const confirmation = "\n\nNautes-Confirm-Prune: true"

// describeSteps returns a line for each step: its hash, whether it confirms, and its changes.
func describeSteps(steps []Step) []string {
	var lines []string
	for _, s := range steps {
		line := s.Hash[:7]
		if s.ConfirmsPrune {
			line += " confirms"
		}
		for _, c := range s.Changes {
			switch {
			case c.Old == nil:
				line += " +" + c.Path
			case c.New == nil:
				line += " -" + c.Path
			default:
				line += " " + c.Path
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func TestSteps(t *testing.T) {
	m, _, repo, src := setUp(t)
	first := repo.Push(map[string]string{"envs/a": "1", "envs/b": "1", "c": "1"})
	second := repo.Commit(githost.Commit{Message: "a" + confirmation, Delete: []string{"envs/a"}})
	third := repo.Commit(githost.Commit{Files: map[string]string{"c": "2", "d": "1"}, Delete: []string{"envs/b"}})
	side := repo.Commit(githost.Commit{Branch: "side", Onto: second, Delete: []string{"c"}, Message: "c" + confirmation})
	fetch(t, m, src)
	merge := strings.TrimSpace(repo.GitWith("merge", "commit-tree", strings.TrimSpace(repo.Git("rev-parse", side+"^{tree}")), "-p", third, "-p", side))
	repo.Git("update-ref", "refs/heads/main", merge)
	fetch(t, m, src)
	amended := repo.Commit(githost.Commit{Onto: second, Force: true, Message: "b" + confirmation, Delete: []string{"envs/b"}})
	fetch(t, m, src)
	orphan := repo.Commit(githost.Commit{Orphan: true, Force: true, Files: map[string]string{"e": "1"}})
	fetch(t, m, src)

	line := func(hash, rest string) string { return hash[:7] + rest }
	for name, test := range map[string]struct {
		from, to string
		want     []string
	}{
		"one commit":           {first, second, []string{line(second, " confirms -envs/a")}},
		"none":                 {second, second, nil},
		"two commits":          {first, third, []string{line(third, " c +d -envs/b"), line(second, " confirms -envs/a")}},
		"a merge is one step":  {third, merge, []string{line(merge, " -c -d +envs/b")}},
		"an older revision":    {third, first, nil},
		"an amended commit":    {third, amended, []string{line(amended, " confirms -envs/b")}},
		"a history of its own": {third, orphan, []string{line(orphan, " +e")}},
	} {
		t.Run(name, func(t *testing.T) {
			steps, err := m.Steps(context.Background(), key, test.from, test.to)
			if err != nil {
				t.Fatal(describe(err))
			}
			if diff := cmp.Diff(test.want, describeSteps(steps)); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
	for _, revision := range []string{"", "main", someCommit, "--all"} {
		if _, err := m.Steps(context.Background(), key, revision, first); !errors.Is(err, ErrUnknownRevision) {
			t.Errorf("from %q: %v, want ErrUnknownRevision", revision, err)
		}
		if _, err := m.Steps(context.Background(), key, first, revision); !errors.Is(err, ErrUnknownRevision) {
			t.Errorf("to %q: %v, want ErrUnknownRevision", revision, err)
		}
	}
}

// A commit beyond the limits ends the steps, and is no error.
func TestStepsWithinLimits(t *testing.T) {
	l := defaultLimits()
	l.depth = 3
	m := limitedMirrors(t, l)
	s := githost.New(t)
	repo := s.Repo("demo/default.project")
	first := repo.Push(map[string]string{"a": "1"})
	repo.Push(map[string]string{"1/2/3/4": "deep"})
	third := repo.Commit(githost.Commit{Delete: []string{"1"}})
	fetch(t, m, Source{URL: repo.URL(), Branch: "main"})
	steps, err := m.Steps(context.Background(), key, first, third)
	if err != nil || len(steps) != 1 || steps[0].Hash != third {
		t.Errorf("steps %v, %v", describeSteps(steps), err)
	}
}

// The number of steps is bounded.
func TestStepsAreBounded(t *testing.T) {
	m, _, repo, src := setUp(t)
	first := repo.Push(map[string]string{"a": "1"})
	var b strings.Builder
	for i := range maxSteps + 5 {
		fmt.Fprintf(&b, "commit refs/heads/main\ncommitter a <a@b> %d +0000\ndata 1\nx\n", 1700000000+i)
		if i == 0 {
			fmt.Fprintf(&b, "from %s\n", first)
		}
	}
	repo.GitWith(b.String(), "fast-import", "--quiet", "--force")
	head := fetch(t, m, src)
	steps, err := m.Steps(context.Background(), key, first, head.Hash)
	if err != nil || len(steps) != maxSteps || steps[0].Hash != head.Hash {
		t.Errorf("%d steps, %v", len(steps), err)
	}
}
