// Package guide gives tests the tenant of the user guide, as config/samples declares it.
// It guarantees that its runtimes can be deployed.
package guide

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/testutil"
)

// Product and Cluster have the guide's pipeline runtime, PipelineRuntime.
const (
	Product         = "product-xxxx"
	Cluster         = "physical-worker-pipeline"
	PipelineRuntime = "pr-demo"
)

// Objects returns the objects of the resource files that the user guide prints.
func Objects(t *testing.T) []client.Object {
	t.Helper()
	samples := filepath.Join("..", "..", "config", "samples")
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	var objects []client.Object
	err := filepath.WalkDir(samples, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" || entry.Name() == "tenant-repository.yaml" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var kind struct{ Kind string }
		if err := yaml.Unmarshal(content, &kind); err != nil {
			return err
		}
		made, err := scheme.New(v1alpha1.GroupVersion.WithKind(kind.Kind))
		if err != nil {
			return err
		}
		o := made.(client.Object)
		if err := yaml.UnmarshalStrict(content, o); err != nil {
			return err
		}
		o.SetNamespace(testutil.Namespace)
		if strings.Contains(path, "default.project") {
			o.SetNamespace(Product)
		}
		o.SetUID(types.UID("uid-of-" + o.GetName()))
		objects = append(objects, o)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// Settings returns the settings with an image of the runner.
func Settings(settings snapshot.Settings) snapshot.Settings {
	settings.RunnerImage = "registry.example.com/nautes-runner:v1"
	return settings
}

// Snapshot returns the guide's tenant, whose components are ready, with its pipeline
// runtime changed.
func Snapshot(t *testing.T, settings snapshot.Settings, change ...func(*v1alpha1.ProjectPipelineRuntime)) (*snapshot.Snapshot, *v1alpha1.ProjectPipelineRuntime) {
	t.Helper()
	s := snapshot.New(testutil.Tenant, testutil.Namespace, Objects(t)...).WithSettings(Settings(settings))
	// The guide registers the two virtual clusters one after the other.
	s = Ready(t, s.Without(s.Cluster("virtual-worker-deployment")))
	r := s.PipelineRuntime(Product, PipelineRuntime).DeepCopy()
	for _, f := range change {
		f(r)
	}
	return s.With(r), r
}

// Ready returns the snapshot in which every component of every cluster is ready.
func Ready(t *testing.T, s *snapshot.Snapshot) *snapshot.Snapshot {
	t.Helper()
	for _, c := range s.Clusters() {
		components, wrong := s.ClusterComponents(c)
		if err := wrong.ToAggregate(); err != nil {
			t.Fatalf("cluster %s: %v", c.Name, err)
		}
		var names []string
		for _, component := range components {
			names = append(names, component.Name)
		}
		c = c.DeepCopy()
		testutil.AllReady(c, names...)
		s = s.With(c)
	}
	return s
}

// Kinds returns how many items of each kind the guide's runtime has, with
// some numbers changed. It has four event sources with a trigger each, and one of
// them is a calendar as well.
func Kinds(changes map[string]int) map[string]int {
	kinds := map[string]int{
		"Application": 1, "ConfigMap": 5, "EventSource": 5, "Ingress": 1, "Role": 1, "RoleBinding": 1, "Secret": 5, "Sensor": 5, "ServiceAccount": 1,
	}
	for kind, n := range changes {
		if kinds[kind] = n; n == 0 {
			delete(kinds, kind)
		}
	}
	return kinds
}
