package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

const (
	// settleTime lets the events of the act before reach the API server: they
	// are sent in the background.
	settleTime = 2 * time.Second
	// restTime is how long the act at rest watches the API servers and Vault.
	restTime = 5 * time.Second
)

// rest counts the writes while nothing happens.
func (d *demo) rest(ctx context.Context) error {
	if err := scenario.Pause(ctx, settleTime); err != nil {
		return err
	}
	began := time.Now()
	planes := d.Planes()
	writes, err := scenario.Record(ctx, planes)
	if err != nil {
		return err
	}
	before, err := d.vault().Requests()
	if err != nil {
		return err
	}
	if err := scenario.Pause(ctx, restTime); err != nil {
		return err
	}
	requests, err := writes.Requests()
	if err != nil {
		return err
	}
	for name, all := range requests {
		for _, r := range all {
			// The tenant's Argo CD is the same user on the clusters as the operator.
			if r.User == devstack.OperatorUser || r.User == devstack.InstallerUser {
				return fmt.Errorf("something was written to %s although nothing happened: %s", name, r)
			}
		}
	}
	d.screen.done(fmt.Sprintf("0 writes of the operator on %d API servers, leases left out", len(planes)), time.Since(began))
	asked, err := d.vault().Requests()
	if err != nil {
		return err
	}
	for _, r := range asked[len(before):] {
		if r.IsWrite() {
			return fmt.Errorf("something was written to Vault although nothing happened: %s", r)
		}
	}
	d.screen.done(fmt.Sprintf("0 writes in Vault, of %d requests", len(asked)-len(before)), time.Since(began))
	c := d.Client
	return d.waitReady(ctx, c, scenario.Cluster(hostName), scenario.Cluster(workerName), scenario.Cluster(virtualName), product())
}

// removal deletes the runtime's file, and waits until nothing is left.
func (d *demo) removal(ctx context.Context) error {
	w := d.Clusters[workerName]
	if _, err := d.Git.Push(ctx, productRepo, githost.Commit{Message: "Remove the runtime", Delete: []string{scenario.RuntimePath(runtimeName)}}); err != nil {
		return err
	}
	pushed := time.Now()
	for _, step := range []struct {
		what    string
		objects []*unstructured.Unstructured
	}{
		{"what Argo CD deployed is gone: ConfigMap, Deployment", []*unstructured.Unstructured{
			scenario.Object("v1", "ConfigMap", "dr-dev", "api-server"), scenario.Object("apps/v1", "Deployment", "dr-dev", "api-server"),
		}},
		{"the Application is gone", []*unstructured.Unstructured{application()}},
		{"the space is gone: AppProject, credentials, accounts, namespaces", []*unstructured.Unstructured{
			scenario.Object("argoproj.io/v1alpha1", "AppProject", devstack.ArgoCDNamespace, productName),
			scenario.Object("v1", "Namespace", "", "dr-dev"), scenario.Object("v1", "Namespace", "", productName),
		}},
	} {
		if err := d.until(ctx, step.what, func(ctx context.Context) error { return scenario.Absent(ctx, w, step.objects...) }); err != nil {
			return err
		}
		d.screen.done(step.what, time.Since(pushed))
	}
	c := d.Client
	err := d.until(ctx, "the DeploymentRuntime gone", func(ctx context.Context) error {
		return scenario.Absent(ctx, c, scenario.Object("nautes.resource.nautes.io/v1alpha1", "DeploymentRuntime", productName, "dr-dev"))
	})
	if err != nil {
		return err
	}
	d.screen.say("what the account got from Vault before the deletion is of no use now:")
	if err := d.accountReads(ctx, secrets.RepositoryReadOnly("gitlab", "repo-api-server"), http.StatusForbidden); err != nil {
		return err
	}
	return d.productGone(ctx, w, pushed)
}

// productGone waits until nothing of the product is left on the worker and in Vault.
func (d *demo) productGone(ctx context.Context, w client.Client, since time.Time) error {
	left, err := d.labelled(ctx, w)
	if err != nil {
		return err
	}
	found, err := d.listVault(ctx)
	if err != nil {
		return err
	}
	for _, role := range found.roles[workerName] {
		left = append(left, "role "+role+" in Vault")
	}
	for _, policy := range found.policies {
		if policy != "nautes-operator" {
			left = append(left, "policy "+policy+" in Vault")
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left of the product: %s", strings.Join(left, ", "))
	}
	d.screen.done("nothing of the product is left on the worker, nor in Vault", time.Since(since))
	return nil
}

// productRemoval brings the runtime back and deletes the product as a whole:
// its objects go in no order in particular.
func (d *demo) productRemoval(ctx context.Context) error {
	c := d.Client
	w := d.Clusters[workerName]
	if _, err := d.Git.Push(ctx, productRepo, githost.Commit{Message: "Bring it back", Files: map[string]string{scenario.RuntimePath(runtimeName): runtimeYAML("manifests/development")}}); err != nil {
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
			scenario.Object("v1", "ConfigMap", "dr-dev", "api-server"), scenario.Object("apps/v1", "Deployment", "dr-dev", "api-server"),
		}},
		{"the namespace of the product and all that was declared in it are gone", c, []*unstructured.Unstructured{scenario.Object("v1", "Namespace", "", productName)}},
		{"the product is gone", c, []*unstructured.Unstructured{scenario.Object("nautes.resource.nautes.io/v1alpha1", "Product", devstack.OperatorNamespace, productName)}},
	} {
		if err := d.until(ctx, step.what, func(ctx context.Context) error { return scenario.Absent(ctx, step.where, step.objects...) }); err != nil {
			return err
		}
		d.screen.done(step.what, time.Since(deleted))
	}
	return d.productGone(ctx, w, deleted)
}

// labelled lists the objects with the labels of the product on the runtime cluster.
func (d *demo) labelled(ctx context.Context, w client.Client) ([]string, error) {
	return list(ctx, w, remote.RuntimeKinds(), client.MatchingLabels{managedBy: "nautes", "nautes.io/product": productName})
}

// showCluster prints the objects on the runtime cluster as a tree, and checks that
// the permissions were handed down.
func (d *demo) showCluster(ctx context.Context) error {
	w := d.Clusters[workerName]
	bindings := &rbacv1.RoleBindingList{}
	err := d.until(ctx, "the propagated RoleBinding", func(ctx context.Context) error {
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
	if err := w.List(ctx, accounts, client.InNamespace("dr-dev"), client.MatchingLabels{managedBy: "nautes"}); err != nil {
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
		scenario.Object("v1", "ConfigMap", "dr-dev", "api-server"), scenario.Object("apps/v1", "Deployment", "dr-dev", "api-server"),
	} {
		if err := w.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return fmt.Errorf("get what was deployed: %w", err)
		}
		child.children = append(child.children, branch{text: fmt.Sprintf("%s %s (deployed by Argo CD)", o.GetKind(), o.GetName())})
	}
	app, project := application(), scenario.Object("argoproj.io/v1alpha1", "AppProject", devstack.ArgoCDNamespace, productName)
	for _, o := range []*unstructured.Unstructured{app, project} {
		if err := w.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return fmt.Errorf("get the objects of Argo CD: %w", err)
		}
	}
	sync, _, _ := unstructured.NestedString(app.Object, "status", "sync", "status")
	health, _, _ := unstructured.NestedString(app.Object, "status", "health", "status")
	sources, _, _ := unstructured.NestedStringSlice(project.Object, "spec", "sourceRepos")
	d.screen.tree(branch{text: "cluster " + workerName, children: []branch{
		{text: "Namespace " + productName, children: []branch{child}},
		{text: "Namespace " + devstack.ArgoCDNamespace, children: []branch{
			{text: fmt.Sprintf("AppProject %s: may read %s", project.GetName(), strings.Join(sources, ", "))},
			{text: fmt.Sprintf("Application %s: %s, %s", app.GetName(), sync, health)},
		}},
	}})
	return nil
}

// stay prints where everything is, and waits.
func (d *demo) stay(ctx context.Context) error {
	d.screen.say("")
	for _, one := range []struct {
		plane *devstack.ControlPlane
		what  string
	}{
		{d.Tenant, "the tenant, for: kubectl get nautes -A"},
		{d.Runtimes[hostName], "the host"},
		{d.Runtimes[workerName], "the worker"},
		{d.Runtimes[innerName], "the virtual worker"},
	} {
		file, err := d.writeKubeconfig(one.plane.Name, one.plane.Kubeconfig())
		if err != nil {
			return err
		}
		d.screen.say("export KUBECONFIG=%s    # %s", file, one.what)
	}
	token, ca := filepath.Join(d.dir, "vault.token"), filepath.Join(d.dir, "vault-ca.crt")
	for path, content := range map[string][]byte{token: []byte(d.vault().RootToken()), ca: d.vault().CA} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return fmt.Errorf("write what lets you ask Vault: %w", err)
		}
	}
	d.screen.say("export VAULT_ADDR=%s VAULT_CACERT=%s VAULT_TOKEN=$(cat %s)", d.vault().Address, ca, token)
	d.Git.Grant("you", githost.Write, "demo")
	d.Git.Grant("you", githost.Write, groupName)
	d.screen.say("git clone %s", strings.Replace(d.Git.URL, "://", "://you:you@", 1)+"/"+productRepo+".git")
	d.screen.say("The acts that remove everything were left out. It all runs until you press Ctrl-C.")
	<-ctx.Done()
	if err := d.alive(); err != nil && !apierrors.IsTimeout(err) {
		return err
	}
	return nil
}
