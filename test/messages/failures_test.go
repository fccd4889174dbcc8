package messages

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/vault"
	"nautes.io/nautes/internal/summary"
	"nautes.io/nautes/test/githost"
)

// failures returns the errors of servers that fail, each as its client words it.
func failures(t *testing.T) map[string]error {
	t.Helper()
	return map[string]error{
		"FetchFailed":            missingRepository(t),
		"NotConnected":           silentCluster(t, alpha),
		"HostNotReady":           summary.HostNotReady(reconcile.Message(silentCluster(t, "host"))),
		"SecretStoreUnavailable": readSecret(t, http.StatusServiceUnavailable, "Vault is sealed"),
		"SecretStoreDenied":      readSecret(t, http.StatusForbidden, "permission denied"),
	}
}

// missingRepository fetches a repository that the server does not have. A proxy stands
// for the name of the server.
func missingRepository(t *testing.T) error {
	t.Helper()
	server := githost.New(t)
	server.RequireAuth("reader", "token")
	upstream, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(httputil.NewSingleHostReverseProxy(upstream))
	t.Cleanup(proxy.Close)
	mirrors, err := git.New(t.TempDir(), git.Options{AllowedProtocols: []string{"http"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = mirrors.Fetch(t.Context(), "shop", git.Source{
		URL: "http://git.example.com/shop/default.project", Branch: "main", Proxy: proxy.URL,
		Auth: git.Auth{Username: "reader", Password: secrets.NewValue([]byte("token"))},
	})
	return summary.FetchProblem(err)
}

// readSecret reads a secret from a Vault that answers with a status.
func readSecret(t *testing.T, status int, says string) error {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if status == http.StatusForbidden && !strings.HasPrefix(r.URL.Path, "/v1/cluster/") {
			// The login and the engine are in order.
			_, _ = w.Write([]byte(`{"data":{"path":"cluster/","type":"kv","options":{"version":"2"}}}`))
			return
		}
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {says}})
	}))
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := vault.Open(vault.Options{Tenant: "nautes", Vault: config.Vault{
		Address: server.URL, Timeout: metav1.Duration{Duration: 5 * time.Second}, PollInterval: metav1.Duration{Duration: time.Minute},
		Auth: config.VaultAuth{Method: config.VaultAuthToken, TokenFile: token},
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = store.Get(t.Context(), secrets.ClusterKubeconfig(alpha))
	return err
}
