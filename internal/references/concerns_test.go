package references_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/test/testutil"
)

// A change of a status that only people read enqueues no other object.
func TestConcerns(t *testing.T) {
	now := metav1.Now()
	pipeline := func(change func(*v1alpha1.ProjectPipelineRuntime)) v1alpha1.Object {
		r := testutil.PipelineRuntime("product-1", "r", "app", "dev", "repo-1")
		r.Generation = 1
		r.Status.Target = &v1alpha1.RuntimeTarget{Cluster: "c", Namespaces: []string{"n"}}
		change(r)
		return r
	}
	product := func(change func(*v1alpha1.Product)) v1alpha1.Object {
		p := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: testutil.Namespace, Name: "product-1"}}
		change(p)
		return p
	}
	confirmed := func(revision string) func(*v1alpha1.Product) {
		return func(p *v1alpha1.Product) {
			p.Annotations = map[string]string{v1alpha1.AnnotationConfirmPrune: "2"}
			p.Status.Sync = &v1alpha1.SyncStatus{Revision: revision}
		}
	}
	cluster := func(change func(*v1alpha1.Cluster)) v1alpha1.Object {
		c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: testutil.Namespace, Name: "c"}}
		change(c)
		return c
	}
	none := func(*v1alpha1.ProjectPipelineRuntime) {}
	for name, test := range map[string]struct {
		kind    string
		was, is v1alpha1.Object
		want    bool
	}{
		"nothing":             {kind: "Space", was: pipeline(none), is: pipeline(none)},
		"a run":               {kind: "Space", was: pipeline(none), is: pipeline(func(r *v1alpha1.ProjectPipelineRuntime) { r.Status.Runs = []v1alpha1.PipelineRunStatus{{Name: "x"}} })},
		"the spec":            {kind: "Space", was: pipeline(none), is: pipeline(func(r *v1alpha1.ProjectPipelineRuntime) { r.Generation = 2 }), want: true},
		"a deletion":          {kind: "Space", was: pipeline(none), is: pipeline(func(r *v1alpha1.ProjectPipelineRuntime) { r.DeletionTimestamp = &now }), want: true},
		"a label":             {kind: "Space", was: pipeline(none), is: pipeline(func(r *v1alpha1.ProjectPipelineRuntime) { r.Labels = map[string]string{"a": "b"} }), want: true},
		"a move":              {kind: "Space", was: pipeline(none), is: pipeline(func(r *v1alpha1.ProjectPipelineRuntime) { r.Status.Target.Namespaces = []string{"m"} }), want: true},
		"a record":            {kind: "Space", was: pipeline(none), is: pipeline(func(r *v1alpha1.ProjectPipelineRuntime) { r.Status.Deployed = &v1alpha1.DeployedSpec{Generation: 1} }), want: true},
		"a revision":          {kind: "Space", was: product(func(*v1alpha1.Product) {}), is: product(func(p *v1alpha1.Product) { p.Status.Sync = &v1alpha1.SyncStatus{Revision: "1"} })},
		"a confirmed one":     {kind: "Space", was: product(confirmed("1")), is: product(confirmed("2")), want: true},
		"a confirmation":      {kind: "Space", was: product(func(*v1alpha1.Product) {}), is: product(confirmed("2")), want: true},
		"a confirming commit": {kind: "Space", was: product(func(*v1alpha1.Product) {}), is: product(func(p *v1alpha1.Product) { p.Status.Sync = &v1alpha1.SyncStatus{PruneConfirmed: true} }), want: true},
		"a component":         {kind: "Cluster", was: cluster(func(*v1alpha1.Cluster) {}), is: cluster(func(c *v1alpha1.Cluster) { c.Status.Warnings = []string{"w"} })},
		"its runtimes":        {kind: "DeploymentRuntime", was: cluster(func(*v1alpha1.Cluster) {}), is: cluster(func(c *v1alpha1.Cluster) { c.Status.Warnings = []string{"w"} }), want: true},
		"a connected cluster": {kind: "Cluster", was: cluster(func(*v1alpha1.Cluster) {}), is: cluster(func(c *v1alpha1.Cluster) { c.Status.Connection = &v1alpha1.ConnectionStatus{UID: "u"} }), want: true},
	} {
		if got := references.Concerns(test.kind, test.was, test.is); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// A warning about a second object of a kind goes when the first one goes.
func TestReadersOfSiblings(t *testing.T) {
	first, second := testutil.Environment("product-1", "first", "c"), testutil.Environment("product-1", "second", "c")
	elsewhere, others := testutil.Environment("product-1", "elsewhere", "d"), testutil.Environment("product-2", "others", "c")
	url := func(url string) func(*v1alpha1.CodeRepo) { return func(r *v1alpha1.CodeRepo) { r.Spec.URL = url } }
	derived := testutil.CodeRepo("product-1", "derived", "")
	written := testutil.CodeRepo("product-1", "written", "", url("https://git.example.com/team-1/code-derived.git"))
	short := testutil.CodeRepo("product-1", "short", "", url("https://git.example.com/team-1/code-derived"))
	another := testutil.CodeRepo("product-1", "another", "")
	catalogue, cluster := testutil.ComponentCatalogue(), testutil.Cluster("c")
	world := objects{}
	for _, o := range []v1alpha1.Object{first, second, elsewhere, others, derived, written, short, another, catalogue, cluster} {
		world[references.RefOf(o)] = o
	}
	repo := func(name string) plan.Ref { return plan.Ref{Kind: "CodeRepo", Namespace: "product-1", Name: name} }
	for name, test := range map[string]struct {
		of   v1alpha1.Object
		kind string
		want []plan.Ref
	}{
		"environments on a cluster": {of: first, kind: "Environment", want: []plan.Ref{references.RefOf(second)}},
		"one on another cluster":    {of: elsewhere, kind: "Environment"},
		"a derived URL":             {of: derived, kind: "CodeRepo", want: []plan.Ref{repo("short"), repo("written")}},
		"a written URL":             {of: written, kind: "CodeRepo", want: []plan.Ref{repo("derived"), repo("short")}},
		"another URL":               {of: another, kind: "CodeRepo"},
		"a choice of components":    {of: cluster, kind: "ComponentCatalogue", want: []plan.Ref{references.RefOf(catalogue)}},
	} {
		if diff := cmp.Diff(test.want, references.Readers(world, test.of, test.kind), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	connected := cluster.DeepCopy()
	connected.Status.Connection = nil
	if references.Concerns("ComponentCatalogue", cluster, connected) {
		t.Error("the catalogue is reconciled whenever a cluster is connected")
	}
}

// A CodeRepo whose keys are made has the keys of the other repositories of its product, and
// one that a runtime deploys has a hook.
func TestReadersOfRepositories(t *testing.T) {
	kept := func(r *v1alpha1.CodeRepo) { r.Status.DeployKeys = &v1alpha1.DeployKeys{Provider: "p", Repository: 1} }
	first, second := testutil.CodeRepo("product-1", "repo-1", "", kept), testutil.CodeRepo("product-1", "repo-2", "", kept)
	plain, elsewhere := testutil.CodeRepo("product-1", "repo-3", ""), testutil.CodeRepo("product-2", "repo-4", "", kept)
	binding := testutil.Binding("product-1", "grant", "repo-3", v1alpha1.PermissionReadOnly)
	runtime := testutil.DeploymentRuntime("product-1", "dr", "dev", "repo-3")
	world := objects{}
	for _, o := range []v1alpha1.Object{first, second, plain, elsewhere, binding, runtime} {
		world[references.RefOf(o)] = o
	}
	for name, test := range map[string]struct {
		of   v1alpha1.Object
		want []plan.Ref
	}{
		"one with keys":    {of: first, want: []plan.Ref{references.RefOf(second)}},
		"one without keys": {of: plain, want: []plan.Ref{references.RefOf(first), references.RefOf(second)}},
		"another product":  {of: elsewhere},
		"a binding":        {of: binding, want: []plan.Ref{references.RefOf(first), references.RefOf(second)}},
		"a runtime":        {of: runtime, want: []plan.Ref{references.RefOf(plain)}},
	} {
		if diff := cmp.Diff(test.want, references.Readers(world, test.of, "CodeRepo"), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	rotated := first.DeepCopy()
	rotated.Status.DeployKeys.Rotated = "1"
	for kind, want := range map[string]bool{"CodeRepo": true, "Space": false} {
		if got := references.Concerns(kind, first, rotated); got != want {
			t.Errorf("rotated keys concern a %s: %t, want %t", kind, got, want)
		}
	}
}

// A used object is reconciled for its users only while it waits to be deleted.
func TestReadersOfUsers(t *testing.T) {
	now := metav1.Now()
	hook := func(name string, deleted *metav1.Time) *v1alpha1.PipelineHook {
		return &v1alpha1.PipelineHook{ObjectMeta: metav1.ObjectMeta{Namespace: testutil.Namespace, Name: name, DeletionTimestamp: deleted}}
	}
	environment := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "dev"}, Spec: v1alpha1.EnvironmentSpec{Cluster: "c"}}
	space := &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "c"}, Spec: v1alpha1.SpaceSpec{Product: "product-1", Cluster: "c"}}
	r := testutil.PipelineRuntime("product-1", "r", "app", "dev", "repo-1")
	r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: "staying"}, {Name: "unknown"}}, PostHooks: []v1alpha1.Hook{{Name: "going"}}}
	other := testutil.PipelineRuntime("product-2", "r", "app", "dev", "repo-1")
	world := objects{}
	for _, o := range []v1alpha1.Object{hook("staying", nil), hook("going", &now), environment, space, r, other} {
		world[references.RefOf(o)] = o
	}
	for name, test := range map[string]struct {
		of   v1alpha1.Object
		kind string
		want []plan.Ref
	}{
		"hooks":            {of: r, kind: "PipelineHook", want: []plan.Ref{{Kind: "PipelineHook", Namespace: testutil.Namespace, Name: "going"}}},
		"the environment":  {of: r, kind: "Environment", want: []plan.Ref{{Kind: "Environment", Namespace: "product-1", Name: "dev"}}},
		"the space":        {of: r, kind: "Space", want: []plan.Ref{{Kind: "Space", Namespace: "product-1", Name: "c"}}},
		"of the space":     {of: space, kind: "ProjectPipelineRuntime", want: []plan.Ref{{Kind: "ProjectPipelineRuntime", Namespace: "product-1", Name: "r"}}},
		"of another space": {of: &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: "product-2", Name: "c"}}, kind: "ProjectPipelineRuntime"},
		"not the asked":    {of: r, kind: "Project"},
	} {
		if diff := cmp.Diff(test.want, references.Readers(world, test.of, test.kind), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
