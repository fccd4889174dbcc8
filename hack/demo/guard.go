package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

// seconds bounds what must happen within seconds, also on a busy machine.
const seconds = 30 * time.Second

var errLate = errors.New("this took too long")

// withinSeconds prints a step with its duration, and keeps it as a figure. It returns an
// error if the step took longer than seconds.
func (d *demo) withinSeconds(what string, took time.Duration) error {
	if took > seconds {
		return fmt.Errorf("%s: %w: %s, and the limit is %s", what, errLate, round(took), seconds)
	}
	d.measured(what, took)
	return nil
}

// The product is granted no kind without a namespace, so Argo CD refuses this one.
const (
	refusedPath     = "manifests/staging/clusterrole.yaml"
	refusedName     = "api-server-reader"
	refusedManifest = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: " + refusedName +
		"\nrules:\n- {apiGroups: [\"\"], resources: [secrets], verbs: [get, list]}\n"
)

// refusedKind pushes an object that the product may not deploy beside a good change, and
// removes it from the manifests.
func (d *demo) refusedKind(ctx context.Context) error {
	files := manifestFiles("welcome")
	files[refusedPath] = refusedManifest
	if _, err := d.push(ctx, manifestRepo, githost.Commit{Message: "Read all Secrets", Files: files}); err != nil {
		return err
	}
	pushed := time.Now()
	if err := d.refresh(ctx); err != nil {
		return err
	}
	var told *metav1.Condition
	err := d.until(ctx, "the refusal", func(ctx context.Context) error {
		var err error
		told, err = scenario.Condition(ctx, d.Client, d.runtimeObject(), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonOutOfSync)
		if err != nil {
			return err
		}
		if !strings.Contains(told.Message, refusedName) || !strings.Contains(told.Message, "not permitted in project "+d.labs.Name) {
			return fmt.Errorf("the message is %q", told.Message)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.screen.done("the DeploymentRuntime says which object is refused, and why", time.Since(pushed))
	d.screen.say("  %s: %s", told.Reason, told.Message)
	w := d.Clusters[workerName]
	if err := scenario.Absent(ctx, w, scenario.Object(rbacv1.SchemeGroupVersion.String(), "ClusterRole", "", refusedName)); err != nil {
		return err
	}
	if err := d.greeting(ctx, map[string]string{"greeting": "good-morning"}); err != nil {
		return err
	}
	d.screen.say("  the ClusterRole is not on the cluster, and what was deployed before stays")

	if _, err := d.push(ctx, manifestRepo, githost.Commit{Message: "Read no Secrets", Delete: []string{refusedPath}}); err != nil {
		return err
	}
	pushed = time.Now()
	if err := d.refresh(ctx); err != nil {
		return err
	}
	if err := d.greeting(ctx, map[string]string{"stage": "staging", "greeting": "welcome"}); err != nil {
		return err
	}
	if err := d.waitReady(ctx, d.Client, d.runtimeObject()); err != nil {
		return err
	}
	return d.withinSeconds("mended: git push → the good change is deployed, and the runtime is Ready", time.Since(pushed))
}

// foreignChanges edits a mirrored object and the product's AppProject, as kubectl edit
// does, and waits until they are as before.
func (d *demo) foreignChanges(ctx context.Context) error {
	binding := &v1alpha1.CodeRepoBinding{ObjectMeta: d.labs.Meta(bindingName)}
	for _, change := range []struct {
		what, where, patch string
		c                  client.Client
		o                  *unstructured.Unstructured
	}{
		{
			what: "kubectl edit of a mirrored CodeRepoBinding → as in Git again", where: "the tenant cluster",
			patch: `{"spec":{"permissions":"readwrite"}}`,
			c:     d.Client, o: scenario.Object(v1alpha1.GroupVersion.String(), "CodeRepoBinding", binding.Namespace, binding.Name),
		},
		{
			what: "wildcards in the product's AppProject → as Nautes wrote it again", where: "cluster " + workerName,
			patch: `{"spec":{"sourceRepos":["*"],"destinations":[{"server":"*","namespace":"*"}],"clusterResourceWhitelist":[{"group":"*","kind":"*"}]}}`,
			c:     d.Clusters[workerName], o: d.appProject(),
		},
	} {
		d.screen.say("on %s, %s %s: %s", change.where, change.o.GetKind(), change.o.GetName(), change.patch)
		took, err := d.goesBack(ctx, change.c, change.o, change.patch)
		if err != nil {
			return err
		}
		if err := d.withinSeconds(change.what, took); err != nil {
			return err
		}
	}
	return d.waitReady(ctx, d.Client, binding, d.runtimeObject(), d.product())
}

// goesBack patches the spec of an object, and returns how long it takes until the spec is
// as before.
func (d *demo) goesBack(ctx context.Context, c client.Client, o *unstructured.Unstructured, patch string) (time.Duration, error) {
	if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
		return 0, fmt.Errorf("get %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	before, changed := o.Object["spec"], o.DeepCopy()
	began := time.Now()
	if err := c.Patch(ctx, changed, client.RawPatch(types.MergePatchType, []byte(patch)), client.FieldOwner("kubectl-edit")); err != nil {
		return 0, fmt.Errorf("edit %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	if equality.Semantic.DeepEqual(before, changed.Object["spec"]) {
		return 0, fmt.Errorf("the edit of %s %s changed nothing", o.GetKind(), o.GetName())
	}
	err := d.until(ctx, o.GetKind()+" "+o.GetName()+" as before", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		if !equality.Semantic.DeepEqual(before, o.Object["spec"]) {
			return fmt.Errorf("its spec is %v", o.Object["spec"])
		}
		return nil
	})
	return time.Since(began), err
}
