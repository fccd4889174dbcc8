package vault

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/secrets"
)

// TestObtain holds when a session is used again, renewed, or replaced by a login.
func TestObtain(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	tests := map[string]struct {
		change     func(*fake, *session)
		refused    bool
		wantTokens []string
		wantNew    bool
		wantErr    error
	}{
		"a new session":                    {},
		"one that does not expire":         {change: func(_ *fake, s *session) { s.ttl, s.until, s.renewAt = 0, time.Time{}, time.Time{} }},
		"due":                              {change: func(_ *fake, s *session) { s.renewAt = time.Now() }, wantTokens: []string{"renew-self"}},
		"due, and renewed for half":        {change: func(f *fake, s *session) { s.renewAt, f.renewedTTL = time.Now(), 1800 }, wantTokens: []string{"renew-self"}},
		"due, and renewed for less":        {change: func(f *fake, s *session) { s.renewAt, f.renewedTTL = time.Now(), 1799 }, wantTokens: []string{"renew-self", "login", "lookup-self"}, wantNew: true},
		"due, and not renewable":           {change: func(_ *fake, s *session) { s.renewAt, s.renewable = time.Now(), false }, wantTokens: []string{"login", "lookup-self"}, wantNew: true},
		"due, and the renewal is denied":   {change: func(f *fake, s *session) { s.renewAt, f.renewStatus = time.Now(), 403 }, wantTokens: []string{"renew-self", "login", "lookup-self"}, wantNew: true},
		"due, and so is the login":         {change: func(f *fake, s *session) { s.renewAt, f.renewStatus, f.loginStatus = time.Now(), 403, 403 }, wantTokens: []string{"renew-self", "login"}},
		"ended":                            {change: func(_ *fake, s *session) { s.until = time.Now() }, wantTokens: []string{"login", "lookup-self"}, wantNew: true},
		"ended, and no login":              {change: func(f *fake, s *session) { s.until, f.loginStatus = time.Now(), 403 }, wantTokens: []string{"login"}, wantErr: secrets.ErrDenied},
		"refused":                          {refused: true, wantTokens: []string{"lookup-self"}},
		"refused, and ended":               {refused: true, change: func(_ *fake, s *session) { s.until = time.Now() }, wantTokens: []string{"login", "lookup-self"}, wantNew: true},
		"refused, and a minute old":        {refused: true, change: func(_ *fake, s *session) { s.since = time.Now().Add(-hour) }, wantTokens: []string{"lookup-self", "login", "lookup-self"}, wantNew: true},
		"refused and old, without a login": {refused: true, change: func(f *fake, s *session) { s.since, f.loginStatus = time.Now().Add(-hour), 403 }, wantTokens: []string{"lookup-self", "login"}},
		"refused, and Vault is sealed":     {refused: true, change: func(f *fake, _ *session) { f.lookupStatus = 503 }, wantTokens: []string{"lookup-self"}, wantErr: secrets.ErrUnavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			v := f.open(t, appRole(t))
			old := v.current()
			f.mu.Lock()
			f.tokens = nil
			if test.change != nil {
				v.mu.Lock()
				test.change(f, old)
				v.mu.Unlock()
			}
			f.mu.Unlock()
			var refused *session
			if test.refused {
				refused = old
			}
			got, err := v.obtain(t.Context(), refused)
			if !errors.Is(err, test.wantErr) || err == nil && (got != old) != test.wantNew {
				t.Errorf("obtain returns a new session: %v, %v", got != old, err)
			}
			if diff := cmp.Diff(test.wantTokens, f.tokenRequests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			again, err := v.obtain(t.Context(), nil)
			if requests := f.tokenRequests(); again != got || err != nil || len(requests) != len(test.wantTokens) {
				t.Errorf("the next caller gets another session, or asks again: %v, %v", requests, err)
			}
		})
	}
}

// appRole logs in with an AppRole.
func appRole(t testing.TB) func(*Options) {
	return func(o *Options) {
		o.Auth = config.VaultAuth{Method: config.VaultAuthAppRole, Mount: "approle", RoleIDFile: file(t, "role"), SecretIDFile: file(t, "secret")}
	}
}

// A revoked token is replaced by a login.
func TestRevokedTokenIsReplaced(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := f.open(t, appRole(t))
	old := v.current()
	f.change(func() { f.lookupStatus = http.StatusForbidden })
	_, err := v.obtain(t.Context(), old)
	if got := f.tokenRequests()[2:]; !errors.Is(err, secrets.ErrDenied) || !slices.Equal(got, []string{"lookup-self", "login", "lookup-self"}) {
		t.Errorf("a new token that is not valid either: %v, %v", err, got)
	}
}

// The token in a file is used as long as it is there, and the next one then.
func TestTokenOfAFile(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	name := file(t, "first\n")
	v := f.open(t, func(o *Options) { o.Auth.TokenFile = name })
	expire := func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.session.renewAt = time.Now()
	}
	token := func() string {
		t.Helper()
		s, err := v.obtain(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.client.Token()
	}
	expire()
	if got := token(); got != "first" || !slices.Contains(f.tokenRequests(), "renew-self") {
		t.Errorf("the token is %q after %v", got, f.tokenRequests())
	}
	rewrite(t, name, "second")
	expire()
	if got := token(); got != "second" {
		t.Errorf("the token is %q after the file was replaced", got)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	expire()
	if got := token(); got != "second" {
		t.Errorf("the token is %q after the file was removed", got)
	}
}

func TestSessionTimes(t *testing.T) {
	t.Parallel()
	s, since := &session{}, time.Unix(0, 0)
	s.extend(since, 30*time.Minute)
	if renew, until := s.renewAt.Sub(since), s.until.Sub(since); renew != 20*time.Minute || until != 27*time.Minute {
		t.Errorf("a token of 30 minutes is renewed after %v, and used for %v", renew, until)
	}
}

func TestCredential(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ content, want, wantErr string }{
		"plain":            {content: "s.abc", want: "s.abc"},
		"with spaces":      {content: " \ts.abc\n", want: "s.abc"},
		"the longest":      {content: strings.Repeat("x", maxCredential), want: strings.Repeat("x", maxCredential)},
		"empty":            {content: " \n", wantErr: "does not hold one credential"},
		"two lines":        {content: "a\nb", wantErr: "does not hold one credential"},
		"another letter":   {content: "é", wantErr: "does not hold one credential"},
		"a delete":         {content: "a\x7f", wantErr: "does not hold one credential"},
		"much too long":    {content: strings.Repeat("x", maxCredential+1), wantErr: "does not hold one credential"},
		"quoted in errors": {content: canary + "\n" + canary, wantErr: "does not hold one credential"},
	} {
		got, err := credential("act", file(t, test.content))
		if got != test.want || (err != nil) != (test.wantErr != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if err != nil {
			wantClass(t, err, secrets.ErrDenied, test.wantErr)
			if strings.Contains(err.Error(), canary) {
				t.Errorf("%s: the error quotes it: %v", name, err)
			}
		}
	}
	_, err := credential("act", filepath.Join(t.TempDir(), "none"))
	wantClass(t, err, secrets.ErrDenied, "cannot be read: no such file")
}

// TestLogin holds the body of each method, and how a login fails.
func TestLogin(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	for name, test := range map[string]struct {
		auth config.VaultAuth
		want string
	}{
		"kubernetes": {config.VaultAuth{Method: config.VaultAuthKubernetes, Mount: "k", Role: "operator", TokenFile: file(t, "jwt")}, `{"jwt":"jwt","role":"operator"}`},
		"approle":    {config.VaultAuth{Method: config.VaultAuthAppRole, Mount: "a", RoleIDFile: file(t, "r"), SecretIDFile: file(t, "s")}, `{"role_id":"r","secret_id":"s"}`},
	} {
		f.open(t, func(o *Options) { o.Auth = test.auth })
		if f.loginBody != test.want || f.loginPath != "auth/"+test.auth.Mount+"/login" {
			t.Errorf("%s: %s %s, want %s", name, f.loginPath, f.loginBody, test.want)
		}
	}
	missing := open(t, Options{Tenant: tenant, Vault: config.Vault{Address: f.URL, Timeout: metav1.Duration{Duration: time.Second}, PollInterval: metav1.Duration{Duration: time.Second}, Auth: config.VaultAuth{Method: config.VaultAuthAppRole, Mount: "a", RoleIDFile: file(t, "r"), SecretIDFile: "/none"}}})
	_, err := missing.login(t.Context())
	wantClass(t, err, secrets.ErrDenied, "/none cannot be read")
	f.change(func() { f.loginStatus = http.StatusBadRequest })
	_, err = missing.login(t.Context())
	wantClass(t, err, secrets.ErrDenied, "/none")
	v := open(t, Options{Tenant: tenant, Vault: config.Vault{Address: f.URL, Timeout: metav1.Duration{Duration: time.Second}, PollInterval: metav1.Duration{Duration: time.Second}, Auth: config.VaultAuth{Method: config.VaultAuthKubernetes, Mount: "k", Role: "operator", TokenFile: file(t, "jwt")}}})
	_, err = v.login(t.Context())
	wantClass(t, err, secrets.ErrDenied, `log in to Vault at auth/k with the role "operator"`)
	wantClass(t, err, secrets.ErrDenied, "does not accept the operator's login at auth/k (status 400)")
	f.change(func() { f.loginStatus = http.StatusInternalServerError })
	_, err = v.login(t.Context())
	wantClass(t, err, secrets.ErrUnavailable, "status 500")
	f.change(func() { f.loginStatus, f.lookupStatus = http.StatusOK, http.StatusForbidden })
	_, err = v.login(t.Context())
	wantClass(t, err, secrets.ErrDenied, "log in to Vault at auth/k")
}

// An idle operator keeps its session.
func TestIdleSessionIsRenewed(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := f.open(t, appRole(t))
	v.mu.Lock()
	v.session.renewAt = time.Now()
	v.mu.Unlock()
	start(t, v)
	eventually(t, func() error {
		if !slices.Contains(f.tokenRequests(), "renew-self") {
			return errors.New("no renewal")
		}
		return nil
	})
}

// One outage is one change of the state, reported in order, and known at once.
func TestOutageIsReported(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	var states recorder[bool]
	v := f.open(t, func(o *Options) { o.OnState = states.add })
	f.record(1, http.StatusServiceUnavailable)
	f.change(func() { f.lookupStatus = http.StatusServiceUnavailable })
	_, err := v.System().Owned(t.Context(), clusterSet("c"))
	wantClass(t, err, secrets.ErrUnavailable, "read the auth mount c")
	wantClass(t, v.State(), secrets.ErrUnavailable, "status 503")
	f.record(0, 0)
	_, err = v.System().Owned(t.Context(), clusterSet("d"))
	wantClass(t, err, secrets.ErrUnavailable, "read the auth mount d")
	if got := f.record(0, 0); got != nil {
		t.Errorf("%v is requested during the outage", got)
	}
	f.change(func() { f.lookupStatus = http.StatusOK })
	eventually(t, v.State)
	eventually(t, func() error {
		if got := states.all(); !slices.Equal(got, []bool{false, true}) {
			return errors.New("OnState was not called yet")
		}
		return nil
	})
	if _, err := v.System().Owned(t.Context(), clusterSet("c")); err != nil {
		t.Errorf("after the outage: %v", err)
	}
	v.Close()
	v.trip(&failure{outage: true})
	if v.State() != nil {
		t.Error("a closed Vault records an outage")
	}
}

// A denied request is tried again with another session, if there is one.
func TestDeniedRequestIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change       func(*fake, *session)
		wantRequests int
		wantErr      string
	}{
		"with the same session": {func(*fake, *session) {}, 1, "no right to read sys/auth/c"},
		"with a new session":    {func(_ *fake, s *session) { s.since = time.Time{} }, 2, ""},
		"without a session":     {func(f *fake, s *session) { s.until, f.loginStatus = time.Now(), 500 }, 0, "status 500"},
		"that gets no session":  {func(f *fake, _ *session) { f.lookupStatus = 500 }, 1, "status 500"},
	} {
		f := newFake(t)
		v := f.open(t, appRole(t))
		f.set("sys/auth/c", ourMount("c"))
		f.record(1, http.StatusForbidden)
		v.mu.Lock()
		f.change(func() { test.change(f, v.session) })
		v.mu.Unlock()
		_, err := v.System().Owned(t.Context(), clusterSet("c"))
		if (err != nil) != (test.wantErr != "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
			t.Errorf("%s: %v, want %q", name, err, test.wantErr)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "read the auth mount c: ") {
			t.Errorf("%s: the error is about something else: %v", name, err)
		}
		if got := f.record(0, 0); len(got) != test.wantRequests {
			t.Errorf("%s: %v is requested, want %d requests", name, got, test.wantRequests)
		}
	}
}
