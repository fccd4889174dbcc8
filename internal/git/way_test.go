package git

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
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
			through := githost.NewProxy(t, address.Host)
			src := Source{URL: address.Scheme + "://example.com" + address.Path, Branch: "main", Proxy: through.URL}
			if address.Scheme == "https" {
				// The certificate of httptest is for example.com too.
				src.CABundle = certificateOf(t, server)
			}
			m := testMirrors(t, nil)
			if got := fetch(t, m, src); got.Hash != hash || through.Requests() == 0 {
				t.Errorf("head is %s after %d requests of the proxy, want %s", got.Hash, through.Requests(), hash)
			}
			before := through.Requests()
			t.Setenv("HTTPS_PROXY", through.URL)
			t.Setenv("http_proxy", through.URL)
			direct := src
			direct.URL, direct.Proxy = repo.URL(), ""
			if got := fetch(t, m, direct); got.Hash != hash || through.Requests() != before {
				t.Errorf("without a proxy, head is %s after %d requests of the proxy", got.Hash, through.Requests()-before)
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
			through := githost.NewProxy(t, address.Host)
			through.RequireLogin(user, password)
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
	proxy := githost.NewTLSProxy(t, upstream.Host)
	m := testMirrors(t, nil)
	src := Source{URL: "http://git.example.com/demo/default.project.git", Branch: "main", Proxy: proxy.URL, CABundle: proxy.Certificate()}
	if got := fetch(t, m, src); got.Hash != hash {
		t.Errorf("head is %s, want %s", got.Hash, hash)
	}
	src.CABundle = ""
	if _, err := m.Fetch(t.Context(), "another", src); !errors.Is(err, ErrCertificate) {
		t.Errorf("without the authority: %v, want ErrCertificate", err)
	}
}
