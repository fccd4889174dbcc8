package githost

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
)

// gitRequest is a parsed request for a repository.
type gitRequest struct {
	path    string
	service string
	// discovery is the first request of an exchange. It lists the references,
	// except for a fetch in version 2 of the protocol, which asks for them next.
	discovery bool
	version2  bool
}

func (r gitRequest) wanted() Access {
	if r.service == receivePack {
		return Write
	}
	return Read
}

// parseGitRequest knows the requests of the smart protocol and no others.
func parseGitRequest(r *http.Request) (gitRequest, bool) {
	path, rest, found := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	if !found {
		return gitRequest{}, false
	}
	request := gitRequest{path: path, service: rest, version2: strings.Contains(r.Header.Get("Git-Protocol"), "version=2")}
	if rest == "info/refs" && r.Method == http.MethodGet {
		request.discovery, request.service = true, r.URL.Query().Get("service")
	} else if r.Method != http.MethodPost {
		return gitRequest{}, false
	}
	return request, request.service == uploadPack || request.service == receivePack
}

func (g *Host) serve(w http.ResponseWriter, r *http.Request) {
	request, ok := parseGitRequest(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	if failure, fails := g.failureOf(r, request.path); fails {
		if failure.Answers(w, r) {
			return
		}
		w = failure.Cut(w)
	}
	listing := listsReferences(r, request)
	// A missing repository and a hidden one look the same.
	refused := g.refuse(w, r, request.path, request.wanted())
	repository, err := g.find(request.path)
	switch {
	case refused:
	case err != nil:
		http.NotFound(w, r)
	case request.service == receivePack && !request.discovery:
		g.receive(w, r, repository)
	default:
		g.pass(w, r)
	}
	if repository != nil && tokenOf(r) != g.token {
		g.count(repository, request, listing, refused)
	}
}

// listsReferences reports whether a request is for the references, and leaves its
// body as it was.
func listsReferences(r *http.Request, request gitRequest) bool {
	if request.service == receivePack || !request.version2 {
		return request.discovery
	}
	const command = "0014command=ls-refs\n"
	body := bufio.NewReader(r.Body)
	begin, _ := body.Peek(len(command))
	r.Body = struct {
		io.Reader
		io.Closer
	}{body, r.Body}
	return string(begin) == command
}

func (g *Host) count(repository *repository, request gitRequest, listing, refused bool) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	switch {
	case refused:
		repository.traffic.Refused++
	case listing:
		repository.traffic.Listings++
	case request.discovery:
	case request.service == receivePack:
		repository.traffic.Pushes++
	default:
		repository.traffic.Fetches++
	}
}

// receive serves a push and sends the hooks for its changes, also if the client
// has gone meanwhile.
func (g *Host) receive(w http.ResponseWriter, r *http.Request, repository *repository) {
	repository.pushing.Lock()
	defer repository.pushing.Unlock()
	ctx := context.WithoutCancel(r.Context())
	before, err := references(ctx, repository.Dir)
	if err != nil {
		g.logf("push to %s: %v", repository.Path, err)
	}
	defer func() {
		after, err := references(ctx, repository.Dir)
		if err != nil {
			g.logf("push to %s: %v", repository.Path, err)
			return
		}
		g.announce(ctx, repository, before, after)
	}()
	g.pass(w, r)
}

// pass passes a request on to git http-backend, with further variables of its
// environment.
func (g *Host) pass(w http.ResponseWriter, r *http.Request, env ...string) {
	if r.ContentLength < 0 {
		spooled, err := spool(r)
		if err != nil {
			g.logf("%v", err)
			http.Error(w, "Bad Request", http.StatusBadRequest)
			return
		}
		defer func() { _ = os.Remove(spooled.Name()); _ = spooled.Close() }()
	}
	g.backend.serve(w, r, g.log, env...)
}

// backend is git http-backend for the repositories below a directory.
type backend struct{ program, dir string }

func newBackend(dir string) (backend, error) {
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return backend{}, fmt.Errorf("git is needed: %w", err)
	}
	return backend{program: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"), dir: dir}, nil
}

// serve answers a request. It must have a length: CGI has no bodies without one.
func (b backend) serve(w http.ResponseWriter, r *http.Request, output io.Writer, env ...string) {
	r = r.Clone(r.Context())
	// A CGI program gets headers as environment variables. It needs no credentials.
	r.Header.Del("Authorization")
	handler := &cgi.Handler{
		Path: b.program,
		Root: "/",
		Dir:  b.dir,
		// git lets only named users push.
		Env:    append(append(Environ(b.dir), "GIT_PROJECT_ROOT="+b.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=git"), env...),
		Logger: log.New(output, "", log.LstdFlags),
		Stderr: output,
	}
	handler.ServeHTTP(w, r)
}

// spool gives a request its length: git sends large pushes in chunks, and CGI
// knows no bodies without a length.
func spool(r *http.Request) (*os.File, error) {
	file, err := os.CreateTemp("", "nautes-push-")
	if err != nil {
		return nil, fmt.Errorf("spool a push: %w", err)
	}
	length, err := io.Copy(file, r.Body)
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		_ = file.Close()
		return nil, fmt.Errorf("spool a push: %w", err)
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(file), length, nil
	return file, nil
}

func (g *Host) logf(format string, args ...any) {
	log.New(g.log, "", log.LstdFlags).Printf(format, args...)
}
