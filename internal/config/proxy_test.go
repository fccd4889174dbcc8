package config

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/internal/schema"
)

// The proxy of the configuration and the proxy of a CodeRepoProvider have the same rules.
func TestProxyRulesAgree(t *testing.T) {
	kinds, err := schema.New()
	if err != nil {
		t.Fatal(err)
	}
	const proxy = "http://proxy.example.com:3128"
	for name, test := range map[string]struct {
		url, host   string
		wantRefused bool
	}{
		"a host":               {url: proxy, host: "git.example.com"},
		"https and a slash":    {url: "https://proxy.example.com/", host: ".example.com"},
		"a network":            {url: "http://10.0.0.1:3128", host: "10.0.0.0/8"},
		"an address of IPv6":   {url: proxy, host: "[::1]:443"},
		"a wildcard":           {url: proxy, host: "*.example.com"},
		"a credential":         {url: "http://me:hidden@proxy.example.com", host: "a", wantRefused: true},
		"a user name":          {url: "http://me@proxy.example.com:3128", host: "a", wantRefused: true},
		"a path":               {url: "http://proxy.example.com/path", host: "a", wantRefused: true},
		"another scheme":       {url: "socks5://proxy.example.com", host: "a", wantRefused: true},
		"a dash at the end":    {url: "http://proxy-", host: "a", wantRefused: true},
		"a port of six digits": {url: "http://proxy:312800", host: "a", wantRefused: true},
		"two hosts in one":     {url: proxy, host: "a,b", wantRefused: true},
		"a space":              {url: proxy, host: "a b", wantRefused: true},
	} {
		t.Run(name, func(t *testing.T) {
			configured := (&GitProxy{URL: test.url, NoProxy: []string{test.host}}).validate(field.NewPath("proxy"))
			_, errs := kinds.Check(map[string]any{
				"apiVersion": "nautes.resource.nautes.io/v1alpha1", "kind": "CodeRepoProvider", "metadata": map[string]any{"name": "p", "namespace": "nautes"},
				"spec": map[string]any{"proxy": map[string]any{"url": test.url, "noProxy": []any{test.host}}},
			}, nil)
			declared := false
			for _, err := range errs {
				declared = declared || strings.HasPrefix(err.Field, "spec.proxy")
			}
			if len(configured) > 0 != test.wantRefused || declared != test.wantRefused {
				t.Errorf("refused by the configuration: %v, by the kind: %v; want refused: %t", configured.ToAggregate(), errs.ToAggregate(), test.wantRefused)
			}
		})
	}
}
