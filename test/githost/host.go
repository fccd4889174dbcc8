// Package githost serves real Git repositories by smart HTTP on loopback: Host with
// tokens and push hooks like GitLab's, Server for the tests of one package. It
// guarantees that every fetch and push goes through git itself, on both sides.
package githost

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

const (
	// DefaultBranch is the branch of every repository's HEAD.
	DefaultBranch = "main"

	firstProjectID = 1001
)

// The errors of a Git host.
var (
	ErrNoRepository     = errors.New("no such repository: add it with AddRepository")
	ErrRepositoryExists = errors.New("the repository exists already")
	ErrRepositoryPath   = errors.New("a repository's path is <group>/<name>, of letters, digits, '.', '_' and '-'")
)

// repositoryPath excludes a leading dot, so that no path climbs, and a name
// that ends in .git, which is only the URL's.
var repositoryPath = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$`)

// Host serves bare repositories by smart HTTP on loopback, and sends push hooks
// as GitLab does. Every request needs a token.
type Host struct {
	// URL is http://127.0.0.1:<port>.
	URL string

	dir     string
	backend backend
	log     *os.File
	token   string
	client  *http.Client

	mutex        sync.Mutex
	server       *http.Server
	repositories map[string]*repository
	access       access
	failures     map[string]Failure

	hooks   context.Context
	endHook context.CancelFunc
	sending sync.WaitGroup
}

// Repository is a repository of a Host.
type Repository struct {
	// ID is the project's number.
	ID int
	// Path is <group>/<name>.
	Path string
	// URL to clone and push, without credentials.
	URL string
	// Dir is the directory of the bare repository.
	Dir string
}

type repository struct {
	Repository
	// pushing keeps pushes apart, so that the references before and after one
	// show its changes.
	pushing    sync.Mutex
	hooks      []Hook
	deliveries []Delivery
	traffic    Traffic
}

// Traffic counts the requests for a repository. Push is left out.
type Traffic struct {
	// Listings of references, as ls-remote and the beginning of a fetch or a push.
	Listings int
	// Fetches and Pushes of objects.
	Fetches, Pushes int
	// Refused for want of a token or of its access.
	Refused int
}

// NewHost returns a host with its repositories in dir and its log in logs. Start
// makes it listen on the port.
func NewHost(dir, logs string, port int) (*Host, error) {
	for _, path := range []string{dir, logs} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, fmt.Errorf("make the directory of the Git host: %w", err)
		}
	}
	log, err := os.OpenFile(filepath.Join(logs, "git.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the log of the Git host: %w", err)
	}
	backend, err := newBackend(dir)
	if err != nil {
		return nil, err
	}
	g := &Host{
		backend:      backend,
		URL:          fmt.Sprintf("http://127.0.0.1:%d", port),
		dir:          dir,
		log:          log,
		token:        rand.Text(),
		client:       &http.Client{Timeout: hookTimeout},
		repositories: map[string]*repository{},
		access:       access{},
		failures:     map[string]Failure{},
	}
	g.hooks, g.endHook = context.WithCancel(context.Background())
	return g, nil
}

// Start listens, again on the same port after a Stop.
func (g *Host) Start() error {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp", strings.TrimPrefix(g.URL, "http://"))
	if err != nil {
		return fmt.Errorf("start the Git host: %w", err)
	}
	g.server = &http.Server{Handler: http.HandlerFunc(g.serve), ReadHeaderTimeout: time.Minute}
	go func(server *http.Server) { _ = server.Serve(listener) }(g.server)
	return nil
}

// Stop closes the port and every connection; the repositories stay. It is no
// error when the host does not run.
func (g *Host) Stop() error {
	g.mutex.Lock()
	server := g.server
	g.server = nil
	g.mutex.Unlock()
	if server == nil {
		return nil
	}
	if err := server.Close(); err != nil {
		return fmt.Errorf("stop the Git host: %w", err)
	}
	return nil
}

// Close stops the host for good, with the hooks that are on their way.
func (g *Host) Close() error {
	err := g.Stop()
	g.endHook()
	g.sending.Wait()
	return errors.Join(err, g.log.Close())
}

// AddRepository makes an empty repository, <group>/<name>; groups may be nested.
func (g *Host) AddRepository(ctx context.Context, path string) (Repository, error) {
	if !repositoryPath.MatchString(path) || strings.HasSuffix(path, ".git") {
		return Repository{}, fmt.Errorf("add repository %q: %w", path, ErrRepositoryPath)
	}
	g.mutex.Lock()
	if _, exists := g.repositories[path]; exists {
		g.mutex.Unlock()
		return Repository{}, fmt.Errorf("add repository %s: %w", path, ErrRepositoryExists)
	}
	added := &repository{
		Repository: Repository{
			ID: firstProjectID + len(g.repositories), Path: path, URL: g.URL + "/" + path + ".git",
			Dir: filepath.Join(g.dir, filepath.FromSlash(path)+".git"),
		},
	}
	added.pushing.Lock()
	defer added.pushing.Unlock()
	g.repositories[path] = added
	g.mutex.Unlock()

	if err := initRepository(ctx, added.Dir); err != nil {
		return Repository{}, fmt.Errorf("add repository %s: %w", path, err)
	}
	return added.Repository, nil
}

// initRepository makes an empty bare repository, without the sample hooks of a template.
func initRepository(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := git(ctx, dir, nil, nil, "init", "--quiet", "--bare", "--template=", "--initial-branch="+DefaultBranch); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config"), []byte(repositoryConfig), 0o600)
}

// repositoryConfig lets http-backend receive pushes, and serve any commit by its
// hash as GitLab does; nothing cleans up behind a test's back.
const repositoryConfig = `[core]
	repositoryformatversion = 0
	bare = true
[http]
	receivepack = true
[uploadpack]
	allowFilter = true
	allowAnySHA1InWant = true
[receive]
	autogc = false
[gc]
	auto = 0
`

// Repository returns a repository; ErrNoRepository, wrapped, when there is none.
func (g *Host) Repository(path string) (Repository, error) {
	found, err := g.find(path)
	if err != nil {
		return Repository{}, err
	}
	return found.Repository, nil
}

// Traffic returns the number of requests for a repository since it was added.
func (g *Host) Traffic(path string) (Traffic, error) {
	found, err := g.find(path)
	if err != nil {
		return Traffic{}, err
	}
	g.mutex.Lock()
	defer g.mutex.Unlock()
	return found.traffic, nil
}

// Revision returns the commit that a branch names; an error when there is none.
func (g *Host) Revision(ctx context.Context, path, branch string) (string, error) {
	found, err := g.find(path)
	if err != nil {
		return "", err
	}
	revision, err := git(ctx, found.Dir, nil, nil, "rev-parse", "--verify", "--end-of-options", "refs/heads/"+branch)
	if err != nil {
		return "", fmt.Errorf("read branch %s of %s: %w", branch, path, err)
	}
	return revision, nil
}

func (g *Host) find(path string) (*repository, error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	found, ok := g.repositories[path]
	if !ok {
		return nil, fmt.Errorf("repository %s: %w", path, ErrNoRepository)
	}
	return found, nil
}
