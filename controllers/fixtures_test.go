package controllers_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
)

func clusterYAML(name, host string) string {
	return fmt.Sprintf(`
apiVersion: nautes.resource.nautes.io/v1alpha1
kind: Cluster
metadata: {name: %s, namespace: nautes}
spec: {apiServer: %q, clusterType: physical, usage: worker, workerType: deployment}
`, name, host)
}

// shop is a product in a Git repository: a project, an environment, a code
// repository, a binding and a deployment runtime.
type shop struct {
	w *world
	// product is its id, group its GitLab group, repo its default.project.
	product, group, repo string
	// cluster that its environment is on.
	cluster string
	// namespaces of its runtime.
	namespace string
}

func newShop(w *world, id, cluster string) *shop {
	return &shop{w: w, product: "product-" + id, group: "group-" + id, repo: "group-" + id + "/default.project", cluster: cluster, namespace: "ns-" + id}
}

const (
	envFile     = "envs/dev.yaml"
	projectFile = "projects/app/app.yaml"
	repoFile    = "code-repos/repo-1/repo-1.yaml"
	bindingFile = "code-repos/repo-1/app.yaml"
	runtimeFile = "runtimes/dr.yaml"
)

func (s *shop) env() string {
	return fmt.Sprintf("apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: Environment\nmetadata:\n  name: dev\nspec:\n  product: %s\n  cluster: %s\n  envType: dev\n", s.product, s.cluster)
}

func (s *shop) project() string {
	return fmt.Sprintf("apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: Project\nmetadata:\n  name: app\nspec:\n  product: %s\n  language: go\n", s.product)
}

// codeRepo is public, and owned by another project, so that a binding is needed.
func (s *shop) codeRepo() string {
	return fmt.Sprintf("apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: CodeRepo\nmetadata:\n  name: repo-1\nspec:\n  product: %s\n  repoName: app\n  url: https://git.example/%s/app.git\n", s.product, s.group)
}

func (s *shop) binding(permissions string) string {
	return fmt.Sprintf("apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: CodeRepoBinding\nmetadata:\n  name: app\nspec:\n  product: %s\n  codeRepo: repo-1\n  projects:\n  - app\n  permissions: %s\n", s.product, permissions)
}

func (s *shop) runtime() string {
	return fmt.Sprintf("apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: DeploymentRuntime\nmetadata:\n  name: dr\nspec:\n  product: %s\n  projectsRef:\n  - app\n  manifestSource:\n    codeRepo: repo-1\n    path: deploy\n    targetRevision: main\n  destination:\n    environment: dev\n    namespaces:\n    - %s\n", s.product, s.namespace)
}

func (s *shop) files() map[string]string {
	return map[string]string{
		envFile: s.env(), projectFile: s.project(), repoFile: s.codeRepo(), bindingFile: s.binding("readonly"), runtimeFile: s.runtime(),
	}
}

// declare makes the repository with its hook, and applies the Product.
func (s *shop) declare(t *testing.T) {
	t.Helper()
	if _, err := s.w.Git.AddRepository(t.Context(), s.repo); err != nil {
		t.Fatal(err)
	}
	s.w.Git.Grant("token-"+s.product, githost.Read, s.group)
	s.w.apply(t, fmt.Sprintf(`
apiVersion: v1
kind: Secret
metadata: {name: git-%[1]s, namespace: nautes}
stringData: {username: any, password: token-%[1]s}
---
apiVersion: nautes.resource.nautes.io/v1alpha1
kind: Product
metadata: {name: %[1]s, namespace: nautes}
spec:
  name: %[2]s
  metaDataPath: %[3]s/%[4]s.git
  secretRef: {name: git-%[1]s}
`, s.product, s.group, s.w.Git.URL, s.repo))
	s.w.hook(t, s.repo, "product/"+s.product, "/hooks/v1/products/"+s.product)
	t.Cleanup(func() { s.remove(t) })
}

// open declares the product and pushes all of its files.
func (s *shop) open(t *testing.T) {
	t.Helper()
	s.declare(t)
	s.push(t, s.files())
	exists(t, s.w.runtimes[s.cluster], s.application())
}

func (s *shop) push(t *testing.T, files map[string]string, remove ...string) string {
	t.Helper()
	return s.w.push(t, s.repo, githost.Commit{Files: files, Delete: remove})
}

// remove deletes the product and waits until nothing of it is left anywhere.
// Argo CD does not run beside these tests, so its part is played here.
func (s *shop) remove(t *testing.T) {
	t.Helper()
	ctx := context.Background()
	p := s.productObject()
	if err := client.IgnoreNotFound(s.w.c.Delete(ctx, p)); err != nil {
		t.Fatal(err)
	}
	s.playArgoCD(t)
	gone(t, s.w.c, p)
	empty(t, s.w.runtimes[s.cluster], s.product)
}

// playArgoCD lets go of the product's deleted Applications until the product is gone.
func (s *shop) playArgoCD(t *testing.T) {
	t.Helper()
	until(t, s.product+" is gone", func() error {
		release(t, s.w.runtimes[s.cluster], s.product)
		p := s.productObject()
		err := s.w.c.Get(context.Background(), client.ObjectKeyFromObject(p), p)
		if err == nil {
			return fmt.Errorf("it is still there: %v", p.Status.Conditions)
		}
		return client.IgnoreNotFound(err)
	})
}

// release takes the finalizer of Argo CD off the deleted Applications of a product.
func release(t *testing.T, c client.Client, product string) {
	t.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(object("argoproj.io/v1alpha1", "ApplicationList", "", "").GroupVersionKind())
	if err := c.List(context.Background(), list, client.MatchingLabels{v1alpha1.LabelProduct: product}); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		app := &list.Items[i]
		if app.GetDeletionTimestamp() == nil || len(app.GetFinalizers()) == 0 {
			continue
		}
		before := app.DeepCopy()
		app.SetFinalizers(nil)
		if err := client.IgnoreNotFound(c.Patch(context.Background(), app, client.MergeFrom(before))); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *shop) productObject() *v1alpha1.Product {
	return &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: s.product}}
}

func (s *shop) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.product, Name: name}
}

func (s *shop) runtimeObject() *v1alpha1.DeploymentRuntime {
	return &v1alpha1.DeploymentRuntime{ObjectMeta: s.meta("dr")}
}

func (s *shop) application() *unstructured.Unstructured {
	return object("argoproj.io/v1alpha1", "Application", devstack.ArgoCDNamespace, s.product+"-dr")
}

func (s *shop) appProject() *unstructured.Unstructured {
	return object("argoproj.io/v1alpha1", "AppProject", devstack.ArgoCDNamespace, s.product)
}

// synced writes the status that Argo CD would report for the runtime's Application.
func (s *shop) synced(t *testing.T, sync, health string) {
	t.Helper()
	reportSynced(t, s.w.runtimes[s.cluster], s.application(), sync, health)
}

// reportSynced writes the status that Argo CD would report for an Application on a
// runtime cluster.
func reportSynced(t *testing.T, c client.Client, app *unstructured.Unstructured, sync, health string) {
	t.Helper()
	exists(t, c, app)
	before := app.DeepCopy()
	source, _, _ := unstructured.NestedMap(app.Object, "spec", "source")
	compared := map[string]any{"source": source, "destination": map[string]any{}}
	status := map[string]any{"sync": map[string]any{"status": sync, "comparedTo": compared, "revision": "0123456789abcdef0123456789abcdef01234567"}, "health": map[string]any{"status": health}}
	if err := unstructured.SetNestedMap(app.Object, status, "status"); err != nil {
		t.Fatal(err)
	}
	if err := c.Patch(context.Background(), app, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// catalogueYAML says that every component is on the clusters already, so that a
// cluster is ready as soon as it is connected.
func catalogueYAML(external ...string) string {
	text := `
apiVersion: nautes.resource.nautes.io/v1alpha1
kind: ComponentCatalogue
metadata: {name: default, namespace: nautes}
spec:
  components:
`
	for _, name := range external {
		text += "  - {name: " + name + ", installation: External}\n"
	}
	return text
}
