package forgetest

import (
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"

	"nautes.io/nautes/internal/forge/client"
)

// delivery is a request of a hook.
type delivery struct {
	header http.Header
	body   []byte
}

// endpoint returns the URL of a server that takes deliveries, and where they arrive.
func (s *suite) endpoint() (string, <-chan delivery) {
	arrived := make(chan delivery, 64)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			arrived <- delivery{r.Header, body}
		}
	}))
	s.Cleanup(server.Close)
	return server.URL + "/hooks/a", arrived
}

// hooksOf returns the hooks of a repository with a URL.
func (s *suite) hooksOf(repository int64, url string) []client.Hook {
	s.Helper()
	all, err := s.admin.Hooks(s.ctx(), repository)
	s.must(err)
	return slices.DeleteFunc(all, func(h client.Hook) bool { return h.URL != url })
}

func hooks(s *suite) {
	r := s.repository(s.group())
	url, _ := s.endpoint()
	spec := client.HookSpec{URL: url, Events: s.PushEvents, Secret: s.secret(rand.Text())}
	made, err := s.admin.EnsureHook(s.ctx(), r.ID, spec, false)
	s.must(err)
	if made.ID == 0 || made.URL != url || made.Disabled || made.Signed != s.can.SignedHooks || !slices.IsSorted(made.Events) || len(made.Events) == 0 {
		s.Errorf("EnsureHook = %+v, want a hook in force with sorted events, signed: %t", made, s.can.SignedHooks)
	}
	again, err := s.admin.EnsureHook(s.ctx(), r.ID, spec, false)
	s.must(err)
	s.same("EnsureHook again", made, again)
	s.oneHook(r.ID, "EnsureHook twice", made)

	spec.Events = append(slices.Clone(s.PushEvents), s.OtherEvents...)
	changed, err := s.admin.EnsureHook(s.ctx(), r.ID, spec, false)
	s.must(err)
	if len(changed.Events) <= len(made.Events) {
		s.Errorf("the events after a change are %v, before they were %v", changed.Events, made.Events)
	}
	s.oneHook(r.ID, "other events", changed)

	other := client.HookSpec{URL: url + "b", Events: s.PushEvents, Secret: s.secret(rand.Text())}
	second, err := s.admin.EnsureHook(s.ctx(), r.ID, other, false)
	s.must(err)
	s.oneHook(r.ID, "a second hook does not touch the first", changed)
	s.oneHook(r.ID, "the second hook", second)

	spec.Secret = s.secret(rand.Text())
	renewed, err := s.admin.EnsureHook(s.ctx(), r.ID, spec, true)
	s.must(err)
	s.oneHook(r.ID, "a renewed secret", renewed)

	s.must(s.admin.RemoveHook(s.ctx(), r.ID, second.ID))
	if left := s.hooksOf(r.ID, other.URL); len(left) != 0 {
		s.Errorf("a removed hook is still there: %+v", left)
	}
	s.must(s.admin.RemoveHook(s.ctx(), r.ID, second.ID))
	s.must(s.admin.RemoveHook(s.ctx(), r.ID, 1<<40))
	s.oneHook(r.ID, "the other hook stays", renewed)

	spec.Events = []string{"no-such-event"}
	_, err = s.admin.EnsureHook(s.ctx(), r.ID, spec, false)
	s.want(err, client.ErrInvalid, "an event that the forge does not have")
	_, err = s.admin.EnsureHook(s.ctx(), r.ID, client.HookSpec{URL: "no URL", Events: s.PushEvents, Secret: spec.Secret}, false)
	s.want(err, client.ErrInvalid, "a URL that is none")
	_, err = s.admin.Hooks(s.ctx(), 1<<40)
	s.want(err, client.ErrNotFound, "the hooks of a missing repository")
}

// oneHook checks that a repository has exactly one hook with the URL of a wanted one,
// which is equal.
func (s *suite) oneHook(repository int64, when string, want client.Hook) {
	s.Helper()
	found := s.hooksOf(repository, want.URL)
	if len(found) != 1 {
		s.Errorf("%s: %d hooks, want one", when, len(found))
		return
	}
	s.same(when, want, found[0])
}

func deliveries(s *suite) {
	group := s.group()
	r := s.repository(group)
	url, arrived := s.endpoint()
	secret := rand.Text()
	spec := client.HookSpec{URL: url, Events: s.PushEvents, Secret: s.secret(secret)}
	_, err := s.admin.EnsureHook(s.ctx(), r.ID, spec, false)
	s.must(err)

	s.commit(r, "first")
	got := s.arrival(arrived)
	if !s.Verify(got.header, got.body, secret) {
		s.Error("the delivery does not prove the secret of the hook")
	}
	if s.Verify(got.header, got.body, secret+"x") {
		s.Error("the delivery proves another secret")
	}
	renewed := rand.Text()
	spec.Secret = s.secret(renewed)
	_, err = s.admin.EnsureHook(s.ctx(), r.ID, spec, true)
	s.must(err)
	s.commit(r, "second")
	got = s.arrival(arrived)
	if !s.Verify(got.header, got.body, renewed) || s.Verify(got.header, got.body, secret) {
		s.Error("the delivery after a renewal does not prove the new secret only")
	}
}

// arrival waits for a delivery.
func (s *suite) arrival(arrived <-chan delivery) delivery {
	s.Helper()
	select {
	case got := <-arrived:
		return got
	case <-s.ctx().Done():
		s.Fatal("no delivery arrived")
		return delivery{}
	}
}
