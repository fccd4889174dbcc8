package controllers_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

// product is a product in a Git repository: a project, an environment, a code
// repository, a binding and a deployment runtime.
type product struct {
	scenario.Product
	sys *system
	// cluster of its environment.
	cluster string
	// namespace of its runtime, which may have more of them.
	namespace string
	more      []string
}

func newProduct(sys *system, id, cluster string) *product {
	p := scenario.NewProduct(id)
	p.Token = "token-" + p.Name
	return &product{Product: p, sys: sys, cluster: cluster, namespace: "ns-" + id}
}

const (
	envFile     = "envs/dev.yaml"
	projectFile = "projects/app/app.yaml"
	repoFile    = "code-repos/repo-1/repo-1.yaml"
	bindingFile = "code-repos/repo-1/app.yaml"
	runtimeFile = "runtimes/dr.yaml"
)

func (p *product) env() string { return p.Environment("dev", p.cluster) }

func (p *product) project() string { return p.Project("app", "go") }

// codeRepo is public, and owned by another project, so that a binding is needed.
func (p *product) codeRepo() string {
	return p.CodeRepo("repo-1", "app", "url: https://git.example/"+p.Group+"/app.git")
}

func (p *product) binding(permissions string) string {
	return p.Binding("app", "repo-1", "app", permissions)
}

func (p *product) runtime() string {
	last := "    - " + p.namespace + "\n"
	all := last
	for _, namespace := range p.more {
		all += "    - " + namespace + "\n"
	}
	return strings.Replace(p.DeploymentRuntime(scenario.Deployment{
		Name: "dr", Project: "app", Environment: "dev", Namespace: p.namespace, Repo: "repo-1", Path: "deploy", Revision: "main",
	}), last, all, 1)
}

func (p *product) files() map[string]string {
	return map[string]string{
		envFile: p.env(), projectFile: p.project(), repoFile: p.codeRepo(), bindingFile: p.binding("readonly"), runtimeFile: p.runtime(),
	}
}

// declare makes the repository with its hook, and applies the Product.
func (p *product) declare(t *testing.T) {
	t.Helper()
	if err := p.sys.DeclareProduct(t.Context(), p.Product, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.remove(t) })
}

// open declares the product and pushes all of its files.
func (p *product) open(t *testing.T) {
	t.Helper()
	p.declare(t)
	p.push(t, p.files())
	p.sys.AwaitObjects(t, p.sys.Clusters[p.cluster], p.application())
}

func (p *product) push(t *testing.T, files map[string]string, remove ...string) string {
	t.Helper()
	return p.sys.Push(t, p.Repository(), githost.Commit{Files: files, Delete: remove})
}

// remove deletes the product and waits until nothing of it is left anywhere. No Argo CD
// runs beside these tests, so they do its part.
func (p *product) remove(t *testing.T) {
	t.Helper()
	o := p.Object()
	if err := client.IgnoreNotFound(p.sys.Client.Delete(context.Background(), o)); err != nil {
		t.Fatal(err)
	}
	p.awaitRemoval(t)
	p.sys.AwaitGone(t, p.sys.Client, o)
	p.sys.awaitEmpty(t, p.cluster, p.Name)
}

// awaitRemoval releases the product's deleted Applications until the product is gone.
func (p *product) awaitRemoval(t *testing.T) {
	t.Helper()
	p.sys.Until(t, p.Name+" is gone", func() error {
		p.release(t, p.cluster)
		o := p.Object()
		err := p.sys.Client.Get(context.Background(), client.ObjectKeyFromObject(o), o)
		if err == nil {
			return fmt.Errorf("it is still there: %v", o.Status.Conditions)
		}
		return client.IgnoreNotFound(err)
	})
}

// release releases the product's deleted Applications on a cluster.
func (p *product) release(t *testing.T, cluster string) {
	t.Helper()
	c := p.sys.Clusters[cluster]
	apps, err := scenario.List(context.Background(), c, []schema.GroupVersionKind{scenario.ArgoKind("Application")},
		client.MatchingLabels{v1alpha1.LabelProduct: p.Name})
	if err != nil {
		t.Fatal(err)
	}
	for i := range apps {
		if err := scenario.Release(context.Background(), c, &apps[i]); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *product) runtimeObject() *v1alpha1.DeploymentRuntime { return p.RuntimeObject("dr") }

func (p *product) application() *unstructured.Unstructured { return p.Application("dr") }

func (p *product) appProject() *unstructured.Unstructured {
	return scenario.Object("argoproj.io/v1alpha1", "AppProject", devstack.ArgoCDNamespace, p.Name)
}

// synced writes the status that Argo CD would report for the runtime's Application.
func (p *product) synced(t *testing.T, sync, health string) {
	t.Helper()
	c, app := p.sys.Clusters[p.cluster], p.application()
	p.sys.AwaitObjects(t, c, app)
	if err := scenario.Report(context.Background(), c, app, scenario.Compared(app, sync, health)); err != nil {
		t.Fatal(err)
	}
}

// ready lets Argo CD report that the runtime is synced and healthy, and returns the
// runtime when it is Ready.
func (p *product) ready(t *testing.T) *v1alpha1.DeploymentRuntime {
	t.Helper()
	p.synced(t, "Synced", "Healthy")
	r := p.runtimeObject()
	p.sys.condition(t, r, "Ready", "True", "Ready")
	return r
}

func base64Of(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
