package git

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
)

func draft(message string, files map[string]string, removed ...string) Draft {
	d := Draft{Name: "Ann", Email: "ann@example.com", Time: time.Unix(1700000000, 0), Message: message, Files: map[string][]byte{}}
	for path, content := range files {
		d.Files[path] = []byte(content)
	}
	for _, path := range removed {
		d.Files[path] = nil
	}
	return d
}

// hook makes a server run a script when it gets a push.
func hook(t *testing.T, repo *githost.Repo, name, script string) {
	t.Helper()
	dir := repo.Git("rev-parse", "--absolute-git-dir")
	if err := os.MkdirAll(filepath.Join(dir, "hooks"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hooks", name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestPush(t *testing.T) {
	formats := map[string]func(*githost.Server, string) *githost.Repo{"SHA-1": (*githost.Server).Repo, "SHA-256": (*githost.Server).RepoSHA256}
	for name, create := range formats {
		t.Run(name, func(t *testing.T) {
			server := githost.New(t)
			repo := create(server, "demo/default.project")
			if name == "SHA-256" {
				repo.Git("config", "http.receivepack", "true")
			}
			m, src := testMirrors(t, nil), Source{URL: repo.URL(), Branch: "main"}
			repo.Push(map[string]string{"a.yaml": "1\n", "dir/b.yaml": "1\n", "c": "1"})
			base := fetch(t, m, src)
			odd := "dir/a \"b\"\\\té.yaml"
			made, err := m.Push(context.Background(), key, src, base.Hash, []Draft{
				draft("first\n\nRequest-Id: 1\n", map[string]string{"a.yaml": "2\n", odd: "#\nblob\n"}),
				draft("second", map[string]string{"empty": ""}, "dir/b.yaml"),
			})
			if err != nil || len(made) != 2 {
				t.Fatalf("Push = %v, %v", made, describe(err))
			}
			if head := repo.Git("rev-parse", "main"); head != made[1] || repo.Git("rev-parse", "main~1") != made[0] || repo.Git("rev-parse", "main~2") != base.Hash {
				t.Errorf("the branch is at %s, made %v on %s", head, made, base.Hash)
			}
			want := map[string]string{"a.yaml": "2\n", odd: "#\nblob\n", "empty": "", "c": "1"}
			if diff := cmp.Diff(want, contents(t, m, made[1])); diff != "" {
				t.Errorf("files: %s", diff)
			}
			if got := repo.Git("rev-parse", made[0]+":a.yaml"); got != BlobHash(made[0], []byte("2\n")) {
				t.Errorf("blob %s, want %s", BlobHash(made[0], []byte("2\n")), got)
			}
			if got := repo.Git("log", "-1", "--format=%an %ae %at %cn %ce %B", made[0]); got != "Ann ann@example.com 1700000000 Ann ann@example.com first\n\nRequest-Id: 1" {
				t.Errorf("commit %q", got)
			}
			if got := repo.Git("fsck", "--full", "--strict"); strings.Contains(got, "error") {
				t.Error(got)
			}
			if again := fetch(t, m, src); again.Hash != made[1] {
				t.Errorf("the mirror is at %s", again.Hash)
			}
			if left := leftovers(t, m); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// TestPushFirst holds that the first commits of an empty repository can be pushed, and
// overwrite no branch.
func TestPushFirst(t *testing.T) {
	m, _, repo, src := setUp(t)
	if _, err := m.Fetch(context.Background(), key, src); !errors.Is(err, ErrEmpty) || !errors.Is(err, ErrBranchMissing) {
		t.Fatalf("Fetch of an empty repository: %v", describe(err))
	}
	drafts := []Draft{draft("first", map[string]string{"a": "1"}), draft("second", map[string]string{"b": "2"})}
	made, err := m.Push(context.Background(), key, src, "", drafts)
	if err != nil || len(made) != 2 || repo.Git("rev-parse", "main") != made[1] {
		t.Fatalf("Push = %v, %v", made, describe(err))
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "2"}, contents(t, m, made[1])); diff != "" {
		t.Errorf("files: %s", diff)
	}
	if _, err := m.Push(context.Background(), key, src, "", drafts[1:]); !errors.Is(err, ErrOutdated) {
		t.Errorf("a second first push: %v", describe(err))
	}
	fetch(t, m, src)
	next, err := m.Push(context.Background(), key, src, made[1], drafts[:1])
	if err != nil || fetch(t, m, src).Hash != next[0] {
		t.Errorf("a later push: %v, %v", next, describe(err))
	}
	if left := leftovers(t, m); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// TestPushRefused holds that each refusal has its class, and leaves nothing behind.
func TestPushRefused(t *testing.T) {
	const canary = "glpat-canary"
	for name, tt := range map[string]struct {
		before  func(t *testing.T, s *githost.Server, r *githost.Repo)
		wantErr error
		// wantDenied is the reason of a DeniedError.
		wantDenied string
	}{
		"another push": {before: func(_ *testing.T, _ *githost.Server, r *githost.Repo) { r.Push(map[string]string{"b": "2"}) }, wantErr: ErrOutdated},
		"a rewrite": {before: func(_ *testing.T, _ *githost.Server, r *githost.Repo) {
			r.Commit(githost.Commit{Orphan: true, Files: map[string]string{"b": "2"}})
		}, wantErr: ErrOutdated},
		"the branch is gone": {before: func(_ *testing.T, _ *githost.Server, r *githost.Repo) { r.Git("update-ref", "-d", "refs/heads/main") }, wantErr: ErrOutdated},
		"pre-receive": {before: func(t *testing.T, _ *githost.Server, r *githost.Repo) {
			hook(t, r, "pre-receive", "echo GitLab: You are not allowed to push code to protected branches. >&2; echo 'Could not resolve host "+canary+"' >&2; exit 1")
		}, wantDenied: "GitLab: You are not allowed to push code to protected branches. Could not resolve host ***"},
		"a silent hook": {before: func(t *testing.T, _ *githost.Server, r *githost.Repo) { hook(t, r, "pre-receive", "exit 1") }, wantDenied: "pre-receive hook declined"},
		"update":        {before: func(t *testing.T, _ *githost.Server, r *githost.Repo) { hook(t, r, "update", "exit 1") }, wantDenied: "error: hook declined to update refs/heads/main"},
		"another push within": {before: func(t *testing.T, _ *githost.Server, r *githost.Repo) {
			hook(t, r, "pre-receive", "unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main $(git commit-tree -p main -m other main^{tree})")
		}, wantErr: ErrOutdated},
		"not to be pushed to": {before: func(_ *testing.T, s *githost.Server, _ *githost.Repo) {
			s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.Contains(r.URL.String(), "receive-pack") {
					return false
				}
				http.Error(w, "You are not allowed to push code to this project.", http.StatusForbidden)
				return true
			})
		}, wantDenied: "You are not allowed to push code to this project."},
		"a wrong password": {before: func(_ *testing.T, s *githost.Server, _ *githost.Repo) { s.RequireAuth("ann", "other") }, wantErr: ErrAuthentication},
		"no disk":          {before: func(_ *testing.T, _ *githost.Server, r *githost.Repo) { r.Git("config", "receive.maxInputSize", "10") }, wantErr: ErrUnreachable},
		"unavailable": {before: func(_ *testing.T, s *githost.Server, _ *githost.Repo) {
			s.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			})
		}, wantErr: ErrUnreachable},
	} {
		t.Run(name, func(t *testing.T) {
			m, server, repo, src := setUp(t)
			src.Auth = Auth{Username: "ann", Password: secrets.NewValue([]byte(canary))}
			repo.Push(map[string]string{"a": "1"})
			base := fetch(t, m, src)
			tt.before(t, server, repo)
			made, err := m.Push(context.Background(), key, src, base.Hash, []Draft{draft("mine", map[string]string{"a": "2"})})
			var denied *DeniedError
			switch {
			case err == nil || made != nil:
				t.Fatalf("Push = %v, %v", made, err)
			case tt.wantErr != nil && !errors.Is(err, tt.wantErr):
				t.Errorf("Push: %v, want %v", describe(err), tt.wantErr)
			case tt.wantDenied != "" && (!errors.As(err, &denied) || denied.Reason != tt.wantDenied):
				t.Errorf("Push: %v (%+v), want %q", describe(err), denied, tt.wantDenied)
			}
			if strings.Contains(fmt.Sprintf("%+v %v", denied, err), canary) {
				t.Error("the error shows the password")
			}
			if subjects := repo.Git("log", "--all", "--format=%s"); strings.Contains(subjects, "mine") {
				t.Errorf("the server has %q", subjects)
			}
			if left := leftovers(t, m); len(left) > 0 {
				t.Errorf("left %v", left)
			}
			server.Intercept(nil)
			server.RequireAuth("", "")
			if found := m.Has(context.Background(), key, base.Hash); !found {
				t.Error("the mirror has lost the base")
			}
		})
	}
}

// TestPushAnswerLost holds that a push whose answer is lost counts if the server has it.
func TestPushAnswerLost(t *testing.T) {
	for name, tt := range map[string]struct {
		// arrives: the server gets the push before the connection breaks.
		arrives bool
		wantErr error
	}{
		"before": {arrives: false, wantErr: ErrUnreachable},
		"after":  {arrives: true},
	} {
		t.Run(name, func(t *testing.T) {
			m, server, repo, src := setUp(t)
			repo.Push(map[string]string{"a": "1"})
			base := fetch(t, m, src)
			passed := false
			server.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "git-receive-pack") || passed {
					return false
				}
				if tt.arrives {
					passed = true
					again, err := http.NewRequest(r.Method, server.URL+r.URL.Path, r.Body)
					if err != nil {
						t.Error(err)
						return true
					}
					again.Header = r.Header.Clone()
					answer, err := http.DefaultClient.Do(again)
					if err != nil {
						t.Error(err)
						return true
					}
					_ = answer.Body.Close()
				}
				panic(http.ErrAbortHandler)
			})
			made, err := m.Push(context.Background(), key, src, base.Hash, []Draft{draft("mine", map[string]string{"a": "2"})})
			if !errors.Is(err, tt.wantErr) || (err == nil) != (len(made) == 1) {
				t.Fatalf("Push = %v, %v; want %v", made, err, tt.wantErr)
			}
			if got := repo.Git("log", "-1", "--format=%s"); (got == "mine") != tt.arrives {
				t.Errorf("the server is at %q", got)
			}
		})
	}
}

// TestPushOnAnUnknownCommit holds that a mirror which lacks the base asks for a fetch.
func TestPushOnAnUnknownCommit(t *testing.T) {
	m, _, repo, src := setUp(t)
	repo.Push(map[string]string{"a": "1"})
	drafts := []Draft{draft("mine", map[string]string{"a": "2"})}
	if _, err := m.Push(context.Background(), key, src, strings.Repeat("1", 40), drafts); !errors.Is(err, ErrOutdated) {
		t.Errorf("without a mirror: %v", err)
	}
	base := fetch(t, m, src)
	for _, unknown := range []string{strings.Repeat("1", 40), "main", ""} {
		if _, err := m.Push(context.Background(), key, src, unknown, drafts); !errors.Is(err, ErrOutdated) {
			t.Errorf("on %q: %v", unknown, err)
		}
	}
	if again := fetch(t, m, src); again.Hash != base.Hash {
		t.Errorf("the branch is at %s", again.Hash)
	}
	if _, err := m.Push(context.Background(), key, src, base.Hash, drafts); err != nil {
		t.Errorf("after a fetch: %v", describe(err))
	}
}

// TestPushShowsNoSecret holds that credentials are not among git's arguments.
func TestPushShowsNoSecret(t *testing.T) {
	const canary = "glpat-canary"
	m, server, repo, src := setUp(t)
	src.Auth = Auth{Username: "ann", Password: secrets.NewValue([]byte(canary))}
	repo.Push(map[string]string{"a": "1"})
	base := fetch(t, m, src)
	server.RequireAuth("ann", canary)
	first := src
	first.URL = server.Repo("demo/empty").URL()
	var arguments []string
	server.Intercept(func(http.ResponseWriter, *http.Request) bool {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, path := range lines {
			content, _ := os.ReadFile(path)
			arguments = append(arguments, string(content))
		}
		return false
	})
	if _, err := m.Push(context.Background(), key, src, base.Hash, []Draft{draft("mine", map[string]string{"a": "2"})}); err != nil {
		t.Fatal(describe(err))
	}
	// The first commit of a branch is pushed by git.
	if _, err := m.Push(context.Background(), "empty", first, "", []Draft{draft("mine", map[string]string{"a": "2"})}); err != nil {
		t.Fatal(describe(err))
	}
	if all := strings.Join(arguments, "\n"); strings.Contains(all, canary) || !strings.Contains(all, "force-with-lease") {
		t.Errorf("the arguments of %d processes show the password, or the push is not among them", len(arguments))
	}
	err := filepath.WalkDir(mirrorDir(m), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if strings.Contains(string(content), canary) {
			t.Errorf("%s has the password", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestPerson(t *testing.T) {
	for name, tt := range map[string]struct {
		texts []string
		want  string
	}{
		"plain":           {[]string{"Ann"}, "Ann"},
		"address":         {[]string{"Ann <ann@example.com>\nparent 1"}, "Ann ann@example.comparent 1"},
		"only characters": {[]string{"<>. ", "ann@example.com"}, "ann@example.com"},
		"nothing":         {[]string{"", " "}, "unknown"},
		"not UTF-8":       {[]string{"a\xff"}, "a?"},
	} {
		if got := Person(tt.texts...); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestLog(t *testing.T) {
	m, _, repo, src := setUp(t)
	commit := func(message, date string) string {
		return repo.Commit(githost.Commit{Message: message, Date: date, Files: map[string]string{"a": message}})
	}
	now := time.Now()
	at := func(age time.Duration) string { return fmt.Sprintf("%d +0000", now.Add(-age).Unix()) }
	first := commit("old\n\nKey: old\n", at(48*time.Hour))
	second := commit("second\n\nKey: 2\nOther: x\n", at(3*time.Hour))
	third := commit("in the text\n\nKey: no trailer\nfollows\n\nthe end", at(2*time.Hour))
	fourth := commit("fourth\n\nkey: 4\n", at(2*time.Hour))
	head := commit("plain", at(time.Hour))
	fetch(t, m, src)
	last := Logged{Hash: fourth, Parent: third, Email: "ann@example.com", Subject: "fourth", Trailers: []Trailer{{"key", "4"}}}
	for name, tt := range map[string]struct {
		not  string
		most int
		want []Logged
	}{
		"all":    {"", 10, []Logged{last, {Hash: second, Parent: first, Email: "ann@example.com", Subject: "second", Trailers: []Trailer{{"Key", "2"}, {"Other", "x"}}}}},
		"after":  {second, 10, []Logged{last}},
		"newest": {"", 1, []Logged{last}},
	} {
		got, err := m.Log(context.Background(), key, head, tt.not, "Key", now.Add(-24*time.Hour), tt.most)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	if _, err := m.Log(context.Background(), key, "main", "", "Key", now, 1); !errors.Is(err, ErrUnknownRevision) {
		t.Errorf("of a branch: %v", err)
	}
}
