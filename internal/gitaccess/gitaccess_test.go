package gitaccess_test

import (
	"encoding/pem"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/plan"
)

func TestTo(t *testing.T) {
	behind := gitaccess.Access{CABundle: "ca", KnownHosts: "hosts", Proxy: "http://proxy:3128", NoProxy: "in.example.com,10.0.0.0/8"}.Login("", true)
	direct := gitaccess.Access{CABundle: "ca", KnownHosts: "hosts"}
	for name, test := range map[string]struct {
		access gitaccess.Access
		url    string
		want   gitaccess.Access
	}{
		"https":                {access: behind, url: "https://git.example.com/a", want: behind},
		"http":                 {access: behind, url: "http://git.example.com/a", want: behind},
		"a host without proxy": {access: behind, url: "https://in.example.com/a", want: direct},
		"a net without proxy":  {access: behind, url: "https://10.1.2.3/a", want: direct},
		"ssh":                  {access: behind, url: "ssh://git@git.example.com/a", want: direct},
		"scp":                  {access: behind, url: "git@git.example.com:a", want: direct},
		"no such URL":          {access: behind, url: "https://me:secret@git.example.com/a", want: direct},
		"no proxy":             {access: direct, url: "https://git.example.com/a", want: direct},
	} {
		if diff := cmp.Diff(test.want, test.access.To(test.url)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestWith(t *testing.T) {
	own := gitaccess.Access{CABundle: "ca\n", KnownHosts: "hosts\n", Proxy: "http://proxy:3128", NoProxy: "a"}
	if got := own.Login("", true).ProxyLogin; got != (plan.SecretRef{Engine: "tenant", Path: "nautes/git-proxy"}) {
		t.Errorf("the login for the operator's proxy is at %s", got)
	}
	for name, test := range map[string]struct {
		spec v1alpha1.CodeRepoProviderSpec
		want gitaccess.Access
	}{
		"nothing of its own":            {want: own},
		"trust":                         {spec: v1alpha1.CodeRepoProviderSpec{CABundle: "ca2", KnownHosts: "hosts2"}, want: gitaccess.Access{CABundle: "ca\nca2\n", KnownHosts: "hosts\nhosts2\n", Proxy: "http://proxy:3128", NoProxy: "a"}},
		"a proxy":                       {spec: v1alpha1.CodeRepoProviderSpec{Proxy: &v1alpha1.GitProxy{URL: "http://other:80", NoProxy: []string{"b", "c"}}}, want: gitaccess.Access{CABundle: "ca\n", KnownHosts: "hosts\n", Proxy: "http://other:80", NoProxy: "b,c"}},
		"a proxy that asks for a login": {spec: v1alpha1.CodeRepoProviderSpec{Proxy: &v1alpha1.GitProxy{URL: "http://other:80", Login: true}}, want: gitaccess.Access{CABundle: "ca\n", KnownHosts: "hosts\n", Proxy: "http://other:80", ProxyLogin: plan.SecretRef{Engine: "tenant", Path: "git/forge/proxy"}}},
		"no proxy at all":               {spec: v1alpha1.CodeRepoProviderSpec{Proxy: &v1alpha1.GitProxy{}}, want: gitaccess.Access{CABundle: "ca\n", KnownHosts: "hosts\n"}},
	} {
		if diff := cmp.Diff(test.want, own.With(&v1alpha1.CodeRepoProvider{ObjectMeta: metav1.ObjectMeta{Name: "forge"}, Spec: test.spec})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestJoinLines(t *testing.T) {
	for name, test := range map[string]struct {
		texts []string
		want  string
	}{
		"nothing":         {},
		"blanks":          {texts: []string{"", " \n"}},
		"one":             {texts: []string{"a"}, want: "a\n"},
		"two":             {texts: []string{"a\n", "b\n"}, want: "a\nb\n"},
		"a hole":          {texts: []string{"", "a", "", "b"}, want: "a\nb\n"},
		"the first twice": {texts: []string{"a", "b", "a\n"}, want: "a\nb\n"},
		"the last twice":  {texts: []string{"a", "b", "b"}, want: "a\nb\n"},
		"from Windows":    {texts: []string{"a\r\nb\r\n", "a\nb"}, want: "a\nb\n"},
	} {
		if got := gitaccess.JoinLines(test.texts...); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestJoinKnownHosts(t *testing.T) {
	if got := string(gitaccess.Access{KnownHosts: "b\n"}.JoinKnownHosts([]byte("a"))); got != "a\nb\n" {
		t.Errorf("the host keys are %q", got)
	}
}

func TestCheckTrust(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	tests := map[string]struct {
		check      func(string) error
		text, want string
	}{
		"no certificate":        {gitaccess.CheckCABundle, "", ""},
		"one":                   {gitaccess.CheckCABundle, certificate, ""},
		"with text around":      {gitaccess.CheckCABundle, "subject=CN = a\n" + certificate + "---\n" + certificate + "---\nServer certificate\n", ""},
		"two, from Windows":     {gitaccess.CheckCABundle, strings.ReplaceAll(certificate+certificate, "\n", "\r\n"), ""},
		"cut off":               {gitaccess.CheckCABundle, certificate[:len(certificate)-40], "certificate 1 cannot be read"},
		"the second is damaged": {gitaccess.CheckCABundle, certificate + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 2 is damaged"},
		"a key":                 {gitaccess.CheckCABundle, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "block 1 is no certificate"},
		"rubbish":               {gitaccess.CheckCABundle, "rubbish", "certificate 1 cannot be read"},
		"no host":               {gitaccess.CheckKnownHosts, "\n# comment\r\n", ""},
		"a host":                {gitaccess.CheckKnownHosts, "git.example.com " + key + "\n", ""},
		"a port, from Windows":  {gitaccess.CheckKnownHosts, "[git.example.com]:2222,10.0.0.1 " + key + "\r\n", ""},
		"an authority":          {gitaccess.CheckKnownHosts, "@cert-authority *.example.com " + key, ""},
		"a key without a host":  {gitaccess.CheckKnownHosts, "# a\n" + key, "line 2 is no host key"},
		"not base64":            {gitaccess.CheckKnownHosts, "git.example.com ssh-ed25519 !!", "line 1 is no host key"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tt.check(tt.text)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}
