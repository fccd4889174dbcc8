package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

func product() *v1alpha1.Product { return demoProduct().Object() }

func runtimeObject() *v1alpha1.DeploymentRuntime { return demoProduct().RuntimeObject(runtimeName) }

func application() *unstructured.Unstructured { return demoProduct().Application(runtimeName) }

func appProject() *unstructured.Unstructured {
	return scenario.Object("argoproj.io/v1alpha1", "AppProject", devstack.ArgoCDNamespace, productName)
}

// deployed returns the objects that Argo CD deploys for the runtime, to read or to look
// for.
func deployed() []*unstructured.Unstructured {
	return []*unstructured.Unstructured{
		scenario.Object("v1", "ConfigMap", runtimeName, "api-server"), scenario.Object("apps/v1", "Deployment", runtimeName, "api-server"),
		scenario.Object("v1", "ConfigMap", secondNamespace, "jobs"),
	}
}

// product declares the product, and pushes its declarations.
func (d *demo) product(ctx context.Context) error {
	c := d.Client
	applied := time.Now()
	if err := d.Apply(ctx, demoProduct().Manifest(d.Git)); err != nil {
		return err
	}
	// The repository has no commit yet, so the product waits and says so.
	err := d.until(ctx, "the namespace of the product", func(ctx context.Context) error {
		return c.Get(ctx, client.ObjectKey{Name: productName}, &corev1.Namespace{})
	})
	if err != nil {
		return err
	}
	d.screen.done("kubectl apply: the product has its namespace", time.Since(applied))
	if err := d.AddProductHook(ctx, demoProduct()); err != nil {
		return err
	}
	if err := d.firstPush(ctx, c); err != nil {
		return err
	}
	ready := []v1alpha1.Object{
		&v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: productName, Name: "env-dev"}},
		&v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Namespace: productName, Name: "api-server"}},
		&v1alpha1.CodeRepo{ObjectMeta: metav1.ObjectMeta{Namespace: productName, Name: "repo-api-server"}},
		&v1alpha1.CodeRepoBinding{ObjectMeta: metav1.ObjectMeta{Namespace: productName, Name: "api-server-deploys"}},
		product(),
	}
	if err := d.waitReady(ctx, c, ready...); err != nil {
		return err
	}
	for _, resource := range []string{"environments", "projects", "coderepos", "coderepobindings"} {
		if err := d.screen.table(ctx, d.Tenant.Config(), v1alpha1.GroupVersion, resource, productName, "Age"); err != nil {
			return err
		}
	}
	return nil
}

// firstPush pushes default.project and measures how long its objects take.
func (d *demo) firstPush(ctx context.Context, c client.Client) error {
	if _, err := d.Git.Push(ctx, productRepo, githost.Commit{Message: "Declare the product", Files: d.productFiles()}); err != nil {
		return err
	}
	pushed := time.Now()
	err := d.until(ctx, "the custom resources", func(ctx context.Context) error {
		return c.Get(ctx, client.ObjectKeyFromObject(runtimeObject()), runtimeObject())
	})
	if err != nil {
		return err
	}
	d.measured("git push → custom resource on the tenant cluster (first push)", time.Since(pushed))
	w := d.Clusters[workerName]
	err = d.until(ctx, "the Application", func(ctx context.Context) error {
		return w.Get(ctx, client.ObjectKeyFromObject(application()), application())
	})
	if err != nil {
		return err
	}
	d.measured("git push → Application on the runtime cluster (with its space)", time.Since(pushed))
	return nil
}

// manifests pushes the product's manifests, and shows where they arrive.
func (d *demo) manifests(ctx context.Context) error {
	c := d.Client
	if _, err := d.Git.Push(ctx, manifestRepo, githost.Commit{Message: "Add the manifests", Files: manifestFiles("hello")}); err != nil {
		return err
	}
	pushed := time.Now()
	if err := d.refresh(ctx); err != nil {
		return err
	}
	if err := d.waitReady(ctx, c, runtimeObject()); err != nil {
		return err
	}
	d.screen.done("Argo CD deployed the manifests, the DeploymentRuntime is Ready", time.Since(pushed))
	if err := d.screen.table(ctx, d.Tenant.Config(), v1alpha1.GroupVersion, "deploymentruntimes", productName, "Age"); err != nil {
		return err
	}
	return d.showCluster(ctx)
}

// refresh notifies Argo CD of a push, as its own webhook would.
func (d *demo) refresh(ctx context.Context) error {
	return d.ArgoCD[workerName].RefreshApplication(ctx, productName+"-dr-dev")
}

// greeting waits until the deployed ConfigMap has the values.
func (d *demo) greeting(ctx context.Context, want map[string]string) error {
	w := d.Clusters[workerName]
	return d.until(ctx, "the changed ConfigMap", func(ctx context.Context) error {
		have := &corev1.ConfigMap{}
		if err := w.Get(ctx, client.ObjectKey{Namespace: "dr-dev", Name: "api-server"}, have); err != nil {
			return err
		}
		for key, value := range want {
			if have.Data[key] != value {
				return fmt.Errorf("%s is %q, want %q", key, have.Data[key], value)
			}
		}
		return nil
	})
}

func (d *demo) changes(ctx context.Context) error {
	if _, err := d.Git.Push(ctx, manifestRepo, githost.Commit{Message: "Greet better", Files: manifestFiles("good-morning")}); err != nil {
		return err
	}
	pushed := time.Now()
	if err := d.refresh(ctx); err != nil {
		return err
	}
	if err := d.greeting(ctx, map[string]string{"stage": "development", "greeting": "good-morning"}); err != nil {
		return err
	}
	d.screen.done("a manifest changed: ConfigMap dr-dev/api-server greets anew", time.Since(pushed))

	if _, err := d.Git.Push(ctx, productRepo, githost.Commit{Message: "Deploy staging", Files: map[string]string{scenario.RuntimePath(runtimeName): runtimeYAML("manifests/staging")}}); err != nil {
		return err
	}
	pushed = time.Now()
	w := d.Clusters[workerName]
	app := application()
	err := d.until(ctx, "the changed Application", func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(app), app); err != nil {
			return err
		}
		if path, _, _ := unstructured.NestedString(app.Object, "spec", "source", "path"); path != "manifests/staging" {
			return fmt.Errorf("its path is %q", path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.measured("git push → changed Application on the runtime cluster", time.Since(pushed))
	if err := d.greeting(ctx, map[string]string{"stage": "staging"}); err != nil {
		return err
	}
	d.screen.done("the runtime changed: Argo CD deploys manifests/staging", time.Since(pushed))
	return nil
}

// badFile pushes a file with a mistake beside a good change.
func (d *demo) badFile(ctx context.Context) error {
	c := d.Client
	bad := strings.Replace(environmentFile(), "cluster:", "clutser:", 1)
	good := strings.Replace(d.productFiles()["projects/api-server/api-server.yaml"], "golang", "rust", 1)
	_, err := d.Git.Push(ctx, productRepo, githost.Commit{Message: "Mistype a key", Files: map[string]string{
		scenario.EnvironmentPath(environmentName): bad, "projects/api-server/api-server.yaml": good,
	}})
	if err != nil {
		return err
	}
	pushed := time.Now()
	p := product()
	var told *metav1.Condition
	err = d.until(ctx, "the explanation", func(ctx context.Context) error {
		var err error
		told, err = scenario.Condition(ctx, c, p, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonFilesRefused)
		return err
	})
	if err != nil {
		return err
	}
	d.screen.done("the product says what is wrong, and where", time.Since(pushed))
	d.screen.say("  %s: %s", told.Reason, told.Message)
	project := &v1alpha1.Project{}
	err = d.until(ctx, "the good file of the same push", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKey{Namespace: productName, Name: "api-server"}, project); err != nil {
			return err
		}
		if project.Spec.Language != "rust" {
			return fmt.Errorf("the project's language is %s", project.Spec.Language)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.screen.say("  the other file of the push is applied, and env-dev keeps its last good state")
	if _, err := d.Git.Push(ctx, productRepo, githost.Commit{Message: "Mend it", Files: map[string]string{scenario.EnvironmentPath(environmentName): environmentFile()}}); err != nil {
		return err
	}
	pushed = time.Now()
	err = d.until(ctx, "the mended product", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady) {
			return fmt.Errorf("the product is not ready")
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.screen.done("mended: the product is Ready again", time.Since(pushed))
	return nil
}
