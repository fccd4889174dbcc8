package vaulted_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
)

const (
	// provider is the CodeRepoProvider: the Git host of the stack.
	provider     = "gitlab"
	alphaCluster = "alpha"
)

// edgeSecret is needed by the one component that the tenant's Argo CD installs.
var edgeSecret = secrets.Ref{Engine: "tenant", Path: "edge/login"}

// catalogueYAML says that every component is on the clusters already, but for
// one gateway that a cluster may choose, with a secret of its own.
func catalogueYAML() string {
	text := `
apiVersion: nautes.resource.nautes.io/v1alpha1
kind: ComponentCatalogue
metadata: {name: default, namespace: nautes}
spec:
  components:
  - name: edge
    category: gateway
    namespace: edge
    rules: [{usage: worker, clusterType: physical, requirement: Possible}]
    secrets: [{name: edge-login, path: edge/login, keys: [password]}]
    sources: [{name: chart, repoURL: "https://mirror.example.com/charts", chart: edge, targetRevision: 1.2.3}]
`
	rules := map[string]string{"traefik": ", rules: [{usage: worker, clusterType: physical, requirement: Default}]"}
	for _, name := range catalogue.Builtin().Names() {
		text += "  - {name: " + name + ", installation: External" + rules[name] + "}\n"
	}
	return text
}

func (w *world) providerYAML() string {
	return fmt.Sprintf(`
apiVersion: nautes.resource.nautes.io/v1alpha1
kind: CodeRepoProvider
metadata: {name: %s, namespace: nautes}
spec: {httpAddress: %[2]q, sshAddress: "ssh://git@git.example:22", apiServer: "%[2]s/api/v4", providerType: gitlab}
`, provider, w.Git.URL)
}

func (w *world) clusterYAML(name, plane, more string) string {
	return fmt.Sprintf(`
apiVersion: nautes.resource.nautes.io/v1alpha1
kind: Cluster
metadata: {name: %s, namespace: nautes}
spec:
  apiServer: %q
  clusterType: physical
  usage: worker
  workerType: deployment
  primaryDomain: example.com%s
`, name, w.Runtimes[plane].URL, more)
}

func clusterObject(name string) *v1alpha1.Cluster {
	return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: name}}
}

// installSecretStores brings the kind SecretStore to a control plane, as External
// Secrets does.
func installSecretStores(t *testing.T, plane *devstack.ControlPlane) {
	t.Helper()
	root, err := devstack.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", "github.com/external-secrets/external-secrets")
	command.Dir = filepath.Join(root, "hack", "tools", "manifests")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("download External Secrets: %v", err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		t.Fatal(err)
	}
	const name = "external-secrets.io_secretstores.yaml"
	crd, err := os.ReadFile(filepath.Join(module.Dir, "config", "crds", "bases", name))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), crd, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := devstack.InstallCRDs(t.Context(), plane.Config(), dir); err != nil {
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

// shop is a product in a Git repository.
type shop struct {
	w *world
	// product is its id, group its GitLab group, repo its default.project.
	product, group, repo string
	cluster, plane       string
	// token lets the operator read the repository; empty: the provider's does.
	token       string
	deployments []deployment
}

func (w *world) newShop(id, cluster, plane string, deployments ...deployment) shop {
	return shop{
		w: w, product: "product-" + id, group: "group-" + id, repo: "group-" + id + "/default.project",
		cluster: cluster, plane: plane, deployments: deployments,
	}
}

func (s shop) namespace(d deployment) string {
	return "ns-" + strings.TrimPrefix(s.product, "product-") + "-" + d.name
}

func (s shop) find(name string) deployment {
	for _, d := range s.deployments {
		if d.name == name {
			return d
		}
	}
	return deployment{}
}

func resource(kind, name, spec string) string {
	return "apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: " + kind + "\nmetadata:\n  name: " + name + "\nspec:\n" + spec
}

func bindingFile(d deployment) string { return "code-repos/" + d.repo + "/" + d.project + ".yaml" }

func runtimeFile(d deployment) string { return "runtimes/" + d.name + ".yaml" }

func (s shop) binding(d deployment) string {
	return resource("CodeRepoBinding", d.repo+"-"+d.project, fmt.Sprintf(
		"  product: %s\n  codeRepo: %s\n  projects: [%s]\n  permissions: %s\n", s.product, d.repo, d.project, d.permission))
}

func (s shop) runtime(d deployment) string {
	path := d.path
	if path == "" {
		path = d.name
	}
	return resource("DeploymentRuntime", d.name, fmt.Sprintf(
		"  product: %s\n  account: %s\n  projectsRef: [%s]\n  manifestSource: {codeRepo: %s, path: %s, targetRevision: main}\n  destination: {environment: dev, namespaces: [%s]}\n",
		s.product, d.account, d.project, d.repo, path, s.namespace(d)))
}

// filesOf returns the files of a deployment.
func (s shop) filesOf(d deployment) map[string]string {
	where := "  codeRepoProvider: " + provider + "\n"
	if d.public {
		where = "  url: https://public.example/" + s.group + "/" + d.repo + ".git\n"
	}
	files := map[string]string{
		"projects/" + d.project + "/" + d.project + ".yaml": resource("Project", d.project, "  product: "+s.product+"\n  language: go\n"),
		"code-repos/" + d.repo + "/" + d.repo + ".yaml":     resource("CodeRepo", d.repo, "  product: "+s.product+"\n  repoName: "+d.repo+"\n"+where),
		runtimeFile(d): s.runtime(d),
	}
	if d.permission != "" {
		files[bindingFile(d)] = s.binding(d)
	}
	return files
}

func (s shop) files() map[string]string {
	all := map[string]string{
		"envs/dev.yaml": resource("Environment", "dev", "  product: "+s.product+"\n  cluster: "+s.cluster+"\n  envType: dev\n"),
	}
	for _, d := range s.deployments {
		for path, content := range s.filesOf(d) {
			all[path] = content
		}
	}
	return all
}

// keys stores the credentials of the repositories of a product, as the place of
// code does. Argo CD gets the read-only one.
func (s shop) keys(t *testing.T, deployments ...deployment) {
	t.Helper()
	for _, d := range deployments {
		if d.public {
			continue
		}
		read := s.w.canaries.make("the read-only key of "+d.repo, s.repositorySecret(d))
		s.w.putField(t, secrets.RepositoryReadOnly("gitlab", d.repo), "deploykey", read)
		write := s.w.canaries.make("the read-write key of " + d.repo)
		s.w.putField(t, secrets.RepositoryReadWrite("gitlab", d.repo), "deploykey", write)
	}
}

// repositorySecret is where Argo CD has the credential of a repository.
func (s shop) repositorySecret(d deployment) string {
	return fmt.Sprintf("%s Secret %s/%s-%s", s.plane, devstack.ArgoCDNamespace, s.product, d.repo)
}

// open declares the product with all of its files.
func (s shop) open(t *testing.T) {
	t.Helper()
	if _, err := s.w.Git.AddRepository(t.Context(), s.repo); err != nil && !errors.Is(err, githost.ErrRepositoryExists) {
		t.Fatal(err)
	}
	reference := ""
	if s.token != "" {
		s.w.Git.Grant(s.token, githost.Read, s.group)
		reference = "  secretRef: {name: git-" + s.product + "}\n"
		s.w.apply(t, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: git-%s, namespace: nautes}\nstringData: {username: any, password: %s}\n", s.product, s.token))
	} else {
		s.w.Git.Grant(s.w.field(t, secrets.ProviderToken(provider), "access_token"), githost.Read, s.group)
	}
	s.push(t, s.files())
	s.hook(t)
	s.w.apply(t, "apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: Product\nmetadata: {name: "+s.product+", namespace: nautes}\n"+
		"spec:\n  name: "+s.group+"\n  metaDataPath: "+s.w.Git.URL+"/"+s.repo+".git\n"+reference)
}

// hook has the Git host report pushes.
func (s shop) hook(t *testing.T) {
	t.Helper()
	secret := &corev1.Secret{}
	until(t, "the key of the push hooks", func() error {
		return s.w.c.Get(context.Background(), client.ObjectKey{Namespace: devstack.OperatorNamespace, Name: "nautes-receiver"}, secret)
	})
	token := receiver.Token(secret.Data["key"], "product/"+s.product)
	s.w.canaries.add(canary{name: "the token of the push hook of " + s.product, value: token})
	err := s.w.Git.AddHook(s.repo, githost.Hook{URL: "http://" + s.w.receiver + "/hooks/v1/products/" + s.product, Token: token})
	if err != nil {
		t.Fatal(err)
	}
}

func (s shop) push(t *testing.T, files map[string]string, remove ...string) {
	t.Helper()
	if _, err := s.w.Git.Push(context.WithoutCancel(t.Context()), s.repo, githost.Commit{Files: files, Delete: remove}); err != nil {
		t.Fatal(err)
	}
}

func (s shop) object() *v1alpha1.Product {
	return &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: s.product}}
}

func (s shop) runtimeObject(name string) *v1alpha1.DeploymentRuntime {
	return &v1alpha1.DeploymentRuntime{ObjectMeta: metav1.ObjectMeta{Namespace: s.product, Name: name}}
}

// ready waits until the product and all of its runtimes are.
func (s shop) ready(t *testing.T) {
	t.Helper()
	s.w.ready(t, s.object())
	for _, d := range s.deployments {
		s.w.ready(t, s.runtimeObject(d.name))
	}
}

// remove deletes the product and waits until nothing of it is left.
func (s shop) remove(t *testing.T) {
	t.Helper()
	p := s.object()
	if err := client.IgnoreNotFound(s.w.c.Delete(context.Background(), p)); err != nil {
		t.Fatal(err)
	}
	gone(t, s.w.c, p)
}

// openShops opens two products whose runtimes, accounts and projects have equal
// names. One reads its repository with a token that is in a Secret, the other with
// the provider's, which is in Vault. The repository shared is of both: the first
// one was there before, so it has the credentials of that name.
func (w *world) openShops(t *testing.T) {
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
	w.first = w.newShop("501", alphaCluster, alphaPlane, append(deployments("501"), shared)...)
	w.first.token = w.canaries.make("the token of a product", "tenant Secret nautes/git-product-501")
	w.second = w.newShop("502", alphaCluster, alphaPlane, deployments("502")...)
	w.first.keys(t, w.first.find("books"), w.first.find("maps"), shared)
	w.second.keys(t, w.second.find("books"), w.second.find("maps"))
	w.first.open(t)
	w.first.ready(t)
	w.second.open(t)
	w.second.ready(t)
}

// patience bounds every wait of a test.
const patience = 90 * time.Second
