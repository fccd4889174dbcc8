package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

// productRemoval brings the files of the product back, and deletes everything by the REST
// API.
func (d *demo) productRemoval(ctx context.Context) error {
	if err := d.comeBack(ctx); err != nil {
		return err
	}
	if err := d.refused(ctx, environmentPath); err != nil {
		return err
	}
	began := time.Now()
	for _, path := range []string{runtimePath, bindingPath, manifestsPath + "?delete_project=true", projectPath, environmentPath} {
		if err := d.remove(ctx, path); err != nil {
			return err
		}
	}
	w := d.Clusters[workerName]
	err := d.until(ctx, "the end of what was deployed", func(ctx context.Context) error { return scenario.Absent(ctx, w, deployed()...) })
	if err != nil {
		return err
	}
	d.screen.done("what Argo CD deployed is gone: ConfigMaps, Deployment", time.Since(began))
	if err := d.refused(ctx, ""); err != nil {
		return err
	}
	own, err := d.ada.Repository(ctx, pipelineRepo)
	if err != nil {
		return err
	}
	if err := d.ada.RemoveRepository(ctx, own.ID); err != nil {
		return err
	}
	d.screen.say("ada deletes %s in the forge: its file went by git push, which leaves the source code there", pipelineRepo)
	deleted := time.Now()
	if err := d.remove(ctx, ""); err != nil {
		return err
	}
	return d.groupGone(ctx, deleted)
}

// comeBack pushes the files again that were removed, and waits until everything is deployed
// again.
func (d *demo) comeBack(ctx context.Context) error {
	if _, err := d.push(ctx, productRepo, githost.Commit{Message: "Bring it back", Files: d.kept}); err != nil {
		return err
	}
	pushed := time.Now()
	if err := d.greeting(ctx, map[string]string{"stage": "staging"}); err != nil {
		return err
	}
	if err := d.waitReady(ctx, d.Client, d.runtimeObject()); err != nil {
		return err
	}
	d.screen.done(fmt.Sprintf("git push of the %d files: deployed again, with new deploy keys", len(d.kept)), time.Since(pushed))
	return nil
}

// refused shows that a resource in use is not deleted, nor a product that is not empty.
func (d *demo) refused(ctx context.Context, path string) error {
	c := call{method: http.MethodDelete, path: path}
	a, err := d.ask(ctx, c)
	if err != nil {
		return err
	}
	d.showCall(c, a)
	if a.code != http.StatusConflict {
		return fmt.Errorf("%s: status %d, want %d", c.line(), a.code, http.StatusConflict)
	}
	return nil
}

// groupGone waits until the product has gone after its group.
func (d *demo) groupGone(ctx context.Context, deleted time.Time) error {
	c := d.Client
	caps, err := d.forge.Capabilities(ctx)
	if err != nil {
		return err
	}
	if caps.DelayedDeletion {
		err := d.until(ctx, "the notice of the deletion", func(ctx context.Context) error {
			told, err := scenario.Condition(ctx, c, d.product(), v1alpha1.ConditionGroupPresent, "", v1alpha1.ReasonMarkedForDeletion)
			if err == nil {
				d.screen.say("the forge keeps a deleted group for a while, and so does Nautes the product: %s: %s", told.Reason, told.Message)
			}
			return err
		})
		if err != nil {
			return err
		}
		d.forge.expire(groupName)
		d.screen.say("the time of the forge is made to end now")
		deleted = time.Now()
	}
	for _, step := range []struct {
		what    string
		objects []*unstructured.Unstructured
	}{
		{"the namespace of the product and all that was declared in it are gone", []*unstructured.Unstructured{scenario.Object("v1", "Namespace", "", d.labs.Name)}},
		{"the product is gone", []*unstructured.Unstructured{scenario.Object(v1alpha1.GroupVersion.String(), "Product", devstack.OperatorNamespace, d.labs.Name)}},
	} {
		if err := d.until(ctx, step.what, func(ctx context.Context) error { return scenario.Absent(ctx, client.Client(c), step.objects...) }); err != nil {
			return err
		}
		d.screen.done(step.what, time.Since(deleted))
	}
	return d.productGone(ctx, deleted)
}
