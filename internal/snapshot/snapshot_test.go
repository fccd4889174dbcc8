package snapshot_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

func newSnapshot(objects ...client.Object) *snapshot.Snapshot {
	return snapshot.New(Tenant, Namespace, objects...)
}

func refs(names ...string) []plan.Ref {
	var list []plan.Ref
	for i := 0; i < len(names); i += 3 {
		list = append(list, plan.Ref{Kind: names[i], Namespace: names[i+1], Name: names[i+2]})
	}
	return list
}

func TestLookup(t *testing.T) {
	s := newSnapshot(
		Environment("product-1", "test", "c"), Environment("product-1", "dev", "c"), Environment("product-2", "dev", "c"),
		Cluster("c"), Project("product-1", "api"), &corev1.Pod{},
		// A tenant's object in a product's namespace does not count.
		func() client.Object { c := Cluster("sneaked"); c.Namespace = "product-1"; return c }(),
	)
	var names []string
	for _, e := range s.Environments("product-1") {
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"dev", "test"}, names); diff != "" {
		t.Errorf("environments of product-1, in name order (-want +got):\n%s", diff)
	}
	if e := s.Environment("product-2", "test"); e != nil {
		t.Errorf("product-2 sees the environment %s of product-1", e.Name)
	}
	if s.Cluster("c") == nil || s.Cluster("sneaked") != nil {
		t.Errorf("clusters count only in the operator's namespace, got %v", s.Clusters())
	}
	if p := s.Project("product-1", "absent"); p != nil {
		t.Errorf("an absent project is %v, want nil", p)
	}
	s = newSnapshot(ProductProvider("finder", Provider), PipelineRuntime("product-1", "pipe", "api", "dev", "repo"),
		space("product-1", "c"))
	if s.Space("product-1", "c") == nil || s.Space("product-2", "c") != nil || s.ProductProvider("finder") == nil || s.PipelineRuntime("product-1", "pipe") == nil || s.PipelineRuntime("product-2", "pipe") != nil {
		t.Errorf("an object is not found, or found elsewhere")
	}
}

func TestLookupOfEveryKind(t *testing.T) {
	objects := map[string]client.Object{
		"Product": Product("product-1"), "ProductProvider": ProductProvider("o", "gitlab"), "CodeRepoProvider": CodeRepoProvider("o"),
		"Cluster": Cluster("o"), "PipelineHook": PipelineHook("o"), "ComponentCatalogue": ComponentCatalogue(), "Environment": Environment("product-1", "o", "c"),
		"Project": Project("product-1", "o"), "CodeRepo": CodeRepo("product-1", "o", ""),
		"CodeRepoBinding":        Binding("product-1", "o", "o", "readonly"),
		"ArtifactRepo":           ArtifactRepo("product-1", "o", "readonly"),
		"DeploymentRuntime":      DeploymentRuntime("product-1", "o", "e", "o"),
		"ProjectPipelineRuntime": PipelineRuntime("product-1", "o", "p", "e", "o"),
		"Space":                  space("product-1", "o"),
	}
	found := func(s *snapshot.Snapshot) map[string]int {
		count := map[string]int{}
		s.Each(func(o client.Object) { count[snapshot.RefOf(o).Kind]++ })
		return count
	}
	if len(objects) != len(references.Kinds()) {
		t.Errorf("%d kinds are tested, and there are %d", len(objects), len(references.Kinds()))
	}
	for kind, o := range objects {
		t.Run(kind, func(t *testing.T) {
			s := newSnapshot(o)
			if diff := cmp.Diff(map[string]int{kind: 1}, found(s)); diff != "" {
				t.Errorf("lists (-want +got):\n%s", diff)
			}
			if s.Stored(o) != o || !s.Holds(o) {
				t.Errorf("the object is not stored")
			}
			if got := snapshot.RefOf(o); got.Kind != kind || got.Name != o.GetName() {
				t.Errorf("RefOf = %v", got)
			}
			if s.Holds(nil) || len(found(newSnapshot().Without(o))) != 0 {
				t.Errorf("an object that is not there is held")
			}
			if without := s.Without(o); len(found(without)) != 0 || s.Stored(o) != o {
				t.Errorf("Without leaves %v, and the original has %v", found(without), found(s))
			}
		})
	}
}

func TestWithLeavesTheOriginalAlone(t *testing.T) {
	old := Environment("product-1", "dev", "a")
	s := newSnapshot(old, Environment("product-1", "test", "a"))
	next := s.With(Environment("product-1", "dev", "b")).With(Environment("product-1", "alpha", "b"))

	describe := func(s *snapshot.Snapshot) (list []string) {
		for _, e := range s.Environments("product-1") {
			list = append(list, e.Name+" on "+e.Spec.Cluster)
		}
		return list
	}
	if diff := cmp.Diff([]string{"alpha on b", "dev on b", "test on a"}, describe(next)); diff != "" {
		t.Errorf("with changes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"dev on a", "test on a"}, describe(s)); diff != "" {
		t.Errorf("the original changed (-want +got):\n%s", diff)
	}
	if !s.Holds(old) || next.Holds(old) {
		t.Errorf("Holds must distinguish the object itself from another one with its name")
	}
	if s.With(&corev1.Pod{}) != s {
		t.Errorf("an object of another kind must change nothing")
	}
}

// TestConcurrentUse fails under -race if two snapshots write to shared memory.
func TestConcurrentUse(t *testing.T) {
	objects := []client.Object{Cluster("c"), Environment("product-1", "dev", "c")}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		objects = append(objects, DeploymentRuntime("product-1", name, "dev", "r"))
	}
	s := newSnapshot(objects...)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			name := fmt.Sprintf("runtime-%d", i)
			next := s.With(DeploymentRuntime("product-1", name, "dev", "r"))
			if len(next.DeploymentRuntimes("product-1")) != 6 || next.DeploymentRuntime("product-1", name) == nil {
				t.Errorf("%s is not in its own snapshot", name)
			}
			if len(s.Claims("c", "a")) != 1 {
				t.Errorf("claims of the original changed")
			}
		})
	}
	group.Wait()
}

func TestOrderDoesNotMatter(t *testing.T) {
	world := NewWorld(7)
	describe := func(objects []client.Object) (lines []string) {
		s := newSnapshot(objects...)
		for _, product := range world.Products {
			for _, r := range s.DeploymentRuntimes(product) {
				target, ok := s.EffectiveTarget(r)
				lines = append(lines, fmt.Sprint(product, r.Name, target, ok, s.RuntimePermission(r), s.UsersOf(r)))
				for _, namespace := range target.Namespaces {
					for _, c := range s.Claims(target.Cluster, namespace) {
						lines = append(lines, fmt.Sprint(c.Runtime, c.LosesTo))
					}
				}
			}
		}
		return lines
	}
	want := describe(world.Objects)
	for seed := range uint64(10) {
		if diff := cmp.Diff(want, describe(world.Shuffled(seed))); diff != "" {
			t.Fatalf("shuffled objects answer differently (-want +got):\n%s", diff)
		}
	}
}

func space(product, cluster string) *v1alpha1.Space {
	return &v1alpha1.Space{
		ObjectMeta: metav1.ObjectMeta{Namespace: product, Name: cluster}, Spec: v1alpha1.SpaceSpec{Product: product, Cluster: cluster},
	}
}

// TestOlder holds who comes first: who was created first, then by namespace, name
// and kind; who does not exist yet comes last.
func TestOlder(t *testing.T) {
	unborn := func(name string) *v1alpha1.Project {
		p := Project("product-1", name)
		p.CreationTimestamp = metav1.Time{}
		return p
	}
	// Each is older than the next.
	order := []client.Object{
		At(1, Project("product-2", "z")), At(2, Project("product-1", "b")), At(2, Project("product-2", "a")), At(2, CodeRepo("product-2", "b", "")),
		At(2, Project("product-2", "b")), unborn("a"), unborn("b"),
	}
	for i, a := range order {
		for k, b := range order {
			if got := snapshot.Older(a, b); got != (i < k) {
				t.Errorf("Older(%v, %v) = %t", snapshot.RefOf(a), snapshot.RefOf(b), got)
			}
		}
	}
}

func TestProductByName(t *testing.T) {
	group := func(name string) func(*v1alpha1.Product) {
		return func(p *v1alpha1.Product) { p.Spec.Name = name }
	}
	s := newSnapshot(At(2, Product("product-1", group("team"))), At(1, Product("product-2", group("team"))), At(3, Product("product-4", group("team"))), Product("product-3"))
	if got := s.ProductByName("team"); got == nil || got.Name != "product-2" {
		t.Errorf("ProductByName(team) = %v, want the oldest, product-2", got)
	}
	if got := s.ProductByName("absent"); got != nil {
		t.Errorf("ProductByName(absent) = %v, want nil", got)
	}
}

func TestClusterTwin(t *testing.T) {
	first, second, other := Cluster("z-first"), At(5, Cluster("a-second")), Cluster("other")
	second.Status.Connection.UID = first.Status.Connection.UID
	unknown := At(9, Cluster("unknown", func(c *v1alpha1.Cluster) { c.Status.Connection = nil }))
	s := newSnapshot(first, second, other, unknown, At(3, Cluster("unknown-too", func(c *v1alpha1.Cluster) { c.Status.Connection = nil })))
	nameless := func(name string, minute int) *v1alpha1.Cluster {
		return At(minute, Cluster(name, func(c *v1alpha1.Cluster) { c.Status.Connection = &v1alpha1.ConnectionStatus{} }))
	}
	half := nameless("half", 9)
	s = s.With(nameless("half-too", 3)).With(half)
	third := At(7, Cluster("third", func(c *v1alpha1.Cluster) { c.Status.Connection.UID = first.Status.Connection.UID }))
	s = s.With(third).With(At(6, Cluster("zz-late", func(c *v1alpha1.Cluster) { c.Status.Connection.UID = first.Status.Connection.UID })))
	file := first.DeepCopy()
	file.CreationTimestamp.Reset()
	tests := map[string]struct {
		cluster *v1alpha1.Cluster
		want    *v1alpha1.Cluster
	}{
		"the third is a twin of the oldest": {cluster: third, want: first},
		"clusters without a UID":            {cluster: half},
		"the older one has no twin":         {cluster: first},
		"a file of the older one":           {cluster: file, want: second},
		"the younger one is the twin":       {cluster: second, want: first},
		"another cluster":                   {cluster: other},
		"clusters that never connected":     {cluster: unknown},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := s.ClusterTwin(test.cluster); got != test.want {
				t.Errorf("ClusterTwin = %v, want %v", got, test.want)
			}
		})
	}
}

func TestPermission(t *testing.T) {
	owned, whole := CodeRepo("product-1", "repo", "api"), CodeRepo("product-1", "repo", "")
	foreign := CodeRepo("product-1", "repo", "api", func(r *v1alpha1.CodeRepo) { r.Spec.Product = "product-2" })
	binding := func(p v1alpha1.Permission, projects ...string) client.Object {
		return Binding("product-1", string(p)+fmt.Sprint(len(projects)), "repo", p, projects...)
	}
	elsewhere := Binding("product-2", "b", "repo", "readwrite")
	elsewhere.Spec.Product = "product-1"
	outward := Binding("product-1", "b", "repo", "readwrite")
	outward.Spec.Product = "product-2"
	unnamed := func(r *v1alpha1.CodeRepo) *v1alpha1.CodeRepo {
		r.Spec.Product = ""
		return r
	}
	unnamedBinding := Binding("product-1", "b", "repo", "readonly", "web")
	unnamedBinding.Spec.Product = ""
	tests := map[string]struct {
		objects []client.Object
		project string
		want    v1alpha1.Permission
	}{
		"no repository":                                  {project: "api"},
		"the owner":                                      {objects: []client.Object{owned}, project: "api", want: "readwrite"},
		"the owner of one that is being deleted":         {objects: []client.Object{Deleting(owned.DeepCopy())}, project: "api", want: "readwrite"},
		"another project":                                {objects: []client.Object{owned}, project: "web"},
		"the product, of its own repository":             {objects: []client.Object{whole}, want: "readwrite"},
		"the product, of a project's repository":         {objects: []client.Object{owned}},
		"a project, of the product's repository":         {objects: []client.Object{whole}, project: "api"},
		"a binding for the project":                      {objects: []client.Object{owned, binding("readonly", "web")}, project: "web", want: "readonly"},
		"a binding for another project":                  {objects: []client.Object{owned, binding("readonly", "cli")}, project: "web"},
		"a binding for all, for a project":               {objects: []client.Object{owned, binding("readonly")}, project: "web", want: "readonly"},
		"a binding for all, for the product":             {objects: []client.Object{owned, binding("readonly")}, want: "readonly"},
		"a binding for a project, for the product":       {objects: []client.Object{owned, binding("readwrite", "web")}},
		"the strongest of two":                           {objects: []client.Object{owned, binding("readonly"), binding("readwrite", "web")}, project: "web", want: "readwrite"},
		"a binding that is being deleted":                {objects: []client.Object{owned, Deleting(binding("readonly"))}, project: "web"},
		"a binding in another product's namespace":       {objects: []client.Object{owned, elsewhere}, project: "web"},
		"a binding to another product":                   {objects: []client.Object{owned, outward}, project: "web"},
		"a repository and a binding without a product":   {objects: []client.Object{unnamed(owned.DeepCopy()), unnamedBinding}, project: "web", want: "readonly"},
		"a repository that says it is another product's": {objects: []client.Object{foreign}, project: "api"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := newSnapshot(test.objects...).Permission("product-1", test.project, "repo"); got != test.want {
				t.Errorf("Permission = %q, want %q", got, test.want)
			}
		})
	}
}

func TestRuntimePermission(t *testing.T) {
	s := newSnapshot(CodeRepo("product-1", "repo", "api"), Binding("product-1", "b", "repo", "readonly", "web"))
	tests := map[string]struct {
		projects []string
		want     v1alpha1.Permission
	}{
		"the owner":            {projects: []string{"api"}, want: "readwrite"},
		"the weakest of two":   {projects: []string{"api", "web"}, want: "readonly"},
		"one without":          {projects: []string{"api", "cli"}},
		"the product as whole": {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := s.RuntimePermission(DeploymentRuntime("product-1", "r", "dev", "repo", For(test.projects...))); got != test.want {
				t.Errorf("RuntimePermission = %q, want %q", got, test.want)
			}
		})
	}
}

// A pipeline runtime reads its pipeline files, and never writes.
func TestPermissionOfPipelines(t *testing.T) {
	s := newSnapshot(CodeRepo("product-1", "repo", "api"))
	if got := s.RuntimePermission(PipelineRuntime("product-1", "pipe", "api", "dev", "repo")); got != v1alpha1.PermissionReadOnly {
		t.Errorf("RuntimePermission = %q, want readonly", got)
	}
}

// TestIllegalEventSources holds that each event source is judged by itself.
func TestIllegalEventSources(t *testing.T) {
	listens := func(name, repo string) v1alpha1.EventSource {
		return v1alpha1.EventSource{Name: name, GitLab: &v1alpha1.GitLabEventSource{RepoName: repo}}
	}
	r := PipelineRuntime("product-1", "pipe", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
		r.Spec.EventSources = []v1alpha1.EventSource{
			listens("unsure", "unsure"), listens("theirs", "theirs"), listens("mine", "mine"), listens("absent", "absent"), listens("elsewhere", "elsewhere"), listens("public", "public"),
			{Name: "night", Calendar: &v1alpha1.CalendarEventSource{Schedule: "@daily"}},
		}
	})
	on := func(provider string) func(*v1alpha1.CodeRepo) {
		return func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = provider }
	}
	hub := CodeRepoProvider("hub", func(p *v1alpha1.CodeRepoProvider) { p.Spec.ProviderType = "github" })
	s := newSnapshot(Product("product-1"), CodeRepoProvider("gitlab"), hub, CodeRepo("product-1", "elsewhere", "api", on("hub")),
		CodeRepo("product-1", "public", "api", on(""), func(r *v1alpha1.CodeRepo) { r.Spec.URL = "https://public.example.org/a/b" }), CodeRepo("product-1", "mine", "api"), CodeRepo("product-1", "theirs", "web"),
		CodeRepo("product-1", "unsure", "api", on("away")), r)
	if _, err := s.EventSourceRefusal(r, r.Spec.EventSources[0]); err == nil {
		t.Error("an event source whose provider is missing is decided")
	}
	var got []string
	for _, illegal := range s.IllegalEventSources(r) {
		got = append(got, illegal.EventSource)
	}
	if want := []string{"theirs", "absent", "elsewhere", "public"}; !slices.Equal(got, want) {
		t.Errorf("illegal are %v, want %v", got, want)
	}
}

func TestUsersOf(t *testing.T) {
	pipeline := PipelineRuntime("product-1", "pipe", "api", "ci", "repo-2", func(r *v1alpha1.ProjectPipelineRuntime) {
		r.Spec.Hooks = &v1alpha1.Hooks{PostHooks: []v1alpha1.Hook{{Name: "lint"}}}
		r.Spec.AdditionalResources = &v1alpha1.AdditionalResources{Git: &v1alpha1.AdditionalResourcesGit{CodeRepo: "repo-3"}}
	})
	listener := PipelineRuntime("product-1", "listener", "cli", "other", "repo-2", func(r *v1alpha1.ProjectPipelineRuntime) {
		r.Spec.EventSources[0].GitLab.RepoName = "repo-4"
		r.Status.Target = &v1alpha1.RuntimeTarget{Environment: "past", Cluster: "past", Namespaces: []string{"listener"}}
	})
	lister := Product("product-3", func(p *v1alpha1.Product) { p.Status.Spaces = []v1alpha1.ProductSpace{{Cluster: "held"}} })
	moved := Deployed("old", DeploymentRuntime("product-1", "moved", "dev", "repo-1"))
	moved.Status.Target.Environment = "gone"
	s := newSnapshot(
		CodeRepoProvider("gitlab"), ProductProvider("finder", "gitlab"), Cluster("c"), Cluster("old"), Cluster("host", HostCluster),
		Cluster("virtual", func(c *v1alpha1.Cluster) { c.Spec.HostCluster = "host" }),
		Environment("product-1", "dev", "c"), Environment("product-1", "ci", "c"), Environment("product-2", "dev", "c"),
		Project("product-1", "api"), CodeRepo("product-1", "repo-1", "api"), Binding("product-1", "share", "repo-1", "readonly", "web"),
		DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api")), Deleting(DeploymentRuntime("product-1", "going", "dev", "repo-9")),
		moved, pipeline, PipelineHook("lint"), listener, lister, space("product-3", "held"), space("product-4", "held"),
		Environment("product-3", "held", "held"), Cluster("itself", func(c *v1alpha1.Cluster) { c.Spec.HostCluster = "itself" }),
	)
	tests := map[string]struct {
		of   v1alpha1.Object
		want []plan.Ref
	}{
		"a cluster": {of: Cluster("c"), want: refs(
			"DeploymentRuntime", "product-1", "app", "Environment", "product-1", "ci", "Environment", "product-1", "dev", "Environment", "product-2", "dev",
			"ProjectPipelineRuntime", "product-1", "pipe")},
		"a cluster that is only on record": {of: Cluster("old"), want: refs("DeploymentRuntime", "product-1", "moved")},
		"a cluster that a pipeline is on":  {of: Cluster("past"), want: refs("ProjectPipelineRuntime", "product-1", "listener")},
		"a cluster with spaces":            {of: Cluster("held"), want: refs("Environment", "product-3", "held", "Product", Namespace, "product-3", "Space", "product-4", "held")},
		"a cluster that names itself":      {of: Cluster("itself")},
		"a host":                           {of: Cluster("host"), want: refs("Cluster", Namespace, "virtual")},
		"an environment": {of: Environment("product-1", "dev", "c"), want: refs(
			"DeploymentRuntime", "product-1", "app", "DeploymentRuntime", "product-1", "going", "DeploymentRuntime", "product-1", "moved")},
		"an environment of pipelines":           {of: Environment("product-1", "ci", "c"), want: refs("ProjectPipelineRuntime", "product-1", "pipe")},
		"an environment that is only on record": {of: Environment("product-1", "gone", "c"), want: refs("DeploymentRuntime", "product-1", "moved")},
		"an environment of another product":     {of: Environment("product-2", "dev", "c")},
		"a project": {of: Project("product-1", "api"), want: refs(
			"CodeRepo", "product-1", "repo-1", "DeploymentRuntime", "product-1", "app", "ProjectPipelineRuntime", "product-1", "pipe")},
		"a project with a binding": {of: Project("product-1", "web"), want: refs("CodeRepoBinding", "product-1", "share")},
		"a repository": {of: CodeRepo("product-1", "repo-1", ""), want: refs(
			"CodeRepoBinding", "product-1", "share", "DeploymentRuntime", "product-1", "app", "DeploymentRuntime", "product-1", "moved")},
		"an environment that a pipeline was in":   {of: Environment("product-1", "past", "c"), want: refs("ProjectPipelineRuntime", "product-1", "listener")},
		"a repository of pipelines":               {of: CodeRepo("product-1", "repo-2", ""), want: refs("ProjectPipelineRuntime", "product-1", "listener", "ProjectPipelineRuntime", "product-1", "pipe")},
		"a repository of an event source":         {of: CodeRepo("product-1", "repo-4", ""), want: refs("ProjectPipelineRuntime", "product-1", "listener")},
		"a repository of additional resources":    {of: CodeRepo("product-1", "repo-3", ""), want: refs("ProjectPipelineRuntime", "product-1", "pipe")},
		"a repository of that name elsewhere":     {of: CodeRepo("product-2", "repo-1", "")},
		"a hook":                                  {of: PipelineHook("lint"), want: refs("ProjectPipelineRuntime", "product-1", "pipe")},
		"a provider":                              {of: CodeRepoProvider("gitlab"), want: refs("CodeRepo", "product-1", "repo-1", "ProductProvider", Namespace, "finder")},
		"a product, which nothing holds":          {of: Product("product-1")},
		"a binding, which is revoked at any time": {of: Binding("product-1", "share", "repo-1", "readonly")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, s.UsersOf(test.of)); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheListIsTheCallers(t *testing.T) {
	s := newSnapshot(Project("product-1", "a"), Project("product-1", "b"))
	slices.Reverse(s.Projects("product-1"))
	if got := s.Projects("product-1")[0].Name; got != "a" {
		t.Errorf("the first project is %s: a caller changed the snapshot", got)
	}
}
