package vault

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

func TestSystemRefusesInvalidItems(t *testing.T) {
	t.Parallel()
	v := open(t, Options{Tenant: tenant, Vault: config.Vault{Address: "https://127.0.0.1:1", Timeout: metav1.Duration{Duration: time.Second}, PollInterval: metav1.Duration{Duration: time.Minute}, Auth: config.VaultAuth{Method: config.VaultAuthToken, TokenFile: "/none"}}})
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
		want  string // a part of the error
	}{
		"no body":                               {spaceOwner("product-1"), plan.Item{ID: plan.VaultPolicyID("p")}, "is wrong"},
		"another name":                          {spaceOwner("product-1"), plan.Item{ID: plan.VaultPolicyID("q"), Body: plan.VaultPolicy{Name: "p"}}, "is wrong"},
		"a mount of a product":                  {spaceOwner("product-1"), mountItem("c", "h"), "is wrong"},
		"another cluster's mount":               {clusterOwner("d"), mountItem("c", "h"), "is wrong"},
		"a policy of a cluster":                 {clusterOwner("c"), policyItem("product-1", repoKey), "is wrong"},
		"a role of a cluster":                   {clusterOwner("c"), roleItem("c", "product-1", "a"), "is wrong"},
		"a mount that is a path":                {clusterOwner("../c"), mountItem("../c", "h"), "of a mount is not valid"},
		"every account":                         {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.ServiceAccounts = []string{"*"} }), "service account"},
		"every namespace":                       {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Namespaces = []string{"*"} }), "namespace of a role"},
		"some namespaces":                       {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Namespaces = []string{"product-*"} }), "namespace of a role"},
		"no namespace":                          {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Namespaces = nil }), "needs a service account"},
		"no account":                            {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.ServiceAccounts = nil }), "needs a service account"},
		"the policy of root":                    {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Policies = []string{"root"} }), "Vault's own"},
		"two policies in one":                   {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Policies = []string{"a,b"} }), "of a policy is not valid"},
		"a mark of another":                     {spaceOwner("product-1"), role(func(r *plan.VaultRole) { r.Policies = []string{"nautes:acme:product-2"} }), "of a policy is not valid"},
		"the default policy":                    {spaceOwner("product-1"), policy("default", "git/data/a", "read"), "Vault's own"},
		"a policy in capitals":                  {spaceOwner("product-1"), policy("A", "git/data/a", "read"), "of a policy is not valid"},
		"a product in two lines":                {spaceOwner("product-1\n"), policy("a", "git/data/a", "read"), "of a product is not valid"},
		"a path that is given twice":            {spaceOwner("product-1"), twice, "must be given once"},
		"a wildcard":                            {spaceOwner("product-1"), policy("a", "git/data/*", "read"), "must be given once"},
		"a wildcard of a segment":               {spaceOwner("product-1"), policy("a", "git/+/a", "read"), "must be given once"},
		"a template":                            {spaceOwner("product-1"), policy("a", "git/data/{{identity.entity.id}}", "read"), "must be given once"},
		"a quote":                               {spaceOwner("product-1"), policy("a", `git/data/a" {}`, "read"), "must be given once"},
		"a capability beyond its path":          {spaceOwner("product-1"), policy("a", "git/data/a", "sudo"), "must be one of"},
		"a mount of a product that is named so": {plan.Owner{Kind: "Space", Product: "c", Name: "c"}, mountItem("c", "h"), "is wrong"},
		"a mount with the ID of another":        {clusterOwner("c"), plan.Item{ID: plan.VaultMountID("d"), Body: mountItem("c", "h").Body}, "is wrong"},
		"a role with the ID of another":         {spaceOwner("product-1"), plan.Item{ID: plan.VaultRoleID("c", "b"), Body: roleItem("c", "product-1", "a").Body}, "is wrong"},
		"a role of a mount that is a path":      {spaceOwner("product-1"), roleItem("../c", "product-1", "a"), "of a mount is not valid"},
		"a role that is a path":                 {spaceOwner("product-1"), roleItem("c", "product-1", "/a"), "of a role is not valid"},
		"a role of a product in two lines":      {spaceOwner("product-1\n"), roleItem("c", "product-1", "a"), "of a product is not valid"},
	} {
		_, err := v.System().Put(t.Context(), test.owner, test.item, resolved("ca", reviewerToken, "1"))
		if err == nil || errors.Is(err, secrets.ErrUnavailable) || errors.Is(err, secrets.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		} else if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %q, want %q", name, err, test.want)
		}
	}
	for _, missing := range []resolver{resolved("", reviewerToken, "1"), resolved("ca", "", "1")} {
		if _, err := v.System().Put(t.Context(), clusterOwner("c"), mountItem("c", "h"), missing); err == nil || errors.Is(err, secrets.ErrDenied) {
			t.Errorf("a mount without a part of it: %v", err)
		}
	}
	want := errors.New("not resolved")
	for _, failing := range []secrets.Ref{secrets.ClusterKubeconfig("c"), secrets.ClusterReviewer("c")} {
		fails := func(value plan.SecretValue) (secrets.Value, string, error) {
			if value.Ref == failing {
				return secrets.Value{}, "", want
			}
			return secrets.NewValue([]byte("x")), "1", nil
		}
		if _, err := v.System().Put(t.Context(), clusterOwner("c"), mountItem("c", "h"), fails); !errors.Is(err, want) {
			t.Errorf("a mount whose secret %s cannot be read: %v", failing, err)
		}
	}
	if deleted, err := v.System().Delete(t.Context(), clusterOwner("c"), plan.ID{Kind: "Secret", Name: "a"}); deleted || err != nil {
		t.Errorf("Delete of an object of another system: %v, %v", deleted, err)
	}
	if got := v.System().UID(); got != "https://127.0.0.1:1#" {
		t.Errorf("UID is %q", got)
	}
}

// Later versions of Vault admit namespaces by a selector, which must stay empty.
func TestSelectorsOfRolesAreRemoved(t *testing.T) {
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
