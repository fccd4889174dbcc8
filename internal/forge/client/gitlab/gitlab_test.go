package gitlab_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/clients"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/gitlab"
)

func secret(content string) secrets.Value { return secrets.NewValue([]byte(content)) }

func connect(t testing.TB, url, token string) client.Client {
	t.Helper()
	c, err := clients.New("gitlab", client.Connection{APIServer: url, Token: secret(token), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// world is a GitLab with a group and a project, and a client of a maintainer.
type world struct {
	*gitlab.Server
	caller  client.Client
	group   gitlab.Group
	project gitlab.Project
	token   string
}

func newWorld(t testing.TB, change ...func(*gitlab.Options)) *world {
	t.Helper()
	s := gitlab.New(t, change...)
	for _, name := range []string{"owner", "developer", "guest", "outsider"} {
		s.AddUser(gitlab.User{Username: name})
	}
	w := &world{Server: s, group: s.AddGroup("labs", gitlab.Private, "owner"), token: s.Token("owner")}
	s.SetMember("labs", "developer", gitlab.Developer)
	s.SetMember("labs", "guest", gitlab.Guest)
	w.project = s.AddProject("labs/app", gitlab.ProjectSettings{Readme: true})
	w.caller = connect(t, s.URL, w.token)
	return w
}

func (w *world) as(t testing.TB, username string) client.Client {
	t.Helper()
	return connect(t, w.URL, w.Token(username))
}

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBbuzbVQ8LLfqPRfYgTBkUDfKSjUvO2vW9IEbTLLYcRd"

// verbs are the verbs that change the forge, with arguments for the world.
func (w *world) verbs() map[string]func(context.Context) error {
	hook := client.HookSpec{URL: "http://127.0.0.1:1/hook", Events: []string{"push_events"}, Secret: secret("canary-of-the-hook")}
	return map[string]func(context.Context) error{
		"EnsureGroup": func(ctx context.Context) error {
			_, err := w.caller.EnsureGroup(ctx, client.GroupSpec{Path: "labs/team", Description: "new"})
			return err
		},
		"EnsureRepository": func(ctx context.Context) error {
			_, err := w.caller.EnsureRepository(ctx, client.RepositorySpec{GroupID: w.group.ID, Path: "default.project", Initialize: true, DefaultBranch: "main"})
			return err
		},
		"EnsureKey": func(ctx context.Context) error {
			_, err := w.caller.EnsureKey(ctx, w.project.ID, client.Key{Title: "nautes", Public: key, CanPush: true})
			return err
		},
		"EnsureHook": func(ctx context.Context) error {
			_, err := w.caller.EnsureHook(ctx, w.project.ID, hook, false)
			return err
		},
	}
}

// TestLostAnswers loses the answer of each call of each verb in turn. The verb must
// leave the same state when it is called again, with nothing twice.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for verb := range newWorld(t).verbs() {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			for lost := 1; ; lost++ {
				w := newWorld(t)
				// Both the order and the number of calls are the same in each world.
				var calls, hit atomic.Int64
				w.Fail(func(*http.Request) bool {
					return calls.Add(1) >= int64(lost) && hit.Add(1) <= 3
				}, 0, gitlab.Lost())
				first := w.verbs()[verb](t.Context())
				failed := hit.Load() > 0
				hit.Store(3)
				if err := w.verbs()[verb](t.Context()); err != nil {
					t.Fatalf("after a loss at call %d (%v): %v", lost, first, err)
				}
				w.wantOnce(t, verb)
				w.ForgetRequests()
				if err := w.verbs()[verb](t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, request := range w.Requests() {
					if request.Method != http.MethodGet {
						t.Errorf("a further call changes: %s %s", request.Method, request.Path)
					}
				}
				if !failed {
					if lost < 3 {
						t.Errorf("the verb has made %d calls", lost-1)
					}
					return
				}
			}
		})
	}
}

func (w *world) wantOnce(t testing.TB, verb string) {
	t.Helper()
	got := map[string]int{"groups": len(w.Groups()), "projects": len(w.Projects()), "keys": len(w.Keys("labs/app")), "hooks": len(w.Hooks("labs/app"))}
	want := map[string]int{"groups": 1, "projects": 1}
	want[map[string]string{"EnsureGroup": "groups", "EnsureRepository": "projects", "EnsureKey": "keys", "EnsureHook": "hooks"}[verb]]++
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: %d %s, want %d", verb, got[name], name, n)
		}
	}
	if verb == "EnsureHook" {
		if h := w.Hooks("labs/app")[0]; h.SigningToken == "" || h.Token != "" || !slices.Equal(h.Events, []string{"push_events"}) {
			t.Errorf("the hook is %+v, want a signed one of pushes without a token", h)
		}
	}
}

// TestNothingTwice checks that no request to create is sent again, whatever happens.
func TestNothingTwice(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]gitlab.Fault{
		"bad gateway": gitlab.BadGateway(), "lost": gitlab.Lost(), "refused": gitlab.Refused(), "retry later": gitlab.RetryLater(30 * time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var posts atomic.Int64
			w.Fail(func(r *http.Request) bool {
				if r.Method == http.MethodPost {
					posts.Add(1)
				}
				return r.Method == http.MethodPost
			}, 0, fault)
			err := w.verbs()["EnsureHook"](t.Context())
			if !errors.Is(err, client.ErrUnavailable) || posts.Load() != 1 {
				t.Errorf("%d requests to create, want 1; error %v", posts.Load(), err)
			}
			if name == "retry later" && client.RetryAfter(err) != 30*time.Second {
				t.Errorf("RetryAfter = %v", client.RetryAfter(err))
			}
		})
	}
}

// TestShortOutages checks that readers do not notice short interruptions.
func TestShortOutages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, fault := range map[string]gitlab.Fault{
		"bad gateway": gitlab.BadGateway(), "connection closed": gitlab.Refused(), "a second": gitlab.RetryLater(time.Second),
	} {
		w.Fail(gitlab.Calls("GET", "/groups/:id"), 1, fault)
		if _, err := w.caller.Group(t.Context(), "labs"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	const token = "glpat-canary-of-the-token"
	for name, test := range map[string]struct {
		status     int
		kind, body string
		header     map[string]string
		wantClass  error
		wantReason string
		wantRetry  time.Duration
	}{
		"message":             {status: 403, body: `{"message":"403 Forbidden"}`, wantClass: client.ErrForbidden, wantReason: "{message: 403 Forbidden}"},
		"scope":               {status: 403, body: `{"error":"insufficient_scope","error_description":"more","scope":"api"}`, wantClass: client.ErrForbidden, wantReason: "{error: insufficient_scope}, {error_description: more}, {scope: api}"},
		"expired":             {status: 401, body: `{"error":"invalid_token","error_description":"Token is expired."}`, wantClass: client.ErrUnauthorized, wantReason: "{error: invalid_token}, {error_description: Token is expired.}"},
		"fields":              {status: 400, body: `{"message":{"path":["is bad","is long"]}}`, wantClass: client.ErrInvalid, wantReason: "{message: {path: [is bad, is long]}}"},
		"taken":               {status: 400, body: `{"message":{"path":["has already been taken"]}}`, wantClass: client.ErrConflict, wantReason: "{message: {path: [has already been taken]}}"},
		"parameters":          {status: 400, body: `{"error":"name is missing"}`, wantClass: client.ErrInvalid, wantReason: "{error: name is missing}"},
		"not found":           {status: 404, body: `{"message":"404 Group Not Found"}`, wantClass: client.ErrNotFound},
		"a proxy's not found": {status: 404, kind: "text/html", body: "<html>nothing here</html>", wantClass: client.ErrUnavailable, wantReason: "the answer 404 does not come from GitLab: check the address of its API"},
		"moved path":          {status: 301, body: `{"message":"This resource has been moved permanently"}`, header: map[string]string{"Location": "/elsewhere"}, wantClass: client.ErrNotFound},
		"a proxy's redirect":  {status: 302, kind: "text/html", header: map[string]string{"Location": "https://sso.example.com/"}, wantClass: client.ErrUnavailable, wantReason: "it redirects, which is not followed: use the final address of GitLab"},
		"retry later":         {status: 429, kind: "text/plain", body: "Retry later\n", header: map[string]string{"Retry-After": "42", "RateLimit-Reset": "1"}, wantClass: client.ErrUnavailable, wantReason: "GitLab answers 429", wantRetry: 42 * time.Second},
		"maintenance":         {status: 503, kind: "text/html", body: "<html>canary-of-the-page</html>", header: map[string]string{"Retry-After": "600"}, wantClass: client.ErrUnavailable, wantReason: "GitLab answers 503", wantRetry: 10 * time.Minute},
		"no JSON":             {status: 200, body: "<html>", wantClass: client.ErrUnavailable, wantReason: "the answer is nonsense"},
		"an empty object":     {status: 200, body: "{}", wantClass: client.ErrUnavailable, wantReason: "the answer is nonsense"},
		"too long":            {status: 200, body: `"` + strings.Repeat("x", 17<<20) + `"`, wantClass: client.ErrUnavailable, wantReason: "the answer is too long"},
		"echoed credentials":  {status: 400, body: `{"message":"` + token + ` at https://ann:hunter2@example.com/"}`, wantClass: client.ErrInvalid, wantReason: "{message: *** at https://***@example.com/}"},
		"a long message":      {status: 400, body: `{"error":"` + strings.Repeat("long\\n", 100) + `"}`, wantClass: client.ErrInvalid, wantReason: "{error: " + strings.Repeat("long ", 38) + "lo…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				if r.URL.Path != "/api/v4/groups/labs" || r.Header.Get("Authorization") != "Bearer "+token {
					t.Errorf("%s %s", r.Method, r.URL)
				}
				for name, value := range test.header {
					w.Header().Set(name, value)
				}
				w.Header().Set("Content-Type", "application/json")
				if test.kind != "" {
					w.Header().Set("Content-Type", test.kind)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			_, err := connect(t, server.URL, token).Group(t.Context(), "labs")
			var failed *client.Error
			if !errors.As(err, &failed) || !errors.Is(err, test.wantClass) {
				t.Fatalf("error %v, want %v", err, test.wantClass)
			}
			if failed.RetryAfter != test.wantRetry {
				t.Errorf("RetryAfter = %v, want %v", failed.RetryAfter, test.wantRetry)
			}
			if test.wantReason != "" && failed.Reason != test.wantReason {
				t.Error(cmp.Diff(test.wantReason, failed.Reason))
			}
			if text := err.Error(); strings.Contains(text, "canary") || strings.Contains(text, "hunter2") || len(text) > 400 {
				t.Errorf("the error is %q", text)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		connection client.Connection
		provider   string
	}{
		"no URL":               {connection: client.Connection{APIServer: "gitlab.example.com"}},
		"credentials in it":    {connection: client.Connection{APIServer: "https://ann:canary@gitlab.example.com"}},
		"a query":              {connection: client.Connection{APIServer: "https://gitlab.example.com/?canary"}},
		"another scheme":       {connection: client.Connection{APIServer: "ssh://gitlab.example.com"}},
		"an empty token":       {connection: client.Connection{APIServer: "https://gitlab.example.com", Token: secret(" ")}},
		"a token of two lines": {connection: client.Connection{APIServer: "https://gitlab.example.com", Token: secret("canary\nX-A: b")}},
		"a CA that is none":    {connection: client.Connection{APIServer: "https://gitlab.example.com", CABundle: "canary"}},
		"another forge":        {connection: client.Connection{APIServer: "https://gitlab.example.com"}, provider: "sourcehut"},
	} {
		c := test.connection
		if c.Token.Bytes() == nil {
			c.Token = secret("token")
		}
		provider := test.provider
		if provider == "" {
			provider = "gitlab"
		}
		_, err := clients.New(provider, c)
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
