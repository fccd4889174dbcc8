package argocdtest_test

import (
	"net/url"
	"regexp"
	"testing"

	nautes "nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/githost"
)

// The name of the server, which the proxy connects. The certificate of httptest is for it.
const behindProxy = "example.com"

// TestArgoCDReadsThroughProxies holds that Argo CD reads a repository through a proxy that
// asks for a login, and through one with an authority of its own, with the Secrets that we write.
func TestArgoCDReadsThroughProxies(t *testing.T) {
	const user, password = "shop\\ann", `c@nary:/p w+?#"'&=ü`
	refused := regexp.MustCompile("407|Proxy Authentication Required")
	servers := map[string]gitServer{
		"http":  newGitServerAt(githost.New(t), (*githost.Server).Repo),
		"https": newGitServer(t, (*githost.Server).Repo),
	}
	type proxy struct {
		*githost.Proxy
		bundle string
	}
	proxies := map[string]func(*testing.T, string) proxy{
		"http": func(t *testing.T, to string) proxy { return proxy{githost.NewProxy(t, to), ""} },
		"https": func(t *testing.T, to string) proxy {
			p := githost.NewTLSProxy(t, to)
			return proxy{p, p.Certificate()}
		},
	}
	for name, test := range map[string]struct {
		proxy  string
		stored map[string]string
		// untrusted proxies are missing in the bundle of the provider.
		open, untrusted bool
		wantErr         *regexp.Regexp
	}{
		"open":               {proxy: "http", open: true},
		"login":              {proxy: "http", stored: map[string]string{"proxy-username": user + "\n", "proxy-password": password + "\r\n"}},
		"wrong login":        {proxy: "http", stored: map[string]string{"proxy-username": user, "proxy-password": "c@nary"}, wantErr: refused},
		"authority":          {proxy: "https", open: true},
		"authority, login":   {proxy: "https", stored: map[string]string{"proxy-username": user, "proxy-password": password}},
		"unknown authority":  {proxy: "https", open: true, untrusted: true, wantErr: regexp.MustCompile("certificate")},
		"authority, refused": {proxy: "https", stored: map[string]string{"proxy-username": "ann", "proxy-password": password}, wantErr: refused},
	} {
		for scheme, server := range servers {
			t.Run(name+" for "+scheme, func(t *testing.T) {
				address, err := url.Parse(server.https.URL)
				if err != nil {
					t.Fatal(err)
				}
				through := proxies[test.proxy](t, address.Host)
				if !test.open {
					through.RequireLogin(user, password)
				}
				s := server.tenant(t, false, true, func(p *nautes.CodeRepoProvider) {
					p.Spec.HTTPAddress = scheme + "://" + behindProxy
					p.Spec.Proxy = &nautes.GitProxy{URL: through.URL, Login: !test.open}
					if !test.untrusted {
						p.Spec.CABundle += through.bundle
					}
				})
				install(t, s)
				repo := repository(t, s, test.stored)
				head, err := read(t, repo, true)
				if test.wantErr == nil {
					if err != nil || head != server.hash || through.Requests() < 2 {
						t.Errorf("it reads %q, %v, by %d requests of the proxy, want %s", head, err, through.Requests(), server.hash)
					}
					return
				}
				if err == nil || !test.wantErr.MatchString(err.Error()) {
					t.Errorf("it reads %q, %v, want an error with %s", head, err, test.wantErr)
				}
				if err := checkout(newClient(t, repo), server.hash); err == nil {
					t.Error("git fetches although the proxy refuses")
				}
			})
		}
	}
}
