package vaulted_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

const (
	// provider is the CodeRepoProvider: the Git host of the stack.
	provider     = "gitlab"
	alphaCluster = "alpha"
)

// edgeSecret is needed by the one component that the tenant's Argo CD installs.
var edgeSecret = secrets.Ref{Engine: "tenant", Path: "edge/login"}

// catalogue leaves every component to others, but for one gateway that a cluster may
// choose, with a secret of its own.
func catalogue() string {
	return scenario.Catalogue(append(scenario.ExternalComponents("traefik"),
		"- {name: traefik, installation: External, rules: [{usage: worker, clusterType: physical, requirement: Default}]}", `- name: edge
    category: gateway
    namespace: edge
    rules: [{usage: worker, clusterType: physical, requirement: Possible}]
    secrets: [{name: edge-login, path: edge/login, keys: [password]}]
    sources: [{name: chart, repoURL: "https://mirror.example.com/charts", chart: edge, targetRevision: 1.2.3}]`)...)
}

// clusterManifest is a physical worker on a control plane, with more lines of its spec.
func (sys *system) clusterManifest(name, plane string, more ...string) string {
	spec := append(scenario.WorkerSpec("deployment"), "primaryDomain: example.com")
	return scenario.InNamespace(devstack.OperatorNamespace, scenario.ClusterFile(name, sys.Runtimes[plane].URL, append(spec, more...)...))
}

// installSecretStores brings the kind SecretStore to a control plane, as External
// Secrets does.
func installSecretStores(t *testing.T, plane *devstack.ControlPlane) {
	t.Helper()
	crd, err := devstack.SecretStoreCRD(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := devstack.InstallCRDs(t.Context(), plane.Config(), crd); err != nil {
		t.Fatal(err)
	}
}

// deployment is a DeploymentRuntime in a namespace of its own, with the
// repository that it deploys from, and the binding that lets it.
type deployment struct {
	name, account, repo string
	// project that it is of, and the permission of the project; none when empty.
	project    string
	permission v1alpha1.Permission
	// public: the repository is on no provider.
	public bool
	// path in the repository; the name when empty.
	path string
}

// product is a product in a Git repository.
type product struct {
	scenario.Product
	sys            *system
	cluster, plane string
	deployments    []deployment
}

func (sys *system) newProduct(id, cluster, plane string, deployments ...deployment) product {
	return product{Product: scenario.NewProduct(id), sys: sys, cluster: cluster, plane: plane, deployments: deployments}
}

func (p product) namespace(d deployment) string {
	return "ns-" + strings.TrimPrefix(p.Name, "product-") + "-" + d.name
}

func (p product) find(name string) deployment {
	for _, d := range p.deployments {
		if d.name == name {
			return d
		}
	}
	return deployment{}
}

func bindingFile(d deployment) string { return scenario.BindingPath(d.repo, d.project) }

func runtimeFile(d deployment) string { return scenario.RuntimePath(d.name) }

func (p product) binding(d deployment) string {
	return p.Binding(d.repo+"-"+d.project, d.repo, d.project, string(d.permission))
}

func (p product) runtime(d deployment) string {
	return p.DeploymentRuntime(scenario.Deployment{
		Name: d.name, Account: d.account, Project: d.project, Environment: "dev", Namespace: p.namespace(d),
		Repo: d.repo, Path: cmp.Or(d.path, d.name), Revision: "main",
	})
}

// filesOf returns the files of a deployment.
func (p product) filesOf(d deployment) map[string]string {
	where := "codeRepoProvider: " + provider
	if d.public {
		where = "url: https://public.example/" + p.Group + "/" + d.repo + ".git"
	}
	files := map[string]string{
		scenario.ProjectPath(d.project): p.Project(d.project, "go"),
		scenario.CodeRepoPath(d.repo):   p.CodeRepo(d.repo, d.repo, where),
		runtimeFile(d):                  p.runtime(d),
	}
	if d.permission != "" {
		files[bindingFile(d)] = p.binding(d)
	}
	return files
}

func (p product) files() map[string]string {
	all := map[string]string{scenario.EnvironmentPath("dev"): p.Environment("dev", p.cluster)}
	for _, d := range p.deployments {
		maps.Copy(all, p.filesOf(d))
	}
	return all
}

// keys stores the credentials of the repositories of a product, as the place of
// code does. Argo CD gets the read-only one.
func (p product) keys(t *testing.T, deployments ...deployment) {
	t.Helper()
	for _, d := range deployments {
		if d.public {
			continue
		}
		read := p.sys.canaries.make("the read-only key of "+d.repo, p.repositorySecret(d))
		p.sys.putField(t, secrets.RepositoryReadOnly("gitlab", d.repo), "deploykey", read)
		write := p.sys.canaries.make("the read-write key of " + d.repo)
		p.sys.putField(t, secrets.RepositoryReadWrite("gitlab", d.repo), "deploykey", write)
	}
}

// repositorySecret is where Argo CD has the credential of a repository.
func (p product) repositorySecret(d deployment) string {
	return fmt.Sprintf("%s Secret %s/%s-%s", p.plane, devstack.ArgoCDNamespace, p.Name, d.repo)
}

// open declares the product with all of its files.
func (p product) open(t *testing.T) {
	t.Helper()
	if p.Token == "" {
		p.sys.Git.Grant(p.sys.field(t, secrets.ProviderToken(provider), "access_token"), githost.Read, p.Group)
	}
	if err := p.sys.DeclareProduct(t.Context(), p.Product, p.files()); err != nil {
		t.Fatal(err)
	}
	hook, err := p.sys.ProductHook(t.Context(), p.Name)
	if err != nil {
		t.Fatal(err)
	}
	p.sys.canaries.add(canary{name: "the token of the push hook of " + p.Name, value: hook.Token})
}

func (p product) push(t *testing.T, files map[string]string, remove ...string) {
	t.Helper()
	p.sys.Push(t, p.Repository(), githost.Commit{Files: files, Delete: remove})
}

// ready waits until the product and all of its runtimes are.
func (p product) ready(t *testing.T) {
	t.Helper()
	p.sys.ready(t, p.Object())
	for _, d := range p.deployments {
		p.sys.ready(t, p.RuntimeObject(d.name))
	}
}

// remove deletes the product and waits until nothing of it is left.
func (p product) remove(t *testing.T) {
	t.Helper()
	o := p.Object()
	if err := client.IgnoreNotFound(p.sys.Client.Delete(context.Background(), o)); err != nil {
		t.Fatal(err)
	}
	p.sys.AwaitGone(t, p.sys.Client, o)
}

// openProducts opens two products whose runtimes, accounts and projects have equal
// names. One reads its repository with a token that is in a Secret, the other with
// the provider's, which is in Vault. The repository shared is of both: the first
// one was there before, so it has the credentials of that name.
func (sys *system) openProducts(t *testing.T) {
	t.Helper()
	const read, write = v1alpha1.PermissionReadOnly, v1alpha1.PermissionReadWrite
	deployments := func(id string) []deployment {
		return []deployment{
			{name: "books", account: "reader", repo: "books-" + id, project: "app", permission: read},
			{name: "maps", account: "writer", repo: "maps-" + id, project: "app", permission: write},
			{name: "charts", account: "editor", repo: "maps-" + id, project: "lib", permission: write},
			{name: "public", account: "nobody", repo: "public-" + id, project: "app", permission: read, public: true},
		}
	}
	shared := deployment{name: "shared", account: "reader", repo: "shared", project: "app", permission: read}
	sys.first = sys.newProduct("501", alphaCluster, alphaPlane, append(deployments("501"), shared)...)
	sys.first.Token = sys.canaries.make("the token of a product", "tenant Secret nautes/git-product-501")
	sys.second = sys.newProduct("502", alphaCluster, alphaPlane, deployments("502")...)
	sys.first.keys(t, sys.first.find("books"), sys.first.find("maps"), shared)
	sys.second.keys(t, sys.second.find("books"), sys.second.find("maps"))
	sys.first.open(t)
	sys.first.ready(t)
	sys.second.open(t)
	sys.second.ready(t)
}
