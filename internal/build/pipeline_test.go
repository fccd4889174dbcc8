package build_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
	"nautes.io/nautes/test/guide"
	. "nautes.io/nautes/test/testutil"
)

func mustPipeline(t *testing.T, s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime) plan.Plan {
	t.Helper()
	p, err := build.PipelineRuntime(s, r)
	if err != nil {
		t.Fatal(err)
	}
	return p.Plan
}

func isolated(isolation v1alpha1.Isolation) func(*v1alpha1.ProjectPipelineRuntime) {
	return func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Isolation = isolation }
}

// TestPipelineGolden keeps everything that the guide's example asks for, in both
// isolations, with Vault and without.
func TestPipelineGolden(t *testing.T) {
	for store, settings := range map[string]snapshot.Settings{"": {}, "-vault": withVault()} {
		for _, isolation := range []v1alpha1.Isolation{v1alpha1.IsolationExclusive, v1alpha1.IsolationShared} {
			t.Run(string(isolation)+store, func(t *testing.T) {
				s, r := guide.Snapshot(t, settings, isolated(isolation))
				if refusals, warnings := validate.Run(s, validate.Request{New: r}); len(refusals)+len(warnings) > 0 {
					t.Errorf("the guide's runtime: %v, warnings %q", refusals.ToAggregate(), warnings)
				}
				space, access, err := spaceSets(s, guide.Product, guide.Cluster)
				if err != nil {
					t.Fatal(err)
				}
				got, err := SetsYAML(append([]plan.Set{space, access}, mustPipeline(t, s, r).Sets...)...)
				if err != nil {
					t.Fatal(err)
				}
				Golden(t, "golden/pipeline/"+string(isolation)+store+".yaml", got)
			})
		}
	}
}

// TestPipelineSameInputSameBytes holds that neither the order of the objects nor the
// order of unordered lists in the spec matters.
func TestPipelineSameInputSameBytes(t *testing.T) {
	objects := guide.Objects(t)
	var want []byte
	for seed := range uint64(20) {
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
		s := newSnapshot(objects...).WithSettings(guide.Settings(withVault()))
		r := s.PipelineRuntime(guide.Product, guide.PipelineRuntime)
		before := r.DeepCopy()
		got, err := SetsJSON(mustPipeline(t, s, r).Sets...)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if !bytes.Equal(want, got) {
			t.Fatalf("shuffled objects give another plan (-want +got):\n%s", cmp.Diff(string(want), string(got)))
		}
		if diff := cmp.Diff(before, r); diff != "" {
			t.Fatalf("building changed the runtime (-before +after):\n%s", diff)
		}
	}
}

// kindsOf returns how many items of each kind are in the sets of a plan.
func kindsOf(p plan.Plan) map[string]int {
	kinds := map[string]int{}
	for _, set := range p.Sets {
		for _, item := range set.Items {
			kinds[item.ID.Kind]++
		}
	}
	return kinds
}

// TestPipelineRuntime holds which items the plan has as permissions come and go, and as
// the runtime moves.
func TestPipelineRuntime(t *testing.T) {
	type change = func(*v1alpha1.ProjectPipelineRuntime)
	recorded := func(environment, cluster, namespace string) change {
		return func(r *v1alpha1.ProjectPipelineRuntime) {
			r.Status.Target = &v1alpha1.RuntimeTarget{Environment: environment, Cluster: cluster, Namespaces: []string{namespace}, Account: "before"}
		}
	}
	listens := func(repo string) change {
		return func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.EventSources[1].GitLab.RepoName = repo }
	}
	resources := func(git v1alpha1.AdditionalResourcesGit) change {
		return func(r *v1alpha1.ProjectPipelineRuntime) {
			r.Spec.AdditionalResources = &v1alpha1.AdditionalResources{Git: &git}
		}
	}
	project := func(name string) change {
		return func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Project = name }
	}
	whole, but := guide.Kinds(nil), guide.Kinds
	lessOne := but(map[string]int{"ConfigMap": 4, "EventSource": 4, "Secret": 4, "Sensor": 4})
	nothing := map[string]int{}
	theirs := CodeRepo(guide.Product, "repo-4", "api-server")
	github := CodeRepoProvider("hub", func(p *v1alpha1.CodeRepoProvider) { p.Spec.ProviderType = "github" })
	elsewhere := CodeRepo(guide.Product, "repo-5", "project-demo", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "hub" })
	binding := Binding(guide.Product, "granted", "repo-4", "readonly", "project-demo")
	public := CodeRepo(guide.Product, "repo-3", "project-demo", func(r *v1alpha1.CodeRepo) {
		r.Spec.CodeRepoProvider, r.Spec.URL = "", "https://public.example.org/a/b.git"
	})
	tests := map[string]struct {
		objects []client.Object
		change  []change
		want    map[string]int
		// wantCluster is the target of the first set; the guide's cluster if empty.
		wantCluster string
		wantMissing string
	}{
		"as the guide prints it":              {want: whole},
		"shared":                              {change: []change{isolated(v1alpha1.IsolationShared)}, want: but(map[string]int{"ConfigMap": 1, "EventSource": 2, "Sensor": 1})},
		"an event source that is not granted": {objects: []client.Object{theirs}, change: []change{listens("repo-4")}, want: lessOne},
		"an event source that is granted":     {objects: []client.Object{theirs, binding}, change: []change{listens("repo-4")}, want: whole},
		"an event source that is no longer granted": {
			objects: []client.Object{theirs, Deleting(binding.DeepCopy())}, change: []change{listens("repo-4")}, want: lessOne,
		},
		"an event source that does not exist":   {change: []change{listens("absent")}, want: lessOne},
		"an event source that is not on GitLab": {objects: []client.Object{github, elsewhere}, change: []change{listens("repo-5")}, want: lessOne},
		"an event source without a trigger": {
			change: []change{func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.PipelineTriggers = r.Spec.PipelineTriggers[1:] }}, want: lessOne,
		},
		// The project api-server has the repository by a binding, and nothing without it.
		"the pipelines of another project": {change: []change{project("api-server")}, want: whole},
		"pipelines that are no longer granted": {
			objects: []client.Object{Deleting(Binding(guide.Product, "repo-3-api-server", "repo-3", "readonly", "api-server"))},
			change:  []change{project("api-server"), recorded("env-dev-demo", guide.Cluster, "pr-demo-namespace")}, want: nothing,
		},
		"resources of another repository": {
			objects: []client.Object{theirs, binding}, change: []change{resources(v1alpha1.AdditionalResourcesGit{CodeRepo: "repo-4", Revision: "main", Path: "."})}, want: whole,
		},
		"resources that are not granted": {
			objects: []client.Object{theirs}, change: []change{resources(v1alpha1.AdditionalResourcesGit{CodeRepo: "repo-4", Revision: "main", Path: "."})},
			want: but(map[string]int{"Application": 0}),
		},
		"resources by a URL": {change: []change{resources(v1alpha1.AdditionalResourcesGit{URL: "https://public.example.org/more.git", Revision: "main", Path: "."})}, want: whole},
		"resources by a URL that is a pattern": {
			change: []change{resources(v1alpha1.AdditionalResourcesGit{URL: "https://public.example.org/*", Revision: "main", Path: "."})}, want: but(map[string]int{"Application": 0}),
		},
		"resources by the URL of a repository that is not granted": {
			objects: []client.Object{theirs},
			change: []change{resources(v1alpha1.AdditionalResourcesGit{
				URL: "https://gitlab.8.217.50.114.nip.io/demo-quickstart/code-repo-4", Revision: "main", Path: ".",
			})},
			want: but(map[string]int{"Application": 0}),
		},
		"resources by the URL of another product's repository": {
			change: []change{resources(v1alpha1.AdditionalResourcesGit{URL: "https://gitlab.8.217.50.114.nip.io/others/more.git", Revision: "main", Path: "."})},
			want:   but(map[string]int{"Application": 0}),
		},
		"no resources": {
			change: []change{func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.AdditionalResources = nil }}, want: but(map[string]int{"Application": 0}),
		},
		// No forge sends its events, and no other event source is left.
		"a public repository": {
			objects: []client.Object{public}, want: map[string]int{"Application": 1},
		},
		"another namespace":              {change: []change{recorded("env-dev-demo", guide.Cluster, "before")}, want: whole},
		"another cluster":                {change: []change{recorded("old", "virtual-worker-pipeline", "before")}, want: nothing, wantCluster: "virtual-worker-pipeline"},
		"an environment gone":            {change: []change{recorded("old", guide.Cluster, "before"), func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Environment = "absent" }}, want: whole},
		"being deleted":                  {change: []change{recorded("env-dev-demo", guide.Cluster, "pr-demo-namespace"), func(r *v1alpha1.ProjectPipelineRuntime) { Deleting(r) }}, want: nothing},
		"deleted before it was deployed": {change: []change{func(r *v1alpha1.ProjectPipelineRuntime) { Deleting(r) }}},
		"on a cluster that is gone":      {change: []change{recorded("env-dev-demo", "absent", "before"), func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Environment = "absent" }}, wantMissing: "Cluster"},
		"a provider that is away":        {objects: []client.Object{CodeRepo(guide.Product, "repo-3", "project-demo", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "absent" })}, wantMissing: "CodeRepoProvider"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, r := guide.Snapshot(t, snapshot.Settings{}, test.change...)
			for _, o := range test.objects {
				s = s.With(o)
			}
			p, err := build.PipelineRuntime(s, r)
			var missing *snapshot.MissingError
			if errors.As(err, &missing) != (test.wantMissing != "") || missing != nil && missing.Missing.Kind != test.wantMissing {
				t.Fatalf("error %v, want that a %q is missing", err, test.wantMissing)
			}
			if test.want == nil {
				if len(p.Sets) > 0 {
					t.Errorf("there are %d sets, want none", len(p.Sets))
				}
				return
			}
			if diff := cmp.Diff(test.want, kindsOf(p.Plan)); err != nil || diff != "" {
				t.Errorf("items of each kind (-want +got):\n%s\n%v", diff, err)
			}
			if test.wantCluster == "" {
				test.wantCluster = guide.Cluster
			}
			if len(p.Sets) != 1 || p.Sets[0].Target != plan.Cluster(test.wantCluster) || p.Sets[0].Owner != build.PipelineOwner(r) {
				t.Errorf("the set is not complete: %v", p.Sets)
			}
		})
	}
}

// TestPipelineIsolation holds that a change of isolation loses no hook: neither
// its URL and events, nor its token.
func TestPipelineIsolation(t *testing.T) {
	kept := func(isolation v1alpha1.Isolation) []string {
		s, r := guide.Snapshot(t, snapshot.Settings{}, isolated(isolation))
		built, err := build.PipelineRuntime(s, r)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, hook := range built.Facts.Webhooks {
			lines = append(lines, fmt.Sprintf("%+v", hook))
		}
		items := slices.Clone(built.Sets[0].Items)
		slices.SortFunc(items, func(a, b plan.Item) int { return a.ID.Compare(b.ID) })
		for _, item := range items {
			if item.ID.Kind != "Secret" {
				continue
			}
			text, err := SetsYAML(plan.Set{Items: []plan.Item{item}})
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, string(text))
		}
		return lines
	}
	if diff := cmp.Diff(kept(v1alpha1.IsolationExclusive), kept(v1alpha1.IsolationShared)); diff != "" {
		t.Errorf("hooks and tokens (-exclusive +shared):\n%s", diff)
	}
}

// TestPipelinesOfEqualNames holds that two products whose runtimes have the same
// names for everything share nothing on their cluster, and that the namespace
// goes to one of them.
func TestPipelinesOfEqualNames(t *testing.T) {
	twin := func(product string, minute int) []client.Object {
		return []client.Object{
			Product(product), Environment(product, "ci", "c"), Project(product, "api"), CodeRepo(product, repoOf(product), "api"),
			At(minute, PipelineRuntime(product, "pipe", "api", "ci", repoOf(product), func(r *v1alpha1.ProjectPipelineRuntime) {
				r.Spec.Destination.Namespace = repoOf(product)
				r.Spec.EventSources = append(r.Spec.EventSources, v1alpha1.EventSource{Name: "night", Calendar: &v1alpha1.CalendarEventSource{Interval: "24h"}})
				r.Spec.PipelineTriggers = append(r.Spec.PipelineTriggers, v1alpha1.PipelineTrigger{EventSource: "night", Pipeline: "dev"})
			})),
		}
	}
	objects := slices.Concat(world(Cluster("c", PipelineWorker)), twin("product-1", 1), twin("product-2", 2))
	s := newSnapshot(objects...).WithSettings(guide.Settings(snapshot.Settings{}))
	taken := map[plan.ID]plan.Owner{}
	for _, set := range everything(t, s, "product-1", "product-2") {
		c := crossing{t: t, s: s, set: set, seen: map[string]int{}, credentials: map[plan.SecretRef]string{}, shared: map[string]plan.Owner{}}
		if set.Owner.Kind != build.OwnerPipelineRuntime {
			continue
		}
		if kindsOf(plan.Plan{Sets: []plan.Set{set}})["EventSource"] != 2 {
			t.Errorf("%v has %v", set.Owner, kindsOf(plan.Plan{Sets: []plan.Set{set}}))
		}
		for _, item := range set.Items {
			if other, ok := taken[item.ID]; ok {
				t.Errorf("%v and %v both have %v", other, set.Owner, item.ID)
			}
			taken[item.ID] = set.Owner
			c.check(item)
		}
	}
	late := s.PipelineRuntime("product-2", "pipe").DeepCopy()
	late.Spec.Destination.Namespace = "repo-1"
	s = s.With(late)
	if _, err := build.PipelineRuntime(s, late); err == nil || !strings.Contains(err.Error(), "product-1/pipe") {
		t.Errorf("a namespace of another product: %v", err)
	}
}
