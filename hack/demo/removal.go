package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/devstack"
)

const (
	// settleTime lets the events of the act before reach the API server: they
	// are sent in the background.
	settleTime = 2 * time.Second
	// restTime is how long the act at rest watches the API servers.
	restTime = 5 * time.Second
)

// rest counts what is written while nothing happens.
func (d *demo) rest(ctx context.Context) error {
	if err := pause(ctx, settleTime); err != nil {
		return err
	}
	began := time.Now()
	planes := []*devstack.ControlPlane{d.stack.Tenant, d.stack.Runtimes[runtimeName]}
	users := map[string]bool{devstack.OperatorUser: true, devstack.RuntimeUser: true}
	var marks []devstack.Mark
	for _, plane := range planes {
		mark, err := plane.Mark(ctx)
		if err != nil {
			return err
		}
		marks = append(marks, mark)
	}
	if err := pause(ctx, restTime); err != nil {
		return err
	}
	for i, plane := range planes {
		requests, err := plane.Requests(marks[i])
		if err != nil {
			return err
		}
		for _, r := range requests {
			if users[r.User] {
				return fmt.Errorf("the operator wrote to %s although nothing happened: %s", plane.Name, r)
			}
		}
	}
	d.screen.done("0 writes of the operator on either API server, leases left out", time.Since(began))
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// removal deletes the runtime's file, and waits until nothing is left.
func (d *demo) removal(ctx context.Context) error {
	w, err := d.runtimeClient()
	if err != nil {
		return err
	}
	if _, err := d.stack.Git.Push(ctx, productRepo, devstack.Commit{Message: "Remove the runtime", Delete: []string{runtimeFile}}); err != nil {
		return err
	}
	pushed := time.Now()
	for _, step := range []struct {
		what    string
		objects []*unstructured.Unstructured
	}{
		{"what Argo CD deployed is gone: ConfigMap, Deployment", []*unstructured.Unstructured{
			object("", "v1", "ConfigMap", "dr-dev", "api-server"), object("apps", "v1", "Deployment", "dr-dev", "api-server"),
		}},
		{"the Application is gone", []*unstructured.Unstructured{application()}},
		{"the space is gone: AppProject, credentials, accounts, namespaces", []*unstructured.Unstructured{
			object("argoproj.io", "v1alpha1", "AppProject", devstack.ArgoCDNamespace, productName),
			object("", "v1", "Namespace", "", "dr-dev"), object("", "v1", "Namespace", "", productName),
		}},
	} {
		if err := d.until(ctx, step.what, func(ctx context.Context) error { return gone(ctx, w, step.objects...) }); err != nil {
			return err
		}
		d.screen.done(step.what, time.Since(pushed))
	}
	c, err := d.tenantClient()
	if err != nil {
		return err
	}
	err = d.until(ctx, "the DeploymentRuntime gone", func(ctx context.Context) error {
		return gone(ctx, c, object("nautes.resource.nautes.io", "v1alpha1", "DeploymentRuntime", productName, "dr-dev"))
	})
	if err != nil {
		return err
	}
	left, err := d.labelled(ctx, w)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("left on the runtime cluster: %s", strings.Join(left, ", "))
	}
	d.screen.done("nothing that Nautes labelled is left on the runtime cluster", time.Since(pushed))
	return nil
}

// productRemoval brings the runtime back and deletes the product as a whole:
// its objects go in no order in particular.
func (d *demo) productRemoval(ctx context.Context) error {
	c, err := d.tenantClient()
	if err != nil {
		return err
	}
	w, err := d.runtimeClient()
	if err != nil {
		return err
	}
	if _, err := d.stack.Git.Push(ctx, productRepo, devstack.Commit{Message: "Bring it back", Files: map[string]string{runtimeFile: runtimeYAML("manifests/development")}}); err != nil {
		return err
	}
	pushed := time.Now()
	if err := d.greeting(ctx, map[string]string{"stage": "development"}); err != nil {
		return err
	}
	if err := d.waitReady(ctx, c, runtimeObject()); err != nil {
		return err
	}
	d.screen.done("deployed again", time.Since(pushed))
	if err := c.Delete(ctx, product()); err != nil {
		return fmt.Errorf("delete the product: %w", err)
	}
	deleted := time.Now()
	for _, step := range []struct {
		what    string
		where   client.Client
		objects []*unstructured.Unstructured
	}{
		{"what Argo CD deployed is gone: ConfigMap, Deployment", w, []*unstructured.Unstructured{
			object("", "v1", "ConfigMap", "dr-dev", "api-server"), object("apps", "v1", "Deployment", "dr-dev", "api-server"),
		}},
		{"the namespace of the product and all that was declared in it are gone", c, []*unstructured.Unstructured{object("", "v1", "Namespace", "", productName)}},
		{"the product is gone", c, []*unstructured.Unstructured{object("nautes.resource.nautes.io", "v1alpha1", "Product", devstack.OperatorNamespace, productName)}},
	} {
		if err := d.until(ctx, step.what, func(ctx context.Context) error { return gone(ctx, step.where, step.objects...) }); err != nil {
			return err
		}
		d.screen.done(step.what, time.Since(deleted))
	}
	left, err := d.labelled(ctx, w)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("left on the runtime cluster: %s", strings.Join(left, ", "))
	}
	d.screen.done("nothing that Nautes labelled is left on the runtime cluster", time.Since(deleted))
	return nil
}

// labelled lists what carries the label of Nautes on the runtime cluster.
func (d *demo) labelled(ctx context.Context, w client.Client) ([]string, error) {
	var left []string
	for _, kind := range [][3]string{
		{"", "v1", "Namespace"}, {"", "v1", "Secret"}, {"", "v1", "ServiceAccount"},
		{"rbac.authorization.k8s.io", "v1", "RoleBinding"}, {"hnc.x-k8s.io", "v1alpha2", "HierarchyConfiguration"},
		{"argoproj.io", "v1alpha1", "AppProject"}, {"argoproj.io", "v1alpha1", "Application"},
	} {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(object(kind[0], kind[1], kind[2]+"List", "", "").GroupVersionKind())
		if err := w.List(ctx, list, client.MatchingLabels{"app.kubernetes.io/managed-by": "nautes"}); err != nil {
			return nil, fmt.Errorf("list %s: %w", kind[2], err)
		}
		for _, o := range list.Items {
			left = append(left, kind[2]+" "+o.GetName())
		}
	}
	return left, nil
}

// showCluster prints what is on the runtime cluster as a tree, and checks that
// the permissions were handed down.
func (d *demo) showCluster(ctx context.Context) error {
	w, err := d.runtimeClient()
	if err != nil {
		return err
	}
	bindings := &rbacv1.RoleBindingList{}
	err = d.until(ctx, "the propagated RoleBinding", func(ctx context.Context) error {
		if err := w.List(ctx, bindings, client.InNamespace("dr-dev"), client.HasLabels{"hnc.x-k8s.io/inherited-from"}); err != nil {
			return err
		}
		if len(bindings.Items) == 0 {
			return fmt.Errorf("HNC has not propagated it to dr-dev yet")
		}
		return nil
	})
	if err != nil {
		return err
	}
	accounts := &corev1.ServiceAccountList{}
	if err := w.List(ctx, accounts, client.InNamespace("dr-dev"), client.MatchingLabels{"app.kubernetes.io/managed-by": "nautes"}); err != nil {
		return fmt.Errorf("list the accounts: %w", err)
	}
	child := branch{text: "Namespace dr-dev (its child in the hierarchy)"}
	for _, b := range bindings.Items {
		child.children = append(child.children, branch{text: fmt.Sprintf("RoleBinding %s: group %s is %s, handed down by HNC", b.Name, b.Subjects[0].Name, b.RoleRef.Name)})
	}
	for _, a := range accounts.Items {
		child.children = append(child.children, branch{text: "ServiceAccount " + a.Name})
	}
	for _, o := range []*unstructured.Unstructured{
		object("", "v1", "ConfigMap", "dr-dev", "api-server"), object("apps", "v1", "Deployment", "dr-dev", "api-server"),
	} {
		if err := w.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return fmt.Errorf("get what was deployed: %w", err)
		}
		child.children = append(child.children, branch{text: fmt.Sprintf("%s %s (deployed by Argo CD)", o.GetKind(), o.GetName())})
	}
	app, project := application(), object("argoproj.io", "v1alpha1", "AppProject", devstack.ArgoCDNamespace, productName)
	for _, o := range []*unstructured.Unstructured{app, project} {
		if err := w.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return fmt.Errorf("get the objects of Argo CD: %w", err)
		}
	}
	sync, _, _ := unstructured.NestedString(app.Object, "status", "sync", "status")
	health, _, _ := unstructured.NestedString(app.Object, "status", "health", "status")
	sources, _, _ := unstructured.NestedStringSlice(project.Object, "spec", "sourceRepos")
	d.screen.tree(branch{text: "cluster " + clusterName, children: []branch{
		{text: "Namespace " + productName, children: []branch{child}},
		{text: "Namespace " + devstack.ArgoCDNamespace, children: []branch{
			{text: fmt.Sprintf("AppProject %s: may read %s", project.GetName(), strings.Join(sources, ", "))},
			{text: fmt.Sprintf("Application %s: %s, %s", app.GetName(), sync, health)},
		}},
	}})
	if health == "Progressing" {
		d.screen.say("(no node runs here, so the pods of the Deployment stay pending: Argo CD says Progressing)")
	}
	return nil
}

// stay prints where everything is, and waits.
func (d *demo) stay(ctx context.Context) error {
	d.screen.say("")
	for _, plane := range []*devstack.ControlPlane{d.stack.Tenant, d.stack.Runtimes[runtimeName]} {
		file, err := d.writeKubeconfig(plane.Name, plane.Kubeconfig())
		if err != nil {
			return err
		}
		d.screen.say("export KUBECONFIG=%s    # %s", file, map[bool]string{true: "the tenant, for: kubectl get nautes -A", false: "the runtime cluster"}[plane == d.stack.Tenant])
	}
	d.stack.Git.Grant("you", devstack.Write, "demo")
	d.stack.Git.Grant("you", devstack.Write, groupName)
	d.screen.say("git clone %s", strings.Replace(d.stack.Git.URL, "://", "://you:you@", 1)+"/"+productRepo+".git")
	d.screen.say("The acts that remove everything were left out. It all runs until you press Ctrl-C.")
	<-ctx.Done()
	if err := d.alive(); err != nil && !apierrors.IsTimeout(err) {
		return err
	}
	return nil
}
