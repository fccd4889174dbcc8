package build_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/guide"
	. "nautes.io/nautes/test/testutil"
)

var shared = devstack.Shared{Options: devstack.Options{Bare: true}}

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// crds returns the CRDs of the kinds that the builders write, as paths in the modules of
// their projects. The keys are our directories whose go.mod requires these modules.
func crds() map[string][]string {
	return map[string][]string{
		". github.com/argoproj/argo-cd/v2": {
			"manifests/crds/application-crd.yaml", "manifests/crds/appproject-crd.yaml",
		},
		". github.com/argoproj/argo-events": {
			"manifests/base/crds/argoproj.io_eventbus.yaml", "manifests/base/crds/argoproj.io_eventsources.yaml", "manifests/base/crds/argoproj.io_sensors.yaml",
		},
		". github.com/tektoncd/pipeline":        {"config/300-crds/300-pipelinerun.yaml"},
		". sigs.k8s.io/hierarchical-namespaces": {"config/crd/bases/hnc.x-k8s.io_hierarchyconfigurations.yaml"},
		"hack/tools/manifests github.com/external-secrets/external-secrets": {
			"config/crds/bases/external-secrets.io_secretstores.yaml", "config/crds/bases/external-secrets.io_externalsecrets.yaml",
		},
		"hack/tools/manifests github.com/traefik/traefik/v3": {"docs/content/reference/dynamic-configuration/traefik.io_middlewares.yaml"},
	}
}

// moduleDir returns where a module that a go.mod requires is in the module cache.
func moduleDir(ctx context.Context, requiring, module string) (string, error) {
	root, err := devstack.ModuleRoot()
	if err != nil {
		return "", err
	}
	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	command.Dir = filepath.Join(root, requiring)
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("download %s, as %s requires it: %w", module, requiring, err)
	}
	var downloaded struct{ Dir string }
	return downloaded.Dir, json.Unmarshal(out, &downloaded)
}

// server is a real API server that knows the kinds of others.
type server struct {
	dynamic.Interface
	mapper meta.RESTMapper
}

func newServer(t *testing.T) server {
	t.Helper()
	config := shared.Stack(t).Tenant.Config()
	config.WarningHandler = rest.NoWarnings{}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	for from, files := range crds() {
		requiring, module, _ := strings.Cut(from, " ")
		source, err := moduleDir(ctx, requiring, module)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(filepath.Join(source, file))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, filepath.Base(file)), content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := devstack.InstallCRDs(ctx, config, dir); err != nil {
		t.Fatal(err)
	}
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(found)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return server{Interface: objects, mapper: restmapper.NewDiscoveryRESTMapper(groups)}
}

// apply applies an object as strictly as the server can, and returns the object that
// results.
func (s server) apply(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	mapping, err := s.mapper.RESTMapping(o.GroupVersionKind().GroupKind(), o.GroupVersionKind().Version)
	if err != nil {
		return nil, err
	}
	text, err := o.MarshalJSON()
	if err != nil {
		return nil, err
	}
	force := true
	return s.Resource(mapping.Resource).Namespace(o.GetNamespace()).Patch(ctx, o.GetName(), types.ApplyPatchType, text,
		metav1.PatchOptions{FieldManager: "nautes", Force: &force, FieldValidation: metav1.FieldValidationStrict})
}

// content returns an object as it is sent.
func content(t *testing.T, o client.Object) *unstructured.Unstructured {
	t.Helper()
	converted, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		t.Fatal(err)
	}
	delete(converted, "status")
	unstructured.RemoveNestedField(converted, "metadata", "creationTimestamp")
	return &unstructured.Unstructured{Object: converted}
}

// guidePipelines returns the plans of the guide's pipeline runtime, in both isolations,
// with Vault and without, and the launchers that its sensors create.
func guidePipelines(t *testing.T) []plan.Set {
	var sets []plan.Set
	launchers := plan.Set{}
	for _, settings := range []snapshot.Settings{{}, withVault()} {
		for _, isolation := range []v1alpha1.Isolation{v1alpha1.IsolationExclusive, v1alpha1.IsolationShared} {
			s, r := guide.Snapshot(t, settings, isolated(isolation))
			space, _, err := spaceSets(s, guide.Product, guide.Cluster)
			if err != nil {
				t.Fatal(err)
			}
			p := mustPipeline(t, s, r)
			sets = append(append(sets, space), p.Sets...)
			for _, item := range p.Sets[0].Items {
				sensor, ok := item.Object.(*argoevents.Sensor)
				if !ok {
					continue
				}
				for _, trigger := range sensor.Spec.Triggers {
					run := launcherOf(p.Sets[0], sensor, trigger)
					run.Name += "key"
					launchers.Items = append(launchers.Items, plan.Item{ID: plan.ID{Kind: "PipelineRun", Name: run.Name}, Object: run})
				}
			}
		}
	}
	return append(sets, launchers)
}

// everySet returns plans with every kind that the builders write: of clusters, a space
// and pipeline runtimes.
func everySet(t *testing.T) []plan.Set {
	t.Helper()
	var objects []client.Object
	for _, c := range GuideClusters() {
		objects = append(objects, c)
	}
	world := guide.Ready(t, newSnapshot(objects...).WithSettings(withVault()))
	sets := []plan.Set{{Items: []plan.Item{{Object: &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "argocd"},
	}}}}}
	for _, c := range GuideClusters() {
		sets = append(sets, mustCluster(t, world, c.Name).Sets...)
	}
	space, _, err := spaceSets(newSnapshot(append(product("product-1", CodeRepoProvider(Provider)), Cluster("c"), external("external-secrets"))...).
		WithSettings(withVault()), "product-1", "c")
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(sets, []plan.Set{space}, guidePipelines(t))
}

// TestServer sends objects to a real API server with the CRDs of the other projects.
func TestServer(t *testing.T) {
	s := newServer(t)
	t.Run("accepts", s.accepts)
	t.Run("refuses", s.refuses)
}

// accepts holds that the server accepts every object of clusters, spaces and pipeline
// runtimes, and keeps every field. It finds nothing to change when they are applied again.
func (s server) accepts(t *testing.T) {
	accepted := map[string]int{}
	for _, set := range everySet(t) {
		for _, item := range set.Items {
			if item.Object == nil {
				continue
			}
			sent := content(t, item.Object)
			first, err := s.apply(t.Context(), sent)
			if err != nil {
				t.Errorf("%v on %v: %v", item.ID, set.Target, err)
				continue
			}
			if lost := lacks(sent.Object, first.Object, ""); lost != "" {
				t.Errorf("%v on %v: the server did not keep %s", item.ID, set.Target, lost)
			}
			again, err := s.apply(t.Context(), sent)
			if err != nil || again.GetResourceVersion() != first.GetResourceVersion() {
				t.Errorf("%v on %v: applied again, it changes: %v", item.ID, set.Target, err)
			}
			accepted[sent.GetKind()]++
		}
	}
	for _, kind := range []string{
		"AppProject", "Application", "ClusterRoleBinding", "EventBus", "EventSource", "ExternalSecret", "Ingress", "Middleware", "Namespace",
		"PipelineRun", "Role", "RoleBinding", "Secret", "SecretStore", "Sensor", "ServiceAccount",
	} {
		if accepted[kind] == 0 {
			t.Errorf("no %s was accepted", kind)
		}
	}
}

// lacks returns the path of something that was sent and is not there as it was.
func lacks(sent, there any, path string) string {
	switch sent := sent.(type) {
	case map[string]any:
		object, ok := there.(map[string]any)
		if !ok && len(sent) > 0 {
			return path
		}
		for key, value := range sent {
			if value == nil {
				continue
			}
			if lost := lacks(value, object[key], path+"."+key); lost != "" {
				return lost
			}
		}
	case []any:
		list, ok := there.([]any)
		if !ok || len(list) != len(sent) {
			return path
		}
		for i := range sent {
			if lost := lacks(sent[i], list[i], fmt.Sprintf("%s[%d]", path, i)); lost != "" {
				return lost
			}
		}
	default:
		if sent != there {
			return path
		}
	}
	return ""
}

// refuses holds that the test above can fail: the same server takes no field that its
// definitions do not know.
func (s server) refuses(t *testing.T) {
	if _, err := s.apply(t.Context(), content(t, &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "app"},
	})); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		group, version, kind string
		path                 []string
	}{
		"a SecretStore":     {"external-secrets.io", "v1", "SecretStore", []string{"spec", "provider", "vault", "adress"}},
		"a Middleware":      {"traefik.io", "v1alpha1", "Middleware", []string{"spec", "forwardAuth", "adress"}},
		"an Application":    {"argoproj.io", "v1alpha1", "Application", []string{"spec", "destination", "cluster"}},
		"an ExternalSecret": {"external-secrets.io", "v1", "ExternalSecret", []string{"spec", "secretStoreRef", "nam"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := &unstructured.Unstructured{Object: map[string]any{
				"apiVersion": test.group + "/" + test.version, "kind": test.kind, "metadata": map[string]any{"namespace": "app", "name": "x"},
			}}
			if err := unstructured.SetNestedField(o.Object, "x", slices.Clone(test.path)...); err != nil {
				t.Fatal(err)
			}
			field := test.path[len(test.path)-1]
			if _, err := s.apply(t.Context(), o); err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("error %v, want that there is no field %s", err, field)
			}
		})
	}
}
