// Package testutil builds custom resources, golden files and random worlds for
// tests. It guarantees that a resource which is built without changes breaks no
// rule, provided that its references are built too.
package testutil

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/record"
)

const (
	// Tenant of everything that is built here.
	Tenant = "nautes"
	// Namespace of the operator, with the tenant's objects.
	Namespace = "nautes"
	// Provider is the CodeRepoProvider of the code repositories.
	Provider = "gitlab"
	// Host is where the Provider is.
	Host = "git.example.com"
)

// epoch is when objects are created, unless At says otherwise.
func epoch() time.Time { return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) }

// At sets the time of creation of o, in minutes after the other objects.
func At[T client.Object](minute int, o T) T {
	o.SetCreationTimestamp(metav1.NewTime(epoch().Add(time.Duration(minute) * time.Minute)))
	return o
}

// Deleting marks o as being deleted, held by the finalizer.
func Deleting[T client.Object](o T) T {
	now := metav1.NewTime(epoch().Add(24 * time.Hour))
	o.SetDeletionTimestamp(&now)
	o.SetFinalizers([]string{v1alpha1.Finalizer})
	return o
}

// Deployed records that a deployment runtime is on a cluster, where its spec
// sends it.
func Deployed(cluster string, r *v1alpha1.DeploymentRuntime) *v1alpha1.DeploymentRuntime {
	target := &v1alpha1.RuntimeTarget{
		Environment: r.Spec.Destination.Environment, Cluster: cluster,
		Namespaces: r.Spec.Destination.Namespaces, Account: r.Spec.Account,
	}
	if len(target.Namespaces) == 0 {
		target.Namespaces = []string{r.Name}
	}
	if target.Account == "" {
		target.Account = r.Name
	}
	r.Status.Target = target
	return r
}

// ChangedSince returns a deployed runtime of product-1 whose spec is on record, and has
// been changed since.
func ChangedSince(t *testing.T, change func(*v1alpha1.DeploymentRuntime)) *v1alpha1.DeploymentRuntime {
	t.Helper()
	r := Recorded(t, Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api"))))
	r.Generation++
	change(r)
	return r
}

// Recorded puts the spec of a runtime on record, as if it had been deployed.
func Recorded[T v1alpha1.Runtime](t *testing.T, r T) T {
	t.Helper()
	var err error
	switch r := any(r).(type) {
	case *v1alpha1.DeploymentRuntime:
		r.Status.Deployed, err = record.Of(r.Status.Deployed, r.Generation, r.Spec)
	case *v1alpha1.ProjectPipelineRuntime:
		r.Status.Deployed, err = record.Of(r.Status.Deployed, r.Generation, r.Spec)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func meta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, CreationTimestamp: metav1.NewTime(epoch()), Generation: 1}
}

func changed[T any](o T, change []func(T)) T {
	for _, f := range change {
		f(o)
	}
	return o
}

// Group returns the group of a product: team-1 for product-1.
func Group(product string) string { return "team-" + strings.TrimPrefix(product, "product-") }

// Product returns a product whose group is Group(name).
func Product(name string, change ...func(*v1alpha1.Product)) *v1alpha1.Product {
	return changed(&v1alpha1.Product{
		ObjectMeta: meta(Namespace, name),
		Spec: v1alpha1.ProductSpec{
			Name: Group(name), MetaDataPath: "https://" + Host + "/" + Group(name) + "/default.project.git", Branch: "main",
		},
	}, change)
}

// CodeRepoProvider returns a GitLab at Host.
func CodeRepoProvider(name string, change ...func(*v1alpha1.CodeRepoProvider)) *v1alpha1.CodeRepoProvider {
	return changed(&v1alpha1.CodeRepoProvider{
		ObjectMeta: meta(Namespace, name),
		Spec: v1alpha1.CodeRepoProviderSpec{
			HTTPAddress: "https://" + Host, SSHAddress: "ssh://git@" + Host + ":2222", APIServer: "https://" + Host, ProviderType: "gitlab",
		},
	}, change)
}

// ProductProvider returns a product provider of a CodeRepoProvider.
func ProductProvider(name, provider string, change ...func(*v1alpha1.ProductProvider)) *v1alpha1.ProductProvider {
	return changed(&v1alpha1.ProductProvider{
		ObjectMeta: meta(Namespace, name), Spec: v1alpha1.ProductProviderSpec{Type: "coderepo", Name: provider},
	}, change)
}

// Cluster returns a connected physical worker for deployment runtimes.
func Cluster(name string, change ...func(*v1alpha1.Cluster)) *v1alpha1.Cluster {
	return changed(&v1alpha1.Cluster{
		ObjectMeta: meta(Namespace, name),
		Spec: v1alpha1.ClusterSpec{
			APIServer: "https://" + name + ".example.com:6443", ClusterKind: "kubernetes", ClusterType: v1alpha1.ClusterPhysical,
			Usage: v1alpha1.UsageWorker, WorkerType: v1alpha1.WorkerTypeDeployment,
		},
		Status: v1alpha1.ClusterStatus{Connection: &v1alpha1.ConnectionStatus{Version: "v1.34.4", UID: "uid-of-" + name}},
	}, change)
}

// PipelineWorker makes a cluster one for pipeline runtimes.
func PipelineWorker(c *v1alpha1.Cluster) { c.Spec.WorkerType = v1alpha1.WorkerTypePipeline }

// HostCluster makes a cluster one that carries virtual clusters.
func HostCluster(c *v1alpha1.Cluster) {
	c.Spec.Usage, c.Spec.WorkerType = v1alpha1.UsageHost, ""
}

// VirtualCluster makes a cluster one that a host carries, with its API server at
// a node port of the host.
func VirtualCluster(host, nodePort string) func(*v1alpha1.Cluster) {
	return func(c *v1alpha1.Cluster) {
		c.Spec.ClusterType, c.Spec.HostCluster = v1alpha1.ClusterVirtual, host
		c.Spec.APIServer = "https://" + host + ".example.com:" + nodePort
		c.Spec.VCluster = &v1alpha1.VClusterSpec{HTTPSNodePort: nodePort}
	}
}

// NativeTenancy makes a cluster do without HNC.
func NativeTenancy(c *v1alpha1.Cluster) {
	c.Spec.ComponentsList.MultiTenant = &v1alpha1.Component{Name: "native"}
}

// PipelineHook returns a hook that runs on both sides.
func PipelineHook(name string, change ...func(*v1alpha1.PipelineHook)) *v1alpha1.PipelineHook {
	return changed(&v1alpha1.PipelineHook{
		ObjectMeta: meta(Namespace, name),
		Spec: v1alpha1.PipelineHookSpec{
			Sides: []v1alpha1.HookSide{"pre", "post"}, Task: runtime.RawExtension{Raw: []byte(`{"steps":[{"name":"step","image":"bash","command":["true"]}]}`)},
		},
	}, change)
}

// ComponentCatalogue returns the tenant's catalogue with components that differ
// from the built-in ones.
func ComponentCatalogue(components ...v1alpha1.CatalogueComponent) *v1alpha1.ComponentCatalogue {
	return &v1alpha1.ComponentCatalogue{
		ObjectMeta: meta(Namespace, v1alpha1.ComponentCatalogueName),
		Spec:       v1alpha1.ComponentCatalogueSpec{Components: components},
	}
}

// Environment returns an environment of a product on a cluster.
func Environment(product, name, cluster string, change ...func(*v1alpha1.Environment)) *v1alpha1.Environment {
	return changed(&v1alpha1.Environment{
		ObjectMeta: meta(product, name), Spec: v1alpha1.EnvironmentSpec{Product: product, Cluster: cluster, EnvType: "dev"},
	}, change)
}

// Project returns a project of a product.
func Project(product, name string, change ...func(*v1alpha1.Project)) *v1alpha1.Project {
	return changed(&v1alpha1.Project{
		ObjectMeta: meta(product, name), Spec: v1alpha1.ProjectSpec{Product: product, Language: "golang"},
	}, change)
}

// CodeRepo returns a repository of a project on the Provider; without a project
// it belongs to the product as a whole.
func CodeRepo(product, name, project string, change ...func(*v1alpha1.CodeRepo)) *v1alpha1.CodeRepo {
	return changed(&v1alpha1.CodeRepo{
		ObjectMeta: meta(product, name),
		Spec: v1alpha1.CodeRepoSpec{
			CodeRepoProvider: Provider, Product: product, Project: project, RepoName: "code-" + name,
		},
	}, change)
}

// Binding returns a binding that grants a repository to projects; to the whole
// product when there are none.
func Binding(product, name, repo string, permission v1alpha1.Permission, projects ...string) *v1alpha1.CodeRepoBinding {
	return &v1alpha1.CodeRepoBinding{
		ObjectMeta: meta(product, name),
		Spec:       v1alpha1.CodeRepoBindingSpec{CodeRepo: repo, Product: product, Projects: projects, Permissions: permission},
	}
}

// ArtifactRepo returns a registry of images of a product that projects may use; the whole
// product when there are none.
func ArtifactRepo(product, name string, permission v1alpha1.Permission, projects ...string) *v1alpha1.ArtifactRepo {
	return &v1alpha1.ArtifactRepo{
		ObjectMeta: meta(product, name),
		Spec: v1alpha1.ArtifactRepoSpec{
			Product: product, Registry: "registry.example.com/" + Group(product), PackageType: v1alpha1.PackageImage, Projects: projects, Permissions: permission,
		},
	}
}

// DeploymentRuntime returns a runtime that deploys a repository for the product
// as a whole to an environment.
func DeploymentRuntime(product, name, environment, repo string, change ...func(*v1alpha1.DeploymentRuntime)) *v1alpha1.DeploymentRuntime {
	return changed(&v1alpha1.DeploymentRuntime{
		ObjectMeta: meta(product, name),
		Spec: v1alpha1.DeploymentRuntimeSpec{
			Product:        product,
			ManifestSource: v1alpha1.ManifestSource{CodeRepo: repo, TargetRevision: "HEAD", Path: "manifests/" + name},
			Destination:    v1alpha1.DeploymentDestination{Environment: environment},
		},
	}, change)
}

// For makes a deployment runtime one of projects.
func For(projects ...string) func(*v1alpha1.DeploymentRuntime) {
	return func(r *v1alpha1.DeploymentRuntime) { r.Spec.ProjectsRef = projects }
}

// Into sets the namespaces of a deployment runtime.
func Into(namespaces ...string) func(*v1alpha1.DeploymentRuntime) {
	return func(r *v1alpha1.DeploymentRuntime) { r.Spec.Destination.Namespaces = namespaces }
}

// As sets the account of a deployment runtime.
func As(account string) func(*v1alpha1.DeploymentRuntime) {
	return func(r *v1alpha1.DeploymentRuntime) { r.Spec.Account = account }
}

// PipelineRuntime returns a runtime that runs a project's pipeline at each push.
func PipelineRuntime(product, name, project, environment, repo string, change ...func(*v1alpha1.ProjectPipelineRuntime)) *v1alpha1.ProjectPipelineRuntime {
	return changed(&v1alpha1.ProjectPipelineRuntime{
		ObjectMeta: meta(product, name),
		Spec: v1alpha1.ProjectPipelineRuntimeSpec{
			Project: project, PipelineSource: repo, Isolation: v1alpha1.IsolationShared,
			Pipelines:   []v1alpha1.Pipeline{{Name: "dev", Label: "dev", Path: "pipelines/dev.yaml"}},
			Destination: v1alpha1.PipelineDestination{Environment: environment},
			EventSources: []v1alpha1.EventSource{{
				Name:   "push",
				GitLab: &v1alpha1.GitLabEventSource{RepoName: repo, Revision: "main", Events: []v1alpha1.GitLabEvent{"push_events"}},
			}},
			PipelineTriggers: []v1alpha1.PipelineTrigger{{EventSource: "push", Pipeline: "dev"}},
		},
	}, change)
}
