package edit

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
	. "nautes.io/nautes/test/testutil"
)

// The steps of a request at which it can end.
const (
	stepFetch    = "fetch"
	stepPrepare  = "prepare"
	stepPrepared = "prepared"
	stepListing  = "listing"
	stepPush     = "push"
	stepPushed   = "pushed"
)

// environment variables of the process that is killed.
const (
	envDir, envProduct, envTenant, envAt = "EDIT_DIR", "EDIT_PRODUCT", "EDIT_TENANT", "EDIT_AT"
	pidFile, storeFile                   = "pid", "store"
)

// keyed is a request with a key and a secret, which it stores in a file.
func keyed(dir string, r Repository, step func(string)) Request {
	store := filepath.Join(dir, storeFile)
	return Request{
		Repository: r, Caller: ann(), Save: Environment(product, "test", "worker"), Subject: "[API] Save Environment test",
		Trailers: []Trailer{{Key: TrailerIdempotencyKey, Value: "key"}},
		Prepare: func(ctx context.Context) (func(context.Context) error, error) {
			step(stepPrepare)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			err := os.WriteFile(store, []byte("secret"), 0o600)
			step(stepPrepared)
			return func(context.Context) error { return os.Remove(store) }, err
		},
	}
}

// meet makes the host call f when a request reaches a step that the host sees, and fail
// from then on. A push lists branches only if the host refuses the one without a list.
func (w world) meet(at string, f func()) {
	service := map[string]string{stepFetch: "git-upload-pack", stepListing: "service=git-receive-pack", stepPush: "git-receive-pack"}[at]
	if service == "" {
		return
	}
	var met atomic.Bool
	w.host.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		ours := strings.Contains(r.URL.Path, "team-1/")
		switch {
		case ours && strings.HasSuffix(r.URL.String(), service):
			if !met.Swap(true) {
				f()
			}
			rw.WriteHeader(http.StatusBadGateway)
		case ours && at == stepListing && strings.HasSuffix(r.URL.Path, "git-receive-pack"):
			rw.WriteHeader(http.StatusBadRequest)
		default:
			return false
		}
		return true
	})
}

// TestKilled kills the process at each step of a request. The repeated request of another
// process must leave one commit and the secret.
func TestKilled(t *testing.T) {
	if at := os.Getenv(envAt); at != "" {
		killed(t, at)
		return
	}
	for at, wantStored := range map[string]bool{stepFetch: false, stepPrepare: false, stepPrepared: true, stepListing: true, stepPush: true, stepPushed: true} {
		t.Run(at, func(t *testing.T) {
			w := *newWorld(t).tenant(t)
			head := w.seed(t)
			dir := t.TempDir()
			tenant, err := w.TenantRepository(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
			child.Env = append(os.Environ(), envDir+"="+dir, envProduct+"="+w.repo.URL(), envTenant+"="+tenant.Source.URL, envAt+"="+at)
			w.meet(at, func() {
				content, err := os.ReadFile(filepath.Join(dir, pidFile))
				if pid, _ := strconv.Atoi(string(content)); err != nil || syscall.Kill(pid, syscall.SIGKILL) != nil {
					t.Errorf("the process %q cannot be killed: %v", content, err)
				}
			})
			if at == stepPushed {
				w.hookOf(t, "post-receive", "kill -9 $(cat "+filepath.Join(dir, pidFile)+")")
			}
			out, err := child.CombinedOutput()
			var ended *exec.ExitError
			if !errors.As(err, &ended) || ended.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the process was not killed: %v\n%s", err, out)
			}
			w.host.Intercept(nil)
			if _, err := os.Stat(filepath.Join(dir, storeFile)); (err == nil) != wantStored {
				t.Errorf("after the kill, the secret: %v", err)
			}
			e := newEditor(t, filepath.Join(dir, "mirrors"))
			e.TenantRepository = w.TenantRepository
			w.repaired(t, e, dir, head)
		})
	}
}

// repaired repeats the request of keyed, and holds that there is one commit.
func (w world) repaired(t *testing.T, e *Editor, dir, head string) {
	t.Helper()
	got, err := e.Do(t.Context(), keyed(dir, w.repository(), func(string) {}))
	if err != nil {
		t.Fatal(describe(err))
	}
	if commits := w.repo.Git("rev-list", head+"..main"); commits != got.Commit {
		t.Errorf("commits %q, want %q", commits, got.Commit)
	}
	if content, err := os.ReadFile(filepath.Join(dir, storeFile)); string(content) != "secret" {
		t.Errorf("stored %q, %v", content, err)
	}
	if _, found := w.see(t).Get("Environment", "test"); !found {
		t.Error("the object is missing")
	}
}

// killed sends the request in a process of its own.
func killed(t *testing.T, at string) {
	dir := os.Getenv(envDir)
	kill := func(step string) {
		if step == at {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, pidFile), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		t.Fatal(err)
	}
	e := newEditor(t, filepath.Join(dir, "mirrors"))
	e.TenantRepository = func(context.Context) (Repository, error) {
		return Repository{Key: "tenant", Source: git.Source{URL: os.Getenv(envTenant), Branch: "main"}, Scope: layout.Scope{Tenant: true, Namespace: "nautes"}}, nil
	}
	r := Repository{Key: product, Source: git.Source{URL: os.Getenv(envProduct), Branch: "main"}, Scope: layout.Scope{Namespace: product}, Group: "team-1"}
	_, err := e.Do(context.Background(), keyed(dir, r, kill))
	t.Fatalf("the process lives: %v", describe(err))
}

// TestCanceled ends the context of a request at each step. A request that fails leaves
// nothing, and its repetition makes the commit.
func TestCanceled(t *testing.T) {
	for at, wantErr := range map[string]bool{stepFetch: true, stepPrepare: true, stepPrepared: false, stepListing: true, stepPush: true} {
		t.Run(at, func(t *testing.T) {
			w := *newWorld(t).tenant(t)
			head := w.seed(t)
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.meet(at, cancel)
			_, err := w.Do(ctx, keyed(dir, w.repository(), func(step string) {
				if step == at {
					cancel()
				}
			}))
			w.host.Intercept(nil)
			_, missing := os.Stat(filepath.Join(dir, storeFile))
			commits := w.repo.Git("rev-list", head+"..main")
			if (err != nil) != wantErr || (missing != nil) != wantErr || (commits == "") != wantErr {
				t.Errorf("Do: %v, secret: %v, commits %q", describe(err), missing, commits)
			}
			w.repaired(t, w.Editor, dir, head)
		})
	}
}

// TestPanics holds that a request that panics fails alone, and shows nothing of itself.
func TestPanics(t *testing.T) {
	w := *newWorld(t).tenant(t)
	w.seed(t)
	poison := func(q *Request) {
		q.Prepare = func(context.Context) (func(context.Context) error, error) { panic("canary") }
	}
	outcomes := make(chan error)
	for _, name := range []string{"a", "poison", "b", "c"} {
		go func() {
			q := w.save(Environment(product, name, "worker"))
			if name == "poison" {
				poison(&q)
			}
			_, err := w.Do(context.Background(), q)
			if (err != nil) != (name == "poison") {
				t.Errorf("%s: %v", name, describe(err))
			}
			outcomes <- err
		}()
	}
	for range 4 {
		var panicked *PanicError
		if err := <-outcomes; err != nil && (!errors.As(err, &panicked) || panicked.Stack == "" || strings.Contains(err.Error()+panicked.Stack, "canary")) {
			t.Errorf("%v %+v", err, panicked)
		}
	}
	if got := len(w.see(t).List("Environment")); got != 5 {
		t.Errorf("%d environments", got)
	}
}

// TestFirstCommit holds that a repository without a branch gets its first commits, and
// that a race for the first one loses nothing.
func TestFirstCommit(t *testing.T) {
	for name, raced := range map[string]bool{"alone": false, "raced": true} {
		t.Run(name, func(t *testing.T) {
			w := *newWorld(t).tenant(t)
			if v := w.see(t); v.Revision() != "" || len(v.List("Project")) > 0 {
				t.Fatalf("a view of %q", v.Revision())
			}
			if raced {
				w.repo.Push(map[string]string{"README.md": "by another"})
			}
			first := w.save(Project(product, "api"), func(q *Request) {
				q.Trailers = []Trailer{{Key: TrailerIdempotencyKey, Value: "1"}}
			})
			got, err := w.Do(context.Background(), first)
			if err != nil {
				t.Fatal(describe(err))
			}
			again, err := w.Do(context.Background(), first)
			if err != nil || again.Commit != got.Commit {
				t.Errorf("repeated: %v, %v", again, describe(err))
			}
			if _, err := w.Do(context.Background(), w.save(Project(product, "web"))); err != nil {
				t.Fatal(describe(err))
			}
			want := "2"
			if raced {
				want = "3"
			}
			if got := w.repo.Git("rev-list", "--count", "main"); got != want {
				t.Errorf("%s commits, want %s", got, want)
			}
			if v := w.see(t); len(v.List("Project")) != 2 || len(v.Problems()) > 0 {
				t.Errorf("%d projects, %v", len(v.List("Project")), v.Problems())
			}
		})
	}
}
