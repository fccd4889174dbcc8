package devstack

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"nautes.io/nautes/test/githost"
)

const (
	manifestRepository = "demo/manifests"
	deployedNamespace  = "deployed"
)

func configMapManifest(value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-git\ndata:\n  key: " + value + "\n"
}

// An Application with automated sync deploys a private repository, whose
// credentials belong to its AppProject alone, and follows it.
func TestArgoCDDeploysFromTheGitHost(t *testing.T) {
	SkipUnbuilt(t, Options{ArgoCD: true})
	t.Parallel()
	stack := shared.Stack(t)
	plane := stack.Runtimes[runtimeA]
	dir, err := ArgoCDCRDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := InstallCRDs(t.Context(), plane.Config(), dir); err != nil {
		t.Fatal(err)
	}
	if err := stack.StartArgoCD(t.Context(), runtimeA); err != nil {
		t.Fatal(err)
	}
	repository, err := stack.Git.AddRepository(t.Context(), manifestRepository)
	if err != nil {
		t.Fatal(err)
	}
	stack.Git.Grant("deploy-token", githost.Read, manifestRepository)
	manifest := githost.Commit{Files: map[string]string{"app/configmap.yaml": configMapManifest("first")}}
	if _, err := stack.Git.Push(t.Context(), manifestRepository, manifest); err != nil {
		t.Fatal(err)
	}
	set := clientFor(t, plane.Config())
	namespace(t, set, deployedNamespace)
	makeApplication(t, plane, repository.URL)
	waitForValue(t, set, "first")

	manifest.Files["app/configmap.yaml"] = configMapManifest("second")
	if _, err := stack.Git.Push(t.Context(), manifestRepository, manifest); err != nil {
		t.Fatal(err)
	}
	if err := stack.ArgoCD[runtimeA].RefreshApplication(t.Context(), "demo"); err != nil {
		t.Fatal(err)
	}
	waitForValue(t, set, "second")
	if err := stack.ArgoCD[runtimeA].Err(); err != nil {
		t.Error(err)
	}
}

func makeApplication(t *testing.T, plane *ControlPlane, url string) {
	t.Helper()
	set := clientFor(t, plane.Config())
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: "demo-manifests", Namespace: ArgoCDNamespace,
			Labels: map[string]string{"argocd.argoproj.io/secret-type": "repository"},
		},
		StringData: map[string]string{"type": "git", "url": url, "project": "demo", "username": "nautes", "password": "deploy-token"},
	}
	if _, err := set.CoreV1().Secrets(ArgoCDNamespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	const server = "https://kubernetes.default.svc"
	create(t, plane, "appprojects", ArgoCDNamespace, map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
		"metadata": map[string]any{"name": "demo"},
		"spec": map[string]any{
			"sourceRepos":  []any{url},
			"destinations": []any{map[string]any{"server": server, "namespace": deployedNamespace}},
		},
	})
	create(t, plane, "applications", ArgoCDNamespace, map[string]any{
		"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
		"metadata": map[string]any{"name": "demo"},
		"spec": map[string]any{
			"project":     "demo",
			"source":      map[string]any{"repoURL": url, "path": "app", "targetRevision": githost.DefaultBranch},
			"destination": map[string]any{"server": server, "namespace": deployedNamespace},
			"syncPolicy":  map[string]any{"automated": map[string]any{"prune": true, "selfHeal": true}},
		},
	})
}

func create(t *testing.T, plane *ControlPlane, resource, namespace string, object map[string]any) {
	t.Helper()
	client, err := dynamic.NewForConfig(plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	created := &unstructured.Unstructured{Object: object}
	version, err := schema.ParseGroupVersion(created.GetAPIVersion())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Resource(version.WithResource(resource)).Namespace(namespace).Create(t.Context(), created, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func waitForValue(t *testing.T, set kubernetes.Interface, want string) {
	t.Helper()
	started := time.Now()
	eventually(t, 40*time.Second, func(ctx context.Context) error {
		object, err := set.CoreV1().ConfigMaps(deployedNamespace).Get(ctx, "from-git", metav1.GetOptions{})
		if err == nil && object.Data["key"] != want {
			err = fmt.Errorf("the ConfigMap says %q, want %q", object.Data["key"], want)
		}
		return err
	})
	t.Logf("%s was there after %v", want, time.Since(started).Round(time.Millisecond))
}

func TestRefreshOfAnApplicationThatIsNotThere(t *testing.T) {
	t.Parallel()
	missing := &ArgoCD{plane: shared.Stack(t).Tenant}
	if err := missing.RefreshApplication(t.Context(), "none"); err == nil {
		t.Error("RefreshApplication: no error")
	}
}

func TestHNCPropagatesRoleBindings(t *testing.T) {
	SkipUnbuilt(t, Options{HNC: true})
	t.Parallel()
	stack := shared.Stack(t)
	plane := stack.Runtimes[runtimeA]
	dir, err := HNCCRDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := InstallCRDs(t.Context(), plane.Config(), dir); err != nil {
		t.Fatal(err)
	}
	if err := stack.StartHNC(t.Context(), runtimeA); err != nil {
		t.Fatal(err)
	}
	set := clientFor(t, plane.Config())
	namespace(t, set, "parent")
	namespace(t, set, "child")
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "developers"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "demo"}},
	}
	if _, err := set.RbacV1().RoleBindings("parent").Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	create(t, plane, "hierarchyconfigurations", "child", map[string]any{
		"apiVersion": "hnc.x-k8s.io/v1alpha2", "kind": "HierarchyConfiguration",
		"metadata": map[string]any{"name": "hierarchy"},
		"spec":     map[string]any{"parent": "parent"},
	})
	eventually(t, 30*time.Second, func(ctx context.Context) error {
		propagated, err := set.RbacV1().RoleBindings("child").Get(ctx, "developers", metav1.GetOptions{})
		if err == nil && propagated.Labels["hnc.x-k8s.io/inherited-from"] != "parent" {
			err = errors.New("the RoleBinding has no label hnc.x-k8s.io/inherited-from")
		}
		return err
	})
	if stack.HNC[runtimeA].Err() != nil {
		t.Error(stack.HNC[runtimeA].Err())
	}
}
