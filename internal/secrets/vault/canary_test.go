package vault

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/secrets"
)

// leaks reports whether a text holds the canary, in any form.
func leaks(text string) bool {
	for _, form := range []string{
		canary, base64.StdEncoding.EncodeToString([]byte(canary)), base64.RawURLEncoding.EncodeToString([]byte(canary)), hex.EncodeToString([]byte(canary)),
		fmt.Sprint([]byte(canary)), strings.ReplaceAll(fmt.Sprint([]byte(canary)), " ", ","),
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(strings.Trim(form, "[]"))) {
			return true
		}
	}
	return false
}

// echo is a server whose refusals quote the whole request.
type echo struct {
	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request, quoted string)
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	quoted := fmt.Sprint(r.URL, r.Header, string(body))
	e.mu.Lock()
	answer := e.answer
	e.mu.Unlock()
	answer(w, r, quoted)
}

func (e *echo) set(answer func(w http.ResponseWriter, r *http.Request, quoted string)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

// accepting answers the requests of a login.
func accepting(then func(w http.ResponseWriter, r *http.Request, quoted string)) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, r *http.Request, quoted string) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/login"):
			_, _ = fmt.Fprintf(w, `{"auth":{"client_token":"%s-token","lease_duration":3600}}`, canary)
		case strings.HasSuffix(r.URL.Path, "/lookup-self"):
			_, _ = io.WriteString(w, `{"data":{"ttl":3600}}`)
		default:
			then(w, r, quoted)
		}
	}
}

func refusing(status int) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, quoted string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{quoted, "check-and-set " + quoted}, "data": map[string]string{"a": quoted}})
	}
}

func shouting(status int, form string) func(http.ResponseWriter, *http.Request, string) {
	return func(w http.ResponseWriter, _ *http.Request, quoted string) {
		w.Header().Set("Location", "http://127.0.0.1:1/"+canary)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, form, quoted)
	}
}

// No failure, and no answer of Vault, brings a secret into an error, a log line or
// the state.
func TestNoErrorHoldsASecret(t *testing.T) {
	t.Parallel()
	answers := map[string]func(http.ResponseWriter, *http.Request, string){}
	for _, status := range []int{400, 401, 403, 404, 405, 412, 413, 429, 472, 500, 501, 502, 503, 504} {
		answers[fmt.Sprint("status ", status)] = refusing(status)
		answers[fmt.Sprint("page with status ", status)] = shouting(status, "<html>%s</html>")
	}
	answers["redirect"] = shouting(307, "%s")
	answers["another redirect"] = shouting(302, "%s")
	answers["text"] = shouting(200, "%s")
	answers["wrong types"] = shouting(200, `{"data": {"data": %q, "metadata": "`+canary+`", "versions": "`+canary+`"}}`)
	answers["half an answer"] = shouting(200, `{"data": {"data": {"a": %q`)
	answers["nothing"] = func(http.ResponseWriter, *http.Request, string) { panic(http.ErrAbortHandler) }
	secretFile := file(t, canary+"-credential")
	auths := map[string]config.VaultAuth{
		"token":      {Method: config.VaultAuthToken, TokenFile: secretFile},
		"approle":    {Method: config.VaultAuthAppRole, Mount: "approle", RoleIDFile: secretFile, SecretIDFile: secretFile},
		"kubernetes": {Method: config.VaultAuthKubernetes, Mount: tenant, Role: "nautes-operator", TokenFile: secretFile},
		"two lines":  {Method: config.VaultAuthToken, TokenFile: file(t, canary+"\n"+canary)},
		"bytes":      {Method: config.VaultAuthToken, TokenFile: file(t, canary+"\x00")},
	}
	server := &echo{}
	front := httptest.NewServer(server)
	t.Cleanup(front.Close)
	errs, logged := 0, 0
	for answer, handler := range answers {
		for auth, credentials := range auths {
			for _, loggedIn := range []bool{true, false} {
				if loggedIn {
					server.set(accepting(handler))
				} else {
					server.set(handler)
				}
				var log recorder[string]
				o := Options{Tenant: tenant, Vault: config.Vault{Address: front.URL, Auth: credentials, Timeout: metav1.Duration{Duration: time.Second}, PollInterval: metav1.Duration{Duration: time.Minute}},
					Log: funcr.New(func(prefix, args string) { log.add(prefix + args) }, funcr.Options{Verbosity: 9})}
				v := open(t, o)
				for name, err := range attempts(t, v) {
					if err != nil {
						errs++
					}
					if text := fmt.Sprintf("%v %+v %#v", err, err, err); leaks(text) {
						t.Errorf("%s, %s, %s: the error holds a secret: %s", answer, auth, name, text)
					}
				}
				for _, text := range append(log.all(), fmt.Sprintf("%v %+v %#v", v.State(), v.State(), v.State())) {
					logged++
					if leaks(text) {
						t.Errorf("%s, %s: it holds a secret: %s", answer, auth, text)
					}
				}
				v.Close()
			}
		}
	}
	if errs < 1000 || logged < 100 {
		t.Errorf("only %d errors and %d texts were looked at", errs, logged)
	}
	for _, text := range []string{"x " + canary, fmt.Sprintf("%x", canary), fmt.Sprint([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(canary))} {
		if !leaks(text) {
			t.Errorf("the secret in %q is not seen", text)
		}
	}
}

// With the real server, no URL holds a stored secret or a credential of the login.
func TestNoURLHoldsASecret(t *testing.T) {
	t.Parallel()
	s := newServer(t, "urls")
	approle := s.appRole("1h", "2h")
	g := s.gateway()
	v := s.open(g.behind, func(o *Options) { o.Auth = approle })
	put(t, v, repoKey, "a", canary)
	for _, item := range sampleItems("c", "product-1") {
		if item.ID.Kind == "AuthMount" {
			s.applied(v, item)
		}
	}
	credentials := []string{canary, s.token(v), reviewerToken}
	for _, name := range []string{approle.RoleIDFile, approle.SecretIDFile} {
		credential, err := credential("", name)
		if err != nil {
			t.Fatal(err)
		}
		credentials = append(credentials, credential)
	}
	for _, request := range g.seen() {
		for _, credential := range credentials {
			if strings.Contains(request.URL.String(), credential) {
				t.Errorf("%s holds a secret", request.URL)
			}
		}
	}
}

// With Vault Enterprise, every request names the namespace, from the login on.
func TestNamespaceIsSentWithEverything(t *testing.T) {
	t.Parallel()
	s := newServer(t, "namespace")
	approle := s.appRole("4s", "1h")
	g := s.gateway()
	v := s.open(g.behind, func(o *Options) {
		o.Auth, o.Namespace, o.PollInterval.Duration = approle, "teams/a", 200*time.Millisecond
	})
	start(t, v)
	put(t, v, repoKey, "a", "1")
	s.applied(v, mountItem("c", "https://127.0.0.1:6443"))
	s.applied(v, roleItem("c", "product-1", "a", repoKey))
	s.owned(v, spaceSet("product-1", "c"))
	if _, err := v.Version(t.Context(), secrets.ProviderToken("gitlab")); err == nil {
		t.Error("Version of nothing: no error")
	}
	kinds := []string{"/v1/auth/approle/login", "/v1/auth/token/renew-self", "/v1/git/data/", "/v1/tenant/metadata/", "/v1/sys/auth/c", "/v1/auth/c/role/", "/v1/sys/policies/acl"}
	eventually(t, func() error {
		for _, kind := range kinds {
			if !asked(g, kind) {
				return fmt.Errorf("%s is not requested", kind)
			}
		}
		return nil
	})
	for _, request := range g.seen() {
		if got := request.Header.Values("X-Vault-Namespace"); len(got) != 1 || got[0] != "teams/a" {
			t.Errorf("%s %s is asked for in the namespaces %q", request.Method, request.URL.Path, got)
		}
	}
	if got := v.System().UID(); got != g.URL+"#teams/a" {
		t.Errorf("UID is %q", got)
	}
}

func asked(g *gateway, prefix string) bool {
	for _, request := range g.seen() {
		if strings.HasPrefix(request.URL.Path, prefix) {
			return true
		}
	}
	return false
}
