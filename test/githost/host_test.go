package githost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

const testRepository = "demo/default.project"

// newHost starts a Git host with one repository, which reader and writer may use.
func newHost(t *testing.T) (*Host, Repository) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	host, err := NewHost(filepath.Join(t.TempDir(), "git"), t.TempDir(), port)
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	repository, err := host.AddRepository(t.Context(), testRepository)
	if err != nil {
		t.Fatal(err)
	}
	host.Grant("reader", Read, testRepository)
	host.Grant("writer", Write, "demo")
	host.Grant("stranger", Write, "dem")
	return host, repository
}

func push(t *testing.T, host *Host, commit Commit) string {
	t.Helper()
	revision, err := host.Push(t.Context(), testRepository, commit)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// clone clones a repository with a token and returns the working tree.
func clone(ctx context.Context, t *testing.T, url, token string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	var env []string
	if token != "" {
		env = credentialEnv(token)
	}
	_, err := git(ctx, dir, env, nil, "clone", "--quiet", url, ".")
	return dir, err
}

// tree returns the paths and contents of the files at a revision.
func tree(t *testing.T, host *Host, revision string) map[string]string {
	t.Helper()
	found, err := host.find(testRepository)
	if err != nil {
		t.Fatal(err)
	}
	names, err := git(t.Context(), found.Dir, nil, nil, "ls-tree", "-r", "-z", "--name-only", revision)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range strings.Split(strings.TrimSuffix(names, "\x00"), "\x00") {
		if files[name], err = git(t.Context(), found.Dir, nil, nil, "cat-file", "-p", revision+":"+name); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// ways are the ways to make a commit that calls hooks.
var ways = map[string]func(*Host, context.Context, string, Commit) (string, error){"push": (*Host).Push, "edit": (*Host).Edit}

// made makes a commit in one of the ways.
func made(t *testing.T, host *Host, way string, commit Commit) string {
	t.Helper()
	revision, err := ways[way](host, t.Context(), testRepository, commit)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func TestPush(t *testing.T) {
	t.Parallel()
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			host, _ := newHost(t)
			first := made(t, host, way, Commit{Message: "begin", Files: map[string]string{"a": "1", "dir/b": "2", "dir/c": "3", "odd \"name\\\n": "4"}})
			second := made(t, host, way, Commit{Files: map[string]string{"a": "5"}, Delete: []string{"dir/b"}})
			third := made(t, host, way, Commit{Delete: []string{"dir"}})
			for name, test := range map[string]struct {
				revision string
				want     map[string]string
			}{
				"files":         {first, map[string]string{"a": "1", "dir/b": "2", "dir/c": "3", "odd \"name\\\n": "4"}},
				"a deletion":    {second, map[string]string{"a": "5", "dir/c": "3", "odd \"name\\\n": "4"}},
				"a folder goes": {third, map[string]string{"a": "5", "odd \"name\\\n": "4"}},
			} {
				if diff := cmp.Diff(test.want, tree(t, host, test.revision)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
			branch := made(t, host, way, Commit{Branch: "feature", Files: map[string]string{"f": "1"}})
			if files := tree(t, host, branch); files["a"] != "5" || files["f"] != "1" {
				t.Errorf("the new branch holds %v, want it to begin at %s", files, DefaultBranch)
			}
			if now, err := host.Revision(t.Context(), testRepository, DefaultBranch); err != nil || now != third {
				t.Errorf("%s is at %s, %v; want %s", DefaultBranch, now, err, third)
			}
		})
	}
}

func TestPushRewritesHistory(t *testing.T) {
	t.Parallel()
	for way, commit := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			host, _ := newHost(t)
			first := made(t, host, way, Commit{Files: map[string]string{"a": "1"}})
			made(t, host, way, Commit{Files: map[string]string{"a": "2"}})
			rewrite := Commit{Onto: first, Files: map[string]string{"b": "1"}}
			if _, err := commit(host, t.Context(), testRepository, rewrite); err == nil {
				t.Error("a commit that does not follow the branch: no error")
			}
			rewrite.Force = true
			if diff := cmp.Diff(map[string]string{"a": "1", "b": "1"}, tree(t, host, made(t, host, way, rewrite))); diff != "" {
				t.Errorf("forced (-want +got):\n%s", diff)
			}
			orphan := made(t, host, way, Commit{Orphan: true, Force: true, Files: map[string]string{"c": "1"}})
			if diff := cmp.Diff(map[string]string{"c": "1"}, tree(t, host, orphan)); diff != "" {
				t.Errorf("orphan (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPushOfOddObjects(t *testing.T) {
	t.Parallel()
	host, repository := newHost(t)
	push(t, host, Commit{Symlinks: map[string]string{"link": "/etc/passwd"}, Submodules: map[string]string{"module": noCommit[:39] + "1"}})
	dir, err := clone(t.Context(), t, repository.URL, "reader")
	if err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "link")); err != nil || target != "/etc/passwd" {
		t.Errorf("the link names %q, %v", target, err)
	}
	listing, err := git(t.Context(), dir, nil, nil, "ls-tree", "HEAD", "module")
	if err != nil || !strings.HasPrefix(listing, "160000 commit") {
		t.Errorf("module is %q, %v; want a submodule", listing, err)
	}
}

// A push above git's buffer is sent in chunks, which CGI does not know.
func TestLargePush(t *testing.T) {
	t.Parallel()
	host, repository := newHost(t)
	push(t, host, Commit{Files: map[string]string{"a": "1"}})
	dir, err := clone(t.Context(), t, repository.URL, "writer")
	if err != nil {
		t.Fatal(err)
	}
	random := make([]byte, 3<<20)
	if _, err := readRandom(random); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "large"), random, 0o600); err != nil {
		t.Fatal(err)
	}
	commitAndPush(t, dir, "writer")
	if got := tree(t, host, "main")["large"]; len(got) < len(random)-1 {
		t.Errorf("the file holds %d bytes, want %d", len(got), len(random))
	}
}

func commitAndPush(t *testing.T, dir, token string) {
	t.Helper()
	for _, args := range [][]string{
		{"add", "."},
		{"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message=large"},
		{"push", "--quiet", "origin", "HEAD:main"},
	} {
		if _, err := git(t.Context(), dir, credentialEnv(token), nil, args...); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	host, repository := newHost(t)
	push(t, host, Commit{Files: map[string]string{"a": "1"}})
	if _, err := host.AddRepository(t.Context(), "demolition/other"); err != nil {
		t.Fatal(err)
	}
	other := host.URL + "/demolition/other.git"
	tests := map[string]struct {
		token, url          string
		wantRead, wantWrite int
	}{
		"nobody":                     {"", repository.URL, 401, 401},
		"an unknown token":           {"guess", repository.URL, 401, 401},
		"a reader":                   {"reader", repository.URL, 200, 403},
		"a writer of the group":      {"writer", repository.URL, 200, 200},
		"of a group with such a tip": {"stranger", repository.URL, 404, 404},
		"another group's":            {"writer", other, 404, 404},
		"nothing there":              {"writer", host.URL + "/demo/none.git", 404, 404},
		"nothing there, for nobody":  {"", host.URL + "/demo/none.git", 401, 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for service, want := range map[string]int{uploadPack: test.wantRead, receivePack: test.wantWrite} {
				for _, bearer := range []bool{false, true} {
					if got := listing(t, test.url, service, test.token, bearer); got != want {
						t.Errorf("%s (bearer %v): %d, want %d", service, bearer, got, want)
					}
				}
			}
		})
	}
	host.Revoke("writer")
	if got := listing(t, repository.URL, uploadPack, "writer", false); got != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d, want 401", got)
	}
}

func TestTraffic(t *testing.T) {
	t.Parallel()
	host, repository := newHost(t)
	push(t, host, Commit{Files: map[string]string{"a": "1"}})
	dir, err := clone(t.Context(), t, repository.URL, "writer")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"ls-remote", "--quiet"}, {"-c", "protocol.version=0", "ls-remote", "--quiet"}, {"push", "--quiet", "origin", "HEAD:refs/heads/b"},
	} {
		if _, err := git(t.Context(), dir, credentialEnv("writer"), nil, args...); err != nil {
			t.Fatal(err)
		}
	}
	listing(t, repository.URL, uploadPack, "guess", false)
	got, err := host.Traffic(testRepository)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Traffic{Listings: 4, Fetches: 1, Pushes: 1, Refused: 1}, got); diff != "" {
		t.Errorf("traffic (-want +got):\n%s", diff)
	}
}

func listing(t *testing.T, url, service, token string, bearer bool) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/info/refs?service="+service, nil)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case token == "":
	case bearer:
		request.Header.Set("Authorization", "Bearer "+token)
	default:
		request.SetBasicAuth("anyone", token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func TestOnlyTheSmartProtocolIsServed(t *testing.T) {
	t.Parallel()
	host, repository := newHost(t)
	for _, url := range []string{
		host.URL + "/", repository.URL + "/config", repository.URL + "/info/refs", repository.URL + "/HEAD",
		host.URL + "/demo/../../etc/passwd", repository.URL + "/info/refs?service=git-upload-archive",
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth("anyone", "writer")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %d, want 404", url, response.StatusCode)
		}
	}
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	host, first := newHost(t)
	second, err := host.AddRepository(t.Context(), "a/b/c")
	if err != nil {
		t.Fatal(err)
	}
	if first.ID != firstProjectID || second.ID != firstProjectID+1 {
		t.Errorf("IDs %d and %d, want them to count from %d", first.ID, second.ID, firstProjectID)
	}
	for path, want := range map[string]error{
		"a/b/c": ErrRepositoryExists, "single": ErrRepositoryPath, "../x": ErrRepositoryPath, "a/../../x": ErrRepositoryPath,
		"/a/b": ErrRepositoryPath, "a/b.git": ErrRepositoryPath, "a/b c": ErrRepositoryPath,
	} {
		if _, err := host.AddRepository(t.Context(), path); !errors.Is(err, want) {
			t.Errorf("AddRepository(%q): %v, want %v", path, err, want)
		}
	}
	if _, err := host.Repository("a/none"); !errors.Is(err, ErrNoRepository) {
		t.Errorf("Repository: %v, want %v", err, ErrNoRepository)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	host, repository := newHost(t)
	push(t, host, Commit{Files: map[string]string{"a": "1"}})
	tests := map[string]struct {
		failure   Failure
		within    time.Duration
		wantError string
	}{
		"401":           {RefuseAuth(), time.Minute, "could not read Username"},
		"500":           {ServerError(), time.Minute, "500"},
		"never answers": {Hang(), 200 * time.Millisecond, "signal: killed"},
		"too slow":      {Slow(time.Minute), 200 * time.Millisecond, "signal: killed"},
		"cut at once":   {DropConnection(0), time.Minute, "exit status 128"},
		"cut midway":    {DropConnection(40), time.Minute, "exit status 128"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{testRepository, ""} {
				host.Fail(path, test.failure)
				ctx, cancel := context.WithTimeout(t.Context(), test.within)
				_, err := clone(ctx, t, repository.URL, "reader")
				cancel()
				if err == nil || !strings.Contains(err.Error(), test.wantError) {
					t.Errorf("clone: %v, want %q", err, test.wantError)
				}
				push(t, host, Commit{})
				host.Heal(path)
			}
			if _, err := clone(t.Context(), t, repository.URL, "reader"); err != nil {
				t.Errorf("healed: %v", err)
			}
		})
	}
}

func TestSlowAnswersArrive(t *testing.T) {
	t.Parallel()
	host, repository := newHost(t)
	push(t, host, Commit{Files: map[string]string{"a": "1"}})
	const delay = 100 * time.Millisecond
	host.Fail(testRepository, Slow(delay))
	started := time.Now()
	if _, err := clone(t.Context(), t, repository.URL, "reader"); err != nil {
		t.Fatal(err)
	}
	// A clone takes three requests.
	if took := time.Since(started); took < 3*delay {
		t.Errorf("a clone took %v, want at least %v", took, 3*delay)
	}
}

func TestStopAndStartOfTheHost(t *testing.T) {
	t.Parallel()
	host, repository := newHost(t)
	push(t, host, Commit{Files: map[string]string{"a": "1"}})
	for range 2 {
		if err := host.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := clone(t.Context(), t, repository.URL, "reader"); err == nil {
		t.Error("a stopped host answers")
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	dir, err := clone(t.Context(), t, repository.URL, "reader")
	if err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(content) != "1" {
		t.Errorf("a holds %q, %v", content, err)
	}
}

// Concurrent pushes to different branches all arrive, each announced as its own.
func TestPushesAtTheSameTime(t *testing.T) {
	t.Parallel()
	host, _ := newHost(t)
	calls := newReceiver(t, host, http.StatusOK)
	push(t, host, Commit{Files: map[string]string{"a": "1"}})
	const pushes = 4
	var all errgroup.Group
	for i := range pushes {
		all.Go(func() error {
			_, err := host.Push(t.Context(), testRepository, Commit{Branch: fmt.Sprintf("b%d", i), Files: map[string]string{"f": "1"}})
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for range pushes + 1 {
		seen[calls.next(t).event.Ref]++
	}
	if len(seen) != pushes+1 {
		t.Errorf("announced %v, want each branch once", seen)
	}
}
