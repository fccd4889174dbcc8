package build_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/foreign/traefik"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/guide"
	. "nautes.io/nautes/test/testutil"
)

// withVault are the settings of a tenant whose secret store is Vault.
func withVault() snapshot.Settings {
	return snapshot.Settings{Vault: &snapshot.VaultSettings{
		Address: "https://vault.example.com:8200", Namespace: "tenants/nautes",
		CABundle: "-----BEGIN CERTIFICATE-----\nTm90IG9uZS4=\n-----END CERTIFICATE-----\n",
	}}
}

type clusterResult = build.Result[build.ClusterFacts]

func mustCluster(t *testing.T, s *snapshot.Snapshot, name string) clusterResult {
	t.Helper()
	p, err := build.Cluster(s, s.Cluster(name))
	if err != nil {
		t.Fatalf("cluster %s: %v", name, err)
	}
	return p
}

// ownSet returns the set for the cluster itself.
func ownSet(p clusterResult) plan.Set { return *p.On(plan.Cluster(p.Sets[0].Owner.Name)) }

// tenantSet returns the set for the tenant's Argo CD.
func tenantSet(p clusterResult) plan.Set { return *p.On(plan.Tenant) }

func namesOf(p clusterResult) []string {
	var names []string
	for _, component := range p.Facts.Components {
		names = append(names, component.Name)
	}
	return names
}

// TestClusterGolden keeps everything that the clusters of the user guide ask
// for, when nothing is healthy yet and when everything is.
func TestClusterGolden(t *testing.T) {
	var objects []client.Object
	for _, c := range GuideClusters() {
		objects = append(objects, c)
	}
	for store, settings := range map[string]snapshot.Settings{"": {}, "-vault": withVault()} {
		s := newSnapshot(objects...).WithSettings(settings)
		for moment, s := range map[string]*snapshot.Snapshot{"new": s, "ready": guide.Ready(t, s)} {
			for _, c := range GuideClusters() {
				t.Run(c.Name+store+"/"+moment, func(t *testing.T) {
					got, err := SetsYAML(mustCluster(t, s, c.Name).Sets...)
					if err != nil {
						t.Fatal(err)
					}
					Golden(t, fmt.Sprintf("golden/cluster/%s%s/%s.yaml", c.Name, store, moment), got)
				})
			}
		}
	}
}

// TestClusterInstalls holds which clusters of the user guide get which components. Each
// is installed when its prerequisites are ready, and in the end all of them are.
func TestClusterInstalls(t *testing.T) {
	want := map[string][]string{
		"cluster-host":               {"oauth2-proxy", "traefik"},
		"physical-worker-pipeline":   {"argo-events", "argocd", "cert-manager", "external-secrets", "hnc", "oauth2-proxy", "tekton", "traefik", "vault"},
		"physical-worker-deployment": {"argo-rollouts", "argocd", "cert-manager", "external-secrets", "hnc", "traefik", "vault"},
		"virtual-worker-pipeline":    {"argo-events", "argocd", "cert-manager", "external-secrets", "hnc", "tekton", "vault", "vcluster"},
		"virtual-worker-deployment":  {"argo-rollouts", "argocd", "cert-manager", "external-secrets", "hnc", "vault", "vcluster"},
	}
	for _, c := range GuideClusters() {
		t.Run(c.Name, func(t *testing.T) {
			s := newSnapshot(GuideClusters()[2], c)
			var installed []string
			for round := 0; len(installed) < len(want[c.Name]); round++ {
				p := mustCluster(t, s, c.Name)
				if diff := cmp.Diff(want[c.Name], namesOf(p)); diff != "" {
					t.Fatalf("components (-want +got):\n%s", diff)
				}
				next := installable(t, p, installed)
				if len(next) <= len(installed) {
					t.Fatalf("round %d: %v are ready, and no more are installed than %v", round, installed, next)
				}
				installed = next
				c = c.DeepCopy()
				AllReady(c, installed...)
				s = s.With(c)
			}
		})
	}
}

// installable returns the components that have an Application in the plan. It fails if
// one has an Application before its prerequisites are ready.
func installable(t *testing.T, p clusterResult, ready []string) []string {
	t.Helper()
	var names []string
	for _, component := range p.Facts.Components {
		needs := slices.Clone(component.After)
		if component.Name != "vcluster" && slices.Contains(namesOf(p), "vcluster") {
			needs = append(needs, "vcluster")
		}
		lacks := slices.DeleteFunc(needs, func(name string) bool { return slices.Contains(ready, name) })
		slices.Sort(lacks)
		if diff := cmp.Diff(lacks, component.WaitsFor, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s waits for (-want +got):\n%s", component.Name, diff)
		}
		written := itemOf(tenantSet(p), "Application", component.Application) != nil
		if written != (len(lacks) == 0) {
			t.Errorf("%s is installed: %v, and lacks %v", component.Name, written, lacks)
		}
		if written {
			names = append(names, component.Name)
		}
	}
	return names
}

// itemOf returns an item of a set; nil when there is none.
func itemOf(set plan.Set, kind, name string) *plan.Item {
	for i := range set.Items {
		if set.Items[i].ID.Kind == kind && set.Items[i].ID.Name == name {
			return &set.Items[i]
		}
	}
	return nil
}

func kept(set plan.Set, kind, name string) bool {
	return slices.ContainsFunc(set.Keep, func(id plan.ID) bool { return id.Kind == kind && id.Name == name })
}

func TestClusterRefuses(t *testing.T) {
	virtual := Cluster("v", VirtualCluster("h", "31000"))
	tests := map[string]struct {
		objects     []client.Object
		cluster     *v1alpha1.Cluster
		wantMissing string
		// wantText is a part of any other error.
		wantText string
	}{
		"a host that does not exist": {cluster: virtual, wantMissing: "Cluster nautes/h"},
		"a component that does not exist": {
			cluster: Cluster("c", func(c *v1alpha1.Cluster) {
				c.Spec.ComponentsList.Gateway = &v1alpha1.Component{Name: "absent"}
			}),
			wantText: "spec.componentsList.gateway.name",
		},
		"an invalid catalogue": {
			objects:  []client.Object{ComponentCatalogue(v1alpha1.CatalogueComponent{Name: "new"})},
			cluster:  Cluster("c"),
			wantText: "correct the catalogue",
		},
		"the name of Argo CD's own cluster": {cluster: Cluster("in-cluster"), wantText: "another name"},
		"a pattern as a repository": {
			objects: []client.Object{ComponentCatalogue(v1alpha1.CatalogueComponent{
				Name: "argocd", Sources: []v1alpha1.ComponentSource{{Name: "chart", RepoURL: "https://example.com/*"}},
			})},
			cluster:  Cluster("c"),
			wantText: "pattern",
		},
		"a pattern as a kind": {
			objects: []client.Object{ComponentCatalogue(v1alpha1.CatalogueComponent{
				Name: "argocd", ClusterResources: []v1alpha1.ClusterResource{{Group: "*", Kind: "*"}},
			})},
			cluster:  Cluster("c"),
			wantText: "pattern",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := build.Cluster(newSnapshot(append(test.objects, test.cluster)...), test.cluster)
			var missing *snapshot.MissingError
			if errors.As(err, &missing) != (test.wantMissing != "") || missing != nil && missing.Missing.String() != test.wantMissing {
				t.Errorf("error %v, want that %q is missing", err, test.wantMissing)
			}
			if err == nil || !strings.Contains(err.Error(), test.wantText) || !strings.Contains(err.Error(), test.cluster.Name) {
				t.Errorf("error %v, want one about the cluster with %q", err, test.wantText)
			}
			if diff := cmp.Diff(build.Result[build.ClusterFacts]{}, p); diff != "" {
				t.Errorf("with an error there is a plan (-want +got):\n%s", diff)
			}
		})
	}
}

// TestClusterThatIsDeleted holds that the sets of a cluster that goes are empty
// and complete: every target that can hold something has one.
func TestClusterThatIsDeleted(t *testing.T) {
	for _, c := range GuideClusters() {
		t.Run(c.Name, func(t *testing.T) {
			want := []plan.Target{plan.Cluster(c.Name), plan.Tenant}
			if c.Spec.ClusterType == v1alpha1.ClusterVirtual {
				want = slices.Insert(want, 0, plan.Cluster("cluster-host"))
			}
			if c.Spec.Usage == v1alpha1.UsageWorker {
				want = append(want, plan.Vault(c.Name))
			}
			p, err := build.Cluster(newSnapshot().WithSettings(withVault()), Deleting(c))
			if err != nil {
				t.Fatal(err)
			}
			var got []plan.Target
			for _, set := range p.Sets {
				got = append(got, set.Target)
				if len(set.Items)+len(set.Keep) > 0 || set.Owner != build.ClusterOwner(c) {
					t.Errorf("the set of %v on %v has items", set.Owner, set.Target)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("targets (-want +got):\n%s", diff)
			}
		})
	}
}

// external returns components that Nautes does not install.
func external(names ...string) *v1alpha1.ComponentCatalogue {
	var components []v1alpha1.CatalogueComponent
	for _, name := range names {
		components = append(components, v1alpha1.CatalogueComponent{Name: name, Installation: v1alpha1.InstallationExternal})
	}
	return ComponentCatalogue(components...)
}

// TestClusterExternal holds that nothing is written for external components, and that
// objects from before are not removed.
func TestClusterExternal(t *testing.T) {
	host := GuideClusters()[2]
	s := newSnapshot(host, GuideClusters()[3], external("traefik", "oauth2-proxy", "vcluster", "argo-events"))

	p := mustCluster(t, s, host.Name)
	for _, set := range []plan.Set{ownSet(p), tenantSet(p)} {
		for _, item := range set.Items {
			if item.ID != build.ClusterSecretID(tenantSet(p)) && item.ID.Kind != "Middleware" {
				t.Errorf("%v is written for a component that Nautes does not install", item.ID)
			}
		}
	}
	for kind, name := range map[string]string{"AppProject": "cluster-cluster-host", "Application": "cluster-host.traefik"} {
		if !kept(tenantSet(p), kind, name) {
			t.Errorf("%s %s is taken away", kind, name)
		}
	}

	p = mustCluster(t, s, "virtual-worker-pipeline")
	onHost := p.On(plan.Cluster("cluster-host"))
	if len(onHost.Items) > 0 || !kept(*onHost, "Namespace", "virtual-worker-pipeline") {
		t.Errorf("the namespace of the virtual cluster is ours: %v", onHost)
	}
	if !kept(tenantSet(p), "Application", "virtual-worker-pipeline.cluster-host.vcluster") {
		t.Error("the Application of the virtual cluster is taken away")
	}
	project := itemOf(tenantSet(p), "AppProject", "cluster-virtual-worker-pipeline").Object.(*argocd.AppProject)
	for _, d := range project.Spec.Destinations {
		if d.Name != "virtual-worker-pipeline" || d.Namespace == "argo-events" {
			t.Errorf("the project permits %v, where nothing is installed", d)
		}
	}
	if bus := itemOf(ownSet(p), "EventBus", "default"); bus == nil || !bus.IfAbsent {
		t.Errorf("the bus is %v, want one if there is none", bus)
	}
}

// TestClusterAuthProxy holds that a page without a login of its own is published only
// behind an auth proxy. The proxy of a virtual cluster is on its host.
func TestClusterAuthProxy(t *testing.T) {
	only := func(usage v1alpha1.ClusterUsage) *v1alpha1.ComponentCatalogue {
		return ComponentCatalogue(v1alpha1.CatalogueComponent{
			Name: "oauth2-proxy", Rules: []v1alpha1.ComponentRule{{Usage: usage, ClusterType: v1alpha1.ClusterPhysical, Requirement: v1alpha1.RequirementRequired}},
		})
	}
	tests := map[string]struct {
		catalogue  []client.Object
		cluster    string
		want       bool
		wantOnThis bool
	}{
		"a worker with a proxy":                    {cluster: "physical-worker-pipeline", want: true, wantOnThis: true},
		"a worker without one":                     {catalogue: []client.Object{only("host")}, cluster: "physical-worker-pipeline"},
		"a virtual cluster on a host with a proxy": {catalogue: []client.Object{only("host")}, cluster: "virtual-worker-pipeline", want: true},
		"a virtual cluster on a host without":      {catalogue: []client.Object{only("worker")}, cluster: "virtual-worker-pipeline"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			objects := test.catalogue
			for _, c := range GuideClusters() {
				objects = append(objects, c)
			}
			p := mustCluster(t, guide.Ready(t, newSnapshot(objects...)), test.cluster)
			if got := itemOf(ownSet(p), "Ingress", "nautes-tekton") != nil; got != test.want {
				t.Errorf("the dashboard is published: %v, want %v", got, test.want)
			}
			if got := itemOf(ownSet(p), "Middleware", "oauth") != nil; got != test.wantOnThis {
				t.Errorf("the gateway of the cluster asks: %v, want %v", got, test.wantOnThis)
			}
			if itemOf(ownSet(p), "Ingress", "nautes-argocd") == nil {
				t.Error("Argo CD, which asks for itself, is not published")
			}
		})
	}
}

// TestClusterPatches holds that a patch changes the object that it names and no
// other: names are patterns to Kustomize.
func TestClusterPatches(t *testing.T) {
	name := "subnamespaceanchors.hnc.x-k8s.io"
	s := newSnapshot(Cluster("c"), ComponentCatalogue(v1alpha1.CatalogueComponent{
		Name: "hnc", Sources: []v1alpha1.ComponentSource{{Name: "manifests", Patches: []v1alpha1.ComponentPatch{{
			Kind: "CustomResourceDefinition", Name: name,
			Operations: []v1alpha1.ComponentPatchOperation{{Op: "remove", Path: "/metadata/annotations"}},
		}}}},
	}))
	app := itemOf(tenantSet(mustCluster(t, s, "c")), "Application", "c.hnc").Object.(*argocd.Application)
	patches := app.Spec.Source.Kustomize.Patches
	if len(patches) != 1 || patches[0].Patch != `[{"op":"remove","path":"/metadata/annotations"}]` {
		t.Fatalf("the patches are %v", patches)
	}
	target := patches[0].Target
	for other, want := range map[string]bool{name: true, "subnamespaceanchors-hnc-x-k8s-io": false} {
		if matched, err := regexp.MatchString("^(?:"+target.Name+")$", other); err != nil || matched != want {
			t.Errorf("%s is patched: %v, %v, want %v", other, matched, err, want)
		}
	}
	if target.Kind != "CustomResourceDefinition" {
		t.Errorf("the kind is %s", target.Kind)
	}
}

// TestClusterLeaving holds that a component which the cluster is no longer to
// have leaves while Argo CD may still remove it.
func TestClusterLeaving(t *testing.T) {
	c := GuideClusters()[1]
	AllReady(c, "argocd", "tekton", "gone", "never")
	for i, application := range []string{"a", "b", "c", ""} {
		c.Status.Components[i].Application = application
		c.Status.Components[i].Namespace = "in-" + c.Status.Components[i].Name
	}
	p := mustCluster(t, newSnapshot(c), c.Name)
	var leaving []string
	for _, status := range p.Facts.Leaving {
		leaving = append(leaving, status.Name)
	}
	if diff := cmp.Diff([]string{"tekton", "gone"}, leaving); diff != "" {
		t.Errorf("leaving (-want +got):\n%s", diff)
	}
	project := itemOf(tenantSet(p), "AppProject", "cluster-"+c.Name).Object.(*argocd.AppProject)
	for _, name := range []string{"tekton", "gone"} {
		namespace := "in-" + name
		if !slices.Contains(project.Spec.Destinations, argocd.ApplicationDestination{Name: c.Name, Namespace: namespace}) {
			t.Errorf("the project permits %v: the objects in %s could not be removed", project.Spec.Destinations, namespace)
		}
		if !kept(ownSet(p), "Namespace", namespace) {
			t.Errorf("the namespace %s is removed before the objects in it", namespace)
		}
		if application := names.ComponentApplication(c.Name, name); kept(tenantSet(p), "Application", application) || itemOf(tenantSet(p), "Application", application) != nil {
			t.Errorf("the Application of %s stays", name)
		}
	}
	if want := (metav1.GroupKind{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}); !slices.Contains(project.Spec.ClusterResourceWhitelist, want) {
		t.Errorf("the project permits %v: Tekton's cluster-scoped objects could not be removed", project.Spec.ClusterResourceWhitelist)
	}
	if kept(ownSet(p), "Namespace", "in-never") {
		t.Error("the namespace of a component that was never installed is kept")
	}
}

func TestClusterFacts(t *testing.T) {
	plain, vault := newSnapshot(), newSnapshot().WithSettings(withVault())
	worker, host := Cluster("c"), Cluster("h", HostCluster)
	moved := Cluster("c", func(c *v1alpha1.Cluster) {
		c.Spec.ComponentsList.SecretManagement = &v1alpha1.Component{Name: "vault", Namespace: "injector"}
	})
	for name, test := range map[string]struct {
		snap    *snapshot.Snapshot
		cluster *v1alpha1.Cluster
		want    plan.ID
	}{
		"a worker":          {snap: vault, cluster: worker, want: plan.ID{Kind: "Secret", Namespace: "vault", Name: "vault-auth-token"}},
		"another namespace": {snap: vault, cluster: moved, want: plan.ID{Kind: "Secret", Namespace: "injector", Name: "vault-auth-token"}},
		"a host":            {snap: vault, cluster: host},
		"without Vault":     {snap: plain, cluster: worker},
	} {
		got, ok := build.ReviewerSecret(test.snap, test.cluster)
		if got != test.want || ok != (test.want != plan.ID{}) {
			t.Errorf("%s: the reviewer's Secret is %v, %v, want %v", name, got, ok, test.want)
		}
	}

	virtual := Cluster("v", VirtualCluster("h", "31000"))
	p := mustCluster(t, newSnapshot(virtual, host).WithSettings(snapshot.Settings{ArgoCDNamespace: "cd"}), "v")
	if got, want := build.ClusterSecretID(tenantSet(p)), (plan.ID{Kind: "Secret", Namespace: "cd", Name: "cluster-v"}); got != want || build.ArgoCDNamespace(tenantSet(p)) != "cd" {
		t.Errorf("the cluster's Secret is %v in %s, want %v", got, build.ArgoCDNamespace(tenantSet(p)), want)
	}
	if got := build.ClusterSecretID(ownSet(p)); got != (plan.ID{}) {
		t.Errorf("a set without the cluster's Secret has %v", got)
	}
	virtuals := 0
	for _, item := range tenantSet(p).Items {
		if item.ID.Kind == "Application" && build.InstallsVirtualCluster(item.Object) {
			virtuals++
		}
	}
	if virtuals != 1 || build.InstallsVirtualCluster(itemOf(tenantSet(p), "AppProject", "cluster-v").Object) {
		t.Errorf("%d Applications install a virtual cluster, want 1", virtuals)
	}
}

func TestMiddlewareCopies(t *testing.T) {
	s := guide.Ready(t, newSnapshot(GuideClusters()[2]))
	item := itemOf(ownSet(mustCluster(t, s, "cluster-host")), "Middleware", "oauth")
	middleware, ok := item.Object.DeepCopyObject().(*traefik.Middleware)
	if diff := cmp.Diff(item.Object, client.Object(middleware)); !ok || diff != "" {
		t.Errorf("the copy differs (-original +copy):\n%s", diff)
	}
	middleware.Spec.ForwardAuth.AuthResponseHeaders[0] = "X-Other"
	middleware.Labels["x"] = "y"
	if cmp.Equal(item.Object, client.Object(middleware)) {
		t.Error("the copy shares its content")
	}
}

// The suffixes of distributions do not make a version older than its release.
func TestVersionSupported(t *testing.T) {
	for minimum, versions := range map[string]map[string]bool{
		"": {"v1.34.4": true, "v1.28.0-eks-1": true, "v1.27.16-eks-1": false},
		"1.30": {
			"v1.30.5-eks-ce1d5eb": true, "v1.30.5-gke.1443001": true, "v1.30.5+k3s1": true, "v1.30.5+rke2r1": true, "v1.30.0-eks-1": true,
			"1.30+": true, "v1.29.9-eks-1": false, "v1.29.9+k3s1": false, "v2.0.0": true, "": true, "main": true,
		},
		"1.30.5": {"v1.30.5-eks-1": true, "v1.30.4-gke.1": false, "v1.30.10+k3s1": true, "v1.31.0": true},
	} {
		objects := []client.Object{ComponentCatalogue()}
		objects[0].(*v1alpha1.ComponentCatalogue).Spec.MinimumKubernetesVersion = minimum
		for have, want := range versions {
			if got := build.VersionSupported(newSnapshot(objects...), have); got != want {
				t.Errorf("with the minimum %q, %q is supported: %v", minimum, have, got)
			}
		}
	}
}
