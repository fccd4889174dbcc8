package main

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	forgeclient "nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

func (d *demo) product() *v1alpha1.Product { return d.labs.Object() }

func (d *demo) runtimeObject() *v1alpha1.DeploymentRuntime { return d.labs.RuntimeObject(runtimeName) }

func (d *demo) application() *unstructured.Unstructured { return d.labs.Application(runtimeName) }

func (d *demo) appProject() *unstructured.Unstructured {
	return scenario.Object("argoproj.io/v1alpha1", "AppProject", devstack.ArgoCDNamespace, d.labs.Name)
}

// deployed returns the objects that Argo CD deploys for the runtime, to read or to look
// for.
func deployed() []*unstructured.Unstructured {
	return []*unstructured.Unstructured{
		scenario.Object("v1", "ConfigMap", runtimeName, "api-server"), scenario.Object("apps/v1", "Deployment", runtimeName, "api-server"),
		scenario.Object("v1", "ConfigMap", secondNamespace, "jobs"),
	}
}

// makeProduct makes the product and everything in it by the REST API.
func (d *demo) makeProduct(ctx context.Context) error {
	c := d.Client
	d.screen.say("cd %s    # ada.headers there holds ada's access token of the forge", d.dir)
	d.screen.say("PRODUCT=%s", d.base())
	if _, err := d.must(ctx, productCall()); err != nil {
		return err
	}
	made := time.Now()
	if err := d.identify(ctx); err != nil {
		return err
	}
	err := d.until(ctx, "the namespace of the product", func(ctx context.Context) error {
		return c.Get(ctx, client.ObjectKey{Name: d.labs.Name}, &corev1.Namespace{})
	})
	if err != nil {
		return err
	}
	d.screen.done("the operator found the group: "+d.labs.Name+" is there, with its namespace", time.Since(made))
	d.screen.say("  (it asks the forge for groups each %s here, and each minute by default)", forgePoll)
	if err := d.hooked(ctx, d.product()); err != nil {
		return err
	}
	for _, one := range productCalls("manifests/development") {
		a, err := d.must(ctx, one)
		if err != nil {
			return err
		}
		d.files[one.path] = a.File
	}
	if err := d.mirroring(ctx, c); err != nil {
		return err
	}
	ready := []v1alpha1.Object{
		&v1alpha1.Environment{ObjectMeta: d.labs.Meta(environmentName)}, &v1alpha1.Project{ObjectMeta: d.labs.Meta(projectName)},
		&v1alpha1.CodeRepo{ObjectMeta: d.labs.Meta(d.manifestsID)}, &v1alpha1.CodeRepoBinding{ObjectMeta: d.labs.Meta(bindingName)},
		d.product(),
	}
	if err := d.waitReady(ctx, c, ready...); err != nil {
		return err
	}
	for _, resource := range []string{"environments", "projects", "coderepos", "coderepobindings"} {
		if err := d.screen.table(ctx, d.Tenant.Config(), v1alpha1.GroupVersion, resource, d.labs.Name, "Age"); err != nil {
			return err
		}
	}
	return nil
}

// identify learns the ids that the forge gave the product's group and default.project.
func (d *demo) identify(ctx context.Context) error {
	group, err := d.forge.Group(ctx, groupName)
	if err != nil {
		return err
	}
	own, err := d.forge.Repository(ctx, productRepo)
	if err != nil {
		return err
	}
	d.labs.Name, d.defaultID = fmt.Sprintf("product-%d", group.ID), repositoryID(own)
	return nil
}

func repositoryID(r forgeclient.Repository) string { return fmt.Sprintf("repo-%d", r.ID) }

// mirroring measures how long the last request takes to the clusters.
func (d *demo) mirroring(ctx context.Context, c client.Client) error {
	saved := time.Now()
	own, err := d.forge.Repository(ctx, manifestRepo)
	if err != nil {
		return err
	}
	d.manifestsID = repositoryID(own)
	err = d.until(ctx, "the custom resources", func(ctx context.Context) error {
		return c.Get(ctx, client.ObjectKeyFromObject(d.runtimeObject()), d.runtimeObject())
	})
	if err != nil {
		return err
	}
	d.measured("answer of the API → custom resource on the tenant cluster", time.Since(saved))
	w := d.Clusters[workerName]
	err = d.until(ctx, "the Application", func(ctx context.Context) error {
		return w.Get(ctx, client.ObjectKeyFromObject(d.application()), d.application())
	})
	if err != nil {
		return err
	}
	d.measured("answer of the API → Application on the runtime cluster (with its space)", time.Since(saved))
	return nil
}

// manifests pushes the product's manifests, and shows where they arrive.
func (d *demo) manifests(ctx context.Context) error {
	c := d.Client
	if _, err := d.push(ctx, manifestRepo, githost.Commit{Message: "Add the manifests", Files: manifestFiles("hello")}); err != nil {
		return err
	}
	pushed := time.Now()
	if err := d.refresh(ctx); err != nil {
		return err
	}
	if err := d.waitReady(ctx, c, d.runtimeObject()); err != nil {
		return err
	}
	d.screen.done("Argo CD deployed the manifests, the DeploymentRuntime is Ready", time.Since(pushed))
	if err := d.screen.table(ctx, d.Tenant.Config(), v1alpha1.GroupVersion, "deploymentruntimes", d.labs.Name, "Age"); err != nil {
		return err
	}
	return d.showCluster(ctx)
}

// refresh notifies Argo CD of a push, as its own webhook would.
func (d *demo) refresh(ctx context.Context) error {
	return d.ArgoCD[workerName].RefreshApplication(ctx, d.labs.Name+"-dr-dev")
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
	if _, err := d.push(ctx, manifestRepo, githost.Commit{Message: "Greet better", Files: manifestFiles("good-morning")}); err != nil {
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

	changed, err := d.edited(ctx, runtimePath, "manifests/development", "manifests/staging")
	if err != nil {
		return err
	}
	if _, err := d.push(ctx, productRepo, githost.Commit{Message: "Deploy staging", Files: changed}); err != nil {
		return err
	}
	pushed = time.Now()
	w := d.Clusters[workerName]
	app := d.application()
	err = d.until(ctx, "the changed custom resource", func(ctx context.Context) error {
		r := d.runtimeObject()
		if err := d.Client.Get(ctx, client.ObjectKeyFromObject(r), r); err != nil {
			return err
		}
		if path := r.Spec.ManifestSource.Path; path != "manifests/staging" {
			return fmt.Errorf("its path is %q", path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.measured("git push → changed custom resource on the tenant cluster", time.Since(pushed))
	err = d.until(ctx, "the changed Application", func(ctx context.Context) error {
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
	bad, err := d.edited(ctx, environmentPath, "cluster:", "clutser:")
	if err != nil {
		return err
	}
	files, err := d.edited(ctx, projectPath, "golang", "rust")
	if err != nil {
		return err
	}
	maps.Copy(files, bad)
	if _, err := d.push(ctx, productRepo, githost.Commit{Message: "Mistype a key", Files: files}); err != nil {
		return err
	}
	pushed := time.Now()
	p := d.product()
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
		if err := c.Get(ctx, client.ObjectKey{Namespace: d.labs.Name, Name: "api-server"}, project); err != nil {
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
	mended, err := d.edited(ctx, environmentPath, "clutser:", "cluster:")
	if err != nil {
		return err
	}
	if _, err := d.push(ctx, productRepo, githost.Commit{Message: "Mend it", Files: mended}); err != nil {
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
