package remote

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/remotetest"
)

const tenant = "acme"

var server remotetest.Server

func TestMain(m *testing.M) {
	os.Exit(server.Main(m))
}

// admin returns a client with all rights.
func admin(t testing.TB) client.Client {
	t.Helper()
	c, err := client.New(server.Config(t), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// changes collects the changes that a connection reports.
type changes struct {
	mu   sync.Mutex
	seen []string
}

func (c *changes) add(gvk schema.GroupVersionKind, meta *metav1.PartialObjectMetadata, deleted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	verb := "is"
	if deleted {
		verb = "gone"
	}
	c.seen = append(c.seen, strings.Join([]string{gvk.Kind, meta.Namespace, meta.Name, verb}, "/"))
}

func (c *changes) count(change string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, seen := range c.seen {
		if seen == change {
			n++
		}
	}
	return n
}

func (c *changes) wait(t *testing.T, change string) {
	t.Helper()
	remotetest.Eventually(t, "wait for "+change, func(context.Context) error {
		if c.count(change) == 0 {
			c.mu.Lock()
			defer c.mu.Unlock()
			return fmt.Errorf("only %q have been reported", c.seen)
		}
		return nil
	})
}

// connect returns a connection that is closed at the end of the test.
func connect(t *testing.T, cfg *rest.Config, change ChangeFunc) *Conn {
	t.Helper()
	conn, err := Connect(t.Context(), cfg, ConnOptions{Tenant: tenant, Kinds: plan.RuntimeKinds(), OnChange: change})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func synced(t *testing.T, conn *Conn) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := conn.WaitForSync(ctx); err != nil {
		t.Fatal(err)
	}
	return conn
}

// namespace creates a namespace with a unique name.
func namespace(t *testing.T, c client.Client, labels map[string]string) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "remote-", Labels: labels}}
	create(t, c, ns)
	return ns.Name
}

func create(t testing.TB, c client.Client, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatalf("create %s: %v", o.GetName(), err)
		}
	}
}

func account(namespace, name string, labels map[string]string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
}

func accountID(namespace, name string) plan.ID {
	return plan.ID{Kind: "ServiceAccount", Namespace: namespace, Name: name}
}

// with returns the labels with one replaced or added.
func with(labels map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range labels {
		if k != key {
			out[k] = v
		}
	}
	return out
}

// kubeconfigFor returns the administrator's kubeconfig for an address.
func kubeconfigFor(t testing.TB, address string) string {
	t.Helper()
	cfg, err := clientcmd.RESTConfigFromKubeConfig(server.Kubeconfig(t))
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	return kubeconfigWith(
		"server: https://"+address+"\ncertificate-authority-data: "+b64(cfg.CAData),
		"client-certificate-data: "+b64(cfg.CertData)+"\nclient-key-data: "+b64(cfg.KeyData))
}

// kubeconfigWith returns a kubeconfig with the given lines in its cluster and user.
func kubeconfigWith(cluster, user string) string {
	indent := func(lines string) string { return "    " + strings.ReplaceAll(lines, "\n", "\n    ") }
	return "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n" +
		"clusters:\n- name: k\n  cluster:\n" + indent(cluster) + "\nusers:\n- name: u\n  user:\n" + indent(user) + "\n"
}

const (
	secretToken = "sEcReT.token-Value"
	goodUser    = "token: " + secretToken
)

// limited returns the configuration of a new account with the given rules.
func limited(t *testing.T, name string, rules []rbacv1.PolicyRule) *rest.Config {
	t.Helper()
	c, name := admin(t), remotetest.Unique(name)
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
	}
	create(t, c, role, binding)
	cfg := rest.CopyConfig(server.Config(t))
	cfg.Impersonate.UserName = name
	return cfg
}

// want returns an error unless a condition holds.
func want(holds bool, format string, args ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, args...)
}
