package api_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
)

// samples are the files of config/samples by their paths below it.
func samples(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	found := map[string]*unstructured.Unstructured{}
	err := fs.WalkDir(os.DirFS(filepath.Join(root, "config/samples")), ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".yaml" {
			found[path] = readObject(t, filepath.Join("config/samples", path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Every sample is stored by the API server, by server-side apply as from Git
// and with unknown fields refused, and a second apply changes nothing.
func TestSamplesApply(t *testing.T) {
	c := clientFor(t)
	want, got := map[string]bool{}, map[string]bool{}
	for kind := range kinds {
		want[kind] = true
	}
	// People do not write Spaces.
	delete(want, "Space")
	for path, object := range samples(t) {
		t.Run(path, func(t *testing.T) {
			got[object.GetKind()] = true
			namespace := nsOperator
			if strings.HasPrefix(path, "default.project/") {
				namespace = nsProduct
			}
			if object.GetNamespace() == "" {
				object.SetNamespace(namespace)
			}
			if object.GetNamespace() != namespace {
				t.Errorf("the file names the namespace %s, want %s", object.GetNamespace(), namespace)
			}
			first := apply(t, c, object)
			if second := apply(t, c, object); first != second {
				t.Errorf("the second apply wrote: resource version %s became %s", first, second)
			}
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kinds with a sample (-want +got):\n%s", diff)
	}
}

// apply returns the resource version after a server-side apply.
func apply(t *testing.T, c client.Client, object *unstructured.Unstructured) string {
	t.Helper()
	applied := object.DeepCopy()
	err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner("test"), client.ForceOwnership)
	if err != nil {
		t.Fatal(err)
	}
	return applied.GetResourceVersion()
}

// The samples name each other: a tenant that pushes them has no missing
// reference.
func TestSamplesBelongTogether(t *testing.T) {
	names := map[string]map[string]bool{}
	all := samples(t)
	for _, object := range all {
		if names[object.GetKind()] == nil {
			names[object.GetKind()] = map[string]bool{}
		}
		names[object.GetKind()][object.GetName()] = true
	}
	references := map[string]map[string]string{
		"Cluster":                {".spec.hostCluster": "Cluster"},
		"CodeRepo":               {".spec.codeRepoProvider": "CodeRepoProvider", ".spec.product": "Product", ".spec.project": "Project"},
		"ArtifactRepo":           {".spec.product": "Product", ".spec.projects[]": "Project"},
		"CodeRepoBinding":        {".spec.codeRepo": "CodeRepo", ".spec.product": "Product", ".spec.projects[]": "Project"},
		"DeploymentRuntime":      {".spec.product": "Product", ".spec.projectsRef[]": "Project", ".spec.manifestSource.codeRepo": "CodeRepo", ".spec.destination.environment": "Environment"},
		"Environment":            {".spec.product": "Product", ".spec.cluster": "Cluster"},
		"ProductProvider":        {".spec.name": "CodeRepoProvider"},
		"Project":                {".spec.product": "Product"},
		"ProjectPipelineRuntime": {".spec.project": "Project", ".spec.pipelineSource": "CodeRepo", ".spec.destination.environment": "Environment", ".spec.eventSources[].gitlab.repoName": "CodeRepo", ".spec.eventSources[].gitea.repoName": "CodeRepo", ".spec.additionalResources.git.codeRepo": "CodeRepo", ".spec.hooks.preHooks[].name": "PipelineHook", ".spec.hooks.postHooks[].name": "PipelineHook"},
	}
	for path, object := range all {
		for at, kind := range references[object.GetKind()] {
			for _, name := range textsAt(object.Object, at) {
				if !names[kind][name] {
					t.Errorf("%s: %s names the %s %q, which is not among the samples", path, at, kind, name)
				}
			}
		}
	}
}

// textsAt returns the texts at a path as .spec.projects[].
func textsAt(value any, path string) []string {
	if path == "" {
		if text, ok := value.(string); ok {
			return []string{text}
		}
		return nil
	}
	if rest, ok := strings.CutPrefix(path, "[]"); ok {
		var texts []string
		items, _ := value.([]any)
		for _, item := range items {
			texts = append(texts, textsAt(item, rest)...)
		}
		return texts
	}
	path = strings.TrimPrefix(path, ".")
	length := strings.IndexAny(path, ".[")
	if length < 0 {
		length = len(path)
	}
	fields, _ := value.(map[string]any)
	return textsAt(fields[path[:length]], path[length:])
}

// The names of files and their objects agree with the layout of the repositories:
// the name of a file is the name of its object.
func TestSamplesAreLaidOut(t *testing.T) {
	want := map[string]string{
		"Cluster": "tenant/clusters/NAME.yaml", "CodeRepoProvider": "tenant/providers/NAME.yaml",
		"ProductProvider": "tenant/providers/NAME.yaml", "PipelineHook": "tenant/hooks/NAME.yaml",
		"ComponentCatalogue": "tenant/catalogue/NAME.yaml",
		"Environment":        "default.project/envs/NAME.yaml", "Project": "default.project/projects/NAME/NAME.yaml",
		"ProjectPipelineRuntime": "default.project/projects/OWNER/NAME.yaml", "CodeRepo": "default.project/code-repos/NAME/NAME.yaml",
		"ArtifactRepo":    "default.project/artifact-repos/NAME/NAME.yaml",
		"CodeRepoBinding": "default.project/code-repos/OWNER/NAME.yaml", "DeploymentRuntime": "default.project/runtimes/NAME.yaml",
	}
	owners := map[string]string{"ProjectPipelineRuntime": "project", "CodeRepoBinding": "codeRepo"}
	for path, object := range samples(t) {
		if !strings.Contains(path, "/") {
			continue
		}
		owner, _, _ := unstructured.NestedString(object.Object, "spec", owners[object.GetKind()])
		place := strings.NewReplacer("NAME", object.GetName(), "OWNER", owner).Replace(want[object.GetKind()])
		if path != place {
			t.Errorf("%s holds the %s %s, which belongs in %s", path, object.GetKind(), object.GetName(), place)
		}
		if object.GetAPIVersion() != "nautes.resource.nautes.io/v1alpha1" {
			t.Errorf("%s: apiVersion %s", path, object.GetAPIVersion())
		}
	}
}

// The sample of a catalogue goes with the built-in one, and the samples of
// clusters with both: they get components without an error.
func TestSampleCatalogueHolds(t *testing.T) {
	overlay := &v1alpha1.ComponentCatalogue{}
	clusters := map[string]*v1alpha1.Cluster{}
	for _, object := range samples(t) {
		switch object.GetKind() {
		case "ComponentCatalogue":
			convertTo(t, object, overlay)
		case "Cluster":
			clusters[object.GetName()] = &v1alpha1.Cluster{}
			convertTo(t, object, clusters[object.GetName()])
		}
	}
	changed, errs := catalogue.Effective(&overlay.Spec)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	for _, component := range overlay.Spec.Components {
		if catalogue.Builtin().Component(component.Name) == nil {
			t.Errorf("%s is not a built-in component: the sample only changes those", component.Name)
		}
	}
	wantComponents := map[string]int{
		"cluster-host": 2, "physical-worker-pipeline": 9, "physical-worker-deployment": 7,
		"virtual-worker-pipeline": 8, "virtual-worker-deployment": 7,
	}
	got := map[string]int{}
	for name, cluster := range clusters {
		for which, c := range map[string]*catalogue.Catalogue{"built-in": catalogue.Builtin(), "sample": changed} {
			components, errs := c.For(cluster, clusters[cluster.Spec.HostCluster], catalogue.Facts{Tenant: "nautes"})
			if len(errs) > 0 {
				t.Errorf("%s with the %s catalogue: %v", name, which, errs.ToAggregate())
			}
			got[name] = len(components)
			for _, component := range components {
				if which == "sample" && component.External != (component.Name == "cert-manager") {
					t.Errorf("%s: component %s is external: %t", name, component.Name, component.External)
				}
				for _, source := range component.Sources {
					if mirrored := strings.Contains(source.RepoURL, ".example.com/"); mirrored != (which == "sample") {
						t.Errorf("%s with the %s catalogue: component %s comes from %s", name, which, component.Name, source.RepoURL)
					}
				}
			}
		}
	}
	if diff := cmp.Diff(wantComponents, got); diff != "" {
		t.Errorf("number of components (-want +got):\n%s", diff)
	}
}

func convertTo(t *testing.T, object *unstructured.Unstructured, typed any) {
	t.Helper()
	if err := defaultConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
		t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
}
