// Package rest is the REST API: requests to list, read, save and delete the resources of
// products and of the tenant. It guarantees that a request does no more than the forge
// lets the caller's own access token do, that nothing is written when a request is
// refused, and that no reply or log has a credential.
package rest

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/secrets"
)

// Editor turns requests into commits. An *edit.Editor is one.
type Editor interface {
	Do(ctx context.Context, r edit.Request) (edit.Result, error)
	View(ctx context.Context, r edit.Repository, maxAge time.Duration) (*edit.View, error)
	At(ctx context.Context, r edit.Repository, revision string) (*edit.View, error)
	Includes(ctx context.Context, r edit.Repository, revision, commit string) (bool, error)
}

// Options are the parts and settings of a Server.
type Options struct {
	Editor Editor
	// Platform returns the forge and the tenant repository.
	Platform func(ctx context.Context) (Platform, error)
	// Forge returns a client of the forge with an access token.
	Forge func(provider *v1alpha1.CodeRepoProvider, token secrets.Value) (client.Client, error)
	// Secrets stores kubeconfigs, deploy keys, and the forge's token of the tenant.
	Secrets secrets.Store
	// Reader reads the mirrored objects. Without it, replies have no status, and
	// requests that need it are refused.
	Reader kube.Reader
	Log    logr.Logger
	// Audit receives a line for each write.
	Audit logr.Logger
	// MaxAge of a mirror that a read is answered from; 0 fetches for each read.
	MaxAge time.Duration
	// Timeout of a request, 60 s by default.
	Timeout time.Duration
	// Rate is the number of requests per second of one caller, and Burst how many may
	// come at once; 20 and 100 by default.
	Rate  float64
	Burst int
	// Ready reports why the server cannot serve yet, or nil. It may be nil.
	Ready func(ctx context.Context) error
	// Now is the clock; time.Now by default.
	Now func() time.Time
}

// Server serves the REST API. It is an http.Handler.
type Server struct {
	options Options
	memory  *memory
	tokens  tokens
	limits  *limits
	feeds   *feeds
	streams *streams
	onces   *onces
	writes  *writes
	refused *rate.Limiter
	// slow is the time in which a watcher must take the data that is sent.
	slow time.Duration
	mux  *http.ServeMux
	api  huma.API
	// ending is closed when the server ends.
	ending chan struct{}
	end    func()
}

// End ends the requests that wait for changes. It is for the shutdown of an http.Server,
// which waits for them.
func (s *Server) End() { s.end() }

// New returns a server.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	set(&o.Timeout, time.Minute)
	set(&o.Rate, 20)
	set(&o.Burst, 100)
	s := &Server{options: o, memory: newMemory(o.Now), tokens: newTokens(), limits: newLimits(o.Rate, o.Burst, o.Now),
		onces: &onces{all: map[string]*keyed{}, now: o.Now}, writes: &writes{of: map[string]int{}}, refused: rate.NewLimiter(refusedRate, refusedBurst),
		feeds: newFeeds(), streams: &streams{of: map[string]int{}}, slow: slowClient, mux: http.NewServeMux(), ending: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.ending) })
	s.api = humago.New(s.mux, apiConfig())
	for _, op := range operations() {
		s.register(op)
	}
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	s.mux.HandleFunc("GET /readyz", s.ready)
	return s
}

// ready answers whether requests can be served.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second)
	defer cancel()
	if s.options.Ready == nil {
		return
	}
	if err := s.options.Ready(ctx); err != nil {
		problem(http.StatusServiceUnavailable, reasonUnavailable, "%s", err).again(time.Second).write(w, w.Header().Get("X-Request-Id"))
	}
}

func set[T comparable](field *T, value T) {
	var unset T
	if *field == unset {
		*field = value
	}
}

// operation is one route.
type operation struct {
	method, path string
	resource     *resource
	// id, summary and write describe the operation in the OpenAPI document.
	id, summary string
	list, write bool
	// query has the names of the query parameters, and of their other spellings.
	query  map[string]string
	handle handler
}

// handler answers a request.
type handler func(s *Server, x *exchange) error

func (s *Server) register(op *operation) {
	described := op.describe(s.api.OpenAPI().Components.Schemas)
	s.api.OpenAPI().AddOperation(described)
	s.api.Adapter().Handle(described, func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		s.serve(op, r, w)
	})
}

// requestIDs are the request ids of clients that are taken over.
var requestIDs = regexp.MustCompile(`^[A-Za-z0-9._:/+=@-]{1,128}$`)

// ServeHTTP serves a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-Id")
	if !requestIDs.MatchString(id) {
		id = rand.Text()
	}
	h := w.Header()
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	defer s.recovered(w, r, id)
	if !strings.HasPrefix(r.URL.Path, "/api/") {
		if _, pattern := s.mux.Handler(r); pattern == "" {
			problem(http.StatusNotFound, reasonNoRoute, "there is no such address: the API is below /api/v1, its description is /openapi.json").write(w, id)
			return
		}
		s.mux.ServeHTTP(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.options.Timeout)
	defer cancel()
	x := &exchange{id: id, started: s.options.Now(), whole: r.Context()}
	r = r.WithContext(context.WithValue(ctx, exchangeKey{}, x))
	if err := s.admit(x, w, r); err != nil {
		s.fail(x, w, r, err)
		s.turnedAway(x, r)
		return
	}
	if _, pattern := s.mux.Handler(r); pattern == "" {
		s.fail(x, w, r, s.unrouted(r))
		return
	}
	s.mux.ServeHTTP(w, r)
}

// admit finds out who the caller is, before anything else is looked at.
func (s *Server) admit(x *exchange, w http.ResponseWriter, r *http.Request) error {
	token, refused := bearer(r)
	if refused != nil {
		return refused
	}
	x.token = s.tokens.key(token)
	if refused := s.limits.take(w.Header(), x.token); refused != nil {
		return refused
	}
	var err error
	x.caller, err = s.caller(r.Context(), token)
	return err
}

// unrouted returns the problem of a request that no operation is for.
func (s *Server) unrouted(r *http.Request) *Problem {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := s.mux.Handler(other); pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return problem(http.StatusNotFound, reasonNoRoute, "there is no such resource: /openapi.json describes all of them")
	}
	p := problem(http.StatusMethodNotAllowed, reasonMethod, "the resource does not have this method: use one of %s", strings.Join(allowed, ", "))
	p.allow = strings.Join(allowed, ", ")
	return p
}

// serve runs an operation.
func (s *Server) serve(op *operation, r *http.Request, w http.ResponseWriter) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		problem(http.StatusInternalServerError, reasonInternal, "the request was not admitted").write(w, "")
		return
	}
	x.op, x.r, x.w = op, r, w
	if op.method != http.MethodPost {
		x.arrived()
	}
	err := x.parse()
	if err == nil {
		err = op.handle(s, x)
	}
	if err != nil {
		s.fail(x, w, r, err)
	}
	s.finished(x)
}

// fail answers with a problem, unless a reply has begun.
func (s *Server) fail(x *exchange, w http.ResponseWriter, r *http.Request, err error) {
	p := asProblem(err)
	x.outcome = p
	if p.Status >= http.StatusInternalServerError && p.Reason == reasonInternal {
		log := s.options.Log.WithValues("method", r.Method, "path", r.URL.Path, "requestID", x.id)
		if panicked := new(edit.PanicError); errors.As(err, &panicked) {
			log = log.WithValues("stack", panicked.Stack)
		}
		log.Error(cmp.Or(p.cause, err), "request failed")
	}
	if !x.replied {
		p.write(w, x.id)
	}
}

// recovered turns a panic into a problem, and logs where it happened. The value of the
// panic may hold parts of the request, so it is not logged.
func (s *Server) recovered(w http.ResponseWriter, r *http.Request, id string) {
	value := recover()
	if value == nil {
		return
	}
	if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(value)
	}
	s.options.Log.Error(fmt.Errorf("panic of type %T", value), "request failed", "method", r.Method, "requestID", id, "stack", string(debug.Stack()))
	problem(http.StatusInternalServerError, reasonInternal, "an unexpected error: the log of the API server has it under the id of the request").write(w, id)
}
