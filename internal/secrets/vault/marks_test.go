package vault

import "testing"

func TestOwnerInMark(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ got, want owner }{
		"a mount":                    {ownerIn(mountMark("acme", "c", "1@then"), mountMarkBegin), owner{"acme", "cluster", "c"}},
		"a product":                  {ownerIn("nautes tenant=acme product=p", mountMarkBegin), owner{"acme", "product", "p"}},
		"a value with a sign":        {ownerIn("nautes tenant=a=b cluster=c=d", mountMarkBegin), owner{"a=b", "cluster", "c=d"}},
		"a mark with more":           {ownerIn("nautes tenant=acme cluster=c and=more", mountMarkBegin), owner{"acme", "cluster", "c"}},
		"a mark without its begin":   {ownerIn("tenant=acme cluster=c", mountMarkBegin), owner{}},
		"another text":               {ownerIn("x tenant=acme cluster=c", mountMarkBegin), owner{}},
		"a mark in the middle":       {ownerIn("x nautes tenant=acme cluster=c", mountMarkBegin), owner{}},
		"a mark in the second line":  {ownerIn("x\nnautes tenant=acme cluster=c", mountMarkBegin), owner{}},
		"a longer key":               {ownerIn("nautes tenants=acme cluster=c", mountMarkBegin), owner{}},
		"another key":                {ownerIn("nautes tenant=acme clusters=c", mountMarkBegin), owner{}},
		"no tenant":                  {ownerIn("nautes cluster=c", mountMarkBegin), owner{}},
		"an empty tenant":            {ownerIn("nautes tenant= cluster=c", mountMarkBegin), owner{}},
		"no owner":                   {ownerIn("nautes tenant=acme", mountMarkBegin), owner{}},
		"an empty owner":             {ownerIn("nautes tenant=acme cluster=", mountMarkBegin), owner{}},
		"no mark":                    {ownerIn("", mountMarkBegin), owner{}},
		"a policy":                   {ownerIn(policyMark("acme", "p")+"\npath \"a\" {}", policyMarkBegin), owner{"acme", "product", "p"}},
		"a policy of a person":       {ownerIn("# mine", policyMarkBegin), owner{}},
		"a policy without a comment": {ownerIn("nautes tenant=acme product=p", policyMarkBegin), owner{}},
		"a policy with a late mark":  {ownerIn("\n"+policyMark("acme", "p"), policyMarkBegin), owner{}},
		"a policy with a split mark": {ownerIn("# nautes tenant=acme\n product=p", policyMarkBegin), owner{}},
		"a role":                     {ownerOfRole([]string{"x", roleMark("acme", "p")}), owner{"acme", "product", "p"}},
		"a role being revoked":       {ownerOfRole([]string{"nautes:acme:p:revoking"}), owner{"acme", "product", "p"}},
		"a role with half a mark":    {ownerOfRole([]string{"nautes:acme"}), owner{}},
		"a role with other parts":    {ownerOfRole([]string{"team:acme:p"}), owner{}},
		"a role without policies":    {ownerOfRole(nil), owner{}},
	} {
		if test.got != test.want {
			t.Errorf("%s: %+v, want %+v", name, test.got, test.want)
		}
	}
}

func TestDescribeOwner(t *testing.T) {
	t.Parallel()
	for want, owner := range map[string]owner{
		"the cluster c":    {tenant, "cluster", "c"},
		"the product p":    {tenant, "product", "p"},
		"the tenant other": {"other", "cluster", "c"},
		"an unknown owner": {},
	} {
		if got := owner.describe(tenant); got != want {
			t.Errorf("%+v is described as %q, want %q", owner, got, want)
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
