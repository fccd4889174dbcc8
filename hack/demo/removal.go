package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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
	if err := d.reported(ctx); err != nil {
		return err
	}
	c := d.Client
	return d.waitReady(ctx, c, scenario.Cluster(hostName), scenario.Cluster(workerName), scenario.Cluster(virtualName), d.product())
}

// removal removes the files of the product, one by one and without kubectl, and waits
// until nothing is left.
func (d *demo) removal(ctx context.Context) error {
	w := d.Clusters[workerName]
	began := time.Now()
	var err error
	if d.kept, err = d.keep(ctx); err != nil {
		return err
	}
	for i, file := range d.removalOrder() {
		revision, err := d.push(ctx, productRepo, githost.Commit{Message: "Remove " + file, Delete: []string{file}})
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
	d.screen.done(fmt.Sprintf("%d pushes, each of which removed one file, are mirrored", len(d.removalOrder())), time.Since(began))
	pushed := time.Now()
	for _, step := range []struct {
		what    string
		objects []*unstructured.Unstructured
	}{
		{"what Argo CD deployed is gone: ConfigMaps, Deployment", deployed()},
		{"the Application is gone", []*unstructured.Unstructured{d.application()}},
		{"the space is gone: AppProject, credentials, accounts, namespaces", []*unstructured.Unstructured{
			d.appProject(), scenario.Object("v1", "Namespace", "", runtimeName), scenario.Object("v1", "Namespace", "", secondNamespace),
			scenario.Object("v1", "Namespace", "", d.labs.Name),
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
	if err := d.accountReads(ctx, secrets.RepositoryReadOnly(d.kind, d.manifestsID), http.StatusForbidden); err != nil {
		return err
	}
	// The key of default.project goes with the product.
	if err := d.productGone(ctx, pushed, d.defaultID); err != nil {
		return err
	}
	return d.waitReady(ctx, d.Client, d.product())
}

// removalOrder returns the files of the product in an order in which each file is removed
// before those that refer to it. The pipeline runtime has gone before.
func (d *demo) removalOrder() []string {
	var files []string
	for _, path := range []string{
		environmentPath, manifestsPath, projectPath, bindingPath, runtimePath,
		"/environments/" + pipelineEnvironment, "/coderepos/" + pipelineName, "/projects/" + pipelineProject, "/coderepobindings/" + pipelineBinding,
	} {
		files = append(files, d.files[path])
	}
	return files
}

// keep returns the files that productRemoval brings back.
func (d *demo) keep(ctx context.Context) (map[string]string, error) {
	kept := map[string]string{}
	for _, path := range []string{environmentPath, manifestsPath, projectPath, bindingPath, runtimePath} {
		content, err := d.read(ctx, d.files[path])
		if err != nil {
			return nil, err
		}
		kept[d.files[path]] = content
	}
	return kept, nil
}

// mirroredAt waits until the product's files are mirrored at a revision.
func (d *demo) mirroredAt(ctx context.Context, revision string) error {
	p := d.product()
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
		environment := &v1alpha1.Environment{ObjectMeta: d.labs.Meta(environmentName)}
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
		left, err := list(ctx, d.Client, kinds, client.InNamespace(d.labs.Name))
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("left: %s", strings.Join(left, ", "))
		}
		return err
	})
}

// productGone checks that nothing of the product is left on the workers and in Vault, but
// for the keys of some repositories.
func (d *demo) productGone(ctx context.Context, since time.Time, kept ...string) error {
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
		isKept := func(repository string) bool { return strings.Contains(path, "/"+repository+"/") }
		if strings.HasPrefix(path, "git/") && !slices.ContainsFunc(kept, isKept) {
			left = append(left, "secret "+path+" in Vault")
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left of the product: %s", strings.Join(left, ", "))
	}
	d.screen.done("nothing of the product is left on the workers, nor in Vault", time.Since(since))
	return nil
}

// labelled lists the objects with the labels of the product on the runtime cluster.
func (d *demo) labelled(ctx context.Context, w client.Client) ([]string, error) {
	return list(ctx, w, plan.RuntimeKinds(), client.MatchingLabels{managedBy: "nautes", "nautes.io/product": d.labs.Name})
}

// showCluster prints the objects on the runtime cluster as a tree, and checks that
// the permissions were handed down.
func (d *demo) showCluster(ctx context.Context) error {
	w := d.Clusters[workerName]
	space := branch{text: "Namespace " + d.labs.Name}
	for _, namespace := range []string{runtimeName, secondNamespace} {
		child, err := d.runtimeNamespace(ctx, namespace)
		if err != nil {
			return err
		}
		space.children = append(space.children, child)
	}
	app, project := d.application(), d.appProject()
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
	d.screen.say("cd %s; PRODUCT=%s    # the REST API, for:", d.dir, d.base())
	d.screen.say(`curl -sS -H @ada.headers "$PRODUCT/deploymentruntimes"`)
	d.screen.say("git -c credential.helper='store --file=%s' clone %s", filepath.Join(d.dir, "ada.git"), d.forge.url(productRepo))
	if d.ada.password != "" {
		file := filepath.Join(d.dir, "ada.password")
		if err := os.WriteFile(file, []byte(d.ada.password+"\n"), 0o600); err != nil {
			return fmt.Errorf("write what lets you log in to the forge: %w", err)
		}
		d.screen.say("the web pages of the forge: %s/%s, as ada with the password in %s", d.forge.web, groupName, file)
	}
	d.screen.say("The acts that remove everything were left out. It all runs until you press Ctrl-C.")
	<-ctx.Done()
	if err := d.alive(); err != nil && !apierrors.IsTimeout(err) {
		return err
	}
	return nil
}
