package vault

import "testing"

func TestMarked(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ mark, key, want string }{
		"the first":            {"nautes tenant=a cluster=b", "tenant", "a"},
		"the second":           {"nautes tenant=a cluster=b", "cluster", "b"},
		"a value with a sign":  {"nautes tenant=a=b", "tenant", "a=b"},
		"not in the mark":      {"nautes tenant=a", "product", ""},
		"another text":         {"x tenant=a", "tenant", ""},
		"a mark in the middle": {"x nautes tenant=a", "tenant", ""},
		"a longer key":         {"nautes tenants=a", "tenant", ""},
		"no mark":              {"", "tenant", ""},
	} {
		if got := marked(test.mark, test.key); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestHolder(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ got, want string }{
		"a cluster":                {holderOf("nautes tenant=acme cluster=c reviewer=1", tenant), "the cluster c"},
		"a product":                {holderOf("nautes tenant=acme product=p", tenant), "the product p"},
		"another tenant":           {holderOf("nautes tenant=other cluster=c", tenant), "the tenant other"},
		"no tenant":                {holderOf("nautes cluster=c", tenant), "an unknown owner"},
		"no tenant, but a product": {holderOf("nautes product=p", tenant), "an unknown owner"},
		"no owner":                 {holderOf("nautes tenant=acme", tenant), "an unknown owner"},
		"no mark":                  {holderOf("mine", tenant), "an unknown owner"},
		"a role":                   {holderOfRole([]string{"x", "nautes:acme:p"}, tenant), "the product p"},
		"a role being revoked":     {holderOfRole([]string{"nautes:acme:p:revoking"}, tenant), "the product p"},
		"a role of another tenant": {holderOfRole([]string{"nautes:other:p"}, tenant), "the tenant other"},
		"a role with half a mark":  {holderOfRole([]string{"nautes:acme"}, tenant), "an unknown owner"},
		"a role with other parts":  {holderOfRole([]string{"team:acme:p"}, tenant), "an unknown owner"},
		"a role without policies":  {holderOfRole(nil, tenant), "an unknown owner"},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", name, test.got, test.want)
		}
	}
}

func TestReviewerVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"1@2026-01-01T00:00:00Z": "1@2026-01-01T00:00:00Z",
		"two words":              "af0db86f7b0ff1bdf91f4b1d5fcbbbe81c8aa4d5a5d1a0e1f5d0bdbb0c1e4d75",
	} {
		got := reviewerVersion(version)
		if want == version && got != want || want != version && (len(got) != len(want) || !reviewerShape.MatchString(got)) {
			t.Errorf("the version %q becomes %q", version, got)
		}
	}
}
