package git

import (
	"context"
	"encoding/hex"
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

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
)

func TestFetchFollowsTheBranch(t *testing.T) {
	m, _, repo, src := setUp(t)
	first := repo.Commit(githost.Commit{
		Files:  map[string]string{"envs/dev.yaml": "one", "README.md": "hello"},
		Author: "Zoë <zoe@example.com>", Date: "1700000001 +0200",
	})
	got := fetch(t, m, src)
	want := Commit{Hash: first, Author: "Zoë <zoe@example.com>", Time: time.Unix(1700000001, 0).UTC()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("first commit (-want +got):\n%s", diff)
	}
	second := repo.Commit(githost.Commit{Files: map[string]string{"envs/dev.yaml": "two"}, Delete: []string{"README.md"}})
	if got := fetch(t, m, src); got.Hash != second {
		t.Errorf("after a push the head is %s, want %s", got.Hash, second)
	}
	if diff := cmp.Diff(map[string]string{"envs/dev.yaml": "two"}, contents(t, m, second)); diff != "" {
		t.Errorf("content of the head (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"envs/dev.yaml": "one", "README.md": "hello"}, contents(t, m, first)); diff != "" {
		t.Errorf("content of the revision before it (-want +got):\n%s", diff)
	}
	head, err := m.Head(context.Background(), src)
	if err != nil || head != second {
		t.Errorf("Head = %s, %v; want %s", head, err, second)
	}
	if left := leftovers(t, m); len(left) != 0 {
		t.Errorf("left in the scratch directory: %v", left)
	}
}

func TestFetchFollowsOtherBranchesAndURLs(t *testing.T) {
	m, server, repo, src := setUp(t)
	repo.Push(map[string]string{"a": "main"})
	other := repo.Commit(githost.Commit{Branch: "feature/x", Files: map[string]string{"a": "feature"}})
	fetch(t, m, src)
	src.Branch = "feature/x"
	if got := fetch(t, m, src); got.Hash != other {
		t.Errorf("head of the other branch is %s, want %s", got.Hash, other)
	}
	moved := server.Repo("demo/moved")
	hash := moved.Push(map[string]string{"a": "moved"})
	if got := fetch(t, m, Source{URL: moved.URL(), Branch: "main"}); got.Hash != hash {
		t.Errorf("head of the other repository is %s, want %s", got.Hash, hash)
	}
	if _, err := m.Tree(context.Background(), key, other); !errors.Is(err, ErrUnknownRevision) {
		t.Errorf("a revision of the repository before: %v, want ErrUnknownRevision", err)
	}
}

func TestFetchFollowsRewrittenHistory(t *testing.T) {
	m, _, repo, src := setUp(t)
	base := repo.Push(map[string]string{"a": "1", "b": "1"})
	lost := repo.Push(map[string]string{"a": "2"})
	fetch(t, m, src)
	repo.Git("update-ref", "refs/heads/main", base)
	forced := repo.Push(map[string]string{"b": "2"})
	if got := fetch(t, m, src); got.Hash != forced {
		t.Fatalf("head after a forced push is %s, want %s", got.Hash, forced)
	}
	changes, forward, err := m.Diff(context.Background(), key, lost, forced)
	if err != nil || forward || len(changes) != 2 {
		t.Errorf("Diff across the forced push = %d changes, fast-forward %v, %v; want 2, false, nil", len(changes), forward, err)
	}
	orphan := repo.Commit(githost.Commit{Orphan: true, Files: map[string]string{"c": "3"}})
	fetch(t, m, src)
	if diff := cmp.Diff(map[string]string{"c": "3"}, contents(t, m, orphan)); diff != "" {
		t.Errorf("content after the new history (-want +got):\n%s", diff)
	}
	_, forward, err = m.Diff(context.Background(), key, forced, orphan)
	if err != nil || forward {
		t.Errorf("Diff to the new history: fast-forward %v, %v; want false, nil", forward, err)
	}
}

func TestFetchErrors(t *testing.T) {
	server := githost.New(t)
	repo := server.Repo("demo/default.project")
	repo.Push(map[string]string{"a": "1"})
	empty := server.Repo("demo/empty")
	status := func(code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			http.Error(w, "remote: secret-of-the-server", code)
			return true
		}
	}
	tests := map[string]struct {
		url, branch string
		auth        Auth
		hook        func(http.ResponseWriter, *http.Request) bool
		user        string
		wantErr     error
		wantReason  string
	}{
		"branch missing":     {branch: "absent", wantErr: ErrBranchMissing},
		"empty repository":   {url: empty.URL(), wantErr: ErrBranchMissing},
		"no credentials":     {user: "ann", wantErr: ErrAuthentication},
		"wrong credentials":  {user: "ann", auth: Auth{Username: "ann", Password: secrets.NewValue([]byte("wrong"))}, wantErr: ErrAuthentication},
		"forbidden":          {hook: status(403), wantErr: ErrAuthentication},
		"repository missing": {url: server.URL + "/demo/absent.git", wantErr: ErrRepositoryMissing},
		"server broken":      {hook: status(502), wantErr: ErrUnreachable},
		"no server":          {url: "http://127.0.0.1:1/x.git", wantErr: ErrUnreachable},
		"not git": {wantErr: ErrUnreachable, hook: func(w http.ResponseWriter, _ *http.Request) bool {
			_, _ = w.Write([]byte("<html>\nwelcome\n</html>\n"))
			return true
		}},
		"redirect": {wantErr: ErrUnreachable, wantReason: "redirects", hook: func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, server.URL+"/demo/empty.git"+strings.TrimPrefix(r.URL.Path, "/demo/default.project.git")+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
			return !strings.Contains(r.URL.Path, "empty")
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server.RequireAuth(tt.user, "right")
			server.Intercept(tt.hook)
			src := Source{URL: repo.URL(), Branch: "main", Auth: tt.auth}
			if tt.url != "" {
				src.URL = tt.url
			}
			if tt.branch != "" {
				src.Branch = tt.branch
			}
			m := testMirrors(t, nil)
			_, err := m.Fetch(context.Background(), key, src)
			_, headErr := m.Head(context.Background(), src)
			for operation, err := range map[string]error{"Fetch": err, "Head": headErr} {
				if !errors.Is(err, tt.wantErr) {
					t.Errorf("%s: %v, want %v", operation, err, tt.wantErr)
					continue
				}
				if !strings.Contains(err.Error(), tt.wantReason) || strings.Contains(err.Error(), "secret-of-the-server") {
					t.Errorf("%s: message %q", operation, err)
				}
			}
		})
	}
}

func TestMalformedObjectsAreRefused(t *testing.T) {
	m, _, repo, src := setUp(t)
	repo.Push(map[string]string{"a": "1"})
	blob, err := hex.DecodeString(repo.Git("rev-parse", "main:a"))
	if err != nil {
		t.Fatal(err)
	}
	tree := repo.GitWith("100644 .git\x00"+string(blob), "hash-object", "-t", "tree", "-w", "--stdin", "--literally")
	repo.Git("update-ref", "refs/heads/main", repo.Git("commit-tree", "-m", "malformed", tree))
	if _, err := m.Fetch(context.Background(), key, src); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "malformed") {
		t.Errorf("Fetch: %v, want ErrRefused about malformed objects", describe(err))
	}
}

func TestFetchWithCredentials(t *testing.T) {
	m, server, repo, src := setUp(t)
	hash := repo.Push(map[string]string{"a": "1"})
	for name, user := range map[string]string{"named": "ann", "unnamed": ""} {
		t.Run(name, func(t *testing.T) {
			want := user
			if want == "" {
				want = "oauth2"
			}
			server.RequireAuth(want, "pass word:ü")
			src.Auth = Auth{Username: user, Password: secrets.NewValue([]byte("pass word:ü"))}
			if got := fetch(t, m, src); got.Hash != hash {
				t.Errorf("head is %s, want %s", got.Hash, hash)
			}
		})
	}
}

func TestFetchByTLS(t *testing.T) {
	server := githost.NewTLS(t)
	repo := server.Repo("demo/default.project")
	hash := repo.Push(map[string]string{"a": "1"})
	src := Source{URL: repo.URL(), Branch: "main"}
	if _, err := testMirrors(t, nil).Fetch(context.Background(), key, src); !errors.Is(err, ErrCertificate) || !strings.Contains(err.Error(), "signed by itself") {
		t.Errorf("unknown authority: %v, want ErrCertificate", err)
	}
	m := testMirrors(t, func(o *Options) { o.CAFile = server.CertificateFile() })
	if got := fetch(t, m, src); got.Hash != hash {
		t.Errorf("head is %s, want %s", got.Hash, hash)
	}
}

func TestFetchesOfOneKeyWaitForEachOther(t *testing.T) {
	m, server, repo, src := setUp(t)
	hash := repo.Push(map[string]string{"a": "1"})
	fetch(t, m, src)
	const fetches = 6
	waiting := func() bool {
		m.mirrors.mu.Lock()
		defer m.mirrors.mu.Unlock()
		return m.mirrors.entries[key].users >= fetches
	}
	// A fetch sends one request at a time, so requests that overlap are of two
	// fetches. The first one lasts until all the others have begun.
	var requests, running, overlaps atomic.Int32
	server.Intercept(func(_ http.ResponseWriter, _ *http.Request) bool {
		if running.Add(1) > 1 {
			overlaps.Add(1)
		}
		defer running.Add(-1)
		if requests.Add(1) == 1 {
			eventually(t, "all fetches have begun", waiting)
		}
		return false
	})
	var group sync.WaitGroup
	for range fetches {
		group.Go(func() {
			if got, err := m.Fetch(context.Background(), key, src); err != nil || got.Hash != hash {
				t.Errorf("Fetch = %v, %v", got, err)
			}
		})
	}
	group.Wait()
	if n := overlaps.Load(); n != 0 {
		t.Errorf("%d requests of fetches of one key overlapped", n)
	}
}

func TestFetchesOfDifferentKeysDoNotWait(t *testing.T) {
	m, server, repo, src := setUp(t)
	repo.Push(map[string]string{"a": "1"})
	// No request is answered before both fetches have sent one.
	var first sync.WaitGroup
	first.Add(2)
	var requests atomic.Int32
	server.Intercept(func(http.ResponseWriter, *http.Request) bool {
		if requests.Add(1) <= 2 {
			first.Done()
		}
		first.Wait()
		return false
	})
	var group sync.WaitGroup
	for i := range 2 {
		group.Go(func() {
			if _, err := m.Fetch(context.Background(), fmt.Sprint("product-", i), src); err != nil {
				t.Errorf("Fetch: %v", err)
			}
		})
	}
	group.Wait()
}

func TestAWaitingFetchCanBeCanceled(t *testing.T) {
	m, server, repo, src := setUp(t)
	repo.Push(map[string]string{"a": "1"})
	entered, leave := make(chan struct{}, 8), make(chan struct{})
	server.Intercept(func(http.ResponseWriter, *http.Request) bool {
		entered <- struct{}{}
		<-leave
		return false
	})
	first := make(chan error, 1)
	go func() {
		_, err := m.Fetch(context.Background(), key, src)
		first <- err
	}()
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := m.Fetch(ctx, key, src); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting fetch: %v, want the context's error", err)
	}
	close(leave)
	if err := <-first; err != nil {
		t.Errorf("fetch that was waited for: %v", err)
	}
}

func TestAKilledFetchLeavesAUsableMirror(t *testing.T) {
	m, server, repo, src := setUp(t)
	before := repo.Push(map[string]string{"a": "1"})
	fetch(t, m, src)
	after := repo.Push(map[string]string{"a": "2"})
	entered := make(chan struct{}, 8)
	server.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
			return false
		}
		entered <- struct{}{}
		<-r.Context().Done()
		return true
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := m.Fetch(ctx, key, src)
		done <- err
	}()
	<-entered
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("canceled fetch: %v, want context.Canceled", err)
	}
	eventually(t, "no process of the canceled fetch is left", func() bool { return len(processes(t, mirrorDir(m))) == 0 })
	server.Intercept(nil)
	if diff := cmp.Diff(map[string]string{"a": "1"}, contents(t, m, before)); diff != "" {
		t.Errorf("mirror after the kill (-want +got):\n%s", diff)
	}
	if got := fetch(t, m, src); got.Hash != after {
		t.Errorf("fetch after the kill = %s, want %s", got.Hash, after)
	}
}

func TestATimeoutIsUnreachable(t *testing.T) {
	server := githost.New(t)
	repo := server.Repo("demo/default.project")
	repo.Push(map[string]string{"a": "1"})
	server.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	m := testMirrors(t, func(o *Options) { o.Timeout = 200 * time.Millisecond })
	_, err := m.Fetch(context.Background(), key, Source{URL: repo.URL(), Branch: "main"})
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "200ms") {
		t.Errorf("Fetch: %v, want ErrUnreachable that names the time", err)
	}
}

func TestAGitThatDoesNotEndIsKilled(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\n[ \"$1\" = version ] && { echo git version 2.39.0; exit; }\ntrap '' TERM\nsleep 60 &\nwait\n"
	if err := os.WriteFile(filepath.Join(dir, "git"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	m := testMirrors(t, func(o *Options) { o.Timeout = 100 * time.Millisecond })
	before := time.Now()
	if err := m.run(context.Background(), command{dir: "/stubborn", repository: "r", args: []string{"fetch"}}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("run: %v, want ErrUnreachable", err)
	}
	if took := time.Since(before); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	eventually(t, "no process is left", func() bool { return len(processes(t, "/stubborn")) == 0 })
}

// processes returns the ids of processes that work in a repository.
func processes(t *testing.T, dir string) []string {
	t.Helper()
	environs, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil || len(environs) == 0 {
		t.Skip("there is no /proc")
	}
	var found []string
	for _, path := range environs {
		content, _ := os.ReadFile(path)
		if strings.Contains(string(content), "GIT_DIR="+dir+"\x00") {
			found = append(found, filepath.Base(filepath.Dir(path)))
		}
	}
	return found
}

func TestDamagedMirrorsHeal(t *testing.T) {
	tests := map[string]struct {
		damage func(t *testing.T, dir string)
		// wantReadError: the damage shows when the mirror is read, not when it is fetched.
		wantReadError bool
	}{
		"no HEAD":       {damage: func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "HEAD")) }},
		"no objects":    {damage: func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "objects")) }},
		"broken config": {damage: func(t *testing.T, dir string) { write(t, filepath.Join(dir, "config"), "[core\nx") }},
		"broken ref":    {damage: func(t *testing.T, dir string) { write(t, filepath.Join(dir, headRef), "rubbish") }},
		"dangling ref":  {damage: func(t *testing.T, dir string) { write(t, filepath.Join(dir, headRef), strings.Repeat("ab", 20)+"\n") }},
		"no mirror":     {damage: remove},
		"not a mirror":  {damage: func(t *testing.T, dir string) { remove(t, dir); write(t, dir, "a file") }},
		"another owner": {damage: func(t *testing.T, dir string) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give files away")
			}
			err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
				return errors.Join(err, os.Lchown(path, 4711, 4711))
			})
			if err != nil {
				t.Fatal(err)
			}
		}},
		"stale ref lock": {damage: func(t *testing.T, dir string) { write(t, filepath.Join(dir, headRef+".lock"), "") }},
		"truncated packs": {wantReadError: true, damage: func(t *testing.T, dir string) {
			packs, _ := filepath.Glob(filepath.Join(dir, "objects", "pack", "*"))
			for _, pack := range packs {
				if err := os.Chmod(pack, 0o600); err != nil {
					t.Fatal(err)
				}
				write(t, pack, "x")
			}
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m, _, repo, src := setUp(t)
			hash := repo.Push(map[string]string{"a": "1", "b/c": "2"})
			fetch(t, m, src)
			tt.damage(t, mirrorDir(m))
			restarted, err := New(filepath.Dir(m.store), m.options)
			if err != nil {
				t.Fatal(err)
			}
			_, readErr := restarted.Tree(context.Background(), key, hash)
			if tt.wantReadError && readErr == nil {
				t.Error("a damaged mirror was read without an error")
			}
			if got := fetch(t, restarted, src); got.Hash != hash {
				t.Errorf("Fetch = %s, want %s", got.Hash, hash)
			}
			if diff := cmp.Diff(map[string]string{"a": "1", "b/c": "2"}, contents(t, restarted, hash)); diff != "" {
				t.Errorf("content after the damage (-want +got):\n%s", diff)
			}
			if left := leftovers(t, restarted); len(left) != 0 {
				t.Errorf("left in the scratch directory: %v", left)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAMirrorStaysWhenItsServerIsGone(t *testing.T) {
	m, server, repo, src := setUp(t)
	hash := repo.Push(map[string]string{"a": "1"})
	fetch(t, m, src)
	server.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return true
	})
	if _, err := m.Fetch(context.Background(), key, src); !errors.Is(err, ErrUnreachable) {
		t.Errorf("Fetch: %v, want ErrUnreachable", err)
	}
	if diff := cmp.Diff(map[string]string{"a": "1"}, contents(t, m, hash)); diff != "" {
		t.Errorf("mirror without its server (-want +got):\n%s", diff)
	}
}

func TestMirrorsAreTidiedUp(t *testing.T) {
	m, _, repo, src := setUp(t)
	repo.Push(map[string]string{"a": "0"})
	fetch(t, m, src)
	const pushes = 30
	// The entry's token is not needed, because nothing else uses the entry.
	m.mirrors.entries[key].revisions = collectEvery - pushes
	packs := func() int {
		found, err := filepath.Glob(filepath.Join(mirrorDir(m), "objects", "pack", "*.pack"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	most, last := 0, ""
	for i := range pushes {
		last = repo.Push(map[string]string{"dir/a": fmt.Sprint(i)})
		fetch(t, m, src)
		most = max(most, packs())
	}
	if most < pushes {
		t.Fatalf("the test makes only %d packs", most)
	}
	if left := packs(); left > 2 {
		t.Errorf("%d packs are left", left)
	}
	if diff := cmp.Diff(map[string]string{"a": "0", "dir/a": fmt.Sprint(pushes - 1)}, contents(t, m, last)); diff != "" {
		t.Errorf("content after the tidying (-want +got):\n%s", diff)
	}
}
