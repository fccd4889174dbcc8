package mirror

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/schema"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
)

const head = "apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: "

func projectFile(name, language string) string {
	return head + "Project\nmetadata:\n  name: " + name + "\nspec:\n  language: " + language + "\n"
}

const environmentFile = head + "Environment\nmetadata:\n  name: dev\nspec:\n  cluster: one\n  envType: test\n"

// ourKinds returns the schemas of our kinds, which take long to compile.
var ourKinds = sync.OnceValues(schema.New)

// follow returns a tracker of a new repository, and the repository.
func follow(t *testing.T) (*Tracker, *githost.Server, *githost.Repo, git.Source) {
	t.Helper()
	server := githost.New(t)
	repo := server.Repo("demo/default.project")
	mirrors, err := git.New(t.TempDir(), git.Options{AllowedProtocols: []string{"http"}})
	if err != nil {
		t.Fatal(err)
	}
	kinds, err := ourKinds()
	if err != nil {
		t.Fatal(err)
	}
	tracker := &Tracker{Mirrors: mirrors, Name: "product-1", Kinds: kinds, Scope: layout.Scope{Namespace: "product-1"}}
	return tracker, server, repo, git.Source{URL: repo.URL(), Branch: "main"}
}

func mustFetch(t *testing.T, tracker *Tracker, source git.Source) {
	t.Helper()
	if err := tracker.Fetch(t.Context(), source); err != nil {
		t.Fatal(err)
	}
}

// checkEntries compares the entries with the wanted ones: the name of the object
// in the file, or the reasons of its problems.
func checkEntries(t *testing.T, tracker *Tracker, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for path, entry := range tracker.Entries {
		if (entry.Object == nil) != (len(entry.Problems) > 0) {
			t.Errorf("%s has the object %v and the problems %v", path, entry.Object, entry.Problems)
		}
		if entry.Object != nil {
			got[path] = entry.Object.GetName()
		}
		for _, problem := range entry.Problems {
			got[path] += fmt.Sprintf("%s:%d ", problem.Reason, problem.Line)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if int(tracker.Status.Files) != len(want) {
		t.Errorf("status counts %d files, want %d", tracker.Status.Files, len(want))
	}
}

func TestFetchReadsTheFirstRevision(t *testing.T) {
	tracker, _, repo, source := follow(t)
	if tracker.Known(source) || tracker.Known(git.Source{}) {
		t.Error("a tracker knows its source before it has fetched it")
	}
	hash := repo.Commit(githost.Commit{Symlinks: map[string]string{"envs/link.yaml": "dev.yaml"}, Files: map[string]string{
		"README.md": "read me", "envs/dev.yaml": environmentFile, "envs/notes.txt": "a", "projects/api/api.yaml": projectFile("api", "go"),
		"projects/web/web.yaml": head + "Project\nmetadata:\n  name: web\nspec:\n  langauge: go\n  x: y\n",
		"runtimes/large.yaml":   strings.Repeat("#", layout.MaxSize+1),
	}})
	mustFetch(t, tracker, source)
	checkEntries(t, tracker, map[string]string{
		"envs/dev.yaml": "dev", "projects/api/api.yaml": "api", "projects/web/web.yaml": "UnknownField:6 UnknownField:7 ", "runtimes/large.yaml": "TooLarge:0 ", "envs/link.yaml": "NotAFile:0 ",
	})
	status := tracker.Status
	if status.Revision != hash || status.URL != source.URL || status.Branch != "main" || !strings.Contains(status.Author, "<") || status.RewrittenFrom != "" ||
		status.CommitTime == nil || !status.CommitTime.Time.Equal(time.Unix(1700000000, 0)) {
		t.Errorf("status %+v", status)
	}
	for path, entry := range tracker.Entries {
		if want := repo.Git("rev-parse", hash+":"+path); entry.Blob != strings.TrimSpace(want) {
			t.Errorf("%s has blob %s, want %s", path, entry.Blob, want)
		}
	}
	if line, err := tracker.Line(t.Context(), "envs/dev.yaml", "spec.envType"); line != 7 || err != nil {
		t.Errorf("Line = %d, %v", line, err)
	}
	if _, err := tracker.Line(t.Context(), "envs/absent.yaml", "spec"); err == nil {
		t.Error("Line finds a file that is not there")
	}
}

// Files that look like resource files and are none are reported, and the product's own
// files are not, however many there are and however deep.
func TestFetchFindsStrayFiles(t *testing.T) {
	tracker, _, repo, source := follow(t)
	const misplaced = "Misplaced:0 "
	prod := strings.Replace(environmentFile, "name: dev", "name: prod", 1)
	asJSON := `{"apiVersion": "nautes.resource.nautes.io/v1alpha1", "kind": "Environment"}`
	repo.Push(map[string]string{
		"envs/dev.yaml": environmentFile, "envs/prod.YAML": prod, "envs/a.Yaml": "x", "envs/stage.json": asJSON, "envs/b.yaml.txt": prod, "envs/c": prod,
		"environments/x.yaml": prod, "Envs/x.yaml": "x", "env/x.yml": prod, "code_repos/r/r.yaml": "x", "prod.yaml": prod, "runtime/dr.json": asJSON,
		"envs/README.md": "# Environments\n\n```yaml\n" + prod + "```\n", "envs/data.json": `{"a": 1}`, "environment/values.yaml": "a: b", "production/app.yaml": prod,
		"docs/envs/dev.YAML": prod, "envs/.dev.yaml": prod, "envs/kustomization.yaml": "resources: []", "runtimes.yaml": "a: b", "envs/logo.png": "\x89PNG\x00",
		strings.Repeat("a/", 100) + "f.txt": "a", "projects/api/" + strings.Repeat("a/", 100) + "f.go": "a", "envs/" + strings.Repeat("n", 250) + ".md": "a",
	})
	mustFetch(t, tracker, source)
	want := map[string]string{
		"envs/dev.yaml": "dev", "envs/prod.YAML": misplaced, "envs/a.Yaml": misplaced, "envs/stage.json": misplaced, "envs/b.yaml.txt": misplaced, "envs/c": misplaced,
		"environments/x.yaml": misplaced, "Envs/x.yaml": misplaced, "env/x.yml": misplaced, "code_repos/r/r.yaml": misplaced, "prod.yaml": misplaced, "runtime/dr.json": misplaced,
	}
	checkEntries(t, tracker, want)
	repo.Commit(githost.Commit{Delete: []string{"envs/prod.YAML", "prod.yaml"}, Files: map[string]string{"Projects/a/a.yaml": "x", "docs/b.yaml": prod}})
	mustFetch(t, tracker, source)
	delete(want, "envs/prod.YAML")
	delete(want, "prod.yaml")
	want["Projects/a/a.yaml"] = misplaced
	checkEntries(t, tracker, want)
}

func TestKnown(t *testing.T) {
	tracker, server, repo, source := follow(t)
	repo.Push(map[string]string{"envs/dev.yaml": environmentFile})
	mustFetch(t, tracker, source)
	other := server.Repo("demo/other")
	for name, test := range map[string]struct {
		source git.Source
		want   bool
	}{
		"the same":             {source, true},
		"with a credential":    {git.Source{URL: source.URL, Branch: "main", Auth: git.Auth{Username: "a"}}, true},
		"another branch":       {git.Source{URL: source.URL, Branch: "next"}, false},
		"another repository":   {git.Source{URL: other.URL(), Branch: "main"}, false},
		"nothing of the first": {git.Source{}, false},
	} {
		if got := tracker.Known(test.source); got != test.want {
			t.Errorf("%s: Known = %v, want %v", name, got, test.want)
		}
	}
}

// TestHas holds which commits the repository is known to have had: a hook that names one
// of them did not come before its commit.
func TestHas(t *testing.T) {
	tracker, server, repo, source := follow(t)
	first := repo.Push(map[string]string{"envs/dev.yaml": environmentFile})
	second := repo.Push(map[string]string{"projects/api/api.yaml": projectFile("api", "go")})
	other := server.Repo("demo/other").Push(map[string]string{"envs/dev.yaml": "another: file"})
	if got := tracker.Has(t.Context(), first); got {
		t.Errorf("before the first fetch: %t", got)
	}
	mustFetch(t, tracker, source)
	for name, test := range map[string]struct {
		commit string
		want   bool
	}{
		"none":                  {"", true},
		"the present one":       {second, true},
		"an earlier one":        {first, true},
		"of another repository": {other, false},
		"one that is unknown":   {strings.Repeat("1", 40), false},
	} {
		if got := tracker.Has(t.Context(), test.commit); got != test.want {
			t.Errorf("%s: Has = %t, want %t", name, got, test.want)
		}
	}
}

func TestFetchFollowsTheBranch(t *testing.T) {
	tracker, server, repo, source := follow(t)
	first := repo.Push(map[string]string{"envs/dev.yaml": environmentFile, "projects/api/api.yaml": projectFile("api", "go"), "projects/web/web.yaml": projectFile("web", "go")})
	mustFetch(t, tracker, source)
	before := tracker.Entries

	behind := func(want bool) {
		t.Helper()
		requests := server.Requests()
		if got, err := tracker.Behind(t.Context(), source); got != want || err != nil {
			t.Errorf("Behind = %v, %v, want %v", got, err, want)
		}
		if server.Requests() == requests {
			t.Error("Behind did not ask the server")
		}
	}
	behind(false)
	mustFetch(t, tracker, source)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(tracker.Entries))); diff != "" || tracker.Status.Revision != first {
		t.Errorf("a fetch without news moved to %s: %s", tracker.Status.Revision, diff)
	}

	second := repo.Commit(githost.Commit{
		Files:  map[string]string{"projects/api/api.yaml": projectFile("api", "rust"), "projects/cli/cli.yaml": projectFile("cli", "go")},
		Delete: []string{"projects/web/web.yaml"},
	})
	behind(true)
	mustFetch(t, tracker, source)
	checkEntries(t, tracker, map[string]string{"envs/dev.yaml": "dev", "projects/api/api.yaml": "api", "projects/cli/cli.yaml": "cli"})
	if tracker.Status.Revision != second || tracker.Status.RewrittenFrom != "" {
		t.Errorf("status %+v", tracker.Status)
	}
	if tracker.Entries["envs/dev.yaml"].Object != before["envs/dev.yaml"].Object {
		t.Error("a file that did not change was read again")
	}
	if _, kept := before["projects/web/web.yaml"]; !kept {
		t.Error("the fetch changed the entries of the revision before")
	}
	behind(false)

	// Another branch with the same commit is another source.
	repo.Git("branch", "next", second)
	next := git.Source{URL: source.URL, Branch: "next"}
	mustFetch(t, tracker, next)
	if !tracker.Known(next) || tracker.Status.Branch != "next" || tracker.Status.Revision != second {
		t.Errorf("status %+v", tracker.Status)
	}
	mustFetch(t, tracker, source)

	// Another history with the same first commit, and one with no common commit.
	third := repo.Commit(githost.Commit{Files: map[string]string{"envs/dev.yaml": environmentFile}, Orphan: true})
	mustFetch(t, tracker, source)
	checkEntries(t, tracker, map[string]string{"envs/dev.yaml": "dev"})
	if tracker.Status.Revision != third || tracker.Status.RewrittenFrom != second {
		t.Errorf("status after a rewrite: %+v", tracker.Status)
	}

	// A mirror that lost the old revision reads the whole tree.
	if err := tracker.Mirrors.Drop("product-1"); err != nil {
		t.Fatal(err)
	}
	fourth := repo.Commit(githost.Commit{Files: map[string]string{"projects/api/api.yaml": projectFile("api", "go")}, Orphan: true})
	mustFetch(t, tracker, source)
	checkEntries(t, tracker, map[string]string{"projects/api/api.yaml": "api"})
	if tracker.Status.Revision != fourth || tracker.Status.RewrittenFrom != third {
		t.Errorf("status after a lost mirror: %+v", tracker.Status)
	}

	// Another repository is read from its beginning.
	other := server.Repo("demo/other")
	fifth := other.Push(map[string]string{"projects/web/web.yaml": projectFile("web", "go")})
	mustFetch(t, tracker, git.Source{URL: other.URL(), Branch: "main"})
	checkEntries(t, tracker, map[string]string{"projects/web/web.yaml": "web"})
	if tracker.Status.Revision != fifth || tracker.Status.RewrittenFrom != "" || tracker.Status.URL != other.URL() {
		t.Errorf("status of another repository: %+v", tracker.Status)
	}
}

// A fetch that fails anywhere leaves the tracker at the revision that it had.
func TestFetchFails(t *testing.T) {
	large := map[string]string{}
	for i := range 260 {
		large[fmt.Sprintf("envs/%d.yaml", i)] = fmt.Sprint(i, strings.Repeat("#", layout.MaxSize-10))
	}
	for name, test := range map[string]struct {
		change func(repo *githost.Repo, source *git.Source)
		// known: the tracker holds the first revision before.
		known     bool
		wantErr   error
		wantLimit string
	}{
		"no branch":                     {change: func(_ *githost.Repo, s *git.Source) { s.Branch = "next" }, wantErr: git.ErrBranchMissing},
		"no branch any longer":          {change: func(_ *githost.Repo, s *git.Source) { s.Branch = "next" }, known: true, wantErr: git.ErrBranchMissing},
		"too much to read, of a change": {change: func(r *githost.Repo, _ *git.Source) { r.Push(large) }, known: true, wantLimit: git.LimitRead},
	} {
		t.Run(name, func(t *testing.T) {
			tracker, _, repo, source := follow(t)
			repo.Push(map[string]string{"envs/dev.yaml": environmentFile})
			if test.known {
				mustFetch(t, tracker, source)
			}
			entries, status := tracker.Entries, tracker.Status
			changed := source
			test.change(repo, &changed)
			err := tracker.Fetch(t.Context(), changed)
			var limit *git.LimitError
			if test.wantErr != nil && !errors.Is(err, test.wantErr) || test.wantLimit != "" && (!errors.As(err, &limit) || limit.Quantity != test.wantLimit) {
				t.Errorf("Fetch: %v, want %v%s", err, test.wantErr, test.wantLimit)
			}
			if diff := cmp.Diff(status, tracker.Status); diff != "" || len(entries) != len(tracker.Entries) || tracker.Known(source) != test.known {
				t.Errorf("the tracker moved: %s", diff)
			}
			if tracker.Plan(logr.NewContext(t.Context(), logger(func(string) {
				if !test.known {
					t.Error("a failed fetch is logged as a revision")
				}
			})), "t", owner, nil, false); t.Failed() {
				return
			}
		})
	}
	tracker, _, repo, source := follow(t)
	repo.Push(map[string]string{"envs/dev.yaml": environmentFile})
	mustFetch(t, tracker, source)
	source.Branch = "next"
	if behind, err := tracker.Behind(t.Context(), source); behind || !errors.Is(err, git.ErrBranchMissing) {
		t.Errorf("Behind = %v, %v", behind, err)
	}
}

func logger(log func(string)) logr.Logger {
	return funcr.New(func(_, line string) { log(line) }, funcr.Options{})
}

// Each revision is logged once, with its difference from the revision before and
// without credentials.
func TestPlanLogsEachRevisionOnce(t *testing.T) {
	tracker, server, repo, source := follow(t)
	const canary = "canary-1f0c9a"
	server.RequireAuth("robot", canary)
	source.Auth = git.Auth{Username: "robot", Password: secrets.NewValue([]byte(canary))}
	var lines []string
	ctx := logr.NewContext(t.Context(), logger(func(line string) { lines = append(lines, line) }))
	var have []Owned
	step := func(want ...string) {
		t.Helper()
		lines = nil
		outcome := tracker.Plan(ctx, "t", owner, have, false)
		if len(want) == 0 {
			if len(lines) > 0 {
				t.Errorf("logged without a new revision: %s", lines)
			}
			return
		}
		if len(lines) != 1 {
			t.Fatalf("%d lines, want one: %s", len(lines), lines)
		}
		for _, part := range append(want, `"fetched revision"`, `"repository"="`+source.URL+`"`, `"product"="product-1"`, `"branch"="main"`, `"to"="`+tracker.Status.Revision+`"`, `"author"="`+tracker.Status.Author+`"`) {
			if !strings.Contains(lines[0], part) {
				t.Errorf("the line lacks %s: %s", part, lines[0])
			}
		}
		if strings.Contains(lines[0], canary) || strings.Contains(lines[0], source.Auth.Username) {
			t.Errorf("the line holds a credential: %s", lines[0])
		}
		have = nil
		for _, item := range outcome.Set.Items {
			have = append(have, Owned{ID: item.ID, Path: outcome.Paths[item.ID]})
		}
	}
	step()
	first := repo.Push(map[string]string{"README.md": "a", "envs/dev.yaml": environmentFile, "projects/api/api.yaml": projectFile("api", "go"), "projects/web/web.yaml": projectFile("web", "go"), "envs/bad.yaml": "x"})
	mustFetch(t, tracker, source)
	step(`"from"=""`, `"filesChanged"=4`, `"objectsToWrite"=3`, `"objectsToRemove"=0`, `"objectsHeldBack"=0`, `"filesRefused"=1`)
	step()
	mustFetch(t, tracker, source)
	step()
	repo.Commit(githost.Commit{Files: map[string]string{"projects/api/api.yaml": projectFile("api", "rust"), "README.md": "b"}, Delete: []string{"projects/web/web.yaml", "envs/bad.yaml"}})
	mustFetch(t, tracker, source)
	step(`"from"="`+first+`"`, `"filesChanged"=3`, `"objectsToWrite"=1`, `"objectsToRemove"=1`, `"filesRefused"=0`)
	step()
	repo.Commit(githost.Commit{Delete: []string{"projects/api/api.yaml", "envs/dev.yaml"}, Files: map[string]string{"README.md": "c"}})
	mustFetch(t, tracker, source)
	step(`"filesChanged"=2`, `"objectsToWrite"=0`, `"objectsToRemove"=0`, `"objectsHeldBack"=2`)

	// A URL with a credential in it is refused, and nothing is logged.
	with := source
	with.URL = strings.Replace(source.URL, "://", "://robot:"+canary+"@", 1)
	if err := tracker.Fetch(ctx, with); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("Fetch: %v", err)
	}
	step()
}
