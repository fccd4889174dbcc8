package validate_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
	. "nautes.io/nautes/test/testutil"
)

// verdict is one case of a table: a change of the world of base, with objects laid
// over it, and without others.
type verdict struct {
	objects []client.Object
	without []client.Object
	old     v1alpha1.Object
	new     v1alpha1.Object
	// want lists the errors as "reason field".
	want []string
	// wantText must be in the text of the errors, wantWarning in the one warning.
	wantText, wantWarning string
}

// base is a world in which everything that the tables build is in order.
func base() []client.Object {
	return []client.Object{
		Product("product-1"), Product("product-2"), CodeRepoProvider(Provider),
		Cluster("c"), Cluster("ci", PipelineWorker), Cluster("host", HostCluster),
		Environment("product-1", "dev", "c"), Environment("product-1", "ci", "ci"), Environment("product-2", "dev", "c"),
		Project("product-1", "api"), Project("product-1", "web"),
		CodeRepo("product-1", "repo", "api"), CodeRepo("product-1", "whole", ""), CodeRepo("product-2", "theirs", ""),
	}
}

func run(t *testing.T, tests map[string]verdict) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := snapshot.New(Tenant, Namespace, base()...)
			for _, o := range test.objects {
				s = s.With(o)
			}
			for _, o := range test.without {
				s = s.Without(o)
			}
			list, warnings := validate.Run(s, validate.Request{Old: test.old, New: test.new})
			var got []string
			for _, e := range list {
				got = append(got, e.Origin+" "+e.Field)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("errors (-want +got):\n%s\n%v", diff, list.ToAggregate())
			}
			if text := fmt.Sprint(list.ToAggregate()); !strings.Contains(text, test.wantText) {
				t.Errorf("the errors do not say %q:\n%s", test.wantText, text)
			}
			switch {
			case test.wantWarning == "" && len(warnings) > 0:
				t.Errorf("unexpected warnings: %q", warnings)
			case test.wantWarning != "" && (len(warnings) != 1 || !strings.Contains(warnings[0], test.wantWarning)):
				t.Errorf("warnings %q, want one that says %q", warnings, test.wantWarning)
			}
		})
	}
}

// TestBase holds that the objects of testutil break no rule.
func TestBase(t *testing.T) {
	objects := append(base(), ProductProvider("finder", Provider), ComponentCatalogue(), PipelineHook("hook"), Binding("product-1", "b", "repo", "readonly", "web"),
		DeploymentRuntime("product-1", "app", "dev", "whole"), PipelineRuntime("product-1", "pipe", "api", "ci", "repo"))
	s := snapshot.New(Tenant, Namespace, objects...)
	for _, o := range objects {
		if list, warnings := validate.Run(s, validate.Request{New: o.(v1alpha1.Object)}); len(list)+len(warnings) > 0 {
			t.Errorf("%v: %v, warnings %q", snapshot.RefOf(o), list, warnings)
		}
	}
}

// TestBelongs holds the rules that every kind has about where it lives.
func TestBelongs(t *testing.T) {
	moved := func(o v1alpha1.Object, namespace string) v1alpha1.Object {
		o.SetNamespace(namespace)
		return o
	}
	hook := PipelineHook("hook")
	of := func(product string) func(*v1alpha1.Project) {
		return func(p *v1alpha1.Project) { p.Spec.Product = product }
	}
	run(t, map[string]verdict{
		"a tenant's object":                          {new: hook},
		"a tenant's object in a product's namespace": {new: moved(PipelineHook("hook"), "product-1"), want: []string{"Invalid metadata.namespace"}, wantText: "move it there"},
		"a product's object":                         {new: Project("product-1", "new")},
		"a product's object that names no product":   {new: Project("product-1", "new", of(""))},
		"a product's object that names another":      {new: Project("product-1", "new", of("product-2")), want: []string{"Invalid spec.product"}, wantText: "set spec.product to product-1"},
		"a product's object of the tenant":           {new: moved(Project("product-1", "new"), Namespace), want: []string{"Invalid metadata.namespace"}},
		"an object of no product":                    {new: Project("product-9", "new"), want: []string{"ReferenceMissing spec.product"}, wantText: "Product nautes/product-9 does not exist"},
		"an object of no product, which it leaves out": {
			new: Project("product-9", "new", of("")), want: []string{"ReferenceMissing metadata.namespace"},
		},
		"nothing": {},
	})
}

// TestNamespaces holds that no kind counts outside of its place: objects of the
// tenant in the operator's namespace, objects of a product in its namespace.
func TestNamespaces(t *testing.T) {
	tests := map[string]struct {
		object    v1alpha1.Object
		namespace string
	}{
		"Product":                {Product("product-9"), "product-1"},
		"ProductProvider":        {ProductProvider("finder", Provider), "product-1"},
		"CodeRepoProvider":       {CodeRepoProvider("new"), "product-1"},
		"Cluster":                {Cluster("new"), "product-1"},
		"ComponentCatalogue":     {ComponentCatalogue(), "product-1"},
		"PipelineHook":           {PipelineHook("hook"), "product-1"},
		"Environment":            {Environment("product-1", "new", "c"), Namespace},
		"Project":                {Project("product-1", "new"), Namespace},
		"CodeRepoBinding":        {Binding("product-1", "b", "repo", "readonly"), Namespace},
		"ArtifactRepo":           {ArtifactRepo("product-1", "b", "readonly", "web"), Namespace},
		"DeploymentRuntime":      {DeploymentRuntime("product-1", "app", "dev", "whole"), Namespace},
		"ProjectPipelineRuntime": {PipelineRuntime("product-1", "pipe", "api", "ci", "repo"), Namespace},
	}
	for kind, test := range tests {
		t.Run(kind, func(t *testing.T) {
			test.object.SetNamespace(test.namespace)
			list, _ := validate.Run(snapshot.New(Tenant, Namespace, base()...), validate.Request{New: test.object})
			if !slices.ContainsFunc(list, func(e *field.Error) bool { return e.Origin == "Invalid" && e.Field == "metadata.namespace" }) {
				t.Errorf("in the namespace %s it has the errors %v", test.namespace, list)
			}
		})
	}
}

func TestInUse(t *testing.T) {
	many := make([]client.Object, 0, 12)
	for i := range 12 {
		many = append(many, DeploymentRuntime("product-1", fmt.Sprintf("app-%02d", i), "dev", "whole"))
	}
	app := DeploymentRuntime("product-1", "app", "dev", "whole", For("api"))
	resources := PipelineRuntime("product-1", "pipe", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
		r.Spec.AdditionalResources = &v1alpha1.AdditionalResources{Git: &v1alpha1.AdditionalResourcesGit{CodeRepo: "whole"}}
	})
	listener := PipelineRuntime("product-1", "pipe", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
		r.Spec.EventSources[0].GitLab.RepoName = "whole"
	})
	pipe := PipelineRuntime("product-1", "pipe", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
		r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: "lint"}}}
	})
	inUse := []string{"InUse metadata.name"}
	run(t, map[string]verdict{
		"a cluster with an environment":       {old: Cluster("c"), want: inUse, wantText: "Environment product-1/dev"},
		"a cluster without":                   {objects: []client.Object{Cluster("free")}, old: Cluster("free")},
		"an environment with a runtime":       {objects: []client.Object{app}, old: Environment("product-1", "dev", "c"), want: inUse, wantText: "DeploymentRuntime product-1/app"},
		"an environment whose runtime goes":   {objects: []client.Object{Deleting(app.DeepCopy())}, old: Environment("product-1", "dev", "c"), want: inUse},
		"an environment without":              {old: Environment("product-1", "dev", "c")},
		"a project with a repository":         {old: Project("product-1", "api"), want: inUse, wantText: "CodeRepo product-1/repo"},
		"a project without":                   {old: Project("product-1", "web")},
		"a repository with a runtime":         {objects: []client.Object{app}, old: CodeRepo("product-1", "whole", ""), want: inUse},
		"a repository with resources":         {objects: []client.Object{resources}, old: CodeRepo("product-1", "whole", ""), want: inUse},
		"a repository with an event source":   {objects: []client.Object{listener}, old: CodeRepo("product-1", "whole", ""), want: inUse},
		"a repository without":                {old: CodeRepo("product-1", "whole", "")},
		"a hook with a runtime":               {objects: []client.Object{pipe}, old: PipelineHook("lint"), want: inUse},
		"a hook without":                      {old: PipelineHook("lint")},
		"a provider with repositories":        {old: CodeRepoProvider(Provider), want: inUse},
		"a provider without":                  {old: CodeRepoProvider("free")},
		"a binding, at any time":              {objects: []client.Object{app}, old: Binding("product-1", "b", "whole", "readonly")},
		"a product, at any time":              {objects: []client.Object{app}, old: Product("product-1")},
		"a runtime, at any time":              {objects: []client.Object{app}, old: app},
		"more users than a message can hold":  {objects: many, old: Environment("product-1", "dev", "c"), want: inUse, wantText: "app-09 and 2 more"},
		"as many users as a message can hold": {objects: many[:10], old: Environment("product-1", "dev", "c"), want: inUse, wantText: "product-1/app-09: delete these first"},
		"one user more than that":             {objects: many[:11], old: Environment("product-1", "dev", "c"), want: inUse, wantText: "app-09 and 1 more"},
	})
}

// TestStableOrder holds that the errors do not depend on the order of the
// objects, and that they are all there.
func TestStableOrder(t *testing.T) {
	world := NewWorld(3)
	verdicts := func(objects []client.Object) (lines []string) {
		s := snapshot.New(Tenant, Namespace, objects...)
		for _, o := range world.Objects {
			list, warnings := validate.Run(s, validate.Request{New: o.(v1alpha1.Object)})
			lines = append(lines, fmt.Sprint(snapshot.RefOf(o), list.ToAggregate(), warnings))
		}
		return lines
	}
	want := verdicts(world.Objects)
	for seed := range uint64(5) {
		if diff := cmp.Diff(want, verdicts(world.Shuffled(seed))); diff != "" {
			t.Fatalf("shuffled objects are judged differently (-want +got):\n%s", diff)
		}
	}
}

// TestWords holds that every error has a reason of the API, a field and a text
// that can stand alone, in many random worlds.
func TestWords(t *testing.T) {
	reasons := []string{
		v1alpha1.ReasonReferenceMissing, v1alpha1.ReasonPermissionDenied, v1alpha1.ReasonNamespaceClaimed,
		v1alpha1.ReasonDestinationImmutable, v1alpha1.ReasonInvalid, v1alpha1.ReasonInUse, v1alpha1.ReasonRepositoryClaimed,
	}
	seen := map[string]bool{}
	for seed := range uint64(60) {
		world := NewWorld(seed)
		s := snapshot.New(Tenant, Namespace, world.Objects...)
		for _, o := range world.Objects {
			object := o.(v1alpha1.Object)
			kept, _ := validate.Run(s, validate.Request{New: object})
			removed, _ := validate.Run(s, validate.Request{Old: object})
			for _, e := range slices.Concat(kept, removed) {
				seen[e.Origin] = true
				if !slices.Contains(reasons, e.Origin) || e.Field == "" || e.Detail == "" {
					t.Errorf("%v: error without a reason, a field or a text: %#v", snapshot.RefOf(o), e)
				}
				if strings.Contains(e.Error(), "%!") {
					t.Errorf("a broken text: %v", e)
				}
			}
		}
	}
	for _, reason := range reasons {
		if !seen[reason] {
			t.Errorf("no world has an error with the reason %s: the worlds are too tame", reason)
		}
	}
}

// TestObjectsOfFiles holds that an object from a file, which has neither time nor status,
// is checked with the time and status of the stored one.
func TestObjectsOfFiles(t *testing.T) {
	stored := At(1, Deployed("c", DeploymentRuntime("product-1", "app", "dev", "whole", Into("shared"))))
	rival := At(5, Deployed("c", DeploymentRuntime("product-2", "rival", "dev", "theirs", Into("shared"))))
	file := DeploymentRuntime("product-1", "app", "dev", "whole", Into("shared"))
	file.CreationTimestamp = metav1.Time{}
	moved := file.DeepCopy()
	moved.Spec.Destination.Namespaces = []string{"other"}
	ownTarget := Deployed("c", moved.DeepCopy())
	ownTarget.CreationTimestamp = metav1.Time{}
	// Copies of one object that differ in one thing each.
	planned := func(change ...func(*v1alpha1.DeploymentRuntime)) *v1alpha1.DeploymentRuntime {
		r := At(1, DeploymentRuntime("product-1", "app", "dev", "whole", Into("shared")))
		for _, f := range change {
			f(r)
		}
		return r
	}
	elsewhere := planned(Into("mine"))
	withdrawn := Deleting(planned())
	younger := At(9, planned())
	newcomer := At(5, DeploymentRuntime("product-2", "rival", "dev", "theirs", Into("shared")))
	pipe := func(namespace string) *v1alpha1.ProjectPipelineRuntime {
		return At(9, PipelineRuntime("product-1", "pipe", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Namespace = namespace }))
	}
	running := pipe("runs")
	running.Status.Target = &v1alpha1.RuntimeTarget{Environment: "ci", Cluster: "ci", Namespaces: []string{"runs"}}
	pipeFile := pipe("runs")
	pipeFile.CreationTimestamp = metav1.Time{}
	first := At(1, PipelineRuntime("product-1", "first", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Namespace = "runs" }))
	run(t, map[string]verdict{
		"the claim of the stored one":          {objects: []client.Object{stored, rival}, new: file},
		"the claim of the old one":             {objects: []client.Object{rival}, old: stored, new: file},
		"a new one comes after a deployed one": {objects: []client.Object{rival}, new: file, want: []string{"NamespaceClaimed spec.destination.namespaces[0]"}},
		"the target of the stored one":         {objects: []client.Object{stored}, new: moved, want: []string{"DestinationImmutable spec.destination.namespaces"}},
		"the target of the old one":            {old: stored, new: moved, want: []string{"DestinationImmutable spec.destination.namespaces"}},
		"a new one may go anywhere":            {new: moved},
		"one with a target and no time":        {objects: []client.Object{stored}, new: ownTarget},
		"a reconciler's own copy":              {objects: []client.Object{stored, rival}, new: stored.DeepCopy()},
		"a copy that was recorded meanwhile":   {objects: []client.Object{planned(), rival}, new: stored.DeepCopy()},
		"a copy with another spec":             {objects: []client.Object{elsewhere, rival}, new: planned(), want: []string{"NamespaceClaimed spec.destination.namespaces[0]"}},
		"a copy of one that was withdrawn":     {objects: []client.Object{withdrawn, rival}, new: planned(), want: []string{"NamespaceClaimed spec.destination.namespaces[0]"}},
		"a copy that is older than the stored": {objects: []client.Object{younger, newcomer}, new: planned()},
		"a pipeline with another spec":         {objects: []client.Object{pipe("other"), first}, new: pipe("runs"), want: []string{"NamespaceClaimed spec.destination.namespace"}},
		"a pipeline's own copy":                {objects: []client.Object{running, first}, new: running.DeepCopy()},
		"a file of a pipeline that runs":       {objects: []client.Object{running, first}, new: pipeFile},
		"a file of a pipeline that is new":     {objects: []client.Object{first}, new: pipeFile, want: []string{"NamespaceClaimed spec.destination.namespace"}},
	})
	if !file.CreationTimestamp.IsZero() || file.Status.Target != nil {
		t.Errorf("the object of the request was changed")
	}
}

func TestErrorTypes(t *testing.T) {
	s := snapshot.New(Tenant, Namespace, base()...)
	tests := map[string]struct {
		request validate.Request
		want    []field.ErrorType
	}{
		"a missing reference and a missing permission": {
			validate.Request{New: DeploymentRuntime("product-1", "app", "absent", "repo")}, []field.ErrorType{field.ErrorTypeNotFound, field.ErrorTypeForbidden},
		},
		"a destination that cannot change": {
			validate.Request{New: Deployed("elsewhere", DeploymentRuntime("product-1", "app", "dev", "whole"))}, []field.ErrorType{field.ErrorTypeForbidden},
		},
		"an object in use": {validate.Request{Old: Cluster("c")}, []field.ErrorType{field.ErrorTypeForbidden}},
		"a broken rule":    {validate.Request{New: DeploymentRuntime("product-1", "app", "dev", "whole", As("default"))}, []field.ErrorType{field.ErrorTypeInvalid}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			list, _ := validate.Run(s, test.request)
			var got []field.ErrorType
			for _, e := range list {
				got = append(got, e.Type)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("types (-want +got):\n%s\n%v", diff, list)
			}
		})
	}
}
