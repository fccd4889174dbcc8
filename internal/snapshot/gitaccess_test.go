package snapshot_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

func TestGitAccess(t *testing.T) {
	operator := gitaccess.Access{CABundle: "CA of all\n", KnownHosts: "all ssh-ed25519 A\n", Proxy: "http://proxy:3128", NoProxy: "inside.example.com,10.0.0.0/8"}
	provider := CodeRepoProvider(Provider, func(p *v1alpha1.CodeRepoProvider) {
		p.Spec.HTTPAddress, p.Spec.SSHAddress = "https://Git.example.com", "git@git.example.com"
		p.Spec.CABundle, p.Spec.KnownHosts = "CA of git\r\nsecond line", "git.example.com ssh-ed25519 B"
	})
	proxied := provider.DeepCopy()
	proxied.Spec.Proxy = &v1alpha1.GitProxy{URL: "http://other:8080", NoProxy: []string{"one.example.com", "two.example.com"}}
	inside := CodeRepoProvider(Provider, func(p *v1alpha1.CodeRepoProvider) { p.Spec.HTTPAddress = "https://git.inside.example.com" })
	elsewhere := gitaccess.Access{CABundle: operator.CABundle, KnownHosts: operator.KnownHosts, Proxy: operator.Proxy, NoProxy: operator.NoProxy}
	at := gitaccess.Access{
		CABundle: "CA of all\nCA of git\nsecond line\n", KnownHosts: "all ssh-ed25519 A\ngit.example.com ssh-ed25519 B\n", Proxy: operator.Proxy, NoProxy: operator.NoProxy,
	}
	other := at
	other.Proxy, other.NoProxy = "http://other:8080", "one.example.com,two.example.com"
	direct := func(a gitaccess.Access) gitaccess.Access {
		a.Proxy, a.NoProxy = "", ""
		return a
	}
	tests := map[string]struct {
		provider *v1alpha1.CodeRepoProvider
		url      string
		want     gitaccess.Access
	}{
		"no provider on the host":       {provider, "https://github.com/a/b", elsewhere},
		"the provider":                  {provider, "https://git.example.com/a/b.git", at},
		"another spelling":              {provider, "https://GIT.example.com.:443/a/b/", at},
		"another port of the host":      {provider, "https://git.example.com:8443/a/b", at},
		"SSH needs no proxy":            {provider, "ssh://git@git.example.com/a/b", direct(at)},
		"SSH in the form of scp":        {provider, "git@Git.Example.com:a/b.git", direct(at)},
		"proxy of the provider":         {proxied, "https://git.example.com/a/b", other},
		"reached without the proxy":     {inside, "https://git.inside.example.com/a/b", direct(elsewhere)},
		"network without the proxy":     {provider, "https://10.1.2.3/a/b", direct(elsewhere)},
		"loopback is never proxied":     {provider, "http://127.0.0.1:3000/a/b", direct(elsewhere)},
		"a host that only ends alike":   {provider, "https://notgit.example.com/a", elsewhere},
		"a URL that cannot be read":     {provider, "file:///a/b", direct(elsewhere)},
		"a URL with a credential in it": {provider, "https://user:canary@git.example.com/a", direct(elsewhere)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSnapshot(tt.provider).WithSettings(snapshot.Settings{Git: operator})
			if diff := cmp.Diff(tt.want, s.GitAccess(tt.url)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	s := newSnapshot(proxied).WithSettings(snapshot.Settings{Git: operator})
	certificates, known := s.GitTrust()
	if diff := cmp.Diff(map[string]string{"git.example.com": at.CABundle}, certificates); diff != "" {
		t.Errorf("certificates for Argo CD (-want +got):\n%s", diff)
	}
	byTLS := provider.DeepCopy()
	byTLS.Spec.HTTPAddress = "http://git.example.com"
	byTLS.Spec.Proxy = &v1alpha1.GitProxy{URL: "https://proxy.example.com"}
	certificates, _ = newSnapshot(byTLS).WithSettings(snapshot.Settings{Git: operator}).GitTrust()
	if diff := cmp.Diff(map[string]string{"git.example.com": at.CABundle, "git_proxies": at.CABundle}, certificates); diff != "" {
		t.Errorf("certificates for Argo CD behind a proxy with HTTPS (-want +got):\n%s", diff)
	}
	if known != at.KnownHosts {
		t.Errorf("host keys for Argo CD: %q, want %q", known, at.KnownHosts)
	}
}

func TestTokenProvider(t *testing.T) {
	const base = "https://git.example.com/forge"
	tests := map[string]struct {
		address, url string
		want         bool
	}{
		"as written":              {base, base + "/demo/a.git", true},
		"upper case":              {base, "https://GIT.Example.com/forge/demo/a.git", true},
		"upper case in provider":  {"https://GIT.Example.com/forge", base + "/demo/a.git", true},
		"default port":            {base, "https://git.example.com:443/forge/demo/a.git", true},
		"default port, provider":  {"https://git.example.com:443/forge/", base + "/demo/a.git", true},
		"dot behind the host":     {base, "https://git.example.com./forge/demo/a.git", true},
		"slash and no .git":       {base, base + "/demo/a/", true},
		"beside the address":      {base, "https://git.example.com/forgery/demo/a.git", false},
		"in the clear":            {base, "http://git.example.com/forge/demo/a.git", false},
		"another port":            {base, "https://git.example.com:444/forge/demo/a.git", false},
		"another host":            {base, "https://git.example.com.evil.org/forge/demo/a.git", false},
		"the host in a user":      {base, "https://git.example.com@evil.org/forge/demo/a.git", false},
		"SSH takes no token":      {base, "git@git.example.com:forge/demo/a.git", false},
		"provider by SSH only":    {"", base + "/demo/a.git", false},
		"path that leads outside": {base, base + "/../other/a.git", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSnapshot(address("git@git.example.com", tt.address))
			if got := s.TokenProvider(tt.url) != nil; got != tt.want {
				t.Errorf("the token may be sent: %v, want %v", got, tt.want)
			}
		})
	}
}
