package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
)

// TestPushByOneRequest holds that a push is one request of the same content as git's, on
// every way to a server, with the credentials of its own caller.
func TestPushByOneRequest(t *testing.T) {
	const user, password = "ann", `c@nary:/p% w+?#"'&=ü`
	secret := func(text string) secrets.Value { return secrets.NewValue([]byte(text)) }
	for name, tt := range map[string]struct {
		byTLS, proxied bool
		newProxy       func(testing.TB, string) *githost.Proxy
	}{
		"http":                      {},
		"https":                     {byTLS: true},
		"http through a proxy":      {proxied: true, newProxy: githost.NewProxy},
		"https through a proxy":     {byTLS: true, proxied: true, newProxy: githost.NewProxy},
		"http through a TLS proxy":  {proxied: true, newProxy: githost.NewTLSProxy},
		"https through a TLS proxy": {byTLS: true, proxied: true, newProxy: githost.NewTLSProxy},
	} {
		t.Run(name, func(t *testing.T) {
			server := githost.New(t)
			src := Source{Branch: "main"}
			if tt.byTLS {
				server = githost.NewTLS(t)
				src.CABundle = certificateOf(t, server)
			}
			repo := server.Repo("demo/default.project")
			repo.Push(map[string]string{"a": "0"})
			address, err := url.Parse(repo.URL())
			if err != nil {
				t.Fatal(err)
			}
			src.URL = repo.URL()
			var proxy *githost.Proxy
			if tt.proxied {
				proxy = tt.newProxy(t, address.Host)
				proxy.RequireLogin(user, password)
				src.URL, src.Proxy, src.ProxyLogin = address.Scheme+"://example.com"+address.Path, proxy.URL, Login{Username: user, Password: secret(password)}
				if strings.HasPrefix(proxy.URL, "https:") {
					src.CABundle += proxy.Certificate()
				}
			}
			m := testMirrors(t, nil)
			head := fetch(t, m, src).Hash
			for _, caller := range []string{"one", "two"} {
				server.RequireAuth(caller, "token of "+caller)
				src.Auth = Auth{Username: caller, Password: secret("token of " + caller)}
				before := server.Requests()
				made, err := m.Push(t.Context(), key, src, head, []Draft{draft("of "+caller, map[string]string{"a": caller})})
				if err != nil {
					t.Fatal(describe(err))
				}
				if n := server.Requests() - before; n != 1 {
					t.Errorf("the push of %s takes %d requests, want 1", caller, n)
				}
				head = made[0]
			}
			if got := repo.Git("log", "-2", "--format=%s"); got != "of two\nof one" || repo.Git("rev-parse", "main") != head {
				t.Errorf("the server has %q", got)
			}
			if tt.proxied && proxy.Requests() < 3 {
				t.Errorf("the proxy gets %d requests", proxy.Requests())
			}
		})
	}
}

// TestPushWithoutTheAuthority holds that no push reaches a server that is not trusted.
func TestPushWithoutTheAuthority(t *testing.T) {
	server := githost.NewTLS(t)
	repo := server.Repo("demo/default.project")
	repo.Push(map[string]string{"a": "0"})
	m := testMirrors(t, nil)
	src := Source{URL: repo.URL(), Branch: "main", CABundle: certificateOf(t, server)}
	base := fetch(t, m, src)
	src.CABundle = ""
	before := server.Requests()
	if _, err := m.Push(t.Context(), key, src, base.Hash, []Draft{draft("mine", map[string]string{"a": "1"})}); !errors.Is(err, ErrCertificate) {
		t.Errorf("Push: %v, want ErrCertificate", describe(err))
	}
	if n := server.Requests() - before; n > 0 {
		t.Errorf("%d requests reach the server", n)
	}
}

// TestPushFallsBackToGit holds that git pushes if a server answers a single request as no
// server of Git does, and that no credentials follow a redirect.
func TestPushFallsBackToGit(t *testing.T) {
	elsewhere := githost.New(t)
	const result = "application/x-git-receive-pack-result"
	for name, answer := range map[string]func(http.ResponseWriter){
		"an error": func(w http.ResponseWriter) { http.Error(w, "list first", http.StatusBadRequest) },
		"a redirect": func(w http.ResponseWriter) {
			w.Header().Set("Location", elsewhere.URL)
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"a page":     func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") },
		"no packets": func(w http.ResponseWriter) { w.Header().Set("Content-Type", result); _, _ = io.WriteString(w, "hello") },
		"nothing":    func(w http.ResponseWriter) { w.Header().Set("Content-Type", result) },
		"an unknown band": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", result)
			_, _ = io.WriteString(w, "0006\x04x0000")
		},
		"an end too early": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", result)
			_, _ = io.WriteString(w, "00ff\x01000e")
		},
		"no word of branch": func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", result)
			_, _ = io.WriteString(w, banded("000eunpack ok\n0000"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, server, repo, src := setUp(t)
			repo.Push(map[string]string{"a": "0"})
			base := fetch(t, m, src)
			answered := 0
			server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost || answered > 0 {
					return false
				}
				answered++
				answer(w)
				return true
			})
			made, err := m.Push(context.Background(), key, src, base.Hash, []Draft{draft("mine", map[string]string{"a": "1"})})
			if err != nil || repo.Git("rev-parse", "main") != made[0] || answered != 1 {
				t.Errorf("Push = %v, %v, after %d odd answers", made, describe(err), answered)
			}
			if n := elsewhere.Requests(); n > 0 {
				t.Errorf("%d requests go elsewhere", n)
			}
		})
	}
}

// banded returns the answer of a server with a report.
func banded(report string) string { return fmt.Sprintf("%04x\x01%s0000", len(report)+5, report) }

// FuzzReadReport holds that an answer is read or refused, and that a branch counts as
// updated only if the server says so.
func FuzzReadReport(f *testing.F) {
	for _, seed := range []string{
		"", "0000", "hello", "0003", "ffff", banded("000eunpack ok\n0017ok refs/heads/main\n0000"),
		banded("000eunpack ok\n002ang refs/heads/main pre-receive declined\n0000"), "000c\x02GitLab:0000", banded("0016unpack unpacker err\n0000"),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		report, complaint, err := readReport(bytes.NewReader(answer))
		if err != nil {
			return
		}
		if report.updated && !bytes.Contains(answer, []byte("ok")) {
			t.Errorf("the branch is updated by %q", answer)
		}
		for line := range strings.Lines(complaint) {
			if !strings.HasPrefix(line, "remote: ") {
				t.Errorf("the complaint %q", complaint)
			}
		}
	})
}
