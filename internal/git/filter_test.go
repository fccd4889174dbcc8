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

// Limits count the entries that a filter requires. Optional entries are left out where
// they exceed a limit, and ignored ones are not read.
func TestFilteredEntries(t *testing.T) {
	repo := githost.New(t).Repo("demo/default.project")
	base := repo.Push(map[string]string{"ours/a": "1"})
	files := map[string]string{"ours/b": "2", "maybe/a": "3", "maybe/deep/" + strings.Repeat("d/", 10) + "f": "4"}
	for i := range 120 {
		files[fmt.Sprintf("theirs/%03d", i)] = "5"
		files[fmt.Sprintf("maybe/z/%03d", i)] = "6"
	}
	repo.Push(files)
	m := limitedMirrors(t, limits{files: 100, depth: 10, blob: 1000, read: 3000})
	commit := fetch(t, m, Source{URL: repo.URL(), Branch: "main"})
	filter := func(path, _ string) Interest {
		switch top, _, _ := strings.Cut(path, "/"); top {
		case "ours":
			return Required
		case "maybe":
			return Optional
		}
		return Ignored
	}
	paths := func(found []string) map[string]int {
		count := map[string]int{}
		for _, path := range found {
			if strings.HasPrefix(path, "maybe/z/") {
				path = "maybe/z"
			}
			count[path]++
		}
		return count
	}
	tree, err := m.Tree(context.Background(), key, commit.Hash, filter)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range tree {
		got = append(got, file.Path)
	}
	if count := paths(got); count["ours/a"] != 1 || count["ours/b"] != 1 || count["maybe/a"] != 1 || count["maybe/z"] == 0 || count["maybe/z"] == 120 || len(count) != 4 {
		t.Errorf("Tree = %v", count)
	}
	changes, _, err := m.Diff(context.Background(), key, base, commit.Hash, func(path, mode string) Interest {
		if strings.HasPrefix(path, "maybe/z") {
			return Ignored
		}
		return filter(path, mode)
	})
	got = nil
	for _, change := range changes {
		got = append(got, change.Path)
	}
	if diff := cmp.Diff([]string{"maybe/a", "ours/b"}, got); diff != "" || err != nil {
		t.Errorf("Diff: %v (-want +got):\n%s", err, diff)
	}
	var limit *LimitError
	if _, err := m.Tree(context.Background(), key, commit.Hash, func(string, string) Interest { return Required }); !errors.As(err, &limit) {
		t.Errorf("Tree of all = %v, want a limit", err)
	}
}
