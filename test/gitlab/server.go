// Package gitlab emulates GitLab for tests and the demo: its REST API, as far as
// Nautes uses it, over real Git repositories of package githost. It guarantees
// strictness: a route, parameter or scope that it does not know fails the test, and
// each route names the source of its behaviour. Rows whose Unverified is set follow
// common knowledge that no source confirms.
package gitlab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nautes.io/nautes/test/githost"
)

// Options are the settings of a Server. The zero value with a Dir is GitLab 19 as a
// fresh installation behaves, but for LocalHooks.
type Options struct {
	// Dir holds the repositories and the log.
	Dir string
	// Address to listen at; a free port of 127.0.0.1 by default.
	Address string
	// SSH serves the repositories by SSH, too, to the owners of deploy keys, for reading
	// only.
	SSH bool
	// Hooks sends the deliveries of hooks; nil: the network.
	Hooks http.RoundTripper
	// Version is the version of GitLab, of 17, 18 or 19.
	Version string
	// DenyLocalHooks refuses hooks to loopback and private addresses, as GitLab does
	// unless an administrator allows them.
	DenyLocalHooks bool
	// DenyTopGroups refuses groups without a parent to everybody, as gitlab.com does.
	DenyTopGroups bool
	// ProtectionDelay is the time between the first push and the protection of the
	// default branch. MembershipDelay is the time until a new member has its rights.
	ProtectionDelay, MembershipDelay time.Duration
	// AutoDisable disables hooks that fail, as gitlab.com does.
	AutoDisable bool
	// DuplicateDeliveries sends each delivery of a hook twice, as GitLab does now and then.
	DuplicateDeliveries bool
	// Unprotected leaves the default branches of projects in new groups unprotected.
	Unprotected bool
	// FirstID is the lowest number of a user, group or project; about 100 by default.
	FirstID int64
	// RateLimit is the number of requests of a user in a minute, or 0 for no limit.
	// With a limit all replies have headers about it.
	RateLimit int
}

// DefaultVersion is the version of a Server whose Options have none.
const DefaultVersion = "19.1.0"

// Server is a GitLab. Its methods may be called concurrently.
type Server struct {
	// URL is the address of the web server, API the one of the REST API.
	URL, API string
	// SSHURL and SSHKnownHosts are of the SSH server. They are empty without one.
	SSHURL, SSHKnownHosts string

	git    *githost.Host
	ssh    *githost.SSHServer
	server *http.Server
	routes []route
	client *http.Client

	mu       sync.Mutex
	options  Options
	offset   time.Duration
	lastID   int64
	users    []*user
	tokens   []*token
	groups   []*group
	projects []*project
	keys     []*deployKey
	statuses []*status
	moved    map[string]int64
	pending  []pending
	faults   []*fault
	limits   map[int64]*window
	requests []Request
	passed   int
	failures []string

	sending sync.WaitGroup
	hooks   context.Context
	endHook context.CancelFunc
}

// pending is a change that becomes visible later.
type pending struct {
	at   time.Time
	make func()
}

// New starts a server for one test, which fails if the server has recorded failures.
// Hooks to loopback are allowed unless change says otherwise.
func New(t testing.TB, change ...func(*Options)) *Server {
	t.Helper()
	options := Options{Dir: t.TempDir()}
	for _, f := range change {
		f(&options)
	}
	s, err := NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for _, failure := range s.Failures() {
			t.Error("GitLab: " + failure)
		}
	})
	return s
}

// NewServer starts a server.
func NewServer(options Options) (*Server, error) {
	if options.Version == "" {
		options.Version = DefaultVersion
	}
	if options.Address == "" {
		options.Address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", options.Address)
	if err != nil {
		return nil, fmt.Errorf("start GitLab: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	git, err := githost.NewHost(filepath.Join(options.Dir, "repositories"), filepath.Join(options.Dir, "log"), port)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	s := &Server{
		URL: git.URL, API: git.URL + "/api/v4", git: git, options: options,
		client: &http.Client{Timeout: hookTimeout, Transport: options.Hooks}, moved: map[string]int64{}, limits: map[int64]*window{}, lastID: cmp.Or(options.FirstID, 100),
	}
	s.routes = routes()
	s.hooks, s.endHook = context.WithCancel(context.Background())
	s.AddUser(User{Username: rootUser, Name: "Administrator", Admin: true})
	if options.SSH {
		if s.ssh, err = githost.ServeSSH(s.findForKey); err != nil {
			_ = listener.Close()
			return nil, err
		}
		s.SSHURL, s.SSHKnownHosts = s.ssh.URL, string(s.ssh.KnownHosts)
	}
	s.server = &http.Server{Handler: http.HandlerFunc(s.serve), ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

// Close ends the server and the deliveries of hooks that are on their way.
func (s *Server) Close() error {
	err := s.server.Close()
	s.endHook()
	s.sending.Wait()
	if s.ssh != nil {
		err = errors.Join(err, s.ssh.Close())
	}
	return errors.Join(err, s.git.Close())
}

// Failures returns the requests that GitLab would not understand, and the mistakes in
// the preparation of the server.
func (s *Server) Failures() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.failures)
}

// TakeFailures returns the failures and forgets them. It is for tests that expect them.
func (s *Server) TakeFailures() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	failures := s.failures
	s.failures = nil
	return failures
}

func (s *Server) fail(format string, args ...any) {
	s.failures = append(s.failures, fmt.Sprintf(format, args...))
}

// SetOptions changes the settings of the running server. Dir and Address stay.
func (s *Server) SetOptions(change func(*Options)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.options)
}

// Advance moves the clock of the server forward.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset += d
	s.settle()
}

// Now returns the time of the server's clock.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now()
}

func (s *Server) now() time.Time { return time.Now().UTC().Add(s.offset).Truncate(time.Millisecond) }

// later makes a change after a delay of the server's clock.
func (s *Server) later(delay time.Duration, change func()) {
	if delay <= 0 {
		change()
		return
	}
	s.pending = append(s.pending, pending{at: s.now().Add(delay), make: change})
}

// settle makes the changes that are due, and removes the spaces that were marked long enough ago.
func (s *Server) settle() {
	now := s.now()
	var left, due []pending
	for _, p := range s.pending {
		if now.Before(p.at) {
			left = append(left, p)
		} else {
			due = append(due, p)
		}
	}
	s.pending = left
	for _, p := range due {
		p.make()
	}
	s.removeMarked(now)
}

// major returns the first number of the version.
func (s *Server) major() int {
	var n int
	_, _ = fmt.Sscanf(s.options.Version, "%d", &n)
	return n
}

func (s *Server) id() int64 {
	s.lastID++
	return s.lastID
}

// Request is a request for the API that the server has answered.
type Request struct {
	Method string
	// Path is the escaped path below /api/v4. Route is the path with the names of
	// its variables, or empty for an unknown path.
	Path, Route string
	// User is the caller, or empty.
	User   string
	Status int
	// Args has the parameters, of the URL and of the body.
	Args map[string]any
}

// Requests returns the requests for the API since the start or the last ForgetRequests.
// Requests of Git are left out.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// GitRequests returns the number of requests of Git that were admitted since the start.
func (s *Server) GitRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.passed
}

// ForgetRequests empties the list of requests.
func (s *Server) ForgetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// serve answers all requests: of the API, of OAuth and of Git.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	handler := http.Handler(http.HandlerFunc(s.serveGit))
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/v4/"), strings.HasPrefix(r.URL.Path, "/oauth/"):
		handler = http.HandlerFunc(s.serveAPI)
	case strings.HasPrefix(r.URL.Path, "/hashed/") && s.git.Own(r):
		s.servePush(w, r)
		return
	}
	if f := s.faultOf(r); f != nil {
		f(w, r, handler)
		return
	}
	handler.ServeHTTP(w, r)
}
