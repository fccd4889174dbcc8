package gitea

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/dial"
	"nautes.io/nautes/internal/secrets"
)

const canary = "c0ffee-canary"

func token(content string) secrets.Value { return secrets.NewValue([]byte(content)) }

func TestNew(t *testing.T) {
	tests := map[string]struct {
		connection client.Connection
		want       error
	}{
		"an address":          {connection: client.Connection{APIServer: "https://gitea.example.com"}},
		"the API":             {connection: client.Connection{APIServer: "https://gitea.example.com/git/api/v1/"}},
		"no scheme":           {connection: client.Connection{APIServer: "gitea.example.com"}, want: errServer},
		"SSH":                 {connection: client.Connection{APIServer: "ssh://git@gitea.example.com"}, want: errServer},
		"a password":          {connection: client.Connection{APIServer: "https://u:" + canary + "@gitea.example.com"}, want: errServer},
		"a query":             {connection: client.Connection{APIServer: "https://gitea.example.com?a=" + canary}, want: errServer},
		"no address":          {want: errServer},
		"no certificate":      {connection: client.Connection{APIServer: "https://gitea.example.com", CABundle: canary}, want: dial.ErrCA},
		"no token":            {connection: client.Connection{APIServer: "https://gitea.example.com", Token: token("")}, want: dial.ErrToken},
		"two headers":         {connection: client.Connection{APIServer: "https://gitea.example.com", Token: token(canary + "\r\nX: y")}, want: dial.ErrToken},
		"a token of UTF-8":    {connection: client.Connection{APIServer: "https://gitea.example.com", Token: token(canary + "é")}, want: dial.ErrToken},
		"a token and a space": {connection: client.Connection{APIServer: "https://gitea.example.com", Token: token(canary + " x")}, want: dial.ErrToken},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if !errors.Is(tt.want, dial.ErrToken) {
				tt.connection.Token = token(canary)
			}
			_, err := New(tt.connection)
			if !errors.Is(err, tt.want) {
				t.Fatalf("New: %v, want %v", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

// version answers like a Gitea that is asked for its version.
func version(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"version":"1.26.0"}`))
}

func TestCertificates(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(version))
	defer server.Close()
	bundle := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	for name, tt := range map[string]struct{ bundle, wantErr string }{
		"the authority of the server": {bundle: bundle},
		"the system's authorities":    {wantErr: "the certificate of Gitea is not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(client.Connection{APIServer: server.URL, Token: token(canary), CABundle: tt.bundle})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Capabilities(t.Context())
			if (err == nil) != (tt.wantErr == "") || err != nil && (!strings.Contains(err.Error(), tt.wantErr) || !errors.Is(err, client.ErrUnavailable)) {
				t.Errorf("Capabilities: %v, want %q", err, tt.wantErr)
			}
		})
	}
}

// All requests to a host go through the proxy for it.
func TestProxy(t *testing.T) {
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		version(w, r)
	}))
	defer proxy.Close()
	c, err := New(client.Connection{APIServer: "http://gitea.invalid", Token: token(canary), Proxy: func(host string) string {
		if host != "gitea.invalid" {
			t.Errorf("the proxy of %q is asked for", host)
		}
		return proxy.URL
	}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Capabilities(t.Context())
	if err != nil || got.Version != "1.26.0" || got.NestedGroups || !got.SignedHooks {
		t.Errorf("Capabilities = %+v, %v", got, err)
	}
	if want := "http://gitea.invalid/api/v1/version"; asked.Load() != want {
		t.Errorf("the proxy got %v, want %s", asked.Load(), want)
	}
	for name, address := range map[string]string{"a closed port": "http://user:" + canary + "@127.0.0.1:1", "no URL": "http://user:" + canary + "@[::1"} {
		c, err := New(client.Connection{APIServer: "http://gitea.invalid", Token: token("t"), Proxy: func(string) string { return address }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Capabilities(t.Context()); !errors.Is(err, client.ErrUnavailable) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v, want that Gitea cannot be reached, and no password", name, err)
		}
	}
}

// A redirect is not followed: another host would get the token, and a change would
// become a reading request.
func TestRedirect(t *testing.T) {
	var followed atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Store(true) }))
	defer other.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	c, err := New(client.Connection{APIServer: server.URL, Token: token(canary)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Repository(t.Context(), "labs/old"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a repository that was renamed: %v, want %v", err, client.ErrNotFound)
	}
	if followed.Load() {
		t.Error("the redirect was followed")
	}
}

// An answer that never ends is cut.
func TestLongAnswer(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		chunk := []byte("[" + strings.Repeat(`"x",`, 1<<15))
		for range (dial.MaxBody / len(chunk)) * 2 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	c, err := New(client.Connection{APIServer: server.URL, Token: token(canary)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Groups(t.Context()); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("an endless answer: %v, want %v", err, client.ErrUnavailable)
	}
}

// The reason of a refusal is Gitea's message, in one line and cut. What does not come
// from Gitea is no reason.
func TestReasons(t *testing.T) {
	tests := map[string]struct {
		code              int
		contentType, body string
		want              error
		wantReason        string
	}{
		"a message":         {422, "application/json", `{"message":"name is\ntaken"}`, client.ErrInvalid, "name is taken"},
		"a long message":    {422, "application/json", `{"message":"` + strings.Repeat("x", 5000) + `"}`, client.ErrInvalid, strings.Repeat("x", dial.MaxReason) + "…"},
		"a page of a proxy": {403, "text/html", "<html>" + canary, client.ErrForbidden, ""},
		"a server's error":  {500, "application/json", `{"message":"` + canary + `"}`, client.ErrUnavailable, "Gitea answers 500"},
		"a conflict":        {409, "application/json", `{"message":"it exists"}`, client.ErrConflict, "it exists"},
		"locked":            {423, "application/json", `{"message":"it is archived"}`, client.ErrConflict, "it is archived"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", tt.contentType)
				w.WriteHeader(tt.code)
				_, _ = w.Write([]byte(tt.body))
			}))
			defer server.Close()
			c, err := New(client.Connection{APIServer: server.URL, Token: token("t")})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Group(t.Context(), "labs")
			var failed *client.Error
			if !errors.As(err, &failed) || !errors.Is(err, tt.want) || failed.Reason != tt.wantReason {
				t.Errorf("Group: %v, want %v: %s", err, tt.want, tt.wantReason)
			}
		})
	}
}
