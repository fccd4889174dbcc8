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
func (sys *system) prepareVault(t *testing.T) {
	t.Helper()
	jwt, err := sys.InstallVault(t.Context(), sys.vault, tenantName)
	if err != nil {
		t.Fatal(err)
	}
	// Not even Vault's default policy comes to the help of the operator's own.
	sys.ask(t, http.MethodPost, "auth/"+tenantName+"/role/"+operatorPolicy, map[string]any{"token_no_default_policy": true})
	if sys.proxy, err = sys.vault.Proxy(); err != nil {
		t.Fatal(err)
	}
	sys.caFile = sys.file(t, "vault-ca.crt", string(sys.proxy.CA))
	sys.file(t, "operator-jwt", string(jwt))
	sys.canaries.add(canary{name: "the operator's token on the tenant cluster", value: string(jwt)})
	sys.putField(t, secrets.ProviderToken(provider), "access_token", sys.canaries.make("the provider's token"))
	sys.putField(t, edgeSecret, "password", sys.canaries.make("the secret of a component", alphaPlane+" Secret edge/edge-login"))
}

// file writes a file of the operator's, beside its configuration and not below it.
func (sys *system) file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(sys.Dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// kubernetesLogin has the operator log in with the token of its ServiceAccount.
func (sys *system) kubernetesLogin() devstack.VaultLogin {
	return devstack.VaultLogin{Method: "kubernetes", TokenFile: filepath.Join(sys.Dir, "operator-jwt")}
}

// tokenLogin has the operator use a token in a file, which ends after a time.
func (sys *system) tokenLogin(t *testing.T, ttl string) devstack.VaultLogin {
	t.Helper()
	sys.vaultToken = sys.operatorToken(t, ttl)
	return devstack.VaultLogin{Method: "token", TokenFile: sys.file(t, "vault-token", sys.vaultToken)}
}

// operatorToken makes a token of Vault's that ends after a time such as 1h.
func (sys *system) operatorToken(t *testing.T, ttl string) string {
	t.Helper()
	answer := sys.ask(t, http.MethodPost, "auth/token/create", map[string]any{
		"policies": []string{operatorPolicy}, "no_default_policy": true, "no_parent": true,
		"explicit_max_ttl": ttl, "display_name": "operator",
	})
	token := fmt.Sprint(at(answer, "auth", "client_token"))
	sys.canaries.add(canary{name: "the operator's token of Vault", value: token})
	return token
}

// ask sends a request to Vault with the root token.
func (sys *system) ask(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	status, answer, err := sys.vault.Request(context.Background(), method, path, sys.vault.RootToken(), body)
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
func (sys *system) putField(t *testing.T, ref secrets.Ref, field, value string) {
	t.Helper()
	if err := sys.Secrets(context.Background(), ref, map[string]string{field: value}); err != nil {
		t.Fatal(err)
	}
}

// field reads a field of a secret; empty when it is not there.
func (sys *system) field(t *testing.T, ref secrets.Ref, field string) string {
	t.Helper()
	_, answer, err := sys.vault.Request(context.Background(), http.MethodGet, secrets.DataPath(ref), sys.vault.RootToken(), nil)
	if err != nil {
		t.Fatal(err)
	}
	value, _ := at(answer, "data", "data", field).(string)
	return value
}

// names lists the names at a path; none when there is nothing.
func (sys *system) names(t *testing.T, path string) []string {
	t.Helper()
	status, answer, err := sys.vault.Request(context.Background(), http.MethodGet, path+"?list=true", sys.vault.RootToken(), nil)
	if err != nil || (status != http.StatusOK && status != http.StatusNotFound) {
		t.Fatalf("list %s: status %d, %v", path, status, err)
	}
	return texts(at(answer, "data", "keys"))
}

// inventory describes all that Vault has, but for tokens: auth mounts with their
// configuration and roles, policies, and the versions of all secrets.
func (sys *system) inventory(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	note := func(key string, value any) {
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		found[key] = string(encoded)
	}
	mounts, _ := at(sys.ask(t, http.MethodGet, "sys/auth", nil), "data").(map[string]any)
	for mount, properties := range mounts {
		about, _ := properties.(map[string]any)
		note("mount "+mount, []any{about["type"], about["accessor"], about["description"]})
		if about["type"] != "kubernetes" {
			continue
		}
		status, config, err := sys.vault.Request(t.Context(), http.MethodGet, "auth/"+mount+"config", sys.vault.RootToken(), nil)
		if err != nil {
			t.Fatal(err)
		}
		note("config "+mount, []any{status, config["data"]})
		for _, role := range sys.names(t, "auth/"+mount+"role") {
			note("role "+mount+role, sys.ask(t, http.MethodGet, "auth/"+mount+"role/"+role, nil)["data"])
		}
	}
	for _, policy := range sys.names(t, "sys/policies/acl") {
		if policy != "root" {
			note("policy "+policy, at(sys.ask(t, http.MethodGet, "sys/policies/acl/"+policy, nil), "data", "policy"))
		}
	}
	for _, engine := range []string{"git", "cluster", "tenant"} {
		sys.walk(t, engine+"/metadata", func(path string) {
			note("secret "+path, at(sys.ask(t, http.MethodGet, path, nil), "data", "versions"))
		})
	}
	return found
}

// walk visits all secrets of an engine.
func (sys *system) walk(t *testing.T, path string, visit func(path string)) {
	t.Helper()
	for _, name := range sys.names(t, path) {
		if strings.HasSuffix(name, "/") {
			sys.walk(t, path+"/"+strings.TrimSuffix(name, "/"), visit)
		} else {
			visit(path + "/" + name)
		}
	}
}

// requests returns the requests to Vault, without root's and the clusters' accounts'.
func (sys *system) requests(t *testing.T) []devstack.VaultRequest {
	t.Helper()
	all, err := sys.vault.Requests()
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
func (sys *system) login(t *testing.T, mount, role, jwt string) (status int, token string) {
	t.Helper()
	status, answer, err := sys.vault.Request(t.Context(), http.MethodPost, "auth/"+mount+"/login", "", map[string]string{"role": role, "jwt": jwt})
	if err != nil {
		t.Fatal(err)
	}
	token, _ = at(answer, "auth", "client_token").(string)
	return status, token
}

// status returns the status of a request with a token of Vault's.
func (sys *system) status(t *testing.T, token, method, path string, body any) int {
	t.Helper()
	status, _, err := sys.vault.Request(t.Context(), method, path, token, body)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// account returns a token of a ServiceAccount on a runtime control plane, as a
// Pod has it.
func (sys *system) account(t *testing.T, plane, namespace, name string) string {
	t.Helper()
	jwt, err := sys.Runtimes[plane].AccountToken(t.Context(), namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return jwt
}
