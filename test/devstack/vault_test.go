package devstack

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/google/go-cmp/cmp"
)

// startVault starts a Vault with a KV mount of version 2 named git.
func startVault(t *testing.T, o VaultOptions) *Vault {
	t.Helper()
	v, err := shared.Stack(t).StartVault(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, v, http.MethodPost, "sys/mounts/git", v.RootToken(), map[string]any{"type": "kv", "options": map[string]any{"version": "2"}}, http.StatusNoContent)
	return v
}

// ask makes a request that is to be answered with a status.
func ask(t *testing.T, v *Vault, method, path, token string, body any, want int) map[string]any {
	t.Helper()
	status, answer, err := v.Request(t.Context(), method, path, token, body)
	if err != nil {
		t.Fatal(err)
	}
	if status != want {
		t.Fatalf("%s %s: status %d, want %d: %v", method, path, status, want, answer["errors"])
	}
	return answer
}

// at returns the value at a path of keys in an answer.
func at(t *testing.T, answer map[string]any, keys ...string) any {
	t.Helper()
	var found any = answer
	for _, key := range keys {
		object, ok := found.(map[string]any)
		if !ok {
			t.Fatalf("the answer has no %v: %v", keys, answer)
		}
		found = object[key]
	}
	return found
}

func putSecret(t *testing.T, v *Vault, path, token string) {
	t.Helper()
	body := map[string]any{"data": map[string]any{"password": "x"}}
	ask(t, v, http.MethodPut, path, token, body, http.StatusOK)
}

func TestVaultKeepsItsData(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]VaultOptions{
		"HTTPS": {Name: "keeps"},
		"HTTP":  {Name: "keeps-plain", Plain: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := startVault(t, options)
			const secret = "git/data/a/b"
			putSecret(t, v, secret, v.RootToken())
			holds := func() {
				t.Helper()
				answer := ask(t, v, http.MethodGet, secret, v.RootToken(), nil, http.StatusOK)
				if got := at(t, answer, "data", "data", "password"); got != "x" {
					t.Errorf("the password is %v, want x", got)
				}
				if got := at(t, answer, "data", "metadata", "version"); got != 1.0 {
					t.Errorf("the version is %v, want 1", got)
				}
			}
			holds()
			for _, token := range []string{"", "unknown"} {
				ask(t, v, http.MethodGet, secret, token, nil, http.StatusForbidden)
			}

			if err := v.Seal(t.Context()); err != nil {
				t.Fatal(err)
			}
			ask(t, v, http.MethodGet, secret, v.RootToken(), nil, http.StatusServiceUnavailable)
			if err := v.Err(); err != nil {
				t.Errorf("a sealed Vault: %v", err)
			}
			for range 2 {
				if err := v.Unseal(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			holds()

			token := v.RootToken()
			if err := v.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			if v.RootToken() != token {
				t.Error("the root token is another one after a restart")
			}
			holds()
			if err := v.Kill(); err != nil {
				t.Fatal(err)
			}
			if v.Err() == nil {
				t.Error("a killed Vault counts as running")
			}
			if err := v.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			holds()
		})
	}
}

func TestVaultTellsItsWrites(t *testing.T) {
	t.Parallel()
	v := startVault(t, VaultOptions{Name: "tells"})
	putSecret(t, v, "git/data/a/login", v.RootToken())
	for path, body := range map[string]map[string]any{
		"git/data/a/login":      nil,
		"sys/capabilities-self": {"paths": []string{"git/data/a"}},
		"auth/token/lookup":     {"token": v.RootToken()},
	} {
		if body == nil {
			ask(t, v, http.MethodGet, path, v.RootToken(), nil, http.StatusOK)
			continue
		}
		ask(t, v, http.MethodPost, path, v.RootToken(), body, http.StatusOK)
	}
	ask(t, v, http.MethodPut, "sys/policies/acl/p", v.RootToken(), map[string]any{"policy": ""}, http.StatusBadRequest)
	ask(t, v, http.MethodDelete, "git/metadata/a/login", v.RootToken(), nil, http.StatusNoContent)
	ask(t, v, http.MethodDelete, "git/metadata/a/login", "unknown", nil, http.StatusForbidden)
	if err := v.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}

	writes, err := v.Writes()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, write := range writes {
		got = append(got, write.String())
	}
	want := []string{
		`update sys/mounts/git by "root"`,
		`create git/data/a/login by "root"`,
		`update sys/policies/acl/p by "root"`,
		`delete git/metadata/a/login by "root"`,
		`delete git/metadata/a/login by "": 1 error occurred: * permission denied`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestVaultNamesAreChecked(t *testing.T) {
	t.Parallel()
	stack := shared.Stack(t)
	for _, name := range []string{"../x", "Upper"} {
		if _, err := stack.StartVault(t.Context(), VaultOptions{Name: name}); err == nil {
			t.Errorf("StartVault(%q): no error", name)
		}
	}
	if _, err := stack.StartVault(t.Context(), VaultOptions{Name: "once"}); err != nil {
		t.Fatal(err)
	}
	if _, err := stack.StartVault(t.Context(), VaultOptions{Name: "once"}); err == nil {
		t.Error("a name that is taken: no error")
	}
}

const (
	authNamespace = "vault-clients"
	authAudience  = "vault"
	readPolicy    = `path "git/data/a" { capabilities = ["read"] }`
)

// A service account logs in with a token that the cluster vouches for, and has the
// rights of its role's policy.
func TestVaultKubernetesLogin(t *testing.T) {
	t.Parallel()
	v := startVault(t, VaultOptions{Name: "kubernetes-auth"})
	plane := shared.Stack(t).Tenant
	set := clientFor(t, plane.Config())
	namespace(t, set, authNamespace)
	for _, name := range []string{"worker", "other", "reviewer"} {
		object := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := set.CoreV1().ServiceAccounts(authNamespace).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	bindReviewer(t, set)
	root := v.RootToken()
	ask(t, v, http.MethodPost, "sys/auth/tenant", root, map[string]any{"type": "kubernetes"}, http.StatusNoContent)
	ask(t, v, http.MethodPost, "auth/tenant/config", root, map[string]any{
		"kubernetes_host": plane.URL, "kubernetes_ca_cert": string(plane.Config().CAData),
		"token_reviewer_jwt": serviceAccountToken(t, set, "reviewer"), "disable_local_ca_jwt": true,
	}, http.StatusNoContent)
	ask(t, v, http.MethodPut, "sys/policies/acl/reader", root, map[string]any{"policy": readPolicy}, http.StatusNoContent)
	ask(t, v, http.MethodPost, "auth/tenant/role/reader", root, map[string]any{
		"bound_service_account_names": "worker", "bound_service_account_namespaces": authNamespace,
		"audience": authAudience, "token_policies": "reader", "token_ttl": "10m",
	}, http.StatusNoContent)
	putSecret(t, v, "git/data/a", root)
	putSecret(t, v, "git/data/b", root)

	login := func(account string, audiences ...string) map[string]any {
		return map[string]any{"role": "reader", "jwt": serviceAccountToken(t, set, account, audiences...)}
	}
	ask(t, v, http.MethodPost, "auth/tenant/login", "", login("other", authAudience), http.StatusForbidden)
	ask(t, v, http.MethodPost, "auth/tenant/login", "", login("worker", "somebody-else"), http.StatusForbidden)
	body := login("worker", authAudience)
	answer := ask(t, v, http.MethodPost, "auth/tenant/login", "", body, http.StatusOK)
	if diff := cmp.Diff([]any{"default", "reader"}, at(t, answer, "auth", "policies")); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	token, _ := at(t, answer, "auth", "client_token").(string)
	ask(t, v, http.MethodGet, "git/data/a", token, nil, http.StatusOK)
	ask(t, v, http.MethodGet, "git/data/b", token, nil, http.StatusForbidden)

	// Only a TokenReview shows that the account has gone.
	if err := set.CoreV1().ServiceAccounts(authNamespace).Delete(t.Context(), "worker", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, tokenCacheWithin, func(ctx context.Context) error {
		status, _, err := v.Request(ctx, http.MethodPost, "auth/tenant/login", "", body)
		if err == nil && status != http.StatusForbidden {
			err = fmt.Errorf("login of an account that has gone: status %d, want 403", status)
		}
		return err
	})
}

// tokenCacheWithin is more than an API server believes a token for.
const tokenCacheWithin = 30 * time.Second

func bindReviewer(t *testing.T, set kubernetes.Interface) {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: authNamespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:auth-delegator"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: authNamespace, Name: "reviewer"}},
	}
	if _, err := set.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func serviceAccountToken(t *testing.T, set kubernetes.Interface, name string, audiences ...string) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences}}
	answer, err := set.CoreV1().ServiceAccounts(authNamespace).CreateToken(t.Context(), name, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status.Token
}

func TestVaultAppRoleLogin(t *testing.T) {
	t.Parallel()
	v := startVault(t, VaultOptions{Name: "approle-auth", Plain: true})
	root := v.RootToken()
	ask(t, v, http.MethodPost, "sys/auth/approle", root, map[string]any{"type": "approle"}, http.StatusNoContent)
	ask(t, v, http.MethodPost, "auth/approle/role/operator", root, map[string]any{"token_policies": "reader"}, http.StatusNoContent)
	role := ask(t, v, http.MethodGet, "auth/approle/role/operator/role-id", root, nil, http.StatusOK)
	secret := ask(t, v, http.MethodPost, "auth/approle/role/operator/secret-id", root, nil, http.StatusOK)
	answer := ask(t, v, http.MethodPost, "auth/approle/login", "", map[string]any{
		"role_id": at(t, role, "data", "role_id"), "secret_id": at(t, secret, "data", "secret_id"),
	}, http.StatusOK)
	if diff := cmp.Diff([]any{"default", "reader"}, at(t, answer, "auth", "policies")); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
}
