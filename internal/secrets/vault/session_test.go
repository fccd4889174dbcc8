package vault

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/secrets"
)

// appRole enables AppRole, with a role whose tokens have a TTL, and returns the login
// of the operator.
func (s server) appRole(ttl, maxTTL string) config.VaultAuth {
	s.t.Helper()
	s.ask(http.MethodPost, "sys/auth/approle", map[string]any{"type": "approle"})
	s.ask(http.MethodPost, "auth/approle/role/operator", map[string]any{
		"token_policies": "nautes-operator", "token_ttl": ttl, "token_max_ttl": maxTTL,
	})
	role := s.ask(http.MethodGet, "auth/approle/role/operator/role-id", nil)
	return config.VaultAuth{Method: config.VaultAuthAppRole, Mount: "approle", RoleIDFile: file(s.t, fmt.Sprint(at(role, "data", "role_id"))), SecretIDFile: file(s.t, s.secretID())}
}

func (s server) secretID() string {
	s.t.Helper()
	return fmt.Sprint(at(s.ask(http.MethodPost, "auth/approle/role/operator/secret-id", nil), "data", "secret_id"))
}

// count counts the requests, except requests by root.
func (s server) count(request string) int {
	s.t.Helper()
	return len(slices.DeleteFunc(s.requests(), func(one string) bool { return one != request }))
}

const approleLogin = "update auth/approle/login"

// mustNotBeRefused fails if a request was sent with a token that had ended.
func (s server) mustNotBeRefused() {
	s.t.Helper()
	all, err := s.Requests()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, request := range all {
		if strings.Contains(request.Error, "permission denied") {
			s.t.Errorf("refused: %v", request)
		}
	}
}

// together makes many concurrent calls and returns the errors.
func together(n int, call func() error) []error {
	errs := make([]error, n)
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() { errs[i] = call() })
	}
	running.Wait()
	return errs
}

func (s server) reads(v *Vault) func() error {
	return func() error {
		_, err := v.Get(s.t.Context(), repoKey)
		return err
	}
}

func TestSessionIsShared(t *testing.T) {
	t.Parallel()
	s := newServer(t, "shared")
	approle := s.appRole("1h", "2h")
	v := s.open(func(o *Options) { o.Auth = approle })
	if s.count(approleLogin) != 0 {
		t.Error("Open logs in")
	}
	put(t, v, repoKey, "a", "1")
	for round := 1; round <= 3; round++ {
		if err := errors.Join(together(50, s.reads(v))...); err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		if got := s.count(approleLogin); got != round {
			t.Errorf("%d logins after the tokens were revoked %d times", got, round-1)
		}
		s.ask(http.MethodPost, "sys/leases/revoke-prefix/auth/approle/login", map[string]bool{"sync": true})
	}
	// The secret ID has been rotated: the file is read again.
	rewrite(t, approle.SecretIDFile, s.secretID()+"\n")
	if err := s.reads(v)(); err != nil {
		t.Error(err)
	}
	if v.State() != nil {
		t.Errorf("State: %v", v.State())
	}
}

func TestTokenThatEnds(t *testing.T) {
	t.Parallel()
	s := newServer(t, "ends")
	approle := s.appRole("3s", "3s")
	v := s.open(func(o *Options) { o.Auth = approle })
	put(t, v, repoKey, "a", "1")
	eventually(t, func() error {
		if err := s.reads(v)(); err != nil {
			t.Errorf("Get: %v", err)
		}
		if s.count(approleLogin) < 3 {
			return errors.New("fewer than three logins")
		}
		return nil
	})
	s.mustNotBeRefused()
}

func TestSessionIsRenewed(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		maxTTL string
		// wantRequest is sent repeatedly, and wantOnce once.
		wantRequest, wantOnce string
	}{
		"while the token may live":    {maxTTL: "1h", wantRequest: "update auth/token/renew-self", wantOnce: approleLogin},
		"until the end of its life":   {maxTTL: "4s", wantRequest: approleLogin},
		"a token that is not renewed": {maxTTL: "3s", wantRequest: approleLogin},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, "renewed-"+test.maxTTL)
			approle := s.appRole("3s", test.maxTTL)
			var states recorder[bool]
			v := s.open(func(o *Options) { o.Auth, o.OnState = approle, states.add })
			start(t, v)
			eventually(t, func() error {
				_, err := v.Get(t.Context(), repoKey)
				if !errors.Is(err, secrets.ErrNotFound) {
					t.Errorf("Get: %v", err)
				}
				if got := s.count(test.wantRequest); got < 3 {
					return fmt.Errorf("%d times %s", got, test.wantRequest)
				}
				return nil
			})
			if test.wantOnce != "" && s.count(test.wantOnce) != 1 {
				t.Errorf("%d times %s, want one", s.count(test.wantOnce), test.wantOnce)
			}
			if calls := states.all(); len(calls) != 0 {
				t.Errorf("OnState was called with %v", calls)
			}
			s.mustNotBeRefused()
		})
	}
}

func TestTokenFromAFile(t *testing.T) {
	t.Parallel()
	s := newServer(t, "file")
	name := file(t, s.operatorToken("1h", "nautes-operator")+"\n")
	var states recorder[bool]
	v := s.open(func(o *Options) {
		o.Auth, o.OnState = config.VaultAuth{Method: config.VaultAuthToken, TokenFile: name}, states.add
	})
	put(t, v, repoKey, "a", "1")

	// The program that keeps the file writes another token.
	s.ask(http.MethodPost, "auth/token/revoke", map[string]string{"token": s.token(v)})
	rewrite(t, name, s.operatorToken("1h", "nautes-operator"))
	if err := s.reads(v)(); err != nil {
		t.Errorf("with the next token: %v", err)
	}
	// Or it writes none for a while.
	s.ask(http.MethodPost, "auth/token/revoke", map[string]string{"token": s.token(v)})
	wantClass(t, s.reads(v)(), secrets.ErrDenied, "does not accept the token in "+name)
	rewrite(t, name, s.operatorToken("1h", "nautes-operator"))
	eventually(t, s.reads(v))
	if got := states.all(); !slices.Equal(got, []bool{false, true}) {
		t.Errorf("OnState was called with %v", got)
	}
}

// token returns the token in use.
func (s server) token(v *Vault) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.session.client.Token()
}

// A missing right is reported as such, costs no login each time, and works as soon
// as it is granted.
func TestDeniedIsNoLoginStorm(t *testing.T) {
	t.Parallel()
	s := newServer(t, "denied")
	approle := s.appRole("1h", "2h")
	var states recorder[bool]
	v := s.open(func(o *Options) { o.Auth, o.OnState = approle, states.add })
	put(t, v, repoKey, "a", "1")
	s.ask(http.MethodPut, "sys/policies/acl/nautes-operator", map[string]string{"policy": `path "tenant/data/*" { capabilities = ["read"] }`})
	for _, err := range together(50, s.reads(v)) {
		wantClass(t, err, secrets.ErrDenied, "no right to read git/data/gitlab/repo-1/default/readonly")
	}
	if got := s.count(approleLogin); got != 1 {
		t.Errorf("%d logins", got)
	}
	if _, err := v.Get(t.Context(), secrets.ProviderToken("gitlab")); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("a request that is still allowed: %v", err)
	}
	s.ask(http.MethodPut, "sys/policies/acl/nautes-operator", map[string]string{"policy": operatorPolicy(t)})
	if err := s.reads(v)(); err != nil {
		t.Errorf("with the right: %v", err)
	}
	if calls := states.all(); len(calls) != 0 {
		t.Errorf("OnState was called with %v", calls)
	}
}

// A denied login is retried with pauses, not for each call.
func TestDeniedLogin(t *testing.T) {
	t.Parallel()
	s := newServer(t, "login")
	approle := s.appRole("1h", "2h")
	good := s.secretID()
	tests := map[string]struct {
		secretID, says string
	}{
		"a wrong credential": {"wrong-" + good, "does not accept the operator's login at auth/approle"},
		"no credential":      {"", "does not hold one credential"},
		"two lines":          {good + "\n" + good, "does not hold one credential"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			name := file(t, test.secretID)
			var states recorder[bool]
			v := s.open(func(o *Options) {
				o.Auth, o.OnState = config.VaultAuth{Method: config.VaultAuthAppRole, Mount: "approle", RoleIDFile: approle.RoleIDFile, SecretIDFile: name}, states.add
			})
			before := s.count(approleLogin)
			began := time.Now()
			for range 10 {
				for _, err := range together(20, s.reads(v)) {
					wantClass(t, err, secrets.ErrDenied, test.says)
					if strings.Contains(err.Error(), good) {
						t.Errorf("the error quotes the credential: %v", err)
					}
				}
			}
			// One, and the attempts of the background.
			if got, most := s.count(approleLogin)-before, 2+int(time.Since(began)/outagePauses().Duration); got > most {
				t.Errorf("%d logins, want at most %d", got, most)
			}
			rewrite(t, name, good)
			eventually(t, func() error {
				_, err := v.Get(t.Context(), secrets.ProviderToken("x"))
				if errors.Is(err, secrets.ErrNotFound) {
					return nil
				}
				return fmt.Errorf("with the right credential: %w", err)
			})
			if got := states.all(); !slices.Equal(got, []bool{false, true}) {
				t.Errorf("OnState was called with %v", got)
			}
		})
	}
	missing := s.open(func(o *Options) {
		o.Auth = config.VaultAuth{Method: config.VaultAuthAppRole, Mount: "approle", RoleIDFile: "/none", SecretIDFile: approle.SecretIDFile}
	})
	wantClass(t, s.reads(missing)(), secrets.ErrDenied, "the file /none cannot be read")
	elsewhere := s.open(func(o *Options) {
		o.Auth = config.VaultAuth{Method: config.VaultAuthAppRole, Mount: "elsewhere", RoleIDFile: approle.RoleIDFile, SecretIDFile: approle.SecretIDFile}
	})
	wantClass(t, s.reads(elsewhere)(), secrets.ErrDenied, "auth/elsewhere")
}
