package githost

import (
	"bytes"
	"cmp"
	"context"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Server is a Git host for one test. It needs no token, sends no hooks, and may
// speak TLS or SSH. It is closed with the test.
type Server struct {
	// URL is the address of the host, without a slash at its end.
	URL string

	t        testing.TB
	root     string
	http     *httptest.Server
	backend  backend
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
	root := t.TempDir()
	backend, err := newBackend(root)
	if err != nil {
		t.Fatal(err)
	}
	return &Server{t: t, root: root, backend: backend}
}

func (s *Server) finish() {
	s.URL = s.http.URL
	s.t.Cleanup(func() {
		s.http.CloseClientConnections()
		s.http.Close()
	})
}

// CertificateFile writes the certificate of a host made by NewTLS, in PEM, and
// returns the file's path.
func (s *Server) CertificateFile() string {
	s.t.Helper()
	path := filepath.Join(s.root, "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw}), 0o600); err != nil {
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
			w.Header().Set("WWW-Authenticate", `Basic realm="githost"`)
			http.Error(w, "credentials are needed", http.StatusUnauthorized)
			return
		}
	}
	s.backend.serve(w, r, io.Discard)
}

// Repo makes an empty repository whose default branch is main. The name is a
// path such as group/default.project.
func (s *Server) Repo(name string) *Repo {
	s.t.Helper()
	dir := filepath.Join(s.root, filepath.FromSlash(name)+".git")
	r := &Repo{t: s.t, dir: dir, name: name, url: s.URL + "/" + name + ".git"}
	if err := initRepository(s.t.Context(), dir); err != nil {
		s.t.Fatal(err)
	}
	return r
}

// RepoSHA256 is Repo for a repository whose objects have hashes of 64 digits.
func (s *Server) RepoSHA256(name string) *Repo {
	s.t.Helper()
	r := s.Repo(name)
	if err := os.RemoveAll(r.dir); err != nil {
		s.t.Fatal(err)
	}
	if _, err := git(s.t.Context(), s.root, nil, nil, "init", "--quiet", "--bare", "--template=", "--object-format=sha256", "--initial-branch="+DefaultBranch, r.dir); err != nil {
		s.t.Fatal(err)
	}
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
	out, err := git(context.WithoutCancel(r.t.Context()), r.dir, []string{"GIT_DIR=" + r.dir}, bytes.NewReader(stdin), args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// Push puts files on the default branch and returns the commit.
func (r *Repo) Push(files map[string]string) string {
	r.t.Helper()
	return r.Commit(Commit{Files: files})
}

// Commit makes a commit in the repository, as a push would, and returns its hash.
// Equal commits have equal hashes.
func (r *Repo) Commit(c Commit) string {
	r.t.Helper()
	c.Author = cmp.Or(c.Author, "Ann Author <ann@example.com>")
	c.Date = cmp.Or(c.Date, "1700000000 +0000")
	parent := c.Onto
	if parent == "" && !c.Orphan {
		parent = tip(context.WithoutCancel(r.t.Context()), r.dir, c.ref())
	}
	return r.run(fastImport(c.ref(), parent, c).Bytes(), "fast-import", "--quiet", "--done", "--force")
}
