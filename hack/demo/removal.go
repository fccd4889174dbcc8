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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
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

// removal removes the files of the product, one by one and without kubectl, and waits
// until nothing is left.
func (d *demo) removal(ctx context.Context) error {
	w := d.Clusters[workerName]
	began := time.Now()
	for i, file := range removalOrder() {
		revision, err := d.Git.Push(ctx, productRepo, githost.Commit{Message: "Remove " + file, Delete: []string{file}})
		if err != nil {
			return err
		}
		if err := d.mirroredAt(ctx, revision); err != nil {
			return err
		}
		if i == 0 {
			if err := d.environmentInUse(ctx); err != nil {
				return err
			}
		}
	}
	d.screen.done(fmt.Sprintf("%d pushes, each of which removed one file, are mirrored", len(removalOrder())), time.Since(began))
	pushed := time.Now()
	for _, step := range []struct {
		what    string
		objects []*unstructured.Unstructured
	}{
		{"what Argo CD deployed is gone: ConfigMaps, Deployment", deployed()},
		{"the Application is gone", []*unstructured.Unstructured{application()}},
		{"the space is gone: AppProject, credentials, accounts, namespaces", []*unstructured.Unstructured{
			appProject(), scenario.Object("v1", "Namespace", "", runtimeName), scenario.Object("v1", "Namespace", "", secondNamespace),
			scenario.Object("v1", "Namespace", "", productName),
		}},
	} {
		if err := d.until(ctx, step.what, func(ctx context.Context) error { return scenario.Absent(ctx, w, step.objects...) }); err != nil {
			return err
		}
		d.screen.done(step.what, time.Since(pushed))
	}
	if err := d.declarationsGone(ctx); err != nil {
		return err
	}
	d.measured("the last file's git push → nothing that the product declared is left", time.Since(pushed))
	d.screen.say("what the account got from Vault before the removal is of no use now:")
	if err := d.accountReads(ctx, secrets.RepositoryReadOnly("gitlab", "repo-api-server"), http.StatusForbidden); err != nil {
		return err
	}
	if err := d.productGone(ctx, pushed); err != nil {
		return err
	}
	return d.waitReady(ctx, d.Client, product())
}

// removalOrder returns the files of the product in an order in which each file is removed
// before those that refer to it. The file of the pipeline runtime has gone before.
func removalOrder() []string {
	return []string{
		scenario.EnvironmentPath(environmentName), scenario.CodeRepoPath(codeRepoName), scenario.ProjectPath(projectName),
		scenario.BindingPath(codeRepoName, "binding"), scenario.RuntimePath(runtimeName),
		scenario.EnvironmentPath(pipelineEnvironment), scenario.CodeRepoPath(pipelineCodeRepo), scenario.ProjectPath(pipelineProject),
		scenario.BindingPath(pipelineCodeRepo, "binding"),
	}
}

// mirroredAt waits until the product's files are mirrored at a revision.
func (d *demo) mirroredAt(ctx context.Context, revision string) error {
	p := product()
	return d.until(ctx, "the mirror of "+short(revision), func(ctx context.Context) error {
		if err := d.Client.Get(ctx, client.ObjectKeyFromObject(p), p); err != nil {
			return err
		}
		if p.Status.Sync == nil || p.Status.Sync.Revision != revision {
			return fmt.Errorf("the product's status.sync is %+v", p.Status.Sync)
		}
		return nil
	})
}

// environmentInUse shows that an Environment without a file stays while a runtime is
// in it.
func (d *demo) environmentInUse(ctx context.Context) error {
	return d.until(ctx, "the environment in use", func(ctx context.Context) error {
		environment := &v1alpha1.Environment{ObjectMeta: demoProduct().Meta(environmentName)}
		told, err := scenario.Condition(ctx, d.Client, environment, v1alpha1.ConditionReady, "", v1alpha1.ReasonInUse)
		if err != nil {
			return err
		}
		d.screen.say("%s, whose file went first, waits: %s: %s", environmentName, told.Reason, told.Message)
		return nil
	})
}

// declarationsGone waits until the namespace of the product has no object of Nautes.
func (d *demo) declarationsGone(ctx context.Context) error {
	var kinds []schema.GroupVersionKind
	for _, kind := range []string{
		"DeploymentRuntime", "ProjectPipelineRuntime", "Environment", "Project", "CodeRepo", "CodeRepoBinding", "ArtifactRepo", "Space",
	} {
		kinds = append(kinds, v1alpha1.GroupVersion.WithKind(kind))
	}
	return d.until(ctx, "the end of what the product declared", func(ctx context.Context) error {
		left, err := list(ctx, d.Client, kinds, client.InNamespace(productName))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("left: %s", strings.Join(left, ", "))
		}
		return err
	})
}

// productGone checks that nothing of the product is left on the workers and in Vault.
func (d *demo) productGone(ctx context.Context, since time.Time) error {
	found, err := d.listVault(ctx)
	if err != nil {
		return err
	}
	var left []string
	for cluster, plane := range map[string]string{workerName: workerName, virtualName: innerName} {
		there, err := d.labelled(ctx, d.Clusters[plane])
		if err != nil {
			return err
		}
		left = append(left, there...)
		for _, role := range found.roles[cluster] {
			left = append(left, "role "+role+" in Vault")
		}
	}
	for _, policy := range found.policies {
		if policy != "nautes-operator" {
			left = append(left, "policy "+policy+" in Vault")
		}
	}
	for _, path := range found.secrets {
		if strings.HasPrefix(path, "git/") {
			left = append(left, "secret "+path+" in Vault")
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left of the product: %s", strings.Join(left, ", "))
	}
	d.screen.done("nothing of the product is left on the workers, nor in Vault", time.Since(since))
	return nil
}

// productRemoval brings the product back and deletes it as a whole: its objects go in no
// order in particular.
func (d *demo) productRemoval(ctx context.Context) error {
	c := d.Client
	w := d.Clusters[workerName]
	if err := d.Secrets(ctx, secrets.RepositoryReadOnly("gitlab", codeRepoName), deployCredentials()); err != nil {
		return err
	}
	d.screen.say("stored in Vault again: the repository's deploy token, which was removed with the CodeRepo")
	if _, err := d.Git.Push(ctx, productRepo, githost.Commit{Message: "Bring it back", Files: d.productFiles()}); err != nil {
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
		{"what Argo CD deployed is gone: ConfigMaps, Deployment", w, deployed()},
		{"the namespace of the product and all that was declared in it are gone", c, []*unstructured.Unstructured{scenario.Object("v1", "Namespace", "", productName)}},
		{"the product is gone", c, []*unstructured.Unstructured{scenario.Object("nautes.resource.nautes.io/v1alpha1", "Product", devstack.OperatorNamespace, productName)}},
	} {
		if err := d.until(ctx, step.what, func(ctx context.Context) error { return scenario.Absent(ctx, step.where, step.objects...) }); err != nil {
			return err
		}
		d.screen.done(step.what, time.Since(deleted))
	}
	return d.productGone(ctx, deleted)
}

// labelled lists the objects with the labels of the product on the runtime cluster.
func (d *demo) labelled(ctx context.Context, w client.Client) ([]string, error) {
	return list(ctx, w, plan.RuntimeKinds(), client.MatchingLabels{managedBy: "nautes", "nautes.io/product": productName})
}

// showCluster prints the objects on the runtime cluster as a tree, and checks that
// the permissions were handed down.
func (d *demo) showCluster(ctx context.Context) error {
	w := d.Clusters[workerName]
	space := branch{text: "Namespace " + productName}
	for _, namespace := range []string{runtimeName, secondNamespace} {
		child, err := d.runtimeNamespace(ctx, namespace)
		if err != nil {
			return err
		}
		space.children = append(space.children, child)
	}
	app, project := application(), appProject()
	for _, o := range []*unstructured.Unstructured{app, project} {
		if err := w.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return fmt.Errorf("get the objects of Argo CD: %w", err)
		}
	}
	sync, _, _ := unstructured.NestedString(app.Object, "status", "sync", "status")
	health, _, _ := unstructured.NestedString(app.Object, "status", "health", "status")
	sources, _, _ := unstructured.NestedStringSlice(project.Object, "spec", "sourceRepos")
	d.screen.tree(branch{text: "cluster " + workerName, children: []branch{
		space,
		{text: "Namespace " + devstack.ArgoCDNamespace, children: []branch{
			{text: fmt.Sprintf("AppProject %s: may read %s", project.GetName(), strings.Join(sources, ", "))},
			{text: fmt.Sprintf("Application %s: %s, %s", app.GetName(), sync, health)},
		}},
	}})
	return nil
}

// runtimeNamespace returns the objects in a namespace of the runtime. It waits until HNC
// has handed down the permissions.
func (d *demo) runtimeNamespace(ctx context.Context, namespace string) (branch, error) {
	w := d.Clusters[workerName]
	child := branch{text: "Namespace " + namespace + " (its child in the hierarchy)"}
	bindings := &rbacv1.RoleBindingList{}
	err := d.until(ctx, "the propagated RoleBinding", func(ctx context.Context) error {
		if err := w.List(ctx, bindings, client.InNamespace(namespace), client.HasLabels{"hnc.x-k8s.io/inherited-from"}); err != nil {
			return err
		}
		if len(bindings.Items) == 0 {
			return fmt.Errorf("HNC has not propagated it to %s yet", namespace)
		}
		return nil
	})
	if err != nil {
		return child, err
	}
	accounts := &corev1.ServiceAccountList{}
	if err := w.List(ctx, accounts, client.InNamespace(namespace), client.MatchingLabels{managedBy: "nautes"}); err != nil {
		return child, fmt.Errorf("list the accounts: %w", err)
	}
	for _, b := range bindings.Items {
		child.children = append(child.children, branch{text: fmt.Sprintf("RoleBinding %s: group %s is %s, handed down by HNC", b.Name, b.Subjects[0].Name, b.RoleRef.Name)})
	}
	for _, a := range accounts.Items {
		child.children = append(child.children, branch{text: "ServiceAccount " + a.Name})
	}
	for _, o := range deployed() {
		if o.GetNamespace() != namespace {
			continue
		}
		if err := w.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return child, fmt.Errorf("get the deployed objects: %w", err)
		}
		child.children = append(child.children, branch{text: fmt.Sprintf("%s %s (deployed by Argo CD)", o.GetKind(), o.GetName())})
	}
	return child, nil
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
