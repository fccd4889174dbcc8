package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
)

const (
	tenant = "acme"
	// within is how long a test waits for an event.
	within = 30 * time.Second
)

var shared = devstack.Shared{Options: devstack.Options{Bare: true}}

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// server is a real Vault with the engines and the policy of the operator.
type server struct {
	*devstack.Vault
	t testing.TB
}

func newServer(t testing.TB, name string) server {
	t.Helper()
	return prepared(t, devstack.VaultOptions{Name: name})
}

func prepared(t testing.TB, o devstack.VaultOptions) server {
	t.Helper()
	vault, err := shared.Stack(t).StartVault(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = vault.Stop() })
	s := server{Vault: vault, t: t}
	for _, engine := range []string{"git", "cluster", "tenant", "repo"} {
		s.ask(http.MethodPost, "sys/mounts/"+engine, map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
		// A new engine is not ready for a moment.
		eventually(t, func() error {
			status, _, err := s.Request(t.Context(), http.MethodGet, engine+"/config", s.RootToken(), nil)
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("the engine %s answers %d", engine, status)
			}
			return err
		})
	}
	s.ask(http.MethodPut, "sys/policies/acl/nautes-operator", map[string]string{"policy": operatorPolicy(t)})
	return s
}

func operatorPolicy(t testing.TB) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "config", "vault", "operator-policy.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// ask sends a request with the root token that must succeed.
func (s server) ask(method, path string, body any) map[string]any {
	s.t.Helper()
	status, answer, err := s.Request(context.WithoutCancel(s.t.Context()), method, path, s.RootToken(), body)
	if err != nil || status/100 != 2 {
		s.t.Fatalf("%s %s: status %d, %v: %v", method, path, status, err, answer["errors"])
	}
	return answer
}

// at returns the value at a path of keys in an answer.
func at(answer map[string]any, keys ...string) any {
	var found any = answer
	for _, key := range keys {
		object, _ := found.(map[string]any)
		found = object[key]
	}
	return found
}

// operatorToken creates a token with the policies and a time to live, for example 1h.
func (s server) operatorToken(ttl string, policies ...string) string {
	s.t.Helper()
	answer := s.ask(http.MethodPost, "auth/token/create", map[string]any{"policies": policies, "ttl": ttl, "no_parent": true})
	return fmt.Sprint(at(answer, "auth", "client_token"))
}

// options returns options for an operator with its own policy.
func (s server) options() Options {
	s.t.Helper()
	return Options{CABundle: s.CA, Tenant: tenant, Vault: config.Vault{
		Address: s.Address, Timeout: metav1.Duration{Duration: 5 * time.Second}, PollInterval: metav1.Duration{Duration: 30 * time.Second},
		Auth: config.VaultAuth{Method: config.VaultAuthToken, TokenFile: file(s.t, s.operatorToken("1h", "nautes-operator"))},
	}}
}

// open opens the server for an operator with changed options.
func (s server) open(change ...func(*Options)) *Vault {
	s.t.Helper()
	o := s.options()
	for _, change := range change {
		change(&o)
	}
	return open(s.t, o)
}

func open(t testing.TB, o Options) *Vault {
	t.Helper()
	v, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// start runs Start until the test ends.
func start(t testing.TB, v *Vault) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- v.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Start: %v", err)
		}
	})
}

// file returns the name of a new file with the content.
func file(t testing.TB, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	rewrite(t, name, content)
	return name
}

func rewrite(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually tries until there is no error.
func eventually(t testing.TB, try func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still after %v: %v", within, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// writes returns the writes that the server has received, except writes by root.
func (s server) writes() []string {
	s.t.Helper()
	all, err := s.Writes()
	if err != nil {
		s.t.Fatal(err)
	}
	var own []string
	for _, write := range all {
		if write.User != "root" {
			own = append(own, write.Operation+" "+write.Path)
		}
	}
	return own
}

// requests returns the requests, except requests by root, as verb and path.
func (s server) requests() []string {
	s.t.Helper()
	all, err := s.Requests()
	if err != nil {
		s.t.Fatal(err)
	}
	var own []string
	for _, request := range all {
		if request.User != "root" {
			own = append(own, request.Operation+" "+request.Path)
		}
	}
	return own
}

// metadataPath returns the path of the metadata of a secret in Vault's API.
func metadataPath(ref secrets.Ref) string { return ref.Engine + "/metadata/" + ref.Path }

func fields(pairs ...string) map[string]secrets.Value {
	values := map[string]secrets.Value{}
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = secrets.NewValue([]byte(pairs[i+1]))
	}
	return values
}

func contentOf(secret secrets.Secret) map[string]string {
	content := map[string]string{}
	for name, value := range secret.Fields {
		content[name] = string(value.Bytes())
	}
	return content
}

func put(t testing.TB, v *Vault, ref secrets.Ref, pairs ...string) string {
	t.Helper()
	version, err := v.Put(t.Context(), ref, fields(pairs...))
	if err != nil {
		t.Fatal(err)
	}
	return version
}

var repoKey = secrets.RepositoryReadOnly("gitlab", "repo-1")

// recorder keeps the arguments of a callback.
type recorder[T any] struct {
	mu    sync.Mutex
	calls []T
}

func (r *recorder[T]) add(one T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, one)
}

func (r *recorder[T]) all() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]T(nil), r.calls...)
}

// gateway is a plain HTTP proxy in front of a server. It records every request, and
// may answer itself.
type gateway struct {
	URL string
	// forward passes a request on to the server.
	forward http.Handler

	mu       sync.Mutex
	requests []*http.Request
	before   http.HandlerFunc
	// reviewer is the last token for the review of tokens that the server received.
	reviewer string
}

// errPass is the panic with which a handler of intercept lets a request pass.
var errPass = errors.New("pass")

func (s server) gateway() *gateway {
	s.t.Helper()
	target, err := url.Parse(s.Address)
	if err != nil {
		s.t.Fatal(err)
	}
	g := &gateway{}
	g.forward = &httputil.ReverseProxy{
		Transport: s.Client().Transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			// The core of Vault knows no namespaces.
			r.Out.Header.Del("X-Vault-Namespace")
			if r.In.Method != http.MethodGet && strings.HasSuffix(r.In.URL.Path, "/config") {
				g.keepReviewer(r.Out)
			}
		},
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.requests = append(g.requests, r.Clone(context.Background()))
		before := g.before
		g.mu.Unlock()
		if before == nil || !answered(before, w, r) {
			g.forward.ServeHTTP(w, r)
		}
	}))
	s.t.Cleanup(front.Close)
	g.URL = front.URL
	return g
}

func (g *gateway) keepReviewer(r *http.Request) {
	content, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(content))
	var config map[string]any
	if err != nil || json.Unmarshal(content, &config) != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reviewer, _ = config["token_reviewer_jwt"].(string)
}

func answered(handler http.HandlerFunc, w http.ResponseWriter, r *http.Request) (answered bool) {
	defer func() {
		switch cause := recover(); cause {
		case nil:
		case errPass:
			answered = false
		default:
			panic(cause)
		}
	}()
	handler(w, r)
	return true
}

// intercept lets a handler answer, or none if it is nil.
func (g *gateway) intercept(handler http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.before = handler
}

func (g *gateway) seen() []*http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]*http.Request(nil), g.requests...)
}

// behind sets the address to the gateway.
func (g *gateway) behind(o *Options) { o.Address, o.CABundle = g.URL, nil }

// wantClass fails unless an error has a class and contains a text.
func wantClass(t testing.TB, err, class error, says string) {
	t.Helper()
	if !errors.Is(err, class) || !strings.Contains(err.Error(), says) {
		t.Errorf("error is %v, want %q that says %q", err, class, says)
	}
}
