package messages

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/summary"
	"nautes.io/nautes/test/testutil"
)

// clusters returns the messages about the connection and the registration of a cluster.
func clusters(t *testing.T) []printed {
	t.Helper()
	facts, cluster := &engine.Facts{}, testutil.Cluster(alpha)
	snap := snapshot.New(testutil.Tenant, testutil.Namespace, cluster)
	old := cluster.DeepCopy()
	old.Status.Connection = &v1alpha1.ConnectionStatus{Version: "v1.27.3"}
	_ = summary.Supported(facts, snap, old)
	all := reported(facts)

	const version = "v1.34.4"
	cluster.Status.Connection = &v1alpha1.ConnectionStatus{Version: version}
	_ = summary.Supported(facts, snap, cluster)
	summary.Credentials(facts, cluster, nil)
	summary.Connected(facts, version)
	summary.Registered(facts)
	all = append(all, reported(facts)...)
	for _, state := range []remote.State{expiredCertificate(t), otherCluster(t)} {
		all = append(all, printed{state.Reason, state.Message})
	}
	return all
}

// silentCluster connects to an API server that does not answer.
func silentCluster(t *testing.T, name string) error {
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
	_, err := connect(t, name, server, "token: t", "", 200*time.Millisecond).Get(name)
	return err
}

// expiredCertificate connects with a client certificate that has expired.
func expiredCertificate(t *testing.T) remote.State {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401}`))
	}))
	t.Cleanup(server.Close)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2024, 1, 31, 12, 0, 0, 0, time.UTC)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	user := fmt.Sprintf("client-certificate-data: %s, client-key-data: %s", inPEM("CERTIFICATE", certificate), inPEM("PRIVATE KEY", private))
	return connect(t, alpha, server, user, "", time.Minute).State(alpha)
}

// otherCluster connects to a cluster that has replaced the one on record.
func otherCluster(t *testing.T) remote.State {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/version" {
			_, _ = w.Write([]byte(`{"gitVersion":"v1.34.4"}`))
			return
		}
		_, _ = w.Write([]byte(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"5f1c"}}`))
	}))
	t.Cleanup(server.Close)
	return connect(t, alpha, server, "token: t", "0b7a", time.Minute).State(alpha)
}

// connect has a connection to a cluster, as a user of a kubeconfig, tried once. It
// returns the manager of the connection.
func connect(t *testing.T, name string, server *httptest.Server, user, uid string, timeout time.Duration) *remote.Manager {
	t.Helper()
	kubeconfig := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: u, user: {%s}}]
`, server.URL, inPEM("CERTIFICATE", server.Certificate().Raw), user)
	changed := make(chan struct{}, 1)
	manager := remote.NewManager(remote.ManagerOptions{ProbeTimeout: timeout, OnState: func(string) {
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
	manager.Set(name, remote.Endpoint{
		UID: "uid", Version: "1", Kubeconfig: secrets.NewValue([]byte(kubeconfig)), Server: server.URL, ExpectedUID: uid,
	})
	for deadline := time.After(time.Minute); ; {
		select {
		case <-changed:
			if !manager.State(name).Connecting {
				return manager
			}
		case <-deadline:
			t.Fatal("the connection was never tried")
		}
	}
}

// inPEM returns a PEM block in base64, as a kubeconfig has it.
func inPEM(kind string, content []byte) string {
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}))
}
