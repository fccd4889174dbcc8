package build_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
	. "nautes.io/nautes/test/testutil"
)

func newSnapshot(objects ...client.Object) *snapshot.Snapshot {
	return snapshot.New(Tenant, Namespace, objects...)
}

// everything returns all sets of some products in order: their namespaces on
// the tenant cluster, their spaces and their runtimes.
func everything(t *testing.T, s *snapshot.Snapshot, products ...string) []plan.Set {
	t.Helper()
	var sets []plan.Set
	for _, product := range products {
		if p := s.Product(product); p != nil {
			built, err := build.Product(s, p)
			if err != nil {
				t.Fatal(err)
			}
			sets = append(sets, built.Sets...)
		}
		for _, c := range s.Clusters() {
			set, _, err := spaceSets(s, product, c.Name)
			if err != nil {
				t.Fatal(err)
			}
			if len(set.Items)+len(set.Keep) > 0 {
				sets = append(sets, set)
			}
		}
		for _, r := range s.DeploymentRuntimes(product) {
			p, err := build.DeploymentRuntime(s, r)
			var missing *snapshot.MissingError
			var wrong *snapshot.RepositoryError
			if errors.As(err, &missing) || errors.As(err, &wrong) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			sets = append(sets, p.Sets...)
		}
		for _, r := range s.PipelineRuntimes(product) {
			if p, ok := pipelinePlan(t, s, r); ok {
				sets = append(sets, p.Sets...)
			}
		}
	}
	return sets
}

// pipelinePlan returns the plan of a pipeline runtime, and false if the rules refuse it
// or an object that it needs is missing.
func pipelinePlan(t *testing.T, s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime) (plan.Plan, bool) {
	t.Helper()
	p, err := build.PipelineRuntime(s, r)
	var missing *snapshot.MissingError
	if err == nil || errors.As(err, &missing) {
		return p.Plan, err == nil
	}
	if refusals, _ := validate.Run(s, validate.Request{New: r}); len(refusals) == 0 {
		t.Fatalf("%v: %v, and the rules have nothing against it", snapshot.RefOf(r), err)
	}
	return plan.Plan{}, false
}

// spaceSets returns the sets of a Space for its cluster and for Vault.
func spaceSets(s *snapshot.Snapshot, product, cluster string) (space, access plan.Set, err error) {
	built, err := build.Space(s, product, cluster)
	if err != nil {
		return plan.Set{}, plan.Set{}, err
	}
	return *built.On(plan.Cluster(cluster)), *built.On(plan.Vault(cluster)), nil
}

// repoOf returns the repository of a product, repo-1 for product-1: no two
// products have credentials of one name.
func repoOf(product string) string { return "repo-" + strings.TrimPrefix(product, "product-") }

// product returns a product on cluster c with a project, its repository and one
// deployed runtime.
func product(name string, more ...client.Object) []client.Object {
	return append([]client.Object{
		Product(name), Environment(name, "dev", "c"), Project(name, "api"), CodeRepo(name, repoOf(name), "api"),
		Deployed("c", DeploymentRuntime(name, "app", "dev", repoOf(name), For("api"))),
	}, more...)
}

func world(objects ...client.Object) []client.Object {
	return append([]client.Object{Cluster("c"), CodeRepoProvider(Provider)}, objects...)
}

// scenario is a tenant whose plans are kept as a golden file.
type scenario struct {
	objects []client.Object
	// products whose plans are in the file; product-1 when empty.
	products []string
}

func TestGolden(t *testing.T) {
	for name, test := range scenarios() {
		t.Run(name, func(t *testing.T) {
			if test.products == nil {
				test.products = []string{"product-1"}
			}
			got, err := SetsYAML(everything(t, newSnapshot(test.objects...), test.products...)...)
			if err != nil {
				t.Fatal(err)
			}
			Golden(t, name+".yaml", got)
		})
	}
}

func scenarios() map[string]scenario {
	long := strings.Repeat("a-very-long-name-", 3) + "of-a-thing"
	longProduct := "product-" + strings.Repeat("p", 50)
	native := Cluster("c", NativeTenancy)
	granting := Cluster("c", func(c *v1alpha1.Cluster) {
		c.Spec.ComponentsList.Deployment = &v1alpha1.Component{Name: "argocd", Namespace: "cd"}
		c.Spec.ReservedNamespacesAllowedProducts = map[string][]string{
			"hnc": {"team-1", "team-2"}, "argocd": {"team-1"}, "tekton": {"team-1"}, "vault": {"team-2"},
		}
		c.Spec.ProductAllowedClusterResources = map[string][]v1alpha1.ClusterResource{
			"team-1": {{Kind: "ClusterRole", Group: "authorization.k8s.io"}, {Kind: "PersistentVolume"}}, "team-2": {{Kind: "IngressClass", Group: "networking.k8s.io"}},
		}
		c.Status.ProductIDMap = map[string]string{"team-1": "product-1", "team-2": "product-2"}
	})
	http := CodeRepoProvider(Provider, func(p *v1alpha1.CodeRepoProvider) { p.Spec.SSHAddress = "" })
	public := CodeRepo("product-1", "repo-1", "api", func(r *v1alpha1.CodeRepo) {
		r.Spec.CodeRepoProvider, r.Spec.URL = "", "https://public.example.org/a/b.git"
	})
	gone := Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api")))
	gone.Spec.Destination.Namespaces = []string{"elsewhere"}
	lost := Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api")))
	lost.Status.Source = &v1alpha1.RuntimeSource{URL: "ssh://git@git.example.com:2222/team-1/code-repo-1.git", Permission: "readonly"}

	return map[string]scenario{
		"minimal": {objects: world(product("product-1")...)},
		"not-deployed-yet": {objects: world(product("product-1",
			DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api")),
			DeploymentRuntime("product-1", "denied", "dev", "repo-1"))...)},
		"several-namespaces": {objects: world(product("product-1",
			Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api"), Into("app", "shared"))),
			Deployed("c", DeploymentRuntime("product-1", "web", "dev", "repo-1", For("api"), Into("web", "shared"), As("app"))))...)},
		"native": {objects: append(world(product("product-1")...), native)},
		"two-products": {
			objects: world(append(product("product-1"), product("product-2",
				Deployed("c", DeploymentRuntime("product-2", "app", "dev", "repo-2", For("api"), Into("app", "app-2"))))...)...),
			products: []string{"product-1", "product-2"},
		},
		"names-that-collide": {
			objects: world(append(
				product("product-a", CodeRepo("product-a", "b-repo-a-b", "api"),
					Deployed("c", DeploymentRuntime("product-a", "b-c", "dev", "b-repo-a-b", For("api")))),
				product("product-a-b", Deployed("c", DeploymentRuntime("product-a-b", "c", "dev", "repo-a-b", For("api"), Into("c-2"))))...)...),
			products: []string{"product-a", "product-a-b"},
		},
		"shared-readonly": {objects: world(product("product-1", Project("product-1", "web"), Binding("product-1", "b", "repo-1", "readonly", "web"),
			Deployed("c", DeploymentRuntime("product-1", "web", "dev", "repo-1", For("web"))))...)},
		"shared-readwrite": {objects: world(product("product-1", CodeRepo("product-1", "repo-2", "web"), Binding("product-1", "b", "repo-2", "readwrite"),
			Deployed("c", DeploymentRuntime("product-1", "web", "dev", "repo-2")))...)},
		"revoked": {objects: world(product("product-1", CodeRepo("product-1", "repo-2", "web"), Deleting(Binding("product-1", "b", "repo-2", "readwrite")),
			Deployed("c", DeploymentRuntime("product-1", "web", "dev", "repo-2")))...)},
		"granted-by-the-cluster": {objects: append(world(product("product-1")...), granting)},
		"deleting": {objects: world(product("product-1",
			Deleting(Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api")))))...)},
		"moved-by-a-file": {objects: world(product("product-1", Cluster("d"), Environment("product-1", "dev", "d"), gone)...)},
		"http":            {objects: append(world(product("product-1")...), http)},
		"public":          {objects: world(product("product-1", public)...)},
		"provider-away":   {objects: product("product-1", Cluster("c"), lost)},
		"one-repository-twice": {objects: world(product("product-1", CodeRepo("product-1", "repo-2", "api", func(r *v1alpha1.CodeRepo) { r.Spec.RepoName = "code-repo-1" }),
			Deployed("c", DeploymentRuntime("product-1", "web", "dev", "repo-2", For("api"))))...)},
		"long-names": {
			objects: world(append(product("product-1", CodeRepo("product-1", long, "api"),
				Deployed("c", DeploymentRuntime("product-1", long, "dev", long, For("api")))), product(longProduct,
				Deployed("c", DeploymentRuntime(longProduct, "app", "dev", repoOf(longProduct), For("api"), Into("app-2"))))...)...),
			products: []string{"product-1", longProduct},
		},
		"group-that-is-none": {objects: world(product("product-1",
			Product("product-1", func(p *v1alpha1.Product) { p.Spec.Name = "system:masters" }), public)...)},
		"nothing-deployed": {objects: world(Product("product-1"), Environment("product-1", "dev", "c"), CodeRepo("product-1", "repo-1", ""))},
	}
}

// TestSameInputSameBytes holds that the order of the objects does not matter and
// that building changes none of them.
func TestSameInputSameBytes(t *testing.T) {
	for seed := range uint64(40) {
		w := NewWorld(seed)
		copies := make([]client.Object, 0, len(w.Objects))
		for _, o := range w.Objects {
			copies = append(copies, o.DeepCopyObject().(client.Object))
		}
		want, err := SetsJSON(everything(t, newSnapshot(w.Objects...), w.Products...)...)
		if err != nil {
			t.Fatal(err)
		}
		for again := range uint64(3) {
			got, err := SetsJSON(everything(t, newSnapshot(w.Shuffled(again)...), w.Products...)...)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(want, got) {
				t.Fatalf("world %d: shuffled objects give another plan (-want +got):\n%s", seed, cmp.Diff(string(want), string(got)))
			}
		}
		if diff := cmp.Diff(copies, w.Objects); diff != "" {
			t.Fatalf("world %d: building changed its objects (-before +after):\n%s", seed, diff)
		}
	}
}

// A group or a project that is renamed in GitLab is a new spec.name of the Product and a
// new repository URL: nothing that is built keeps the old name.
func TestRenamedGroup(t *testing.T) {
	r := Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api")))
	named := func(group string) string {
		s := newSnapshot(world(append(product("product-1"), r)...)...)
		renamed := s.Product("product-1").DeepCopy()
		renamed.Spec.Name = group
		repo := s.CodeRepo("product-1", "repo-1").DeepCopy()
		repo.Spec.RepoName = group + "-code"
		text, err := SetsYAML(everything(t, s.With(renamed).With(repo), "product-1")...)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before, after := named("first-group"), named("second-group")
	for _, one := range []string{"first-group", "/first-group/first-group-code.git"} {
		if !strings.Contains(before, one) || strings.Contains(after, one) {
			t.Errorf("%q must be in what is built before the change, and not after it", one)
		}
	}
	if diff := cmp.Diff(strings.ReplaceAll(before, "first-group", "second-group"), after); diff != "" {
		t.Errorf("more changed than the names (-want +got):\n%s", diff)
	}
}

func TestSpaceWithoutWhatItNeeds(t *testing.T) {
	tests := map[string]struct {
		objects []client.Object
		want    string
	}{
		"no product":                {objects: world(product("product-1")[1:]...), want: "Product"},
		"no cluster":                {objects: product("product-1", CodeRepoProvider(Provider)), want: "Cluster"},
		"no product and no runtime": {objects: world(Environment("product-1", "dev", "c"))},
		"no cluster and no runtime": {objects: []client.Object{Product("product-1"), Environment("product-1", "dev", "c")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			set, _, err := spaceSets(newSnapshot(test.objects...), "product-1", "c")
			var missing *snapshot.MissingError
			if errors.As(err, &missing) != (test.want != "") || missing != nil && missing.Missing.Kind != test.want {
				t.Errorf("error %v, want that a %q is missing", err, test.want)
			}
			if len(set.Items) > 0 {
				t.Errorf("the set has %d items, want none", len(set.Items))
			}
			if test.want == "" && (set.Owner != build.SpaceOwner("product-1") || set.Target != plan.Cluster("c")) {
				t.Errorf("the empty set is of %v on %v: it could not be pruned", set.Owner, set.Target)
			}
		})
	}
}

func TestDeploymentRuntime(t *testing.T) {
	r := Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api")))
	owner := build.RuntimeOwner(r)
	tests := map[string]struct {
		objects []client.Object
		runtime *v1alpha1.DeploymentRuntime
		// want is how many items each set has; nil when there is no set.
		want        []int
		wantMissing string
		wantField   string
	}{
		"deployed":             {objects: world(product("product-1")...), runtime: r, want: []int{1}},
		"not deployed":         {objects: world(product("product-1")...), runtime: DeploymentRuntime("product-1", "app", "dev", "repo-1"), want: []int{1}},
		"being deleted":        {objects: world(product("product-1")...), runtime: Deleting(r.DeepCopy()), want: []int{0}},
		"being deleted, alone": {runtime: Deleting(r.DeepCopy()), want: []int{0}},
		"being deleted before it was deployed": {
			objects: world(product("product-1")...), runtime: Deleting(DeploymentRuntime("product-1", "app", "dev", "repo-1")),
		},
		"without an environment": {objects: world(Product("product-1")), runtime: DeploymentRuntime("product-1", "app", "dev", "repo-1")},
		"without a cluster":      {objects: product("product-1", CodeRepoProvider(Provider)), runtime: r, wantMissing: "Cluster"},
		"without a repository":   {objects: world(Product("product-1")), runtime: r, wantMissing: "CodeRepo"},
		"without a provider":     {objects: product("product-1", Cluster("c")), runtime: r, wantMissing: "CodeRepoProvider"},
		"without a URL": {
			objects: world(product("product-1", CodeRepo("product-1", "repo-1", "api", func(r *v1alpha1.CodeRepo) { r.Spec.RepoName = "" }))...),
			runtime: r, wantField: "spec.repoName",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := build.DeploymentRuntime(newSnapshot(test.objects...), test.runtime)
			var missing *snapshot.MissingError
			var wrong *snapshot.RepositoryError
			if errors.As(err, &missing) != (test.wantMissing != "") || missing != nil && missing.Missing.Kind != test.wantMissing {
				t.Errorf("error %v, want that a %q is missing", err, test.wantMissing)
			}
			if errors.As(err, &wrong) != (test.wantField != "") || wrong != nil && wrong.Field != test.wantField {
				t.Errorf("error %v, want one about %q", err, test.wantField)
			}
			var got []int
			for _, set := range p.Sets {
				got = append(got, len(set.Items))
				if set.Owner != owner || set.Target != plan.Cluster("c") {
					t.Errorf("the set is of %v on %v", set.Owner, set.Target)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("items of each set (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpaceFacts(t *testing.T) {
	space, err := build.Space(newSnapshot(world(product("product-1")...)...), "product-1", "c")
	if err != nil {
		t.Fatal(err)
	}
	want := build.SpaceFacts{
		Namespaces:   []string{"app", "product-1"},
		Repositories: []string{"ssh://git@git.example.com:2222/team-1/code-repo-1.git"},
	}
	if diff := cmp.Diff(want, space.Facts); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
}

func TestProductThatIsDeleted(t *testing.T) {
	s := newSnapshot(world(product("product-1")...)...)
	got, err := build.Product(s, Deleting(Product("product-1")))
	want := []plan.Set{{Owner: build.ProductOwner("product-1"), Target: plan.Tenant}}
	if diff := cmp.Diff(want, got.Sets); diff != "" || err != nil {
		t.Errorf("the sets of a deleted product (-want +got):\n%s\nerror %v", diff, err)
	}
}

// TestArgoCDAccepts holds that Argo CD's own rules have nothing against the
// projects, and that they permit the product's applications and nothing beside.
func TestArgoCDAccepts(t *testing.T) {
	s := newSnapshot(world(append(product("product-1"), product("product-2",
		Deployed("c", DeploymentRuntime("product-2", "app", "dev", "repo-2", For("api"), Into("app-2"))))...)...)...)
	projects := map[string]*argocd.AppProject{}
	apps := map[string]*argocd.Application{}
	for _, set := range everything(t, s, "product-1", "product-2") {
		for _, item := range set.Items {
			switch o := item.Object.(type) {
			case *argocd.AppProject:
				projects[set.Owner.Product] = o
			case *argocd.Application:
				apps[set.Owner.Product] = o
			}
		}
	}
	for product, project := range projects {
		if err := project.ValidateProject(); err != nil {
			t.Errorf("project %s: %v", product, err)
		}
		if len(project.Spec.Roles) != 1 || project.Spec.Roles[0].Groups[0] != Group(product) {
			t.Errorf("project %s has the roles %v", product, project.Spec.Roles)
		}
		for owner, app := range apps {
			source := project.IsSourcePermitted(*app.Spec.Source)
			destination, err := project.IsDestinationPermitted(app.Spec.Destination, nil)
			if err != nil {
				t.Fatal(err)
			}
			if want := owner == product; source != want || destination != want {
				t.Errorf("project %s permits the source %v and the destination %v of %s, want %v", product, source, destination, app.Name, want)
			}
		}
		for _, kind := range project.Spec.NamespaceResourceBlacklist {
			if kind.Group != "hnc.x-k8s.io" {
				t.Errorf("unexpected kind %v", kind)
			}
		}
	}
	if len(projects) != 2 || len(apps) != 2 {
		t.Errorf("%d projects and %d applications, want 2 and 2", len(projects), len(apps))
	}
}

func BenchmarkSpace(b *testing.B) {
	for _, runtimes := range []int{10, 100, 1000} {
		objects := BigProduct(runtimes)
		run := func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := build.Space(newSnapshot(objects...), "product-1", "c"); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.Run(fmt.Sprint(runtimes), run)
		for _, o := range objects {
			if r, ok := o.(*v1alpha1.DeploymentRuntime); ok {
				r.Status.Target = nil
			}
		}
		b.Run(fmt.Sprintf("%d/new", runtimes), run)
	}
}
