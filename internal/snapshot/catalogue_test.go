package snapshot_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// moved is a catalogue that has Argo CD in another namespace, and broken one
// that cannot be used.
func moved(namespace string) *v1alpha1.ComponentCatalogue {
	return ComponentCatalogue(v1alpha1.CatalogueComponent{Name: "argocd", Namespace: namespace})
}

func broken() *v1alpha1.ComponentCatalogue {
	return ComponentCatalogue(v1alpha1.CatalogueComponent{Name: "incomplete"})
}

func TestSettings(t *testing.T) {
	s := newSnapshot(Cluster("c"))
	if diff := cmp.Diff(snapshot.Settings{ArgoCDNamespace: "argocd"}, s.Settings); diff != "" {
		t.Errorf("default settings (-want +got):\n%s", diff)
	}
	want := snapshot.Settings{ArgoCDNamespace: "cd", Vault: &snapshot.VaultSettings{Address: "https://vault.example.com:8200"}}
	with := s.WithSettings(want)
	if diff := cmp.Diff(want, with.With(Cluster("d")).Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if with.Cluster("c") == nil || s.Settings.ArgoCDNamespace != "argocd" {
		t.Errorf("the snapshot lost its objects, or the original changed: %v", s.Settings)
	}
}

func TestCatalogue(t *testing.T) {
	elsewhere := moved("cd")
	elsewhere.Namespace = "product-1"
	tests := map[string]struct {
		objects []*v1alpha1.ComponentCatalogue
		// want is the namespace of Argo CD in the catalogue.
		want      string
		wantError bool
	}{
		"none":                          {want: "argocd"},
		"one that changes nothing":      {objects: []*v1alpha1.ComponentCatalogue{ComponentCatalogue()}, want: "argocd"},
		"one that changes something":    {objects: []*v1alpha1.ComponentCatalogue{moved("cd")}, want: "cd"},
		"another one laid over it":      {objects: []*v1alpha1.ComponentCatalogue{moved("cd"), moved("other")}, want: "other"},
		"a broken one":                  {objects: []*v1alpha1.ComponentCatalogue{broken()}, want: "argocd", wantError: true},
		"a broken one that is mended":   {objects: []*v1alpha1.ComponentCatalogue{broken(), moved("cd")}, want: "cd"},
		"one that is not where they go": {objects: []*v1alpha1.ComponentCatalogue{elsewhere}, want: "argocd"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSnapshot()
			for _, o := range test.objects {
				// The catalogue is asked for before it changes.
				_ = s.Catalogue()
				s = s.With(o)
			}
			for what, s := range map[string]*snapshot.Snapshot{"as it is": s, "with something else": s.With(Cluster("c")), "with settings": s.WithSettings(snapshot.Settings{})} {
				if got := s.Catalogue().Component("argocd").Namespace; got != test.want {
					t.Errorf("%s: Argo CD is in %s, want %s", what, got, test.want)
				}
				if errs := s.CatalogueErrors(); (len(errs) > 0) != test.wantError {
					t.Errorf("%s: errors %v, want some: %v", what, errs, test.wantError)
				}
			}
			for _, o := range test.objects {
				s = s.Without(o)
			}
			if got := s.Catalogue().Component("argocd").Namespace; got != "argocd" {
				t.Errorf("without a catalogue Argo CD is in %s", got)
			}
		})
	}
}

// TestClusterComponents holds that a component knows of the cluster, its host
// and the settings.
func TestClusterComponents(t *testing.T) {
	worker, host := Cluster("worker"), Cluster("host", HostCluster)
	virtual := Cluster("virtual", VirtualCluster("host", "31443"))
	lost := Cluster("lost", VirtualCluster("absent", "31443"))
	s := newSnapshot(worker, host, virtual, lost).WithSettings(snapshot.Settings{
		Vault: &snapshot.VaultSettings{Address: "https://vault.example.com:8200", CABundle: "a CA bundle", Namespace: "a-namespace"}})
	physical := Cluster("physical", func(c *v1alpha1.Cluster) { c.Spec.HostCluster = "host" })
	for c, want := range map[*v1alpha1.Cluster]*v1alpha1.Cluster{worker: nil, host: nil, virtual: host, lost: nil, physical: nil} {
		if got := s.HostOf(c); got != want {
			t.Errorf("the host of %s is %v", c.Name, got)
		}
	}
	components, wrong := s.ClusterComponents(worker)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	text := ""
	for _, component := range components {
		text += fmt.Sprint(component.Sources)
	}
	if len(components) != 7 || !strings.Contains(text, "https://vault.example.com:8200") {
		t.Errorf("%d components, want 7, one of them with the address of Vault:\n%s", len(components), text)
	}
	var names []string
	for _, component := range s.Choices(worker) {
		names = append(names, component.Name)
	}
	for i, component := range components {
		if i >= len(names) || names[i] != component.Name {
			t.Errorf("the components by name are %v, and one is %s", names, component.Name)
		}
	}
	s = s.With(broken())
	components, wrong = s.ClusterComponents(worker)
	if components != nil || len(wrong) != 1 || wrong[0].Field != "spec.componentsList" ||
		!strings.Contains(wrong[0].Detail, "ComponentCatalogue nautes/default is invalid") {
		t.Errorf("a broken catalogue gives the components %v and the errors %v", components, wrong)
	}
}

// TestBrokenCatalogueMovesNothing holds that a catalogue which cannot be used
// leaves the namespaces of components as they were recorded.
func TestBrokenCatalogueMovesNothing(t *testing.T) {
	recorded := Cluster("c", func(c *v1alpha1.Cluster) {
		c.Status.Components = []v1alpha1.ComponentStatus{
			{Name: "argocd", Category: v1alpha1.CategoryDeployment, Namespace: "cd", State: v1alpha1.ComponentReady},
			{Name: "native", Category: v1alpha1.CategoryMultiTenant, State: v1alpha1.ComponentExternal},
			{Name: "vcluster", Category: v1alpha1.CategoryVirtualCluster, Namespace: "c", State: v1alpha1.ComponentReady},
		}
	})
	tests := map[string]struct {
		cluster       *v1alpha1.Cluster
		catalogue     *v1alpha1.ComponentCatalogue
		wantNamespace string
		wantTenancy   string
	}{
		"recorded, a good catalogue":       {cluster: recorded, catalogue: moved("new"), wantNamespace: "new", wantTenancy: "hnc"},
		"recorded, a broken catalogue":     {cluster: recorded, catalogue: broken(), wantNamespace: "cd", wantTenancy: "native"},
		"not recorded, a broken catalogue": {cluster: Cluster("c"), catalogue: broken(), wantNamespace: "argocd", wantTenancy: "hnc"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSnapshot(test.cluster, test.catalogue)
			if got := s.DeploymentNamespace(test.cluster); got != test.wantNamespace {
				t.Errorf("Argo CD is in %s, want %s", got, test.wantNamespace)
			}
			if got := s.Tenancy(test.cluster); got != test.wantTenancy {
				t.Errorf("tenancy %s, want %s", got, test.wantTenancy)
			}
		})
	}
	if got := newSnapshot(broken()).Choices(Cluster("new")); len(got) != 7 {
		t.Errorf("without a record there are %d components, want the 7 built-in ones", len(got))
	}
	got := newSnapshot(recorded, broken()).Choices(recorded)
	want := []catalogue.Choice{
		{Name: "argocd", Category: v1alpha1.CategoryDeployment, Namespace: "cd"},
		{Name: "native", Category: v1alpha1.CategoryMultiTenant, External: true},
		{Name: "vcluster", Category: v1alpha1.CategoryVirtualCluster, Namespace: "c", OnHost: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("recorded components (-want +got):\n%s", diff)
	}
}
