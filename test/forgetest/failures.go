package forgetest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/launch"
)

// want checks that an error has a class and no secret.
func (s *suite) want(err, class error, of string) {
	s.Helper()
	s.clean(err)
	if !errors.Is(err, class) {
		s.Errorf("%s: %v, want %v", of, err, class)
	}
	var failure *client.Error
	if !errors.As(err, &failure) || failure.Action == "" {
		s.Errorf("%s: %v names no action", of, err)
	}
}

// same checks that two answers are equal.
func (s *suite) same(when string, want, got any) {
	s.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		s.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

// calls returns a call of each verb.
func calls(c client.Client, group client.Group, r client.Repository, user int64) map[string]func(context.Context) error {
	spec := client.HookSpec{URL: "http://127.0.0.1:1/hook"}
	return map[string]func(context.Context) error{
		"WhoAmI":    func(ctx context.Context) error { _, err := c.WhoAmI(ctx); return err },
		"CanPush":   func(ctx context.Context) error { _, err := c.CanPush(ctx, r.ID, "main"); return err },
		"Role":      func(ctx context.Context) error { _, err := c.Role(ctx, r.ID, user); return err },
		"Group":     func(ctx context.Context) error { _, err := c.Group(ctx, group.Path); return err },
		"GroupByID": func(ctx context.Context) error { _, err := c.GroupByID(ctx, group.ID); return err },
		"Groups":    func(ctx context.Context) error { _, err := c.Groups(ctx); return err },
		"EnsureGroup": func(ctx context.Context) error {
			_, err := c.EnsureGroup(ctx, client.GroupSpec{Path: group.Path})
			return err
		},
		"RemoveGroup":    func(ctx context.Context) error { return c.RemoveGroup(ctx, group.ID) },
		"Repository":     func(ctx context.Context) error { _, err := c.Repository(ctx, r.Path); return err },
		"RepositoryByID": func(ctx context.Context) error { _, err := c.RepositoryByID(ctx, r.ID); return err },
		"Repositories":   func(ctx context.Context) error { _, err := c.Repositories(ctx, group.ID); return err },
		"RepositoriesNamed": func(ctx context.Context) error {
			_, err := c.RepositoriesNamed(ctx, "app", true)
			return err
		},
		"EnsureRepository": func(ctx context.Context) error {
			_, err := c.EnsureRepository(ctx, client.RepositorySpec{GroupID: group.ID, Path: "made"})
			return err
		},
		"RemoveRepository": func(ctx context.Context) error { return c.RemoveRepository(ctx, r.ID) },
		"Keys":             func(ctx context.Context) error { _, err := c.Keys(ctx, r.ID); return err },
		"EnsureKey": func(ctx context.Context) error {
			_, err := c.EnsureKey(ctx, r.ID, client.Key{Title: "k", Public: "ssh-ed25519 AAAA"})
			return err
		},
		"RemoveKey":  func(ctx context.Context) error { return c.RemoveKey(ctx, r.ID, 1) },
		"Hooks":      func(ctx context.Context) error { _, err := c.Hooks(ctx, r.ID); return err },
		"EnsureHook": func(ctx context.Context) error { _, err := c.EnsureHook(ctx, r.ID, spec, false); return err },
		"RemoveHook": func(ctx context.Context) error { return c.RemoveHook(ctx, r.ID, 1) },
		"SetStatus": func(ctx context.Context) error {
			return c.SetStatus(ctx, r.ID, forge.Status{Commit: "0123456789012345678901234567890123456789", Name: "n", Result: launch.RunFailed})
		},
		"Capabilities": func(ctx context.Context) error { _, err := c.Capabilities(ctx); return err },
	}
}

// refusals checks the classes of what a caller may not do.
func refusals(s *suite) {
	group := s.group()
	r := s.repository(group)
	wrong := s.as(User{Token: "0123456789abcdef0123456789abcdef01234567"})
	for verb, call := range calls(wrong, group, r, s.Host.Admin().ID) {
		err := call(s.ctx())
		// A forge may give its version to everybody.
		if verb == "Capabilities" && err == nil {
			continue
		}
		s.want(err, client.ErrUnauthorized, verb+" with a token that does not exist")
	}
	reader := s.member(group, r, client.RoleRead)
	as := calls(s.as(reader), group, r, reader.ID)
	for _, verb := range []string{"EnsureRepository", "RemoveRepository", "RemoveGroup", "Keys", "Hooks", "RemoveKey"} {
		err := as[verb](s.ctx())
		s.clean(err)
		if verb == "RemoveGroup" && errors.Is(err, client.ErrConflict) {
			// That the group has repositories may be seen first.
			continue
		}
		if !errors.Is(err, client.ErrForbidden) && !errors.Is(err, client.ErrNotFound) {
			s.Errorf("%s as a reader: %v, want %v, or %v where the forge hides it", verb, err, client.ErrForbidden, client.ErrNotFound)
		}
	}
	if err := as["CanPush"](s.ctx()); err != nil {
		s.must(err)
	}
	if _, err := s.admin.RepositoryByID(s.ctx(), r.ID); err != nil {
		s.Errorf("after the refusals: %v", err)
	}
}

// outages checks that whatever goes wrong between a client and its forge is an outage.
func outages(s *suite) {
	group := client.Group{ID: 1, Path: "labs"}
	r := client.Repository{ID: 1, GroupID: 1, Path: "labs/app"}
	done := make(chan struct{})
	defer close(done)
	answers := map[string]struct {
		handler   http.HandlerFunc
		wantRetry time.Duration
	}{
		"a page of a proxy": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte("<html>bad gateway</html>"))
		}},
		"too many requests": {wantRetry: 7 * time.Second, handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			http.Error(w, "Retry later", http.StatusTooManyRequests)
		}},
		"maintenance": {handler: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }},
		"nonsense": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte("{\"id\":"))
		}},
		"a cut answer": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("{}"))
		}},
		"no answer": {handler: func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-done:
			}
		}},
	}
	for name, answer := range answers {
		server := httptest.NewServer(answer.handler)
		defer server.Close()
		s.outage(name, server.URL, group, r, answer.wantRetry)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	closed := "http://" + listener.Addr().String()
	s.must(listener.Close())
	s.outage("a closed port", closed, group, r, 0)
}

func (s *suite) outage(name, url string, group client.Group, r client.Repository, retry time.Duration) {
	s.Helper()
	c := s.with(client.Connection{APIServer: url, Token: s.secret("canary-0123456789abcdef0123456789abcdef"), Timeout: 300 * time.Millisecond})
	// At the same time, because clients may wait before they give up.
	var verbs sync.WaitGroup
	defer verbs.Wait()
	for verb, call := range calls(c, group, r, 1) {
		verbs.Go(func() {
			err := call(s.ctx())
			s.want(err, client.ErrUnavailable, verb+" with "+name)
			if got := client.RetryAfter(err); got != retry {
				s.Errorf("%s with %s: the time to wait is %v, want %v", verb, name, got, retry)
			}
		})
	}
}
