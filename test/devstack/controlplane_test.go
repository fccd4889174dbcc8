package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func clientFor(t *testing.T, config *rest.Config) kubernetes.Interface {
	t.Helper()
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// namespace makes a namespace and has it removed after the test.
func namespace(t *testing.T, set kubernetes.Interface, name string) {
	t.Helper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := set.CoreV1().Namespaces().Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := set.CoreV1().Namespaces().Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
}

func TestControlPlanesAreApart(t *testing.T) {
	t.Parallel()
	stack := shared.Stack(t)
	tenant, runtime := stack.Tenant, stack.Runtimes[runtimeA]
	namespace(t, clientFor(t, tenant.Config()), "only-here")
	_, err := clientFor(t, runtime.Config()).CoreV1().Namespaces().Get(t.Context(), "only-here", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the namespace on the other control plane: %v, want not found", err)
	}
	first, err := tenant.UID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	second, err := runtime.UID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first == "" || first == second {
		t.Errorf("UIDs %q and %q, want two different ones", first, second)
	}
	if _, err := kubernetes.NewForConfigOrDie(withAddress(tenant.Config(), runtime.URL)).CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{}); err == nil {
		t.Error("one control plane accepts the certificate of another")
	}
}

func withAddress(config *rest.Config, url string) *rest.Config {
	config.Host = url
	return config
}

func TestKubeconfigHoldsEverythingInline(t *testing.T) {
	t.Parallel()
	plane := shared.Stack(t).Tenant
	file, err := clientcmd.Load(plane.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	current := file.Contexts[file.CurrentContext]
	cluster, user := file.Clusters[current.Cluster], file.AuthInfos[current.AuthInfo]
	if cluster.Server != plane.URL || len(cluster.CertificateAuthorityData) == 0 || cluster.CertificateAuthority != "" {
		t.Errorf("cluster %+v, want the server and an inline CA", cluster)
	}
	if len(user.ClientCertificateData) == 0 || len(user.ClientKeyData) == 0 || user.ClientCertificate != "" || user.ClientKey != "" {
		t.Error("the client certificate and key are not inline")
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(plane.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	version, err := discovery.NewDiscoveryClientForConfigOrDie(config).ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(version.GitVersion, "v0.0.0") || version.Minor == "" {
		t.Errorf("the API server calls itself %s: build it with `make tools`", version.GitVersion)
	}
}

func TestRoleBasedAccess(t *testing.T) {
	t.Parallel()
	plane := shared.Stack(t).Tenant
	config, err := plane.ConfigFor("nobody")
	if err != nil {
		t.Fatal(err)
	}
	_, err = clientFor(t, config).CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("a user without roles reads secrets: %v, want forbidden", err)
	}
}

func TestNamespacesTerminate(t *testing.T) {
	t.Parallel()
	set := clientFor(t, shared.Stack(t).Tenant.Config())
	namespace(t, set, "goes")
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "content"}}
	if _, err := set.CoreV1().ConfigMaps("goes").Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := set.CoreV1().Namespaces().Delete(t.Context(), "goes", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, func(ctx context.Context) error {
		_, err := set.CoreV1().Namespaces().Get(ctx, "goes", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the namespace is still there: %w", err)
	})
}

func TestInstallCRDs(t *testing.T) {
	t.Parallel()
	stack := shared.Stack(t)
	argoCD, err := ArgoCDCRDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	hnc, err := HNCCRDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nautes, err := NautesCRDs()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		plane        *ControlPlane
		dirs         []string
		groupVersion string
		wantKind     string
	}{
		"Argo CD and HNC": {
			plane: stack.Runtimes[runtimeA], dirs: []string{argoCD, hnc},
			groupVersion: "hnc.x-k8s.io/v1alpha2", wantKind: "HierarchyConfiguration",
		},
		"Nautes": {
			plane: stack.Tenant, dirs: []string{nautes},
			groupVersion: "nautes.resource.nautes.io/v1alpha1", wantKind: "DeploymentRuntime",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The second time finds them there.
			for range 2 {
				if err := InstallCRDs(t.Context(), test.plane.Config(), test.dirs...); err != nil {
					t.Fatal(err)
				}
			}
			served, err := discovery.NewDiscoveryClientForConfigOrDie(test.plane.Config()).ServerResourcesForGroupVersion(test.groupVersion)
			if err != nil {
				t.Fatal(err)
			}
			for _, resource := range served.APIResources {
				if resource.Kind == test.wantKind {
					return
				}
			}
			t.Errorf("%s does not serve %s at once", test.groupVersion, test.wantKind)
		})
	}
}

func TestInstallCRDsOfAnEmptyDirectory(t *testing.T) {
	t.Parallel()
	if err := InstallCRDs(t.Context(), shared.Stack(t).Tenant.Config(), t.TempDir()); err == nil {
		t.Error("InstallCRDs from an empty directory: no error")
	}
}

func TestStopAndStartKeepsDataAndAddress(t *testing.T) {
	t.Parallel()
	stack := shared.Stack(t)
	if err := stack.AddRuntime(t.Context(), "restarted"); err != nil {
		t.Fatal(err)
	}
	plane := stack.Runtimes["restarted"]
	set := clientFor(t, plane.Config())
	namespace(t, set, "stays")
	uid, err := plane.UID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, stop := range map[string]func() error{"stopped": plane.Stop, "killed": plane.Kill} {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if connection, err := net.Dial("tcp", strings.TrimPrefix(plane.URL, "https://")); err == nil {
			_ = connection.Close()
			t.Errorf("%s: its port still answers", name)
		}
		if plane.Err() == nil {
			t.Errorf("%s: Err is nil", name)
		}
		if err := plane.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := set.CoreV1().Namespaces().Get(t.Context(), "stays", metav1.GetOptions{}); err != nil {
			t.Errorf("%s: the namespace after the start: %v", name, err)
		}
		if again, err := plane.UID(t.Context()); err != nil || again != uid {
			t.Errorf("%s: UID %s, %v; want %s", name, again, err, uid)
		}
	}
	if err := plane.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := set.CoreV1().Namespaces().Get(ctx, "stays", metav1.GetOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("paused: %v, want no answer", err)
	}
	if err := plane.Resume(); err != nil {
		t.Fatal(err)
	}
	if _, err := set.CoreV1().Namespaces().Get(t.Context(), "stays", metav1.GetOptions{}); err != nil {
		t.Errorf("resumed: %v", err)
	}
}

func TestWritesAreCounted(t *testing.T) {
	t.Parallel()
	plane := shared.Stack(t).Runtimes[runtimeA]
	config, err := plane.ConfigFor("counted", mastersGroup)
	if err != nil {
		t.Fatal(err)
	}
	config.UserAgent = "counter/1"
	set := clientFor(t, config)
	namespace(t, set, "counted")
	mark, err := plane.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	revision, err := plane.EtcdRevision(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Two of these four requests change something.
	maps := set.CoreV1().ConfigMaps("counted")
	apply := metav1.ApplyOptions{FieldManager: "nautes", Force: true}
	for _, data := range []string{"1", "2", "2"} {
		object := applycorev1.ConfigMap("applied", "counted").WithData(map[string]string{"key": data})
		if _, err := maps.Apply(t.Context(), object, apply); err != nil {
			t.Fatal(err)
		}
	}
	dry := applycorev1.ConfigMap("applied", "counted").WithData(map[string]string{"key": "3"})
	if _, err := maps.Apply(t.Context(), dry, metav1.ApplyOptions{FieldManager: "nautes", DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Fatal(err)
	}
	if _, err := maps.List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}

	got := requestsOf(t, plane, mark, "counted")
	patch := Request{
		Verb: "patch", Resource: "configmaps", Namespace: "counted", Name: "applied",
		User: "counted", UserAgent: "counter/1", FieldManager: "nautes", Code: 200,
	}
	created, tried := patch, patch
	created.Code, tried.DryRun = 201, true
	if diff := cmp.Diff([]Request{created, patch, patch, tried}, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Change{{Key: "configmaps/counted/applied", What: Created, Writes: 2}}, changesIn(t, plane, mark, "/counted/a")); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if now, err := plane.EtcdRevision(t.Context()); err != nil || now <= revision {
		t.Errorf("etcd revision %d, %v; want more than %d", now, err, revision)
	}

	if mark, err = plane.Mark(t.Context()); err != nil {
		t.Fatal(err)
	}
	object := applycorev1.ConfigMap("applied", "counted").WithData(map[string]string{"key": "2"})
	if _, err := maps.Apply(t.Context(), object, apply); err != nil {
		t.Fatal(err)
	}
	if got := requestsOf(t, plane, mark, "counted"); len(got) != 1 {
		t.Errorf("requests of an apply that changes nothing: %v, want one", got)
	}
	if got := changesIn(t, plane, mark, "/counted/"); len(got) != 0 {
		t.Errorf("changes by an apply that changes nothing: %v, want none", got)
	}
}

// requestsOf returns the requests of one user, without their times.
func requestsOf(t *testing.T, plane *ControlPlane, since Mark, user string) []Request {
	t.Helper()
	all, err := plane.Requests(since)
	if err != nil {
		t.Fatal(err)
	}
	var requests []Request
	for _, request := range all {
		if request.User == user {
			if request.Time.IsZero() {
				t.Errorf("%s has no time", request)
			}
			request.Time = time.Time{}
			requests = append(requests, request)
		}
	}
	return requests
}

// changesIn returns the changes of the objects whose keys contain a string:
// other tests change others at the same time.
func changesIn(t *testing.T, plane *ControlPlane, since Mark, part string) []Change {
	t.Helper()
	all, err := plane.Changes(t.Context(), since)
	if err != nil {
		t.Fatal(err)
	}
	var changes []Change
	for _, change := range all {
		if strings.Contains(change.Key, part) {
			changes = append(changes, change)
		}
	}
	return changes
}

func TestTheClusterItselfIsNotCounted(t *testing.T) {
	t.Parallel()
	plane := shared.Stack(t).Tenant
	config, err := plane.ConfigFor("asker", mastersGroup)
	if err != nil {
		t.Fatal(err)
	}
	set := clientFor(t, config)
	namespace(t, set, "uncounted")
	// Its controllers write here: an account and a ConfigMap with the CA.
	eventually(t, 20*time.Second, func(ctx context.Context) error {
		if _, err := set.CoreV1().ServiceAccounts("uncounted").Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		_, err := set.CoreV1().ConfigMaps("uncounted").Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		return err
	})
	all, err := plane.Requests(Mark{})
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range all {
		if request.User == managerUser || request.User == "system:apiserver" || request.Resource == "leases" {
			t.Errorf("counted: %s", request)
		}
	}
	if got := requestsOf(t, plane, Mark{}, "asker"); len(got) != 1 || got[0].Name != "uncounted" {
		t.Errorf("requests %v, want the creation of the namespace", got)
	}
}

func TestRefusedRequestsAreCounted(t *testing.T) {
	t.Parallel()
	plane := shared.Stack(t).Tenant
	config, err := plane.ConfigFor("refused")
	if err != nil {
		t.Fatal(err)
	}
	mark, err := plane.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = clientFor(t, config).CoreV1().Namespaces().Patch(t.Context(), "default", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{})
	if !apierrors.IsForbidden(err) {
		t.Fatalf("patch: %v, want forbidden", err)
	}
	got := requestsOf(t, plane, mark, "refused")
	if len(got) != 1 || got[0].Code != 403 {
		t.Errorf("requests %v, want the refused one", got)
	}
}
