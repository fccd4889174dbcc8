package messages

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
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
	"nautes.io/nautes/internal/remote"
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
		"NotConnected":           silentCluster(t),
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

// silentCluster connects to an API server that does not answer.
func silentCluster(t *testing.T) error {
	t.Helper()
	released := make(chan struct{})
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-released:
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(released) })
	authority := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	kubeconfig := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: u, user: {token: t}}]
`, server.URL, authority)
	changed := make(chan struct{}, 1)
	manager := remote.NewManager(remote.ManagerOptions{ProbeTimeout: 200 * time.Millisecond, OnState: func(string) {
		select {
		case changed <- struct{}{}:
		default:
		}
	}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	manager.Set(alpha, remote.Endpoint{UID: "uid", Version: "1", Kubeconfig: secrets.NewValue([]byte(kubeconfig)), Server: server.URL})
	for deadline := time.After(time.Minute); ; {
		select {
		case <-changed:
			if manager.State(alpha).Connecting {
				continue
			}
			_, err := manager.Get(alpha)
			return err
		case <-deadline:
			t.Fatal("the connection was never tried")
		}
	}
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
