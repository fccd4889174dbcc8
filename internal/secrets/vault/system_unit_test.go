package vault

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// ourMount and the functions below return objects of a fake.
func ourMount(cluster string) map[string]any {
	return map[string]any{"type": "kubernetes", "description": mountMark(tenant, cluster, "1@then")}
}

func ourConfig() map[string]any {
	return map[string]any{
		"kubernetes_host": "https://127.0.0.1:6443", "kubernetes_ca_cert": "ca", "pem_keys": []string{}, "issuer": "",
		"disable_iss_validation": true, "disable_local_ca_jwt": true,
	}
}

func ourRole(policies ...string) map[string]any {
	return map[string]any{
		"bound_service_account_names": []string{"deployer"}, "bound_service_account_namespaces": []string{"product-1-dev", "product-1-test"},
		"bound_service_account_namespace_selector": "", "token_policies": policies,
		"token_ttl": 600, "token_max_ttl": 1800, "token_type": "service",
	}
}

func ourPolicy(product string) map[string]any {
	return map[string]any{"policy": policyMark(tenant, product) + "\npath \"git/data/gitlab/repo-1/default/readonly\" {\n  capabilities = [\"read\"]\n}\n"}
}

func with(object map[string]any, field string, value any) map[string]any {
	changed := maps.Clone(object)
	changed[field] = value
	return changed
}

const (
	mark        = "nautes:acme:product-1"
	rolePath1   = "auth/c/role/product-1-deployer"
	policyPath1 = "sys/policies/acl/gitlab-repo-1-default-readonly"
	revokePath  = "PUT sys/leases/revoke-prefix/auth/c/login"
)

// TestSystemPut holds which writes each state in Vault leads to.
func TestSystemPut(t *testing.T) {
	t.Parallel()
	mount, role, policy := mountItem("c", "https://127.0.0.1:6443"), roleItem("c", "product-1", "deployer", repoKey), policyItem("product-1", repoKey)
	granted := "gitlab-repo-1-default-readonly"
	there := map[string]map[string]any{"sys/auth/c": ourMount("c"), "auth/c/config": ourConfig()}
	in := func(path string, object map[string]any) map[string]map[string]any {
		objects := maps.Clone(there)
		objects[path] = object
		return objects
	}
	tests := map[string]struct {
		item       plan.Item
		objects    map[string]map[string]any
		wantWrites []string
		wantHolder string // of a *NotOursError
		wantErr    string
	}{
		"a new mount":         {item: mount, wantWrites: []string{"PUT sys/auth/c", "PUT auth/c/config"}},
		"the same mount":      {item: mount, objects: there},
		"another reviewer":    {item: mount, objects: in("sys/auth/c", with(ourMount("c"), "description", mountMark(tenant, "c", "2@then"))), wantWrites: []string{"PUT auth/c/config", "PUT sys/auth/c/tune"}},
		"another host":        {item: mount, objects: in("auth/c/config", with(ourConfig(), "kubernetes_host", "https://other")), wantWrites: []string{"PUT auth/c/config"}},
		"another CA":          {item: mount, objects: in("auth/c/config", with(ourConfig(), "kubernetes_ca_cert", "other")), wantWrites: []string{"PUT auth/c/config"}},
		"a key that signs":    {item: mount, objects: in("auth/c/config", with(ourConfig(), "pem_keys", []string{"key"})), wantWrites: []string{"PUT auth/c/config"}},
		"another issuer":      {item: mount, objects: in("auth/c/config", with(ourConfig(), "issuer", "x")), wantWrites: []string{"PUT auth/c/config"}},
		"a check of issuers":  {item: mount, objects: in("auth/c/config", with(ourConfig(), "disable_iss_validation", false)), wantWrites: []string{"PUT auth/c/config"}},
		"Vault's own token":   {item: mount, objects: in("auth/c/config", with(ourConfig(), "disable_local_ca_jwt", false)), wantWrites: []string{"PUT auth/c/config"}},
		"no configuration":    {item: mount, objects: map[string]map[string]any{"sys/auth/c": ourMount("c")}, wantWrites: []string{"PUT auth/c/config"}},
		"a mount of a person": {item: mount, objects: in("sys/auth/c", map[string]any{"type": "kubernetes", "description": "mine"}), wantHolder: "an unknown owner"},
		"another cluster's":   {item: mount, objects: in("sys/auth/c", ourMount("d")), wantHolder: "the cluster d"},
		"another type":        {item: mount, objects: in("sys/auth/c", with(ourMount("c"), "type", "approle")), wantHolder: "the cluster c"},
		"another tenant's":    {item: mount, objects: in("sys/auth/c", with(ourMount("c"), "description", mountMark("other", "c", "1"))), wantHolder: "the tenant other"},

		"a new policy":               {item: policy, wantWrites: []string{"PUT " + policyPath1}},
		"the same policy":            {item: policy, objects: map[string]map[string]any{policyPath1: ourPolicy("product-1")}},
		"a policy with other rules":  {item: policy, objects: map[string]map[string]any{policyPath1: {"policy": policyMark(tenant, "product-1") + "\n"}}, wantWrites: []string{"PUT " + policyPath1}},
		"another product's policy":   {item: policy, objects: map[string]map[string]any{policyPath1: ourPolicy("product-2")}, wantHolder: "the product product-2"},
		"a policy without a mark":    {item: policy, objects: map[string]map[string]any{policyPath1: {"policy": "# mine"}}, wantHolder: "an unknown owner"},
		"a mark in the second line":  {item: policy, objects: map[string]map[string]any{policyPath1: {"policy": "\n" + policyMark(tenant, "product-1")}}, wantHolder: "an unknown owner"},
		"a mark that is no comment":  {item: policy, objects: map[string]map[string]any{policyPath1: {"policy": mountMark(tenant, "c", "1")}}, wantHolder: "an unknown owner"},
		"a policy of another tenant": {item: policy, objects: map[string]map[string]any{policyPath1: {"policy": policyMark("other", "product-1")}}, wantHolder: "the tenant other"},

		"a new role":                {item: role, objects: there, wantWrites: []string{"PUT " + rolePath1}},
		"the same role":             {item: role, objects: in(rolePath1, ourRole(granted, mark))},
		"the same in another order": {item: role, objects: in(rolePath1, with(ourRole(mark, granted, granted), "bound_service_account_namespaces", []string{"product-1-test", "product-1-dev"}))},
		"no mount":                  {item: role, wantErr: "the auth mount c is not there yet"},
		"another's mount":           {item: role, objects: in("sys/auth/c", ourMount("d")), wantHolder: "the cluster d"},
		"a role of a person":        {item: role, objects: in(rolePath1, ourRole("x")), wantHolder: "an unknown owner"},
		"a role of another product": {item: role, objects: in(rolePath1, ourRole("nautes:acme:product-12")), wantHolder: "the product product-12"},
		"a role of another tenant":  {item: role, objects: in(rolePath1, ourRole("nautes:other:product-1")), wantHolder: "the tenant other"},
		"other accounts":            {item: role, objects: in(rolePath1, with(ourRole(granted, mark), "bound_service_account_names", []string{"*"})), wantWrites: []string{"PUT " + rolePath1}},
		"a policy that exists is kept": {
			item: role, objects: with2(in(rolePath1, with(ourRole(granted, mark), "token_ttl", 1)), policyPath1, ourPolicy("product-1")),
			wantWrites: []string{"PUT " + rolePath1},
		},
		"other namespaces":                     {item: role, objects: in(rolePath1, with(ourRole(granted, mark), "bound_service_account_namespaces", []string{"x"})), wantWrites: []string{"PUT " + rolePath1}},
		"a selector of namespaces":             {item: role, objects: in(rolePath1, with(ourRole(granted, mark), "bound_service_account_namespace_selector", "{}")), wantWrites: []string{"PUT " + rolePath1}},
		"another time to live":                 {item: role, objects: in(rolePath1, with(ourRole(granted, mark), "token_ttl", 1)), wantWrites: []string{"PUT " + rolePath1}},
		"another maximum":                      {item: role, objects: in(rolePath1, with(ourRole(granted, mark), "token_max_ttl", 0)), wantWrites: []string{"PUT " + rolePath1}},
		"another type of tokens":               {item: role, objects: in(rolePath1, with(ourRole(granted, mark), "token_type", "batch")), wantWrites: []string{"PUT " + rolePath1}},
		"a policy that does not exist is lost": {item: role, objects: in(rolePath1, ourRole(granted, mark, "gone")), wantWrites: []string{"PUT " + rolePath1}},
		"a policy is lost": {
			item: role, objects: with2(in(rolePath1, ourRole(granted, mark, "gone", "lost")), "sys/policies/acl/lost", ourPolicy("product-2")),
			wantWrites: []string{"PUT " + rolePath1, revokePath, "PUT " + rolePath1},
		},
		"a policy that cannot be read is lost": {item: role, objects: in(rolePath1, ourRole(granted, mark, "A B")), wantWrites: []string{"PUT " + rolePath1, revokePath, "PUT " + rolePath1}},
		"a policy of Vault's own is lost":      {item: role, objects: in(rolePath1, ourRole(granted, mark, "default")), wantWrites: []string{"PUT " + rolePath1, revokePath, "PUT " + rolePath1}},
		"a revocation was interrupted":         {item: role, objects: in(rolePath1, ourRole(granted, mark+":revoking")), wantWrites: []string{"PUT " + rolePath1, revokePath, "PUT " + rolePath1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			v := f.open(t)
			maps.Copy(f.objects, test.objects)
			changed, err := v.System().Put(t.Context(), ownerOf(test.item), test.item, resolved("ca", reviewerToken, "1@then"))
			if diff := cmp.Diff(test.wantWrites, f.writes()); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
			if changed != (test.wantWrites != nil) {
				t.Errorf("changed is %v", changed)
			}
			holder := ""
			if foreign, ok := errors.AsType[*NotOursError](err); ok {
				holder = foreign.Holder()
			}
			wantErr := test.wantErr
			if test.wantHolder != "" {
				wantErr = "belongs to " + test.wantHolder
			}
			if holder != test.wantHolder || (err != nil) != (wantErr != "") || err != nil && !strings.Contains(err.Error(), wantErr) {
				t.Errorf("error is %v, want %q", err, wantErr)
			}
		})
	}
}

func with2(objects map[string]map[string]any, path string, object map[string]any) map[string]map[string]any {
	objects[path] = object
	return objects
}

// TestSystemWrites holds the bodies of the writes.
func TestSystemWrites(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := f.open(t)
	for _, name := range []string{"a mount", "a policy", "a role"} {
		item := sampleItems("c", "product-1")[name]
		if _, err := v.System().Put(t.Context(), ownerOf(item), item, resolved("ca", reviewerToken, "1@then")); err != nil {
			t.Fatal(err)
		}
	}
	text := func(object map[string]any) string {
		content, err := json.MarshalIndent(object, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	for path, want := range map[string]map[string]any{
		"sys/auth/c":    {"type": "kubernetes", "description": "nautes tenant=acme cluster=c reviewer=1@then"},
		"auth/c/config": with(with(ourConfig(), "pem_keys", nil), "token_reviewer_jwt", reviewerToken),
		rolePath1:       ourRole("gitlab-repo-1-default-readonly", mark),
		policyPath1:     ourPolicy("product-1"),
	} {
		if diff := cmp.Diff(text(want), text(f.get(path))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// A role that loses a policy carries the mark that says so until its tokens are
// revoked, and gives the policy to no new token.
func TestRevocationIsOnRecord(t *testing.T) {
	t.Parallel()
	granted := "gitlab-repo-1-default-readonly"
	for name, test := range map[string]struct {
		attempt      func(*System) error
		wantPolicies []any
	}{
		"put": {func(s *System) error {
			_, err := s.Put(t.Context(), spaceOwner("product-1"), roleItem("c", "product-1", "deployer", repoKey), nil)
			return err
		}, []any{granted, mark + ":revoking"}},
		"delete": {func(s *System) error {
			_, err := s.Delete(t.Context(), spaceOwner("product-1"), plan.VaultRoleID("c", "product-1-deployer"))
			return err
		}, []any{mark + ":revoking"}},
	} {
		f := newFake(t)
		v := f.open(t)
		f.set("sys/auth/c", ourMount("c"))
		f.set("sys/policies/acl/lost", ourPolicy("product-1"))
		f.set(rolePath1, ourRole(granted, mark, "lost"))
		f.set(policyPath1, ourPolicy("product-1"))
		f.record(0, 0)
		for number := 1; ; number++ {
			f.record(number, http.StatusInternalServerError)
			if err := test.attempt(v.System()); err == nil {
				t.Fatalf("%s: it never revokes tokens", name)
			}
			if requests := f.record(0, 0); requests[len(requests)-1] == revokePath {
				break
			}
		}
		if diff := cmp.Diff(test.wantPolicies, f.get(rolePath1)["token_policies"]); diff != "" {
			t.Errorf("%s: the role has the policies (-want +got):\n%s", name, diff)
		}
		if err := test.attempt(v.System()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := f.writes(); !slices.Contains(got, revokePath) {
			t.Errorf("%s: the next attempt does %v, and revokes no tokens", name, got)
		}
	}
}

// TestSystemDelete holds that only objects with the owner's mark are removed.
func TestSystemDelete(t *testing.T) {
	t.Parallel()
	roleID, policyID, mountID := plan.VaultRoleID("c", "product-1-deployer"), plan.VaultPolicyID("gitlab-repo-1-default-readonly"), plan.VaultMountID("c")
	product, cluster := spaceOwner("product-1"), clusterOwner("c")
	base := func() map[string]map[string]any {
		return map[string]map[string]any{"sys/auth/c": ourMount("c"), rolePath1: ourRole("gone", mark), policyPath1: ourPolicy("product-1")}
	}
	tests := map[string]struct {
		owner      plan.Owner
		id         plan.ID
		objects    map[string]map[string]any
		wantWrites []string
		wantErr    bool
	}{
		"a mount":                                {owner: cluster, id: mountID, wantWrites: []string{"DELETE sys/auth/c"}},
		"a mount of another cluster":             {owner: clusterOwner("d"), id: mountID},
		"a mount of a product":                   {owner: product, id: mountID},
		"a mount without a mark":                 {owner: cluster, id: mountID, objects: map[string]map[string]any{"sys/auth/c": {"type": "kubernetes"}}},
		"no mount":                               {owner: clusterOwner("d"), id: plan.VaultMountID("d")},
		"a mount that is a path":                 {owner: cluster, id: plan.VaultMountID("../c"), wantErr: true},
		"a policy":                               {owner: product, id: policyID, wantWrites: []string{"DELETE " + policyPath1}},
		"a policy of another product":            {owner: spaceOwner("product-2"), id: policyID},
		"a policy of a cluster":                  {owner: cluster, id: policyID},
		"no policy":                              {owner: product, id: plan.VaultPolicyID("none")},
		"a policy of Vault's own":                {owner: product, id: plan.VaultPolicyID("root"), wantErr: true},
		"a role":                                 {owner: product, id: roleID, wantWrites: []string{"DELETE " + rolePath1}},
		"a role of another product":              {owner: spaceOwner("product-2"), id: roleID},
		"a role of a cluster":                    {owner: cluster, id: roleID},
		"no role":                                {owner: product, id: plan.VaultRoleID("c", "none")},
		"a role that is a path":                  {owner: product, id: plan.VaultRoleID("c", "../r"), wantErr: true},
		"a role of a path":                       {owner: product, id: plan.VaultRoleID("../c", "product-1-deployer"), wantErr: true},
		"a role of no mount":                     {owner: product, id: plan.VaultRoleID("d", "product-1-deployer")},
		"a role of another's mount":              {owner: product, id: roleID, objects: map[string]map[string]any{"sys/auth/c": ourMount("d")}},
		"a role with a policy":                   {owner: product, id: roleID, objects: map[string]map[string]any{rolePath1: ourRole("gitlab-repo-1-default-readonly", mark)}, wantWrites: []string{"PUT " + rolePath1, revokePath, "DELETE " + rolePath1}},
		"a role that is being revoked":           {owner: product, id: roleID, objects: map[string]map[string]any{rolePath1: ourRole(mark + ":revoking")}, wantWrites: []string{"PUT " + rolePath1, revokePath, "DELETE " + rolePath1}},
		"a mount of a product that is named so":  {owner: spaceOwner("c"), id: mountID},
		"a policy without a mark, of a cluster":  {owner: cluster, id: policyID, objects: map[string]map[string]any{policyPath1: {"policy": "# by me"}}},
		"a role without a product, of a cluster": {owner: cluster, id: roleID, objects: map[string]map[string]any{rolePath1: ourRole("nautes:acme:")}},
		"a policy without a product":             {owner: product, id: policyID, objects: map[string]map[string]any{policyPath1: {"policy": "# nautes tenant=acme"}}},
		"an object of another system":            {owner: product, id: plan.ID{Kind: "Secret", Name: "a"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			v := f.open(t)
			maps.Copy(f.objects, base())
			maps.Copy(f.objects, test.objects)
			deleted, err := v.System().Delete(t.Context(), test.owner, test.id)
			if (err != nil) != test.wantErr || deleted != (test.wantWrites != nil) {
				t.Errorf("deleted is %v, %v", deleted, err)
			}
			if diff := cmp.Diff(test.wantWrites, f.writes()); diff != "" {
				t.Errorf("writes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSystemOwned holds that an owner gets its own objects, all of them.
func TestSystemOwned(t *testing.T) {
	t.Parallel()
	long := "product-" + strings.Repeat("x", 40)
	f := newFake(t)
	v := f.open(t)
	for path, object := range map[string]map[string]any{
		"sys/auth/c": ourMount("c"), "sys/auth/d": ourMount("x"),
		"auth/c/role/product-1-a": ourRole(mark), "auth/c/role/product-1-b": ourRole(mark + ":revoking"),
		"auth/c/role/product-1-c": ourRole("nautes:acme:product-2"), "auth/c/role/other": ourRole(mark),
		"auth/c/role/product-1-D": ourRole(mark), "auth/d/role/product-1-a": ourRole(mark),
		"auth/c/role/" + long[:36] + "-0123": ourRole("nautes:acme:" + long),
		"sys/policies/acl/z":                 ourPolicy("product-1"), "sys/policies/acl/a": ourPolicy("product-1"),
		"sys/policies/acl/other": ourPolicy("product-2"), "sys/policies/acl/root": nil, "sys/policies/acl/mine": {"policy": "# by me"},
		"sys/policies/acl/tenant": {"policy": policyMark("other", "product-1")},
	} {
		f.objects[path] = object
	}
	for name, test := range map[string]struct {
		set  plan.Set
		want []string
	}{
		"a cluster":                  {clusterSet("c"), []string{plan.VaultMountID("c").String()}},
		"another's mount":            {clusterSet("d"), nil},
		"no mount":                   {clusterSet("none"), nil},
		"a product":                  {spaceSet("product-1", "c"), []string{plan.VaultRoleID("c", "product-1-a").String(), plan.VaultRoleID("c", "product-1-b").String(), plan.VaultPolicyID("a").String(), plan.VaultPolicyID("z").String()}},
		"a product on another mount": {spaceSet("product-1", "d"), []string{plan.VaultPolicyID("a").String(), plan.VaultPolicyID("z").String()}},
		"another product":            {spaceSet("product-2", "c"), []string{plan.VaultPolicyID("other").String()}},
		"a long name":                {spaceSet(long, "c"), []string{plan.VaultRoleID("c", long[:36]+"-0123").String()}},
	} {
		ids, err := v.System().Owned(t.Context(), test.set)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var got []string
		for _, id := range ids {
			got = append(got, id.String())
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := v.System().Owned(t.Context(), clusterSet("../c")); err == nil {
		t.Error("a mount that is a path is accepted")
	}
	if requests := f.record(0, 0); slices.Contains(requests, "GET auth/c/role/other") || slices.Contains(requests, "GET sys/policies/acl/root") {
		t.Errorf("objects are read that cannot belong to the product: %v", requests)
	}
	f.set("sys/policies/acl/a", nil)
	f.set("sys/policies/acl/new", ourPolicy("product-1"))
	ids, err := v.System().Owned(t.Context(), spaceSet("product-1", "d"))
	if want := []plan.ID{plan.VaultPolicyID("new"), plan.VaultPolicyID("z")}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("after others changed the policies: %v, %v, want %v", ids, err, want)
	}
	if got, want := f.record(0, 0), []string{"GET sys/auth/d", "GET sys/policies/acl", "GET sys/policies/acl/new"}; !slices.Equal(got, want) {
		t.Errorf("requests are %v, want %v", got, want)
	}
}

// Some answers do not only mean that there is no such mount: then the list decides.
func TestMountIsLookedUpInTheList(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := f.open(t)
	f.set("sys/auth/c", ourMount("c"))
	for status, wantListed := range map[int]bool{400: true, 404: true, 405: true, 403: false, 412: false, 500: false} {
		f.record(1, status)
		ids, err := v.System().Owned(t.Context(), clusterSet("c"))
		if listed := err == nil && len(ids) == 1; listed != wantListed || !listed && err == nil {
			t.Errorf("status %d: %v, %v, want it listed: %v", status, ids, err, wantListed)
		}
	}
}

// Whichever request fails, the operation ends with its error, and does nothing more.
func TestSystemStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := f.open(t)
	system, values := v.System(), resolved("ca", reviewerToken, "1@then")
	put := func(item plan.Item) func() error {
		return func() error {
			_, err := system.Put(t.Context(), ownerOf(item), item, values)
			return err
		}
	}
	remove := func(owner plan.Owner, id plan.ID) func() error {
		return func() error {
			deleted, err := system.Delete(t.Context(), owner, id)
			if deleted && err != nil {
				t.Errorf("%s is deleted, with the error %v", id, err)
			}
			return err
		}
	}
	owned := func(set plan.Set) func() error {
		return func() error {
			ids, err := system.Owned(t.Context(), set)
			if err != nil && ids != nil {
				t.Errorf("Owned returns %v with the error %v", ids, err)
			}
			return err
		}
	}
	items := sampleItems("c", "product-1")
	for name, operation := range map[string]func() error{
		"put a mount": put(items["a mount"]), "put a policy": put(items["a policy"]), "put a role": put(items["a role"]),
		"delete a mount":        remove(clusterOwner("c"), items["a mount"].ID),
		"delete a policy":       remove(spaceOwner("product-1"), items["a policy"].ID),
		"delete a role":         remove(spaceOwner("product-1"), items["a role"].ID),
		"owned by a cluster":    owned(clusterSet("c")),
		"owned by a product":    owned(spaceSet("product-1", "c")),
		"read a secret":         func() error { _, err := v.Get(t.Context(), repoKey); return err },
		"read a version":        func() error { _, err := v.Version(t.Context(), repoKey); return err },
		"store a secret":        func() error { _, err := v.Put(t.Context(), repoKey, fields("a", "2")); return err },
		"create a secret":       func() error { _, err := v.Create(t.Context(), secrets.WebhookKey(), fields("a", "2")); return err },
		"delete a secret":       func() error { return v.Delete(t.Context(), repoKey) },
		"make a mount":          func() error { f.set("sys/auth/c", nil); return put(items["a mount"])() },
		"delete a changed role": func() error { return remove(spaceOwner("product-1"), items["a role"].ID)() },
	} {
		t.Run(name, func(t *testing.T) {
			f.failsEverywhere(t, http.StatusInternalServerError, secrets.ErrUnavailable, func() {
				f.set("sys/auth/c", with(ourMount("c"), "description", mountMark(tenant, "c", "old")))
				f.set(rolePath1, ourRole("lost", mark+":revoking"))
				f.set("sys/policies/acl/lost", ourPolicy("product-1"))
				f.set(policyPath1, map[string]any{"policy": policyMark(tenant, "product-1")})
				f.set("tenant/data/nautes/webhook", nil)
				f.set("tenant/metadata/nautes/webhook", nil)
				v.engines.Clear()
				v.policies.owners.Clear()
				f.put(t, repoKey, "a", "1")
			}, operation)
		})
	}
}
