package vault

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

func TestSystemRefusesWhatItCannotMake(t *testing.T) {
	t.Parallel()
	v := open(t, Options{Address: "https://127.0.0.1:1", Tenant: tenant, Timeout: time.Second, PollInterval: time.Minute, Auth: Auth{Method: AuthToken, TokenFile: "none"}})
	role := func(change func(*plan.VaultRole)) plan.Item {
		body := roleItem("c", "product-1", "a", repoKey).Body.(plan.VaultRole)
		change(&body)
		return plan.Item{ID: plan.VaultRoleID("c", body.Name), Body: body}
	}
	policy := func(name, path string, capabilities ...string) plan.Item {
		return plan.Item{ID: plan.VaultPolicyID(name), Body: plan.VaultPolicy{Name: name, Rules: []plan.VaultRule{{Path: path, Capabilities: capabilities}}}}
	}
	twice := policy("a", "git/data/a", "read")
	twice.Body = plan.VaultPolicy{Name: "a", Rules: []plan.VaultRule{{Path: "git/data/a", Capabilities: []string{"read"}}, {Path: "git/data/a"}}}
	for name, test := range map[string]struct {
		owner plan.Owner
		item  plan.Item
	}{
		"no body":                      {spaceOwner("product-1"), plan.Item{ID: plan.VaultPolicyID("p")}},
		"another name":                 {spaceOwner("product-1"), plan.Item{ID: plan.VaultPolicyID("q"), Body: plan.VaultPolicy{Name: "p"}}},
		"a mount of a product":         {spaceOwner("product-1"), mountItem("c", "h")},
		"another cluster's mount":      {clusterOwner("d"), mountItem("c", "h")},
		"a policy of a cluster":        {clusterOwner("c"), policyItem("product-1", repoKey)},
		"a role of a cluster":          {clusterOwner("c"), roleItem("c", "product-1", "a")},
		"a mount that is a path":       {clusterOwner("../c"), mountItem("../c", "h")},
		"every account":                {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.ServiceAccounts = []string{"*"} })},
		"every namespace":              {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Namespaces = []string{"*"} })},
		"some namespaces":              {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Namespaces = []string{"product-*"} })},
		"no namespace":                 {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Namespaces = nil })},
		"no account":                   {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.ServiceAccounts = nil })},
		"the policy of root":           {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Policies = []string{"root"} })},
		"two policies in one":          {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Policies = []string{"a,b"} })},
		"a mark of another":            {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Policies = []string{"nautes:acme:product-2"} })},
		"the default policy":           {spaceOwner("product-1"), policy("default", "git/data/a", "read")},
		"a policy in capitals":         {spaceOwner("product-1"), policy("A", "git/data/a", "read")},
		"a product in two lines":       {spaceOwner("product-1\n"), policy("a", "git/data/a", "read")},
		"a path that is given twice":   {spaceOwner("product-1"), twice},
		"a wildcard":                   {spaceOwner("product-1"), policy("a", "git/data/*", "read")},
		"a wildcard of a segment":      {spaceOwner("product-1"), policy("a", "git/+/a", "read")},
		"a template":                   {spaceOwner("product-1"), policy("a", "git/data/{{identity.entity.id}}", "read")},
		"a quote":                      {spaceOwner("product-1"), policy("a", `git/data/a" {}`, "read")},
		"a capability beyond its path": {spaceOwner("product-1"), policy("a", "git/data/a", "sudo")},
	} {
		_, err := v.System().Put(t.Context(), test.owner, test.item, resolved("ca", reviewerToken, "1"))
		if err == nil || errors.Is(err, secrets.ErrUnavailable) || errors.Is(err, secrets.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, missing := range []resolver{resolved("", reviewerToken, "1"), resolved("ca", "", "1")} {
		if _, err := v.System().Put(t.Context(), clusterOwner("c"), mountItem("c", "h"), missing); err == nil || errors.Is(err, secrets.ErrDenied) {
			t.Errorf("a mount without a part of it: %v", err)
		}
	}
	want := errors.New("not resolved")
	fails := func(plan.SecretValue) (secrets.Value, string, error) { return secrets.Value{}, "", want }
	if _, err := v.System().Put(t.Context(), clusterOwner("c"), mountItem("c", "h"), fails); !errors.Is(err, want) {
		t.Errorf("a mount whose secrets cannot be read: %v", err)
	}
	if deleted, err := v.System().Delete(t.Context(), clusterOwner("c"), plan.ID{Kind: "Secret", Name: "a"}); deleted || err != nil {
		t.Errorf("Delete of what is not Vault's: %v, %v", deleted, err)
	}
	if got := v.System().UID(); got != "https://127.0.0.1:1#" {
		t.Errorf("UID is %q", got)
	}
}

// Later versions of Vault let namespaces in by a selector, which must stay empty.
func TestSelectorsOfARoleAreTakenAway(t *testing.T) {
	t.Parallel()
	s := newServer(t, "selectors")
	g := s.gateway()
	v := s.open(g.behind)
	s.applied(v, mountItem("c", "https://127.0.0.1:6443"))
	item := roleItem("c", "product-1", "a")
	s.applied(v, item)
	for selector, want := range map[string]bool{"": false, "{}": true} {
		g.intercept(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/v1/auth/c/role/product-1-a" {
				panic(errPass)
			}
			w.Header().Set("Content-Type", "application/json")
			role := at(s.ask(http.MethodGet, rolePath("c", "product-1-a"), nil), "data").(map[string]any)
			role["bound_service_account_namespace_selector"] = selector
			if err := json.NewEncoder(w).Encode(map[string]any{"data": role}); err != nil {
				t.Error(err)
			}
		})
		if got := s.applied(v, item); got != want {
			t.Errorf("with the selector %q Put changes something: %v, want %v", selector, got, want)
		}
	}
}
