package git

import (
	"context"
	"errors"
	"strings"
	"testing"

	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/testutil/hostile"
)

func TestFetchRevision(t *testing.T) {
	m, _, repo, src := setUp(t)
	first := repo.Push(map[string]string{"a": "1"})
	main := repo.Push(map[string]string{"a": "2"})
	feature := repo.Commit(githost.Commit{Branch: "feature/x", Files: map[string]string{"a": "3"}})
	lost := repo.Commit(githost.Commit{Branch: "gone", Files: map[string]string{"a": "4"}})
	repo.Git("update-ref", "-d", "refs/heads/gone")
	repo.Git("tag", "v1", first)
	repo.Git("tag", "-a", "-m", "second", "v2", main)
	repo.Git("tag", "both", first)
	repo.Git("update-ref", "refs/heads/both", feature)
	repo.Git("update-ref", "refs/heads/refs/heads/main", first)
	repo.Git("update-ref", "refs/merge-requests/1/head", feature)
	src.Branch = ""
	tests := map[string]struct{ revision, want string }{
		"default branch":               {"", main},
		"head":                         {"HEAD", main},
		"branch":                       {"main", main},
		"branch with a slash":          {"feature/x", feature},
		"branch by its full name":      {"refs/heads/feature/x", feature},
		"tag":                          {"v1", first},
		"tag by its full name":         {"refs/tags/v1", first},
		"annotated tag":                {"v2", main},
		"annotated tag, its full name": {"refs/tags/v2", main},
		"branch before tag":            {"both", feature},
		"tag in spite of the branch":   {"refs/tags/both", first},
		"other reference":              {"refs/merge-requests/1/head", feature},
		"head of a branch":             {main, main},
		"commit in the history":        {first, first},
		"commit on no branch":          {lost, lost},
		"annotated tag by its hash":    {repo.Git("rev-parse", "v2"), main},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := m.FetchRevision(context.Background(), key, src, tt.revision)
			if err != nil {
				t.Fatalf("FetchRevision(%q): %s", tt.revision, describe(err))
			}
			if got.Hash != tt.want {
				t.Errorf("FetchRevision(%q) = %s, want %s", tt.revision, got.Hash, tt.want)
			}
			content, err := m.File(context.Background(), key, got.Hash, "a")
			if err != nil || string(content) != repo.Git("show", tt.want+":a") {
				t.Errorf("File = %q, %v", content, err)
			}
		})
	}
	if left := leftovers(t, m); len(left) != 0 {
		t.Errorf("left in the scratch directory: %v", left)
	}
}

func TestFetchRevisionLeavesTheHistory(t *testing.T) {
	m, _, repo, src := setUp(t)
	first := repo.Push(map[string]string{"a": "1"})
	repo.Push(map[string]string{"a": "2"})
	if _, err := m.FetchRevision(context.Background(), key, src, "main"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.File(context.Background(), key, first, "a"); !errors.Is(err, ErrUnknownRevision) {
		t.Errorf("the commit before: %v, want ErrUnknownRevision", err)
	}
}

func TestFetchRevisionOfNothing(t *testing.T) {
	m, server, repo, src := setUp(t)
	repo.Push(map[string]string{"a": "1"})
	blob := repo.Git("rev-parse", "main:a")
	empty := Source{URL: server.Repo("demo/empty").URL()}
	tests := map[string]struct {
		src      Source
		revision string
	}{
		"branch":           {src, "absent"},
		"full name":        {src, "refs/heads/absent"},
		"commit":           {src, strings.Repeat("ab", 20)},
		"short commit":     {src, blob[:8]},
		"no commit":        {src, blob},
		"empty repository": {empty, ""},
		"range":            {src, "main..x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := m.FetchRevision(context.Background(), key, tt.src, tt.revision); !errors.Is(err, ErrUnknownRevision) {
				t.Errorf("FetchRevision(%q): %v, want ErrUnknownRevision", tt.revision, describe(err))
			}
		})
	}
}

// A hostile name is either looked up or refused.
func TestFetchRevisionOfHostileNames(t *testing.T) {
	m, server, repo, src := setUp(t)
	repo.Push(map[string]string{"a": "1"})
	for _, value := range hostile.Values() {
		before := server.Requests()
		names, reason := candidates(value)
		if reason == "" {
			for _, name := range names {
				if strings.HasPrefix(name, "-") || strings.ContainsAny(name, "\x00\n*?[") {
					t.Errorf("%.60q is asked for as %.60q", value, name)
				}
			}
			continue
		}
		if _, err := m.FetchRevision(context.Background(), key, src, value); !errors.Is(err, ErrUnknownRevision) {
			t.Errorf("FetchRevision(%.60q): %v, want ErrUnknownRevision", value, err)
		}
		if server.Requests() != before {
			t.Errorf("%.60q got as far as the server", value)
		}
	}
}

func TestFile(t *testing.T) {
	repo := githost.New(t).Repo("demo/default.project")
	src := Source{URL: repo.URL(), Branch: "main"}
	m := limitedMirrors(t, limits{files: 100, depth: 10, blob: 8, read: 100})
	repo.Commit(githost.Commit{
		Files:       map[string]string{"a": "1", "pipelines/dev.yaml": "dev", "pipelines/a b\"c": "odd", "large": "123456789"},
		Executables: map[string]string{"run.sh": "x"},
		Symlinks:    map[string]string{"link": "a"},
		Submodules:  map[string]string{"sub": strings.Repeat("ab", 20)},
	})
	commit, err := m.FetchRevision(context.Background(), key, src, "")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		path, want string
		wantErr    error
		wantLimit  bool
	}{
		"file":               {path: "a", want: "1"},
		"in a directory":     {path: "pipelines/dev.yaml", want: "dev"},
		"redundant slashes":  {path: "./pipelines//dev.yaml", want: "dev"},
		"odd name":           {path: "pipelines/a b\"c", want: "odd"},
		"executable":         {path: "run.sh", want: "x"},
		"missing":            {path: "absent", wantErr: ErrFileMissing},
		"missing directory":  {path: "absent/dev.yaml", wantErr: ErrFileMissing},
		"below a file":       {path: "a/b", wantErr: ErrFileMissing},
		"line break":         {path: "a\nb", wantErr: ErrFileMissing},
		"root":               {path: ".", wantErr: ErrRefused},
		"directory":          {path: "pipelines", wantErr: ErrRefused},
		"link":               {path: "link", wantErr: ErrRefused},
		"submodule":          {path: "sub", wantErr: ErrRefused},
		"out of a directory": {path: "pipelines/../a", wantErr: ErrRefused},
		"too large":          {path: "large", wantLimit: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			content, err := m.File(context.Background(), key, commit.Hash, tt.path)
			var limit *LimitError
			if string(content) != tt.want || errors.As(err, &limit) != tt.wantLimit || !tt.wantLimit && !errors.Is(err, tt.wantErr) {
				t.Errorf("File(%q) = %q, %v; want %q, %v", tt.path, content, err, tt.want, tt.wantErr)
			}
		})
	}
}
