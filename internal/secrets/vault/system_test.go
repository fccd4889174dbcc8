package vault

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

var _ apply.System = (*System)(nil)

// canary is a part of every secret of these tests: no error and no log may hold it.
const canary = "tOp-SeCrEt"

// reviewerToken has the form of a token only.
var reviewerToken = encoded(`{"alg":"HS256"}`) + "." + encoded(`{"sub":"`+canary+`"}`) + "." + encoded(canary)

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func pemOf(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}

func contextOf(t testing.TB) (context.Context, context.CancelFunc) {
	return context.WithCancel(t.Context())
}

func clusterOwner(name string) plan.Owner { return plan.Owner{Kind: "Cluster", Name: name} }

func spaceOwner(product string) plan.Owner {
	return plan.Owner{Kind: "Space", Product: product, Name: product}
}

func clusterSet(name string) plan.Set {
	return plan.Set{Owner: clusterOwner(name), Target: plan.Vault(name)}
}

func spaceSet(product, mount string) plan.Set {
	return plan.Set{Owner: spaceOwner(product), Target: plan.Vault(mount)}
}

// ownerOf returns the owner of an item of sampleItems.
func ownerOf(item plan.Item) plan.Owner {
	if item.ID.Kind == plan.KindVaultMount {
		return clusterOwner(item.ID.Name)
	}
	return spaceOwner(strings.TrimSuffix(item.Source.Name, "-source"))
}

func mountItem(name, host string) plan.Item {
	return plan.Item{ID: plan.VaultMountID(name), Body: plan.VaultMount{
		Path: name, Host: host,
		CA:       plan.SecretValue{Key: "ca", Ref: secrets.ClusterKubeconfig(name), Field: "kubeconfig", Format: plan.FormatKubeconfigCA},
		Reviewer: plan.SecretValue{Key: "token", Ref: secrets.ClusterReviewer(name), Field: "token"},
	}}
}

// policyItem lets its holders read a secret.
func policyItem(product string, ref secrets.Ref) plan.Item {
	return plan.Item{
		ID: plan.VaultPolicyID(secrets.PolicyName(ref)), Source: plan.Ref{Name: product + "-source"},
		Body: plan.VaultPolicy{Name: secrets.PolicyName(ref), Rules: []plan.VaultRule{{Path: secrets.DataPath(ref), Capabilities: []string{"read"}}}},
	}
}

func roleItem(mount, product, account string, refs ...secrets.Ref) plan.Item {
	body := plan.VaultRole{Name: product + "-" + account, ServiceAccounts: []string{account}, Namespaces: []string{product + "-dev", product + "-test"}}
	for _, ref := range refs {
		body.Policies = append(body.Policies, secrets.PolicyName(ref))
	}
	return plan.Item{ID: plan.VaultRoleID(mount, body.Name), Body: body, Source: plan.Ref{Name: product + "-source"}}
}

func sampleItems(mount, product string) map[string]plan.Item {
	return map[string]plan.Item{
		"a mount":  mountItem(mount, "https://127.0.0.1:6443"),
		"a policy": policyItem(product, repoKey),
		"a role":   roleItem(mount, product, "deployer", repoKey),
	}
}

// resolved returns the values of a mount.
func resolved(ca, reviewer, version string) resolver {
	return func(value plan.SecretValue) (secrets.Value, string, error) {
		if strings.HasSuffix(value.Ref.Path, "/reviewer") {
			return secrets.NewValue([]byte(reviewer)), version, nil
		}
		return secrets.NewValue([]byte(ca)), "1", nil
	}
}

// applied applies an item and reports whether that changed anything.
func (s server) applied(v *Vault, item plan.Item) bool {
	s.t.Helper()
	changed, err := v.System().Put(s.t.Context(), ownerOf(item), item, resolved(string(s.CA), reviewerToken, "1@then"))
	if err != nil {
		s.t.Fatalf("Put %s: %v", item.ID, err)
	}
	return changed
}

func (s server) owned(v *Vault, set plan.Set) []string {
	s.t.Helper()
	ids, err := v.System().Owned(s.t.Context(), set)
	if err != nil {
		s.t.Fatalf("Owned by %s: %v", set.Owner, err)
	}
	var names []string
	for _, id := range ids {
		names = append(names, id.String())
	}
	slices.Sort(names)
	return names
}

func (s server) deleted(v *Vault, owner plan.Owner, id plan.ID) bool {
	s.t.Helper()
	deleted, err := v.System().Delete(s.t.Context(), owner, id)
	if err != nil {
		s.t.Fatalf("Delete %s: %v", id, err)
	}
	return deleted
}

// status returns the status of a read by root.
func (s server) status(path string) int {
	s.t.Helper()
	status, _, err := s.Request(s.t.Context(), http.MethodGet, path, s.RootToken(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return status
}

func TestMountIsMadeOnceAndKeptRight(t *testing.T) {
	t.Parallel()
	s := newServer(t, "mounts")
	v := s.open()
	item := mountItem("c", "https://127.0.0.1:6443")
	if !s.applied(v, item) {
		t.Error("the first Put changes nothing")
	}
	wantConfig := map[string]any{
		"kubernetes_host": "https://127.0.0.1:6443", "kubernetes_ca_cert": string(s.CA), "pem_keys": []any{}, "issuer": "",
		"disable_iss_validation": true, "disable_local_ca_jwt": true,
	}
	holds := func(after string) {
		t.Helper()
		if diff := cmp.Diff(wantConfig, at(s.ask(http.MethodGet, "auth/c/config", nil), "data")); diff != "" {
			t.Errorf("%s: configuration (-want +got):\n%s", after, diff)
		}
		mount := s.ask(http.MethodGet, "sys/auth/c", nil)
		if got := at(mount, "data", "description"); got != "nautes tenant=acme cluster=c reviewer=1@then" {
			t.Errorf("%s: the description is %q", after, got)
		}
		before := len(s.writes())
		if s.applied(s.open(), item) || len(s.writes()) != before {
			t.Errorf("%s: a second Put writes %v", after, s.writes()[before:])
		}
	}
	holds("made")
	for name, drift := range map[string]func(){
		"another host":       func() { s.config(map[string]any{"kubernetes_host": "https://evil.example"}) },
		"another CA":         func() { s.config(map[string]any{"kubernetes_ca_cert": string(s.CA) + string(s.CA)}) },
		"a key that signs":   func() { s.config(map[string]any{"pem_keys": []string{publicKey}}) },
		"another issuer":     func() { s.config(map[string]any{"issuer": "x"}) },
		"a check of issuers": func() { s.config(map[string]any{"disable_iss_validation": false}) },
		"Vault's own token":  func() { s.config(map[string]any{"disable_local_ca_jwt": false}) },
		"another reviewer": func() {
			s.ask(http.MethodPost, "sys/auth/c/tune", map[string]string{"description": "nautes tenant=acme cluster=c reviewer=0@before"})
		},
		"no configuration": func() {
			s.ask(http.MethodDelete, "sys/auth/c", nil)
			s.ask(http.MethodPost, "sys/auth/c", map[string]string{"type": "kubernetes", "description": "nautes tenant=acme cluster=c"})
		},
	} {
		drift()
		if !s.applied(v, item) {
			t.Errorf("%s: Put changes nothing", name)
		}
		holds(name)
	}
}

func (s server) config(change map[string]any) {
	s.t.Helper()
	config := map[string]any{
		"kubernetes_host": "https://127.0.0.1:6443", "kubernetes_ca_cert": string(s.CA),
		"token_reviewer_jwt": reviewerToken, "disable_local_ca_jwt": true,
	}
	for key, value := range change {
		config[key] = value
	}
	s.ask(http.MethodPost, "auth/c/config", config)
}

const publicKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----`

func TestRoleIsMadeOnceAndKeptRight(t *testing.T) {
	t.Parallel()
	s := newServer(t, "roles")
	v := s.open()
	item := roleItem("c", "product-1", "deployer", repoKey)
	if _, err := v.System().Put(t.Context(), spaceOwner("product-1"), item, nil); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("without its mount: %v", err)
	}
	s.applied(v, mountItem("c", "https://127.0.0.1:6443"))
	if !s.applied(v, item) {
		t.Error("the first Put changes nothing")
	}
	holds := func(after string) {
		t.Helper()
		got := at(s.ask(http.MethodGet, "auth/c/role/product-1-deployer", nil), "data").(map[string]any)
		want := map[string]any{
			"bound_service_account_names":      []any{"deployer"},
			"bound_service_account_namespaces": []any{"product-1-dev", "product-1-test"},
			"token_policies":                   []any{"gitlab-repo-1-default-readonly", "nautes:acme:product-1"},
			"token_ttl":                        600.0, "token_max_ttl": 1800.0, "token_type": "service",
		}
		for key, value := range want {
			if diff := cmp.Diff(value, got[key]); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", after, key, diff)
			}
		}
		before := len(s.writes())
		if s.applied(s.open(), item) || len(s.writes()) != before {
			t.Errorf("%s: a second Put writes %v", after, s.writes()[before:])
		}
	}
	holds("made")
	for field, drift := range map[string]any{
		"bound_service_account_names":      "*",
		"bound_service_account_namespaces": []string{"kube-system", "product-1-dev", "product-1-test"},
		"token_policies":                   []string{"gitlab-repo-1-default-readonly", "nautes:acme:product-1", "gitlab-repo-2-default-readonly"},
		"token_ttl":                        "1s",
		"token_max_ttl":                    "100h",
		"token_type":                       "batch",
	} {
		s.ask(http.MethodPost, "auth/c/role/product-1-deployer", map[string]any{field: drift})
		if !s.applied(v, item) {
			t.Errorf("%s: Put changes nothing", field)
		}
		holds(field)
	}
}

func TestPolicyIsMadeOnceAndKeptRight(t *testing.T) {
	t.Parallel()
	s := newServer(t, "policies")
	v := s.open()
	item := policyItem("product-1", repoKey)
	const path = "sys/policies/acl/gitlab-repo-1-default-readonly"
	want := "# nautes tenant=acme product=product-1\n" +
		"path \"git/data/gitlab/repo-1/default/readonly\" {\n  capabilities = [\"read\"]\n}\n"
	drifts := map[string]func(){
		"more rights": func() {
			s.ask(http.MethodPut, path, map[string]string{"policy": want + `path "sys/*" { capabilities = ["sudo"] }`})
		},
		"no rights": func() { s.ask(http.MethodPut, path, map[string]string{"policy": strings.Split(want, "\n")[0]}) },
		"removed":   func() { s.ask(http.MethodDelete, path, nil) },
	}
	for _, name := range append([]string{"made"}, slices.Sorted(maps.Keys(drifts))...) {
		if drift := drifts[name]; drift != nil {
			drift()
		}
		if !s.applied(v, item) {
			t.Errorf("%s: Put changes nothing", name)
		}
		if got := at(s.ask(http.MethodGet, path, nil), "data", "policy"); got != want {
			t.Errorf("%s: the policy is %q, want %q", name, got, want)
		}
		before := len(s.writes())
		if s.applied(s.open(), item) || len(s.writes()) != before {
			t.Errorf("%s: a second Put writes %v", name, s.writes()[before:])
		}
	}
}

// Objects of another product, cluster or tenant, or made by a person, are neither
// listed, nor changed, nor removed.
func TestForeignThingsAreLeftAlone(t *testing.T) {
	t.Parallel()
	s := newServer(t, "foreign")
	v := s.open()
	for _, mount := range []string{"c", "d"} {
		s.applied(v, mountItem(mount, "https://127.0.0.1:6443"))
	}
	role := map[string]any{"bound_service_account_names": "x", "bound_service_account_namespaces": "y", "token_policies": "p"}
	byTenant := func(policies ...string) map[string]any {
		return map[string]any{"bound_service_account_names": "x", "bound_service_account_namespaces": "y", "token_policies": policies}
	}
	policy := func(header string) map[string]any {
		return map[string]any{"policy": header + "\n" + `path "git/data/x" { capabilities = ["read"] }`}
	}
	mount := func(kind, description string) map[string]any {
		return map[string]any{"type": kind, "description": description}
	}
	tests := map[string]struct {
		path       string
		body       map[string]any
		item       plan.Item
		wantHolder string
	}{
		"a mount made by hand":            {"sys/auth/m1", mount("kubernetes", "my own"), mountItem("m1", "h"), "an unknown owner"},
		"a mount of another type":         {"sys/auth/m2", mount("approle", "nautes tenant=acme cluster=m2"), mountItem("m2", "h"), "the cluster m2"},
		"a mount of another tenant":       {"sys/auth/m3", mount("kubernetes", "nautes tenant=other cluster=m3"), mountItem("m3", "h"), "the tenant other"},
		"a mount of another cluster":      {"sys/auth/m4", mount("kubernetes", "nautes tenant=acme cluster=c"), mountItem("m4", "h"), "the cluster c"},
		"a mark in the middle":            {"sys/auth/m5", mount("kubernetes", "x nautes tenant=acme cluster=m5"), mountItem("m5", "h"), "an unknown owner"},
		"a role made by hand":             {"auth/c/role/product-1-r1", role, roleItem("c", "product-1", "r1"), "an unknown owner"},
		"a role of another product":       {"auth/c/role/product-1-r2", byTenant("nautes:acme:product-12"), roleItem("c", "product-1", "r2"), "the product product-12"},
		"a role of another tenant":        {"auth/c/role/product-1-r3", byTenant("nautes:other:product-1"), roleItem("c", "product-1", "r3"), "the tenant other"},
		"a role of another's mount":       {"auth/m1/role/product-1-r4", byTenant("nautes:acme:product-1"), roleItem("m1", "product-1", "r4"), "an unknown owner"},
		"a policy made by hand":           {"sys/policies/acl/gitlab-p1-default-readonly", policy("# by me"), policyItem("product-1", secrets.RepositoryReadOnly("gitlab", "p1")), "an unknown owner"},
		"a policy of another product":     {"sys/policies/acl/gitlab-p2-default-readonly", policy("# nautes tenant=acme product=product-2"), policyItem("product-1", secrets.RepositoryReadOnly("gitlab", "p2")), "the product product-2"},
		"a policy of another tenant":      {"sys/policies/acl/gitlab-p3-default-readonly", policy("# nautes tenant=other product=product-1"), policyItem("product-1", secrets.RepositoryReadOnly("gitlab", "p3")), "the tenant other"},
		"a mark in another than line 1":   {"sys/policies/acl/gitlab-p4-default-readonly", policy("\n# nautes tenant=acme product=product-1"), policyItem("product-1", secrets.RepositoryReadOnly("gitlab", "p4")), "an unknown owner"},
		"a mark that begins as another's": {"sys/policies/acl/gitlab-p5-default-readonly", policy("# nautes tenant=acme product=product-10"), policyItem("product-1", secrets.RepositoryReadOnly("gitlab", "p5")), "the product product-10"},
	}
	// The mounts come before the roles in them.
	for _, kind := range []string{plan.KindVaultMount, plan.KindVaultRole, plan.KindVaultPolicy} {
		for _, test := range tests {
			if test.item.ID.Kind == kind {
				s.ask(http.MethodPost, test.path, test.body)
			}
		}
	}
	s.applied(v, roleItem("c", "product-1", "own"))
	s.applied(v, policyItem("product-1", repoKey))
	if diff := cmp.Diff([]string{"Policy.vault.nautes.io gitlab-repo-1-default-readonly", "Role.vault.nautes.io c/product-1-own"}, s.owned(v, spaceSet("product-1", "c"))); diff != "" {
		t.Errorf("owned (-want +got):\n%s", diff)
	}
	before := len(s.writes())
	for name, test := range tests {
		owner := ownerOf(test.item)
		_, err := v.System().Put(t.Context(), owner, test.item, resolved(string(s.CA), reviewerToken, "1"))
		var notOurs *NotOursError
		if !errors.As(err, &notOurs) || notOurs.Holder() != test.wantHolder {
			t.Errorf("%s: Put returns %v, want a *NotOursError with the holder %q", name, err, test.wantHolder)
		}
		if s.deleted(v, owner, test.item.ID) {
			t.Errorf("%s: it is deleted", name)
		}
		mount := test.item.ID.Namespace
		if mount == "" {
			mount = test.item.ID.Name
		}
		set := plan.Set{Owner: owner, Target: plan.Vault(mount)}
		if got := s.owned(v, set); slices.Contains(got, test.item.ID.String()) {
			t.Errorf("%s: it is owned: %v", name, got)
		}
		if got := s.status(test.path); got != http.StatusOK {
			t.Errorf("%s: status %d afterwards", name, got)
		}
	}
	if got := s.writes()[before:]; len(got) != 0 {
		t.Errorf("writes: %v", got)
	}
}

// Objects that an attempt has left are found and removed by the next one.
func TestOwnedIsFoundAndRemoved(t *testing.T) {
	t.Parallel()
	s := newServer(t, "owned")
	v := s.open()
	long := "product-" + strings.Repeat("x", 60)
	for _, mount := range []string{"c", "d"} {
		s.applied(v, mountItem(mount, "https://127.0.0.1:6443"))
		s.applied(v, roleItem(mount, "product-1", "deployer", repoKey))
	}
	s.applied(v, roleItem("c", "product-12", "deployer"))
	s.applied(v, policyItem("product-1", repoKey))
	s.applied(v, policyItem("product-1", secrets.RepositoryReadWrite("gitlab", "repo-1")))
	s.applied(v, policyItem("product-2", secrets.RepositoryReadOnly("gitlab", "repo-2")))
	cut := plan.Item{ID: plan.VaultRoleID("c", long[:52]+"-0123456789"), Source: plan.Ref{Name: long + "-source"}, Body: plan.VaultRole{
		Name: long[:52] + "-0123456789", ServiceAccounts: []string{"a"}, Namespaces: []string{"n"},
	}}
	s.applied(v, cut)
	policies := []string{"Policy.vault.nautes.io gitlab-repo-1-default-readonly", "Policy.vault.nautes.io gitlab-repo-1-default-readwrite"}
	for name, again := range map[string]*Vault{"the same process": v, "a new process": s.open()} {
		for _, test := range []struct {
			set  plan.Set
			want []string
		}{
			{spaceSet("product-1", "c"), append(slices.Clone(policies), "Role.vault.nautes.io c/product-1-deployer")},
			{spaceSet("product-1", "d"), append(slices.Clone(policies), "Role.vault.nautes.io d/product-1-deployer")},
			{spaceSet("product-1", "none"), policies},
			{spaceSet("product-12", "c"), []string{"Role.vault.nautes.io c/product-12-deployer"}},
			{spaceSet("product-3", "c"), nil},
			{spaceSet(long, "c"), []string{cut.ID.String()}},
			{clusterSet("c"), []string{"AuthMount.vault.nautes.io c"}},
			{clusterSet("none"), nil},
		} {
			if diff := cmp.Diff(test.want, s.owned(again, test.set)); diff != "" {
				t.Errorf("%s: owned by %s on %s (-want +got):\n%s", name, test.set.Owner, test.set.Target, diff)
			}
		}
	}
	s.ask(http.MethodDelete, "sys/policies/acl/gitlab-repo-2-default-readonly", nil)
	if got := s.owned(v, spaceSet("product-2", "c")); len(got) != 0 {
		t.Errorf("owned after another client has deleted it: %v", got)
	}
	set := spaceSet("product-1", "c")
	ids, err := v.System().Owned(t.Context(), set)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if !s.deleted(v, set.Owner, id) || s.deleted(v, set.Owner, id) {
			t.Errorf("%s is not deleted exactly once", id)
		}
	}
	if got := s.owned(v, set); len(got) != 0 {
		t.Errorf("owned after all was deleted: %v", got)
	}
	if !s.deleted(v, clusterOwner("d"), plan.VaultMountID("d")) {
		t.Error("the mount is not deleted")
	}
	if got := s.owned(v, clusterSet("d")); len(got) != 0 {
		t.Errorf("owned after the mount was deleted: %v", got)
	}
	if got := s.owned(v, spaceSet("product-1", "d")); len(got) != 0 {
		t.Errorf("roles outlive their mount: %v", got)
	}
}
