package git

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/githost"
)

// certificateOf returns the certificate of a server in PEM.
func certificateOf(t *testing.T, server *githost.Server) string {
	t.Helper()
	content, err := os.ReadFile(server.CertificateFile())
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestPrivateAuthority(t *testing.T) {
	server, other := githost.NewTLS(t), githost.NewTLS(t)
	repo := server.Repo("demo/default.project")
	hash := repo.Push(map[string]string{"a": "1"})
	right, wrong := certificateOf(t, server), certificateOf(t, other)
	tests := map[string]struct {
		bundle  string
		option  string
		wantErr bool
	}{
		"no bundle":                {wantErr: true},
		"the authority":            {bundle: right},
		"in addition to the file":  {bundle: right, option: other.CertificateFile()},
		"in the file beside it":    {bundle: "# nothing\n", option: server.CertificateFile()},
		"from Windows":             {bundle: strings.ReplaceAll(right, "\n", "\r\n")},
		"two authorities":          {bundle: wrong + right},
		"another server's bundle":  {bundle: wrong, wantErr: right != wrong},
		"the server's is replaced": {bundle: "# nothing\n", wantErr: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := testMirrors(t, func(o *Options) { o.CAFile = tt.option })
			for range 2 {
				commit, err := m.Fetch(context.Background(), key, Source{URL: repo.URL(), Branch: "main", CABundle: tt.bundle})
				if tt.wantErr != (err != nil) || err == nil && commit.Hash != hash {
					t.Fatalf("Fetch = %s, %v, want %s, error %v", commit.Hash, err, hash, tt.wantErr)
				}
			}
			if files, _ := filepath.Glob(filepath.Join(m.home, "ca-*")); len(files) > 1 {
				t.Errorf("one bundle has the files %v", files)
			}
		})
	}
}

// proxy is an HTTP proxy that connects every name to one address, and counts.
type proxy struct {
	*httptest.Server
	requests atomic.Int32
	// login is the value of Proxy-Authorization that the proxy asks for, or empty.
	login string
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	p := &proxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		if p.login != "" && r.Header.Get("Proxy-Authorization") != p.login {
			w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
			http.Error(w, "log in", http.StatusProxyAuthRequired)
			return
		}
		if r.Method != http.MethodConnect {
			r.URL.Scheme, r.URL.Host, r.RequestURI = "http", to, ""
			answer, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			defer func() { _ = answer.Body.Close() }()
			for name, values := range answer.Header {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.StatusCode)
			_, _ = io.Copy(w, answer.Body)
			return
		}
		upstream, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer func() { _ = upstream.Close() }()
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = client.Close() }()
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(upstream, client)
			_ = upstream.Close()
		}()
		_, _ = io.Copy(client, upstream)
	}))
	t.Cleanup(p.Close)
	return p
}

// The name of the server is known to the proxy only.
func TestProxy(t *testing.T) {
	for name, server := range map[string]*githost.Server{"http": githost.New(t), "https": githost.NewTLS(t)} {
		t.Run(name, func(t *testing.T) {
			repo := server.Repo("demo/default.project")
			hash := repo.Push(map[string]string{"a": "1"})
			address, err := url.Parse(repo.URL())
			if err != nil {
				t.Fatal(err)
			}
			through := newProxy(t, address.Host)
			src := Source{URL: address.Scheme + "://example.com" + address.Path, Branch: "main", Proxy: through.URL}
			if address.Scheme == "https" {
				// The certificate of httptest is for example.com too.
				src.CABundle = certificateOf(t, server)
			}
			m := testMirrors(t, nil)
			if got := fetch(t, m, src); got.Hash != hash || through.requests.Load() == 0 {
				t.Errorf("head is %s after %d requests of the proxy, want %s", got.Hash, through.requests.Load(), hash)
			}
			before := through.requests.Load()
			t.Setenv("HTTPS_PROXY", through.URL)
			t.Setenv("http_proxy", through.URL)
			direct := src
			direct.URL, direct.Proxy = repo.URL(), ""
			if got := fetch(t, m, direct); got.Hash != hash || through.requests.Load() != before {
				t.Errorf("without a proxy, head is %s after %d requests of the proxy", got.Hash, through.requests.Load()-before)
			}
			through.Close()
			if _, err := m.Fetch(context.Background(), key, src); !errors.Is(err, ErrUnreachable) {
				t.Errorf("a proxy that is down: %v, want ErrUnreachable", err)
			}
		})
	}
}

// The login for a proxy reaches it whatever characters it has, and shows nowhere.
func TestProxyLogin(t *testing.T) {
	const user, password = "shop\\ann", `c@nary:/p% w+?#"'&=ü`
	right := Login{Username: user + "\n", Password: secrets.NewValue([]byte(password + "\r\n"))}
	for name, server := range map[string]*githost.Server{"http": githost.New(t), "https": githost.NewTLS(t)} {
		t.Run(name, func(t *testing.T) {
			repo := server.Repo("demo/default.project")
			hash := repo.Push(map[string]string{"a": "1"})
			address, err := url.Parse(repo.URL())
			if err != nil {
				t.Fatal(err)
			}
			through := newProxy(t, address.Host)
			through.login = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
			src := Source{URL: address.Scheme + "://example.com" + address.Path, Branch: "main", Proxy: through.URL, ProxyLogin: right}
			if address.Scheme == "https" {
				src.CABundle = certificateOf(t, server)
			}
			m := testMirrors(t, nil)
			if got := fetch(t, m, src); got.Hash != hash {
				t.Errorf("head is %s, want %s", got.Hash, hash)
			}
			for name, login := range map[string]Login{"none": {}, "another": {Username: user, Password: secrets.NewValue([]byte("c@nary"))}} {
				src.ProxyLogin = login
				_, err := m.Fetch(t.Context(), name, src)
				if !errors.Is(err, ErrAuthentication) || !strings.Contains(err.Error(), "the proxy asks for a login") {
					t.Errorf("login %s: %v, want that the proxy asks for a login", name, err)
				}
				if strings.Contains(fmt.Sprintf("%+v", err), "c@nary") {
					t.Errorf("login %s: the error shows the password: %v", name, err)
				}
			}
		})
	}
}

// A proxy with a certificate of an authority of its own is trusted as the server is.
func TestProxyByTLS(t *testing.T) {
	server := githost.New(t)
	repo := server.Repo("demo/default.project")
	hash := repo.Push(map[string]string{"a": "1"})
	upstream, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewTLSServer(httputil.NewSingleHostReverseProxy(upstream))
	t.Cleanup(proxy.Close)
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}))
	m := testMirrors(t, nil)
	src := Source{URL: "http://git.example.com/demo/default.project.git", Branch: "main", Proxy: proxy.URL, CABundle: authority}
	if got := fetch(t, m, src); got.Hash != hash {
		t.Errorf("head is %s, want %s", got.Hash, hash)
	}
	src.CABundle = ""
	if _, err := m.Fetch(t.Context(), "another", src); !errors.Is(err, ErrCertificate) {
		t.Errorf("without the authority: %v, want ErrCertificate", err)
	}
}
