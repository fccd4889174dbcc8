package vaulted_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/scenario"
)

// role is a role in Vault, with the secrets that its accounts may read.
type role struct {
	Account    string
	Namespaces []string
	reads      []secrets.Ref
}

// readOnly and readWrite are the credentials of a repository.
func readOnly(repo string) secrets.Ref  { return secrets.RepositoryReadOnly("gitlab", repo) }
func readWrite(repo string) secrets.Ref { return secrets.RepositoryReadWrite("gitlab", repo) }

// wantRoles are the roles of the two products on alpha.
func wantRoles() map[string]role {
	return map[string]role{
		"product-501-reader": {Account: "reader", Namespaces: []string{"ns-501-books", "ns-501-shared"}, reads: []secrets.Ref{readOnly("books-501"), readOnly("shared")}},
		"product-501-writer": {Account: "writer", Namespaces: []string{"ns-501-maps"}, reads: []secrets.Ref{readOnly("maps-501"), readWrite("maps-501")}},
		"product-501-editor": {Account: "editor", Namespaces: []string{"ns-501-charts"}, reads: []secrets.Ref{readOnly("maps-501"), readWrite("maps-501")}},
		"product-501-nobody": {Account: "nobody", Namespaces: []string{"ns-501-public"}},
		"product-502-reader": {Account: "reader", Namespaces: []string{"ns-502-books"}, reads: []secrets.Ref{readOnly("books-502")}},
		"product-502-writer": {Account: "writer", Namespaces: []string{"ns-502-maps"}, reads: []secrets.Ref{readOnly("maps-502"), readWrite("maps-502")}},
		"product-502-editor": {Account: "editor", Namespaces: []string{"ns-502-charts"}, reads: []secrets.Ref{readOnly("maps-502"), readWrite("maps-502")}},
		"product-502-nobody": {Account: "nobody", Namespaces: []string{"ns-502-public"}},
	}
}

// stored lists every secret, and one that is never granted.
func (sys *system) stored(t *testing.T) []secrets.Ref {
	t.Helper()
	sys.putField(t, secrets.Ref{Engine: "git", Path: "gitlab/books-501/default/accesstoken-api"}, "token", "x")
	var all []secrets.Ref
	for _, engine := range []string{"git", "cluster", "tenant"} {
		sys.walk(t, engine+"/metadata", func(path string) {
			all = append(all, secrets.Ref{Engine: engine, Path: strings.TrimPrefix(path, engine+"/metadata/")})
		})
	}
	return all
}

// A registered worker has its mount in Vault, and in it one role for each account,
// with the policies that the bindings of its repositories give and no others.
func TestVaultHoldsWhatIsGranted(t *testing.T) {
	sys := theSystem(t)
	claim := deployment{name: "shared", account: "claimer", repo: "shared", project: "app", permission: v1alpha1.PermissionReadOnly}
	sys.second.push(t, sys.second.filesOf(claim))
	t.Cleanup(func() {
		sys.second.push(t, nil, runtimeFile(claim), "code-repos/shared")
		sys.AwaitGone(t, sys.Client, sys.second.RuntimeObject(claim.name))
	})
	sys.waits(t, sys.second.RuntimeObject(claim.name), v1alpha1.ConditionReady, v1alpha1.ReasonRepositoryClaimed, "product-501/shared")

	mount, _ := at(sys.ask(t, http.MethodGet, "sys/auth", nil), "data", alphaCluster+"/").(map[string]any)
	if about := fmt.Sprint(mount["type"], " ", mount["description"]); !strings.HasPrefix(about, "kubernetes nautes tenant=test cluster=alpha reviewer=") {
		t.Errorf("the mount is %s", about)
	}
	config := sys.ask(t, http.MethodGet, "auth/"+alphaCluster+"/config", nil)
	if host := at(config, "data", "kubernetes_host"); host != sys.Runtimes[alphaPlane].URL {
		t.Errorf("the mount asks %v, want %s", host, sys.Runtimes[alphaPlane].URL)
	}
	if ca := at(config, "data", "kubernetes_ca_cert"); ca != string(sys.Runtimes[alphaPlane].Config().CAData) {
		t.Errorf("the mount trusts %v", ca)
	}
	want, policies := wantRoles(), map[string]string{}
	roles := slices.DeleteFunc(sys.names(t, "auth/"+alphaCluster+"/role"), func(name string) bool {
		return strings.HasPrefix(name, "product-503-")
	})
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), roles); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	for name, wanted := range want {
		found := sys.ask(t, http.MethodGet, "auth/"+alphaCluster+"/role/"+name, nil)
		product := name[:len("product-501")]
		names := []string{"nautes:" + tenantName + ":" + product}
		for _, ref := range wanted.reads {
			names = append(names, secrets.PolicyName(ref))
			policies[secrets.PolicyName(ref)] = fmt.Sprintf("# nautes tenant=%s product=%s\npath %q {\n  capabilities = [\"read\"]\n}\n", tenantName, product, secrets.DataPath(ref))
		}
		slices.Sort(names)
		for field, want := range map[string][]string{
			"bound_service_account_names": {wanted.Account}, "bound_service_account_namespaces": wanted.Namespaces, "token_policies": names,
		} {
			if diff := cmp.Diff(want, texts(at(found, "data", field))); diff != "" {
				t.Errorf("%s of the role %s (-want +got):\n%s", field, name, diff)
			}
		}
	}
	found := map[string]string{}
	for _, name := range sys.names(t, "sys/policies/acl") {
		text := fmt.Sprint(at(sys.ask(t, http.MethodGet, "sys/policies/acl/"+name, nil), "data", "policy"))
		if !slices.Contains([]string{"root", "default", operatorPolicy}, name) && !strings.Contains(text, "product=product-503\n") {
			found[name] = text
		}
	}
	if diff := cmp.Diff(policies, found); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
}

// The accounts themselves, with tokens as their Pods have them: of all secrets each
// reads only the granted ones, and logs in only as itself.
func TestAccountsReadWhatIsGranted(t *testing.T) {
	sys := theSystem(t)
	all, roles := sys.stored(t), wantRoles()
	reads := 0
	for name, wanted := range roles {
		for _, namespace := range wanted.Namespaces {
			jwt := sys.account(t, alphaPlane, namespace, wanted.Account)
			status, token := sys.login(t, alphaCluster, name, jwt)
			if status != http.StatusOK {
				t.Errorf("%s/%s does not come in as %s: status %d", namespace, wanted.Account, name, status)
				continue
			}
			for _, ref := range all {
				want := http.StatusForbidden
				if slices.Contains(wanted.reads, ref) {
					want, reads = http.StatusOK, reads+1
				}
				if got := sys.status(t, token, http.MethodGet, secrets.DataPath(ref), nil); got != want {
					t.Errorf("%s/%s reads %s: status %d, want %d", namespace, wanted.Account, ref, got, want)
				}
				body := map[string]any{"data": map[string]string{"a": "mine"}}
				if got := sys.status(t, token, http.MethodPost, secrets.DataPath(ref), body); got != http.StatusForbidden {
					t.Errorf("%s/%s writes %s: status %d", namespace, wanted.Account, ref, got)
				}
			}
			for other := range roles {
				if other == name {
					continue
				}
				if status, _ := sys.login(t, alphaCluster, other, jwt); status != http.StatusForbidden {
					t.Errorf("%s/%s comes in as %s: status %d", namespace, wanted.Account, other, status)
				}
			}
		}
		// The account that every namespace has is none of ours.
		if status, _ := sys.login(t, alphaCluster, name, sys.account(t, alphaPlane, wanted.Namespaces[0], "default")); status != http.StatusForbidden {
			t.Errorf("the default account comes in as %s: status %d", name, status)
		}
	}
	if reads != 13 {
		t.Errorf("%d reads were granted, want 13", reads)
	}
}

// A secret revoked in Git cannot be read any longer, not even with an earlier token.
// Others read on.
func TestRevokedBindingEndsAccess(t *testing.T) {
	sys := theSystem(t)
	token := func(product, account, namespace string) string {
		t.Helper()
		status, token := sys.login(t, alphaCluster, product+"-"+account, sys.account(t, alphaPlane, namespace, account))
		if status != http.StatusOK {
			t.Fatalf("%s of %s does not come in: status %d", account, product, status)
		}
		return token
	}
	can := func(token string, want int, refs ...secrets.Ref) error {
		for _, ref := range refs {
			if got := sys.status(t, token, http.MethodGet, secrets.DataPath(ref), nil); got != want {
				return fmt.Errorf("the read of %s has status %d, want %d", ref, got, want)
			}
		}
		return nil
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	reader, editor := token("product-501", "reader", "ns-501-books"), token("product-501", "editor", "ns-501-charts")
	beside := token("product-502", "reader", "ns-502-books")
	check(can(reader, http.StatusOK, readOnly("books-501"), readOnly("shared")))
	check(can(editor, http.StatusOK, readOnly("maps-501"), readWrite("maps-501")))

	// A credential that no other account may read.
	books, charts := sys.first.find("books"), sys.first.find("charts")
	sys.first.push(t, nil, bindingFile(books))
	began := time.Now()
	sys.Until(t, "the end of a token's access", func() error { return can(reader, http.StatusForbidden, readOnly("books-501")) })
	t.Logf("the access ended %v after the push", time.Since(began))
	check(can(reader, http.StatusOK, readOnly("shared")))
	check(can(beside, http.StatusOK, readOnly("books-502")))
	sys.waits(t, sys.first.RuntimeObject(books.name), v1alpha1.ConditionReady, v1alpha1.ReasonPermissionDenied, "books-501")

	// One that another account of the product reads on.
	sys.first.push(t, nil, bindingFile(charts))
	sys.Until(t, "the end of a token's access", func() error {
		return can(editor, http.StatusForbidden, readOnly("maps-501"), readWrite("maps-501"))
	})
	check(can(token("product-501", "writer", "ns-501-maps"), http.StatusOK, readOnly("maps-501"), readWrite("maps-501")))
	check(can(token("product-501", "editor", "ns-501-charts"), http.StatusForbidden, readOnly("maps-501"), readWrite("maps-501")))

	sys.first.push(t, map[string]string{bindingFile(books): sys.first.binding(books), bindingFile(charts): sys.first.binding(charts)})
	sys.first.ready(t)
	sys.Until(t, "the access that is given back", func() error {
		return errors.Join(can(token("product-501", "reader", "ns-501-books"), http.StatusOK, readOnly("books-501")),
			can(token("product-501", "editor", "ns-501-charts"), http.StatusOK, readWrite("maps-501")))
	})
}

// Each account has a SecretStore in each of its namespaces, by which External
// Secrets logs in.
func TestSecretStores(t *testing.T) {
	sys := theSystem(t)
	var want []string
	for _, wanted := range wantRoles() {
		for _, namespace := range wanted.Namespaces {
			want = append(want, namespace+"/nautes-"+wanted.Account)
		}
	}
	slices.Sort(want)
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(scenario.Object("external-secrets.io/v1", "SecretStoreList", "", "").GroupVersionKind())
	if err := sys.Clusters[alphaPlane].List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, store := range list.Items {
		if !strings.HasPrefix(store.GetNamespace(), "ns-501-") && !strings.HasPrefix(store.GetNamespace(), "ns-502-") {
			continue
		}
		found = append(found, store.GetNamespace()+"/"+store.GetName())
		vault, _, _ := unstructured.NestedMap(store.Object, "spec", "provider", "vault")
		if vault["server"] != sys.proxy.URL || vault["path"] != "git" || vault["version"] != "v2" {
			t.Errorf("%s reads %v", store.GetName(), vault)
		}
		login, _, _ := unstructured.NestedMap(vault, "auth", "kubernetes")
		account := fmt.Sprint(at(login, "serviceAccountRef", "name"))
		jwt := sys.account(t, alphaPlane, store.GetNamespace(), account)
		if status, _ := sys.login(t, fmt.Sprint(login["mountPath"]), fmt.Sprint(login["role"]), jwt); status != http.StatusOK {
			t.Errorf("the SecretStore %s/%s does not come in: status %d", store.GetNamespace(), store.GetName(), status)
		}
	}
	slices.Sort(found)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("SecretStores (-want +got):\n%s", diff)
	}
}
