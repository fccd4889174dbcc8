package vault

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
)

// outage is a way in which a server fails and recovers.
type outage struct {
	begin, end func() error
	says       string
}

func (s server) outages() map[string]outage {
	ctx := s.t.Context()
	return map[string]outage{
		"sealed": {func() error { return s.Seal(ctx) }, func() error { return s.Unseal(ctx) }, "sealed"},
		// The first caller may notice it by a connection that breaks instead of one that
		// is refused.
		"stopped": {s.Stop, func() error { return s.Start(ctx) }, "connection"},
		"killed":  {s.Kill, func() error { return s.Start(ctx) }, "connection"},
		"frozen":  {s.Pause, s.Resume, "it did not answer within 1s"},
	}
}

// During an outage all callers get an error at once, the server gets few requests,
// and nothing is lost. Work continues as soon as the outage ends.
func TestOutages(t *testing.T) {
	t.Parallel()
	s := newServer(t, "outages")
	var states recorder[bool]
	v := s.open(func(o *Options) { o.OnState, o.Timeout.Duration = states.add, time.Second })
	put(t, v, repoKey, "a", "1")
	for name, outage := range s.outages() {
		t.Run(name, func(t *testing.T) {
			before := len(states.all())
			if err := outage.begin(); err != nil {
				t.Fatal(err)
			}
			for _, err := range together(50, s.reads(v)) {
				wantClass(t, err, secrets.ErrUnavailable, outage.says)
			}
			began := time.Now()
			for name, err := range attempts(t, v) {
				wantClass(t, err, secrets.ErrUnavailable, outage.says)
				if errors.Is(err, secrets.ErrNotFound) {
					t.Errorf("%s: an outage is no absence: %v", name, err)
				}
			}
			if took := time.Since(began); took > 500*time.Millisecond {
				t.Errorf("it takes %v to return a known error", took)
			}
			wantClass(t, v.State(), secrets.ErrUnavailable, outage.says)
			if err := outage.end(); err != nil {
				t.Fatal(err)
			}
			eventually(t, s.reads(v))
			if got := states.all()[before:]; !slices.Equal(got, []bool{false, true}) {
				t.Errorf("OnState was called with %v", got)
			}
			secret, err := v.Get(t.Context(), repoKey)
			if err != nil || contentOf(secret)["a"] != "1" {
				t.Errorf("after it: %v, %v", contentOf(secret), err)
			}
			if err := v.State(); err != nil {
				t.Errorf("State after it: %v", err)
			}
		})
	}
}

// attempts runs every operation once and returns the errors.
func attempts(t *testing.T, v *Vault) map[string]error {
	t.Helper()
	ctx := t.Context()
	system := v.System()
	errs := map[string]error{"Delete": v.Delete(ctx, repoKey)}
	_, errs["Get"] = v.Get(ctx, repoKey)
	_, errs["Version"] = v.Version(ctx, repoKey)
	_, errs["Put"] = v.Put(ctx, repoKey, fields("a", canary))
	_, errs["Owned by a product"] = system.Owned(ctx, spaceSet("product-1", "c"))
	_, errs["Owned by a cluster"] = system.Owned(ctx, clusterSet("c"))
	for name, item := range sampleItems("c", "product-1") {
		owner := ownerOf(item)
		_, errs["Put "+name] = system.Put(ctx, owner, item, resolved(canary, canary, "1"))
		_, errs["Delete "+name] = system.Delete(ctx, owner, item.ID)
	}
	return errs
}

// TestAnswers holds how unexpected answers, of Vault or of another server, are
// classified.
func TestAnswers(t *testing.T) {
	t.Parallel()
	html := func(status int) githost.Failure { return githost.Answer(status, "<html>"+canary+"</html>") }
	says := func(status int) githost.Failure {
		return githost.Answer(status, `{"errors":["it said `+canary+`"]}`)
	}
	tests := map[string]struct {
		failure   githost.Failure
		class     error
		says      string
		wantState error // nil if other requests are still served
	}{
		"a limit of its rate":       {says(429), secrets.ErrUnavailable, "it limits the rate", secrets.ErrUnavailable},
		"a failure of its own":      {says(500), secrets.ErrUnavailable, "status 500", nil},
		"a bad gateway":             {html(502), secrets.ErrUnavailable, "not Vault (status 502)", secrets.ErrUnavailable},
		"in maintenance":            {says(503), secrets.ErrUnavailable, "status 503", secrets.ErrUnavailable},
		"a standby of a recovery":   {says(472), secrets.ErrDenied, "status 472", nil},
		"a page that is not there":  {html(404), secrets.ErrUnavailable, "not Vault (status 404)", nil},
		"a page":                    {html(200), secrets.ErrUnavailable, "its answer cannot be read", nil},
		"a redirect to nowhere":     {says(307), secrets.ErrUnavailable, "", secrets.ErrUnavailable},
		"no engine":                 {says(404), secrets.ErrDenied, "nothing is enabled", nil},
		"a bad request":             {says(400), secrets.ErrDenied, "status 400", nil},
		"a node behind the others":  {says(412), secrets.ErrUnavailable, "behind the others", nil},
		"nothing":                   {githost.Hang(), secrets.ErrUnavailable, "did not answer within 1s", secrets.ErrUnavailable},
		"a connection that breaks":  {githost.DropConnection(0), secrets.ErrUnavailable, "", nil},
		"an answer that breaks off": {githost.DropConnection(10), secrets.ErrUnavailable, "its answer cannot be read", nil},
	}
	s := newServer(t, "answers")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, err := s.Proxy()
			if err != nil {
				t.Fatal(err)
			}
			v := s.open(func(o *Options) { o.Address, o.Timeout.Duration = proxy.URL, time.Second })
			ref := secrets.RepositoryReadOnly("gitlab", fmt.Sprintf("repo-%x", name))
			put(t, v, ref, "a", "1")
			proxy.Fail(devstack.Fault{Path: "/v1/git/", Failure: test.failure})
			_, err = v.Get(t.Context(), ref)
			wantClass(t, err, test.class, test.says)
			if errors.Is(err, secrets.ErrNotFound) {
				t.Errorf("it counts as an absence: %v", err)
			}
			if state := v.State(); test.wantState == nil && state != nil || !errors.Is(state, test.wantState) {
				t.Errorf("State: %v, want %v", state, test.wantState)
			}
			proxy.Heal()
			eventually(t, func() error { _, err := v.Get(t.Context(), ref); return err })
		})
	}
}

// During an outage there is at most one request at a time, with growing pauses.
func TestServerThatIsDownGetsFewRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, "storm")
	proxy, err := s.Proxy()
	if err != nil {
		t.Fatal(err)
	}
	v := s.open(func(o *Options) { o.Address, o.Timeout.Duration = proxy.URL, time.Second })
	put(t, v, repoKey, "a", "1")
	proxy.Fail(devstack.Fault{Failure: githost.Answer(http.StatusServiceUnavailable, `{"errors":["Vault is sealed"]}`)})
	before, began := proxy.Requests("", ""), time.Now()
	_ = s.reads(v)()
	for time.Since(began) < 3*time.Second {
		for _, err := range together(100, s.reads(v)) {
			wantClass(t, err, secrets.ErrUnavailable, "sealed")
		}
	}
	// The pauses double: 0.25, 0.5, 1, 2 seconds, and up to a fifth more.
	if got := proxy.Requests("", "") - before; got < 3 || got > 6 {
		t.Errorf("%d requests in 3 seconds", got)
	}
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	s := newServer(t, "certificates")
	other := newServer(t, "another-authority")
	plain := prepared(t, devstack.VaultOptions{Name: "plain", Plain: true})
	tests := map[string]struct {
		change func(*Options)
		says   string // empty if it works
	}{
		"the CA of the server": {change: func(*Options) {}},
		"none":                 {change: func(o *Options) { o.CABundle = nil }, says: "certificate is not trusted"},
		"another CA":           {change: func(o *Options) { o.CABundle = other.CA }, says: "certificate is not trusted"},
		"two CAs":              {change: func(o *Options) { o.CABundle = slices.Concat(other.CA, s.CA) }},
		"plain HTTP":           {change: func(o *Options) { o.Address = "https" + plain.Address[len("http"):] }, says: "does not speak TLS"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := s.open(test.change)
			_, err := v.Get(t.Context(), repoKey)
			if test.says == "" {
				if !errors.Is(err, secrets.ErrNotFound) {
					t.Errorf("Get: %v", err)
				}
				return
			}
			wantClass(t, err, secrets.ErrUnavailable, test.says)
		})
	}
}

// Variables that administrators set for the clients of people do not change the
// operator's client.
func TestEnvironmentIsNotUsed(t *testing.T) {
	s := newServer(t, "environment")
	g := s.gateway()
	approle := s.appRole("1h", "2h")
	for name, value := range map[string]string{
		"VAULT_ADDR": "https://127.0.0.1:1", "VAULT_AGENT_ADDR": "https://127.0.0.1:1", "VAULT_TOKEN": "from-the-environment",
		"VAULT_NAMESPACE": "elsewhere", "VAULT_SKIP_VERIFY": "true", "VAULT_HEADERS": `{"X-Other": "1"}`, "VAULT_MAX_RETRIES": "9",
	} {
		t.Setenv(name, value)
	}
	v := s.open(g.behind, func(o *Options) { o.Auth = approle })
	put(t, v, repoKey, "a", "1")
	for _, request := range g.seen() {
		for _, header := range []string{"X-Vault-Namespace", "X-Other"} {
			if got := request.Header.Get(header); got != "" {
				t.Errorf("%s has the header %s: %s", request.URL.Path, header, got)
			}
		}
		want := s.token(v)
		if request.URL.Path == "/v1/auth/approle/login" {
			want = ""
		}
		if got := request.Header.Get("X-Vault-Token"); got != want {
			t.Errorf("%s has another token: %q", request.URL.Path, got)
		}
	}
	untrusted := s.open(func(o *Options) { o.CABundle = nil })
	wantClass(t, s.reads(untrusted)(), secrets.ErrUnavailable, "certificate is not trusted")
}

// A standby redirects to the active node, once and never from TLS to plain HTTP.
func TestStandby(t *testing.T) {
	t.Parallel()
	s := newServer(t, "active")
	leader := s.Address
	standby := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", leader+r.URL.RequestURI())
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	standby.StartTLS()
	t.Cleanup(standby.Close)
	own := pemOf(standby.Certificate())
	open := func() *Vault {
		return s.open(func(o *Options) { o.Address, o.CABundle = standby.URL, slices.Concat(o.CABundle, own) })
	}
	v := open()
	put(t, v, repoKey, "a", "1")
	if secret, err := v.Get(t.Context(), repoKey); err != nil || contentOf(secret)["a"] != "1" {
		t.Errorf("through a standby: %v, %v", contentOf(secret), err)
	}
	leader = standby.URL
	wantClass(t, s.reads(open())(), secrets.ErrUnavailable, "a standby that does not lead")
	var token string
	plain := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { token = r.Header.Get("X-Vault-Token") }))
	t.Cleanup(plain.Close)
	leader = plain.URL
	wantClass(t, s.reads(open())(), secrets.ErrUnavailable, "")
	if token != "" {
		t.Error("a redirect has taken the token out of TLS")
	}
}

// A caller that gives up is no sign of an outage.
func TestCallersThatGiveUp(t *testing.T) {
	t.Parallel()
	s := newServer(t, "callers")
	g := s.gateway()
	v := s.open(g.behind)
	put(t, v, repoKey, "a", "1")
	arrived := make(chan struct{})
	g.intercept(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := contextOf(t)
	go func() { <-arrived; cancel() }()
	_, err := v.Get(ctx, repoKey)
	if !errors.Is(err, ctx.Err()) || errors.Is(err, secrets.ErrUnavailable) {
		t.Errorf("Get: %v, want %v", err, ctx.Err())
	}
	if err := v.State(); err != nil {
		t.Errorf("State: %v", err)
	}
}
