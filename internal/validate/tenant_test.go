package validate_test

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	. "nautes.io/nautes/test/testutil"
)

func TestProduct(t *testing.T) {
	group := func(name string) func(*v1alpha1.Product) {
		return func(p *v1alpha1.Product) { p.Spec.Name = name }
	}
	run(t, map[string]verdict{
		"a new one":                         {new: Product("product-9")},
		"as it stands":                      {new: Product("product-1")},
		"the group of an older one":         {new: At(5, Product("product-9", group("team-1"))), want: []string{"Invalid spec.name"}, wantText: "Product nautes/product-1 is the product of the group team-1"},
		"the group of a younger one":        {objects: []client.Object{At(5, Product("product-9", group("team-1")))}, new: Product("product-1")},
		"a group that two misuse":           {objects: []client.Object{Product("product-8", group("system:masters"))}, new: At(5, Product("product-9", group("system:masters"))), want: []string{"Invalid spec.name"}},
		"a group that means something else": {new: Product("product-9", group("system:masters")), want: []string{"Invalid spec.name"}},
	})
}

func TestProviders(t *testing.T) {
	addresses := func(http, ssh string) func(*v1alpha1.CodeRepoProvider) {
		return func(p *v1alpha1.CodeRepoProvider) { p.Spec.HTTPAddress, p.Spec.SSHAddress = http, ssh }
	}
	run(t, map[string]verdict{
		"a product provider":                  {new: ProductProvider("finder", Provider)},
		"a product provider of an absent one": {new: ProductProvider("finder", "absent"), want: []string{"ReferenceMissing spec.name"}},
		"a provider":                          {new: CodeRepoProvider("new")},
		"a provider by HTTP only":             {new: CodeRepoProvider("new", addresses("http://127.0.0.1:8080", ""))},
		"a provider by SSH only":              {new: CodeRepoProvider("new", addresses("", "git@git.example.org"))},
		"a provider without an address":       {new: CodeRepoProvider("new", addresses("", "")), want: []string{"Invalid spec.httpAddress"}},
		"certificates and host keys that cannot be read": {new: CodeRepoProvider("new", func(p *v1alpha1.CodeRepoProvider) {
			p.Spec.CABundle, p.Spec.KnownHosts = "-----BEGIN CERTIFICATE-----", "rubbish"
		}), want: []string{"Invalid spec.caBundle", "Invalid spec.knownHosts"}},
		"a provider whose addresses cannot be used": {new: CodeRepoProvider("new", addresses("ftp://x", "ssh://x")), want: []string{"Invalid spec.httpAddress", "Invalid spec.sshAddress"}},
	})
}

func TestProviderAddressIsNotQuoted(t *testing.T) {
	p := CodeRepoProvider("new", func(p *v1alpha1.CodeRepoProvider) { p.Spec.HTTPAddress = "https://user:hunter2@git.example.org" })
	run(t, map[string]verdict{"with a credential": {new: p, want: []string{"Invalid spec.httpAddress"}, wantText: "spec.httpAddress: Invalid value: it is not a URL"}})
}
