package vaulted_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
)

// The settings for Vault of the operators of these tests.
const (
	vaultTimeout = 2 * time.Second
	vaultPoll    = time.Second
)

// operatorPolicy is the one policy that the operator has.
const operatorPolicy = "nautes-operator"

// prepareVault makes the settings of Vault's administrator.
func (w *world) prepareVault(t *testing.T) {
	t.Helper()
	jwt, err := w.InstallVault(t.Context(), w.vault, tenantName)
	if err != nil {
		t.Fatal(err)
	}
	// Not even Vault's default policy comes to the help of the operator's own.
	w.ask(t, http.MethodPost, "auth/"+tenantName+"/role/"+operatorPolicy, map[string]any{"token_no_default_policy": true})
	if w.proxy, err = w.vault.Proxy(); err != nil {
		t.Fatal(err)
	}
	w.caFile = w.file(t, "vault-ca.crt", string(w.proxy.CA))
	w.file(t, "operator-jwt", string(jwt))
	w.canaries.add(canary{name: "the operator's token on the tenant cluster", value: string(jwt)})
	w.putField(t, secrets.ProviderToken(provider), "access_token", w.canaries.make("the provider's token"))
	w.putField(t, edgeSecret, "password", w.canaries.make("the secret of a component", alphaPlane+" Secret edge/edge-login"))
}

// file writes a file of the operator's, beside its configuration and not below it.
func (w *world) file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(w.Dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// kubernetesLogin has the operator log in with the token of its ServiceAccount.
func (w *world) kubernetesLogin(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("{method: kubernetes, tokenFile: %q}", filepath.Join(w.Dir, "operator-jwt"))
}

// tokenLogin has the operator use a token in a file, which ends after a time.
func (w *world) tokenLogin(t *testing.T, ttl string) string {
	t.Helper()
	w.vaultToken = w.operatorToken(t, ttl)
	return fmt.Sprintf("{method: token, tokenFile: %q}", w.file(t, "vault-token", w.vaultToken))
}

// operatorToken makes a token of Vault's that ends after a time such as 1h.
func (w *world) operatorToken(t *testing.T, ttl string) string {
	t.Helper()
	answer := w.ask(t, http.MethodPost, "auth/token/create", map[string]any{
		"policies": []string{operatorPolicy}, "no_default_policy": true, "no_parent": true,
		"explicit_max_ttl": ttl, "display_name": "operator",
	})
	token := fmt.Sprint(at(answer, "auth", "client_token"))
	w.canaries.add(canary{name: "the operator's token of Vault", value: token})
	return token
}

// ask sends a request to Vault with the root token.
func (w *world) ask(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	status, answer, err := w.vault.Request(context.Background(), method, path, w.vault.RootToken(), body)
	if err != nil || status/100 != 2 {
		t.Fatalf("%s %s: status %d, %v: %v", method, path, status, err, answer["errors"])
	}
	return answer
}

// at returns the value at a path of keys in an answer.
func at(answer map[string]any, keys ...string) any {
	var found any = answer
	for _, key := range keys {
		object, _ := found.(map[string]any)
		found = object[key]
	}
	return found
}

// texts returns a list of an answer, in order.
func texts(list any) []string {
	items, _ := list.([]any)
	found := make([]string, 0, len(items))
	for _, item := range items {
		found = append(found, fmt.Sprint(item))
	}
	slices.Sort(found)
	return found
}

// putField stores a secret as a person does.
func (w *world) putField(t *testing.T, ref secrets.Ref, field, value string) {
	t.Helper()
	w.ask(t, http.MethodPost, secrets.DataPath(ref), map[string]any{"data": map[string]string{field: value}})
}

// field reads a field of a secret; empty when it is not there.
func (w *world) field(t *testing.T, ref secrets.Ref, field string) string {
	t.Helper()
	_, answer, err := w.vault.Request(context.Background(), http.MethodGet, secrets.DataPath(ref), w.vault.RootToken(), nil)
	if err != nil {
		t.Fatal(err)
	}
	value, _ := at(answer, "data", "data", field).(string)
	return value
}

// names lists the names at a path; none when there is nothing.
func (w *world) names(t *testing.T, path string) []string {
	t.Helper()
	status, answer, err := w.vault.Request(context.Background(), http.MethodGet, path+"?list=true", w.vault.RootToken(), nil)
	if err != nil || (status != http.StatusOK && status != http.StatusNotFound) {
		t.Fatalf("list %s: status %d, %v", path, status, err)
	}
	return texts(at(answer, "data", "keys"))
}

// inventory describes all that Vault has, but for tokens: auth mounts with their
// configuration and roles, policies, and the versions of all secrets.
func (w *world) inventory(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	note := func(key string, value any) {
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		found[key] = string(encoded)
	}
	mounts, _ := at(w.ask(t, http.MethodGet, "sys/auth", nil), "data").(map[string]any)
	for mount, properties := range mounts {
		about, _ := properties.(map[string]any)
		note("mount "+mount, []any{about["type"], about["accessor"], about["description"]})
		if about["type"] != "kubernetes" {
			continue
		}
		status, config, err := w.vault.Request(t.Context(), http.MethodGet, "auth/"+mount+"config", w.vault.RootToken(), nil)
		if err != nil {
			t.Fatal(err)
		}
		note("config "+mount, []any{status, config["data"]})
		for _, role := range w.names(t, "auth/"+mount+"role") {
			note("role "+mount+role, w.ask(t, http.MethodGet, "auth/"+mount+"role/"+role, nil)["data"])
		}
	}
	for _, policy := range w.names(t, "sys/policies/acl") {
		if policy != "root" {
			note("policy "+policy, at(w.ask(t, http.MethodGet, "sys/policies/acl/"+policy, nil), "data", "policy"))
		}
	}
	for _, engine := range []string{"git", "cluster", "tenant"} {
		w.walk(t, engine+"/metadata", func(path string) {
			note("secret "+path, at(w.ask(t, http.MethodGet, path, nil), "data", "versions"))
		})
	}
	return found
}

// walk visits all secrets of an engine.
func (w *world) walk(t *testing.T, path string, visit func(path string)) {
	t.Helper()
	for _, name := range w.names(t, path) {
		if strings.HasSuffix(name, "/") {
			w.walk(t, path+"/"+strings.TrimSuffix(name, "/"), visit)
		} else {
			visit(path + "/" + name)
		}
	}
}

// requests returns the requests to Vault, without root's and the clusters' accounts'.
func (w *world) requests(t *testing.T) []devstack.VaultRequest {
	t.Helper()
	all, err := w.vault.Requests()
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(r devstack.VaultRequest) bool {
		own := strings.HasPrefix(r.User, tenantName+"-") || strings.HasPrefix(r.User, "token-operator") ||
			r.Path == "auth/"+tenantName+"/login"
		return !own
	})
}

// login logs an account of a cluster in to Vault. It returns the status, and the token.
func (w *world) login(t *testing.T, mount, role, jwt string) (status int, token string) {
	t.Helper()
	status, answer, err := w.vault.Request(t.Context(), http.MethodPost, "auth/"+mount+"/login", "", map[string]string{"role": role, "jwt": jwt})
	if err != nil {
		t.Fatal(err)
	}
	token, _ = at(answer, "auth", "client_token").(string)
	return status, token
}

// status returns the status of a request with a token of Vault's.
func (w *world) status(t *testing.T, token, method, path string, body any) int {
	t.Helper()
	status, _, err := w.vault.Request(t.Context(), method, path, token, body)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// account returns a token of a ServiceAccount on a runtime control plane, as a
// Pod has it.
func (w *world) account(t *testing.T, plane, namespace, name string) string {
	t.Helper()
	jwt, err := w.Runtimes[plane].AccountToken(t.Context(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return jwt
}
