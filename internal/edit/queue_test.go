package edit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/git"
	. "nautes.io/nautes/test/testutil"
)

// hook makes the server run a script when it gets a push.
func (w world) hook(t testing.TB, script string) {
	t.Helper()
	w.hookOf(t, "pre-receive", script)
}

// hookOf makes the server run a script as one of its hooks.
func (w world) hookOf(t testing.TB, name, script string) {
	t.Helper()
	dir := filepath.Join(w.repo.Git("rev-parse", "--absolute-git-dir"), "hooks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// TestManyWriters holds that each accepted request of many callers is one commit, by its
// caller, on valid files, while others push too.
func TestManyWriters(t *testing.T) {
	for name, callers := range map[string]int{"of few callers": 5, "each its own caller": writers} {
		t.Run(name, func(t *testing.T) { manyWriters(t, callers) })
	}
}

// writers is the number of requests at the same time.
const writers = 50

func manyWriters(t *testing.T, callers int) {
	w := *newWorld(t).tenant(t)
	head := w.seed(t)
	w.see(t)
	var wait sync.WaitGroup
	var commits sync.Map
	for i := range writers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			q := w.save(Environment(product, fmt.Sprintf("env-%02d", i), "worker"))
			caller := fmt.Sprintf("caller-%d", i%callers)
			q.Caller = Caller{Name: caller, Email: caller + "@example.com", Key: caller}
			got, err := w.Do(context.Background(), q)
			if err != nil {
				t.Error(describe(err))
				return
			}
			commits.Store(got.Commit, caller)
		}()
	}
	w.repo.Push(map[string]string{"README.md": "by another"})
	wait.Wait()
	lines := strings.Split(w.repo.Git("log", "--format=%H %an", head+"..main"), "\n")
	if len(lines) != writers+1 {
		t.Errorf("%d commits, want %d", len(lines), writers+1)
	}
	for _, line := range lines {
		hash, author, _ := strings.Cut(line, " ")
		if caller, known := commits.Load(hash); known && caller != author {
			t.Errorf("commit %s of %s is by %s", hash, caller, author)
		}
		if got := w.repo.Git("diff", "--name-only", hash+"~1", hash); strings.Contains(got, "\n") {
			t.Errorf("commit %s changes %q", hash, got)
		}
		entries, err := w.entriesAt(t.Context(), w.repository(), nil, hash)
		if err != nil {
			t.Fatal(err)
		}
		if v := newView(git.Source{}, hash, time.Time{}, entries); len(v.Problems()) > 0 {
			t.Errorf("commit %s: %v", hash, v.Problems())
		}
	}
	v := w.see(t)
	if len(v.List("Environment")) != writers+2 || len(v.Problems()) > 0 {
		t.Errorf("%d environments, problems %v", len(v.List("Environment")), v.Problems())
	}
}

// TestPrepare holds that a prepared secret stays only if the change is made.
func TestPrepare(t *testing.T) {
	refuses := errors.New("the store is closed")
	for name, tt := range map[string]struct {
		hook, name string
		prepareErr error
		change     func(*Request)
		wantErr    bool
		// wantPrepared and wantUndone count calls.
		wantPrepared, wantUndone int32
	}{
		"pushed":        {name: "test", wantPrepared: 1},
		"denied":        {name: "test", hook: "exit 1", wantErr: true, wantPrepared: 1, wantUndone: 1},
		"race, denied":  {name: "test", hook: "if [ -e raced ]; then exit 1; fi; touch raced; unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main $(git commit-tree -p main -m other main^{tree})", wantErr: true, wantPrepared: 1, wantUndone: 1},
		"not judged":    {name: "Test", wantErr: true},
		"not prepared":  {name: "test", prepareErr: refuses, wantErr: true, wantPrepared: 1},
		"nothing to do": {name: "dev", wantPrepared: 1},
		"dry run":       {name: "test", change: func(q *Request) { q.DryRun = true }},
	} {
		t.Run(name, func(t *testing.T) {
			w := *newWorld(t).tenant(t)
			head := w.seed(t)
			if tt.hook != "" {
				w.hook(t, tt.hook)
			}
			var prepared, undone atomic.Int32
			q := w.save(Environment(product, tt.name, "worker"))
			if tt.change != nil {
				tt.change(&q)
			}
			q.Prepare = func(context.Context) (func(context.Context) error, error) {
				prepared.Add(1)
				return func(context.Context) error { undone.Add(1); return nil }, tt.prepareErr
			}
			_, err := w.Do(context.Background(), q)
			if (err != nil) != tt.wantErr || prepared.Load() != tt.wantPrepared || undone.Load() != tt.wantUndone {
				t.Errorf("Do: %v, prepared %d times and undone %d times", describe(err), prepared.Load(), undone.Load())
			}
			if tt.wantErr && strings.Contains(w.repo.Git("log", "--format=%s", head+"..main"), "Save") {
				t.Error("there is a commit")
			}
		})
	}
}

// TestReplay holds that a repeated request makes no second commit, also by another
// process.
func TestReplay(t *testing.T) {
	w := *newWorld(t).tenant(t)
	w.seed(t)
	keyed := func(key, env, cluster string) Request {
		return w.save(Environment(product, env, cluster), func(q *Request) {
			q.Trailers = []Trailer{{Key: TrailerIdempotencyKey, Value: key}}
		})
	}
	first, err := w.Do(context.Background(), keyed("1", "test", "worker"))
	if err != nil {
		t.Fatal(describe(err))
	}
	if _, err := w.Do(context.Background(), keyed("2", "test", "pipes")); err != nil {
		t.Fatal(describe(err))
	}
	restarted := w
	restarted.Editor = newEditor(t, t.TempDir())
	restarted.Editor.TenantRepository = w.TenantRepository
	for name, world := range map[string]world{"the same": w, "another": restarted} {
		again, err := world.Do(context.Background(), keyed("1", "test", "worker"))
		if err != nil || again.Commit != first.Commit || again.Path != first.Path || again.Blob != first.Blob || !again.Changed {
			t.Errorf("%s process: Do = %+v, %v; want %+v", name, again, describe(err), first)
		}
		if _, err := world.Do(context.Background(), keyed("1", "other", "worker")); !errors.Is(err, ErrKeyReused) {
			t.Errorf("%s process: another request: %v", name, err)
		}
	}
	others := keyed("1", "others", "worker")
	others.Caller = Caller{Name: "Bob", Email: "bob@example.com", Key: "bob"}
	if got, err := w.Do(context.Background(), others); err != nil || got.Commit == first.Commit {
		t.Errorf("the same key of another caller: %v", describe(err))
	}
	head := w.repo.Git("rev-parse", "main")
	var wait sync.WaitGroup
	for range 5 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if _, err := w.Do(context.Background(), keyed("4", "dev", "pipes")); err != nil {
				t.Error(describe(err))
			}
		}()
	}
	wait.Wait()
	if got := w.repo.Git("rev-list", "--count", head+"..main"); got != "1" {
		t.Errorf("%s commits for five requests with one key", got)
	}
}

// TestDryRun holds that a dry run shows the change of files and of objects on clusters,
// and makes neither.
func TestDryRun(t *testing.T) {
	w := *newWorld(t).tenant(t)
	head := w.seed(t, DeploymentRuntime(product, "app", "dev", "repo", For("api")))
	dry := func(q *Request) { q.DryRun = true }
	for name, tt := range map[string]struct {
		request                       Request
		wantDiff                      []string
		wantMade, wantChanged, pruned string
	}{
		"made": {request: w.save(DeploymentRuntime(product, "new", "dev", "repo", For("api")), dry),
			wantDiff: []string{"--- /dev/null\n+++ b/runtimes/new.yaml\n", "+  name: new\n"}, wantMade: "Application.argoproj.io argocd/product-1-new"},
		"changed": {request: w.save(DeploymentRuntime(product, "app", "dev", "repo", For("api"), func(r *v1alpha1.DeploymentRuntime) { r.Spec.ManifestSource.Path = "other" }), dry),
			wantDiff: []string{"--- a/runtimes/app.yaml\n+++ b/runtimes/app.yaml\n", "+    path: other\n"}, wantChanged: "Application.argoproj.io argocd/product-1-app"},
		"pruned": {request: w.remove("DeploymentRuntime", "app", dry),
			wantDiff: []string{"--- a/runtimes/app.yaml\n+++ /dev/null\n", "-  name: app\n"}, pruned: "Application.argoproj.io argocd/product-1-app"},
		"nothing": {request: w.save(Environment(product, "dev", "worker"), dry)},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := w.Do(context.Background(), tt.request)
			if err != nil {
				t.Fatal(describe(err))
			}
			for _, text := range tt.wantDiff {
				if !strings.Contains(got.Diff, text) {
					t.Errorf("diff %q, want %q in it", got.Diff, text)
				}
			}
			if tt.wantDiff == nil && (got.Diff != "" || got.Plan != nil) {
				t.Errorf("Do = %+v", got)
			}
			listed := map[string]string{}
			for _, set := range got.Plan {
				listed["made"] += fmt.Sprint(set.Made)
				listed["changed"] += fmt.Sprint(set.Changed)
				listed["pruned"] += fmt.Sprint(set.Pruned)
			}
			for kind, want := range map[string]string{"made": tt.wantMade, "changed": tt.wantChanged, "pruned": tt.pruned} {
				if !strings.Contains(listed[kind], want) {
					t.Errorf("%s: %s, want %s", kind, listed[kind], want)
				}
			}
			if now := w.repo.Git("rev-parse", "main"); now != head {
				t.Errorf("the branch is at %s", now)
			}
		})
	}
}

// TestServerFails holds that a request that fails leaves nothing, and succeeds when it is
// repeated.
func TestServerFails(t *testing.T) {
	for _, service := range []string{"info/refs?service=git-upload-pack", "git-upload-pack", "git-receive-pack"} {
		t.Run(service, func(t *testing.T) {
			w := *newWorld(t).tenant(t)
			head := w.seed(t)
			w.host.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.String(), service) || strings.Contains(r.URL.Path, "tenant/") {
					return false
				}
				rw.WriteHeader(http.StatusBadGateway)
				return true
			})
			q := w.save(Environment(product, "test", "worker"))
			if _, err := w.Do(context.Background(), q); !errors.Is(err, git.ErrUnreachable) {
				t.Errorf("Do: %v, want %v", describe(err), git.ErrUnreachable)
			}
			if now := w.repo.Git("rev-parse", "main"); now != head {
				t.Errorf("the branch is at %s", now)
			}
			w.host.Intercept(nil)
			got, err := w.Do(context.Background(), q)
			if diff := cmp.Diff("envs/test.yaml", got.Path); err != nil || diff != "" {
				t.Errorf("repeated: %v %s", describe(err), diff)
			}
		})
	}
}
