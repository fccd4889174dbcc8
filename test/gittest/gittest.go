// Package gittest serves real Git repositories by smart HTTP on loopback, for
// tests. It guarantees that every fetch of a test goes through git itself, on
// both sides.
package gittest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Server is a Git host whose repositories are made on the fly. It is closed
// with the test.
type Server struct {
	// URL is the address of the host, without a slash at its end.
	URL string

	t        testing.TB
	root     string
	http     *httptest.Server
	backend  cgi.Handler
	mu       sync.Mutex
	user     string
	password string
	hook     func(http.ResponseWriter, *http.Request) bool
	requests int
}

// New starts a host that speaks HTTP.
func New(t testing.TB) *Server {
	t.Helper()
	s := newServer(t)
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	s.finish()
	return s
}

// NewTLS starts a host that speaks HTTPS; CertificateFile has its certificate.
func NewTLS(t testing.TB) *Server {
	t.Helper()
	s := newServer(t)
	s.http = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	s.finish()
	return s
}

func newServer(t testing.TB) *Server {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("git is needed: %v", err)
	}
	root := t.TempDir()
	return &Server{t: t, root: root, backend: cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Root: "/",
		Env: append(Environ(root),
			"GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=gittest"),
		Stderr: io.Discard,
	}}
}

func (s *Server) finish() {
	s.URL = s.http.URL
	s.t.Cleanup(func() {
		s.http.CloseClientConnections()
		s.http.Close()
	})
}

// Environ returns an environment for git that reads no configuration of the
// machine or the user.
func Environ(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ann Author", "GIT_AUTHOR_EMAIL=ann@example.com",
		"GIT_COMMITTER_NAME=Carl Committer", "GIT_COMMITTER_EMAIL=carl@example.com",
	}
}

// CertificateFile writes the certificate of a host made by NewTLS, in PEM, and
// returns the file's path.
func (s *Server) CertificateFile() string {
	s.t.Helper()
	path := filepath.Join(s.root, "ca.pem")
	if err := os.WriteFile(path, pemOf(s.http.Certificate().Raw), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// RequireAuth makes the host refuse all but this user.
func (s *Server) RequireAuth(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user, s.password = user, password
}

// Intercept sets a function that sees each request first; it returns true when
// it has answered. Nil removes it.
func (s *Server) Intercept(hook func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// Requests returns how many requests have arrived.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	// CGI knows no chunked bodies, and git sends them for large requests. A hook
	// sees the end of a connection only when the body has been read.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "the body ended early", http.StatusBadRequest)
		return
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	s.mu.Lock()
	s.requests++
	hook, user, password := s.hook, s.user, s.password
	s.mu.Unlock()
	if hook != nil && hook(w, r) {
		return
	}
	if user != "" {
		gotUser, gotPassword, _ := r.BasicAuth()
		if gotUser != user || gotPassword != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="gittest"`)
			http.Error(w, "credentials are needed", http.StatusUnauthorized)
			return
		}
	}
	s.backend.ServeHTTP(w, r)
}

// Repo makes an empty repository whose default branch is main. The name is a
// path such as group/default.project.
func (s *Server) Repo(name string) *Repo {
	s.t.Helper()
	dir := filepath.Join(s.root, filepath.FromSlash(name)+".git")
	r := &Repo{t: s.t, dir: dir, name: name, url: s.URL + "/" + name + ".git"}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	r.Git("init", "--quiet", "--bare", "--initial-branch=main")
	r.Git("config", "http.receivepack", "true")
	r.Git("config", "uploadpack.allowAnySHA1InWant", "true")
	return r
}

// Repo is one repository of a Server.
type Repo struct {
	t    testing.TB
	dir  string
	name string
	url  string
}

// URL returns the address that clients use.
func (r *Repo) URL() string { return r.url }

// Dir returns the directory of the bare repository.
func (r *Repo) Dir() string { return r.dir }

// Git runs a git command in the bare repository and returns its output.
func (r *Repo) Git(args ...string) string {
	r.t.Helper()
	return r.run(nil, args...)
}

// GitWith is Git with an input.
func (r *Repo) GitWith(stdin string, args ...string) string {
	r.t.Helper()
	return r.run([]byte(stdin), args...)
}

func (r *Repo) run(stdin []byte, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(Environ(r.dir), "GIT_DIR="+r.dir)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// Commit is a change of a repository.
type Commit struct {
	// Branch that the commit is put on; main when empty.
	Branch string
	// Files by their paths; Executables too, with the executable bit.
	Files, Executables map[string]string
	// Links are symbolic links, with their targets.
	Links map[string]string
	// Submodules by their paths, with their commits.
	Submodules map[string]string
	// Remove lists paths of files and directories that go.
	Remove []string
	// Orphan starts a new history: the commit has no parent and an empty tree to begin with.
	Orphan bool
	// Author as "name <address>", and Date in git's raw format; both have defaults.
	Author, Date string
}

// Push puts files on branch main and returns the commit.
func (r *Repo) Push(files map[string]string) string {
	r.t.Helper()
	return r.Commit(Commit{Files: files})
}

// Commit makes a commit in the repository, as a push would, and returns its hash.
func (r *Repo) Commit(c Commit) string {
	r.t.Helper()
	branch, author, date := c.Branch, c.Author, c.Date
	if branch == "" {
		branch = "main"
	}
	if author == "" {
		author = "Ann Author <ann@example.com>"
	}
	if date == "" {
		date = "1700000000 +0000"
	}
	ref := "refs/heads/" + branch
	var in bytes.Buffer
	in.WriteString("feature done\nfeature get-mark\n")
	if c.Orphan {
		in.WriteString("reset " + ref + "\n\n")
	}
	in.WriteString("commit " + ref + "\nmark :1\n")
	in.WriteString("author " + author + " " + date + "\n")
	in.WriteString("committer Carl Committer <carl@example.com> " + date + "\ndata 6\nchange\n")
	if !c.Orphan && r.has(ref) {
		in.WriteString("from " + ref + "^0\n")
	}
	for _, path := range c.Remove {
		in.WriteString("D " + quote(path) + "\n")
	}
	for mode, files := range map[string]map[string]string{"100644": c.Files, "100755": c.Executables, "120000": c.Links} {
		for path, content := range files {
			in.WriteString("M " + mode + " inline " + quote(path) + "\ndata " + strconv.Itoa(len(content)) + "\n" + content + "\n")
		}
	}
	for path, commit := range c.Submodules {
		in.WriteString("M 160000 " + commit + " " + quote(path) + "\n")
	}
	in.WriteString("\nget-mark :1\ndone\n")
	return r.run(in.Bytes(), "fast-import", "--quiet", "--force", "--date-format=raw")
}

func (r *Repo) has(ref string) bool {
	cmd := exec.Command("git", "rev-parse", "--quiet", "--verify", ref)
	cmd.Env = append(Environ(r.dir), "GIT_DIR="+r.dir)
	return cmd.Run() == nil
}
