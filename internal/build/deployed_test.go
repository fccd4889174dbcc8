package build_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/record"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// tally counts the kinds of the objects that stay.
func tally(set plan.Set) map[string]int {
	kinds := map[string]int{}
	for _, item := range set.Items {
		kinds[item.ID.Kind]++
	}
	for _, id := range set.Keep {
		kinds[id.Kind]++
	}
	return kinds
}

// deployedGuide returns the guide's runtime when it has been deployed, without a
// spec on record, and the objects that it has on its cluster.
func deployedGuide(t *testing.T, isolation v1alpha1.Isolation) (*snapshot.Snapshot, *v1alpha1.ProjectPipelineRuntime, plan.Plan, []plan.ID) {
	t.Helper()
	s, r := guideSnapshot(t, snapshot.Settings{}, isolated(isolation))
	built, err := build.PipelineRuntime(s, r)
	if err != nil {
		t.Fatal(err)
	}
	deployed := built.Plan
	var there []plan.ID
	for _, item := range deployed.Sets[0].Items {
		there = append(there, item.ID)
	}
	target, err := s.Target(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Status.Target, r.Status.Webhooks = &target, built.Facts.Webhooks
	for _, trigger := range r.Spec.PipelineTriggers {
		r.Status.Triggers = append(r.Status.Triggers, v1alpha1.PipelineTriggerStatus{
			EventSource: trigger.EventSource, Pipeline: trigger.Pipeline, Revision: trigger.Revision,
		})
	}
	return s, r, deployed, there
}

// recordSpec puts the spec of a runtime on record.
func recordSpec(t *testing.T, r *v1alpha1.ProjectPipelineRuntime) {
	t.Helper()
	var err error
	if r.Status.Deployed, err = record.Of(r.Status.Deployed, r.Generation, r.Spec); err != nil {
		t.Fatal(err)
	}
}

// otherFaults are faults that the new spec of a runtime may have at the same time.
func otherFaults() map[string]func(*v1alpha1.ProjectPipelineRuntime) {
	const unknown = "an-unknown-name"
	return map[string]func(*v1alpha1.ProjectPipelineRuntime){
		"no other fault": func(*v1alpha1.ProjectPipelineRuntime) {},
		"an unknown hook": func(r *v1alpha1.ProjectPipelineRuntime) {
			r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: unknown}}}
		},
		"a reserved namespace":    func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Namespace = "kube-system" },
		"another environment":     func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Environment = "env-test-demo" },
		"an environment gone":     func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Environment = unknown },
		"the isolation changed":   func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Isolation = "other" },
		"the resources taken out": func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.AdditionalResources = nil },
	}
}

// listens has an event source listen to another repository.
func listens(at int, repo string) func(*v1alpha1.ProjectPipelineRuntime) {
	return func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.EventSources[at].GitLab.RepoName = repo }
}

// allOf makes several changes.
func allOf(changes ...func(*v1alpha1.ProjectPipelineRuntime)) func(*v1alpha1.ProjectPipelineRuntime) {
	return func(r *v1alpha1.ProjectPipelineRuntime) {
		for _, f := range changes {
			f(r)
		}
	}
}

// revocation is a way in which a deployed pipeline runtime loses a permission.
type revocation struct {
	// deployed changes the spec before it is deployed, spec afterwards.
	deployed, spec func(*v1alpha1.ProjectPipelineRuntime)
	want           map[string]int
	wantRevoked    []string
	// fault that hides the revocation.
	without string
}

func revocations(isolation v1alpha1.Isolation, names []string) map[string]revocation {
	const revoked, theirs, unsure = "webhook-main-tag", "repo-4", "repo-5"
	revoke := listens(3, theirs)
	nothing := func(*v1alpha1.ProjectPipelineRuntime) {}
	less := func(n int) map[string]int {
		if isolation == v1alpha1.IsolationShared {
			return guideKinds(map[string]int{"Hook": 0, "ConfigMap": 1, "EventSource": 2, "Sensor": 1, "Secret": 5 - n})
		}
		return guideKinds(map[string]int{"Hook": 0, "ConfigMap": 5 - n, "EventSource": 5 - n, "Sensor": 5 - n, "Secret": 5 - n})
	}
	resources := less(0)
	delete(resources, "Application")
	application := map[string]int{"Application": 1}
	return map[string]revocation{
		"nothing is refused":             {deployed: nothing, want: less(0)},
		"one cannot be judged":           {deployed: listens(3, unsure), want: less(0)},
		"one is refused":                 {deployed: revoke, want: less(1), wantRevoked: []string{revoked}},
		"the pipeline files are refused": {deployed: func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.PipelineSource = theirs }, want: application, wantRevoked: names},
		"all are refused":                {deployed: allOf(listens(0, theirs), listens(1, theirs), listens(2, theirs), revoke), want: application, wantRevoked: names},
		"one that was renamed is refused": {
			deployed: allOf(revoke, func(r *v1alpha1.ProjectPipelineRuntime) {
				at := slices.IndexFunc(r.Status.Webhooks, func(h v1alpha1.WebhookStatus) bool { return h.EventSource == revoked })
				r.Status.Webhooks[at].CodeRepo = theirs
			}),
			spec: func(r *v1alpha1.ProjectPipelineRuntime) {
				r.Spec.EventSources, r.Spec.PipelineTriggers = r.Spec.EventSources[:3], r.Spec.PipelineTriggers[:3]
			},
			want: less(1), wantRevoked: []string{revoked},
		},
		"the resources are refused": {
			deployed: func(r *v1alpha1.ProjectPipelineRuntime) {
				r.Spec.AdditionalResources = &v1alpha1.AdditionalResources{Git: &v1alpha1.AdditionalResourcesGit{CodeRepo: theirs}}
			},
			want: resources, without: "the resources taken out",
		},
	}
}

// TestDeployedPipeline holds that a deployed runtime loses exactly the objects that
// it is no longer granted, whatever is wrong with its new spec.
func TestDeployedPipeline(t *testing.T) {
	for _, isolation := range []v1alpha1.Isolation{v1alpha1.IsolationExclusive, v1alpha1.IsolationShared} {
		s, r, deployed, there := deployedGuide(t, isolation)
		s = s.With(CodeRepo(guideProduct, "repo-4", "api-server"))
		s = s.With(CodeRepo(guideProduct, "repo-5", "project-demo", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "away" }))
		names := make([]string, 0, len(r.Spec.EventSources))
		for _, e := range r.Spec.EventSources {
			names = append(names, e.Name)
		}
		for name, test := range revocations(isolation, names) {
			for fault, wrong := range otherFaults() {
				for _, mode := range []string{"held", "restored", "without a record"} {
					if mode == "without a record" && fault == test.without {
						// Neither the record nor the new spec shows the deployed objects.
						continue
					}
					t.Run(strings.Join([]string{string(isolation), name, fault, mode}, "/"), func(t *testing.T) {
						r := r.DeepCopy()
						test.deployed(r)
						last := r.DeepCopy()
						if mode != "without a record" {
							recordSpec(t, r)
						}
						if test.spec != nil {
							test.spec(r)
						}
						wrong(r)
						s := s.With(r)
						before := r.DeepCopy()
						got := build.DeployedPipeline(s, r, there, mode == "held")
						if diff := cmp.Diff(before, r); diff != "" {
							t.Errorf("it changed the runtime:\n%s", diff)
						}
						set := *got.On(plan.Cluster(guideCluster))
						if diff := cmp.Diff(test.want, tally(set)); diff != "" {
							t.Errorf("objects that stay (-want +got):\n%s", diff)
						}
						if revoked := slices.Sorted(maps.Keys(got.Facts.Revoked)); !slices.Equal(revoked, slices.Sorted(slices.Values(test.wantRevoked))) {
							t.Errorf("revoked are %v, want %v", got.Facts.Revoked, test.wantRevoked)
						}
						if set.Owner != build.PipelineOwner(r) {
							t.Errorf("the set is of %v", set.Owner)
						}
						// One that cannot be judged cannot be built either.
						if complete := mode == "restored" && name != "one cannot be judged"; got.Facts.Complete != complete {
							t.Fatalf("complete is %t, want %t", got.Facts.Complete, complete)
						}
						if got.Facts.Complete {
							checkRestored(t, s, last, got)
							return
						}
						for _, item := range set.Items {
							checkRemade(t, item, deployed, test.wantRevoked, isolation == v1alpha1.IsolationShared)
						}
					})
				}
			}
		}
	}
}

// checkRestored checks that a plan is the one of the spec on record.
func checkRestored(t *testing.T, s *snapshot.Snapshot, last *v1alpha1.ProjectPipelineRuntime, got build.Result[build.Pipeline]) {
	t.Helper()
	want, err := build.PipelineRuntime(s, last)
	if err != nil {
		t.Fatal(err)
	}
	wantSets, err := SetsYAML(want.Sets...)
	if err != nil {
		t.Fatal(err)
	}
	gotSets, err := SetsYAML(got.Sets...)
	if diff := cmp.Diff(string(wantSets), string(gotSets)); diff != "" || err != nil {
		t.Errorf("the plan differs from the one of the spec on record (-want +got):\n%s\nerror %v", diff, err)
	}
	if diff := cmp.Diff(want.Facts.Webhooks, got.Facts.Webhooks); diff != "" {
		t.Errorf("hooks (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(last.Spec.PipelineTriggers, got.Facts.Triggers); diff != "" {
		t.Errorf("triggers (-want +got):\n%s", diff)
	}
}

// checkRemade checks that an object is the deployed one without some event sources.
func checkRemade(t *testing.T, item plan.Item, deployed plan.Plan, gone []string, shared bool) {
	t.Helper()
	at := slices.IndexFunc(deployed.Sets[0].Items, func(other plan.Item) bool { return other.ID == item.ID })
	if at < 0 {
		t.Fatalf("%v was not there", item.ID)
	}
	switch was := deployed.Sets[0].Items[at].Object.(type) {
	case *argoevents.EventSource:
		if !shared {
			t.Errorf("%v is written", item.ID)
		}
		want := was.DeepCopy()
		for _, source := range gone {
			delete(want.Spec.Gitlab, source)
			delete(want.Spec.Calendar, source)
		}
		if diff := cmp.Diff(want, item.Object); diff != "" {
			t.Errorf("%v (-want +got):\n%s", item.ID, diff)
		}
	case *networkingv1.Ingress:
		want := was.DeepCopy()
		paths := want.Spec.Rules[0].HTTP
		paths.Paths = slices.DeleteFunc(paths.Paths, func(path networkingv1.HTTPIngressPath) bool {
			return slices.ContainsFunc(gone, func(source string) bool { return strings.HasSuffix(path.Path, "/"+source) })
		})
		if diff := cmp.Diff(want, item.Object); diff != "" {
			t.Errorf("%v (-want +got):\n%s", item.ID, diff)
		}
	default:
		t.Errorf("%v is written", item.ID)
	}
}

// TestDeployedPipelineUnknown holds that an event source that cannot be judged goes
// with the EventSource that it shares with a revoked one, and no other does.
func TestDeployedPipelineUnknown(t *testing.T) {
	for isolation, want := range map[v1alpha1.Isolation]int{v1alpha1.IsolationExclusive: 1, v1alpha1.IsolationShared: 2} {
		s, r, _, there := deployedGuide(t, isolation)
		r.Spec.EventSources[2].GitLab.RepoName, r.Spec.EventSources[3].GitLab.RepoName = "unsure", "absent"
		recordSpec(t, r)
		s = s.With(CodeRepo(guideProduct, "unsure", "project-demo", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "away" }))
		got := build.DeployedPipeline(s.With(r), r, there, false)
		if revoked := got.Facts.Revoked; len(revoked) != want || revoked["webhook-main-tag"] == "" || tally(*got.On(plan.Cluster(guideCluster)))["Application"] != 1 {
			t.Errorf("%s: revoked are %v", isolation, revoked)
		}
	}
}

// deployed returns a deployed runtime of product-1 whose spec is on record, and has
// been changed since.
func deployed(t *testing.T, change func(*v1alpha1.DeploymentRuntime)) *v1alpha1.DeploymentRuntime {
	t.Helper()
	r := Deployed("c", DeploymentRuntime("product-1", "app", "dev", "repo-1", For("api")))
	r.Generation = 1
	var err error
	if r.Status.Deployed, err = record.Of(nil, r.Generation, r.Spec); err != nil {
		t.Fatal(err)
	}
	r.Generation = 2
	change(r)
	return r
}

func TestDeployedRuntime(t *testing.T) {
	broken := func(r *v1alpha1.DeploymentRuntime) {
		r.Spec.ManifestSource.Path, r.Spec.ManifestSource.CodeRepo, r.Spec.Destination.Environment = "other", "absent", "absent"
	}
	tests := map[string]struct {
		change   func(*v1alpha1.DeploymentRuntime)
		objects  []client.Object
		wantPath string
		want     bool
	}{
		"an invalid spec":           {change: broken, wantPath: "path", want: true},
		"without a record":          {change: func(r *v1alpha1.DeploymentRuntime) { broken(r); r.Status.Deployed = nil }, wantPath: "other"},
		"an unreadable record":      {change: func(r *v1alpha1.DeploymentRuntime) { broken(r); r.Status.Deployed.Spec.Raw = nil }, wantPath: "other"},
		"a repository not granted":  {change: broken, objects: []client.Object{CodeRepo("product-1", "repo-1", "web")}, wantPath: "path"},
		"a provider that is away":   {change: broken, objects: []client.Object{CodeRepo("product-1", "repo-1", "api", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "away" })}, wantPath: "path"},
		"a spec that is valid, too": {change: func(*v1alpha1.DeploymentRuntime) {}, wantPath: "path", want: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := deployed(t, test.change)
			s := newSnapshot(world(product("product-1")...)...)
			for _, o := range test.objects {
				s = s.With(o)
			}
			got := build.DeployedRuntime(s, r)
			last := deployed(t, func(*v1alpha1.DeploymentRuntime) {})
			if test.want {
				want, err := build.DeploymentRuntime(s, last)
				if err != nil {
					t.Fatal(err)
				}
				wantSets, _ := SetsYAML(want.Sets...)
				gotSets, _ := SetsYAML(got.Sets...)
				if diff := cmp.Diff(string(wantSets), string(gotSets)); diff != "" {
					t.Errorf("sets (-want +got):\n%s", diff)
				}
			} else if len(got.Sets) > 0 {
				t.Errorf("there are sets: %v", got.Sets)
			}
			want := last.Spec.ManifestSource
			if test.wantPath == "other" {
				want = r.Spec.ManifestSource
			}
			if diff := cmp.Diff(want, got.Facts.Source); diff != "" {
				t.Errorf("source (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSpaceOfDeployedSpec holds that a Space serves the spec on record while the new
// one is invalid: else the Application of a runtime would lose its repository.
func TestSpaceOfDeployedSpec(t *testing.T) {
	other := CodeRepo("product-1", "repo-2", "api")
	tests := map[string]struct {
		change      func(*v1alpha1.DeploymentRuntime)
		wantAccount string
		wantRepo    string
	}{
		"unchanged": {change: func(r *v1alpha1.DeploymentRuntime) { r.Generation = 1 }, wantAccount: "app", wantRepo: "repo-1"},
		"valid": {
			change:      func(r *v1alpha1.DeploymentRuntime) { r.Spec.Account, r.Spec.ManifestSource.CodeRepo = "new", "repo-2" },
			wantAccount: "new", wantRepo: "repo-2",
		},
		"invalid": {
			change: func(r *v1alpha1.DeploymentRuntime) {
				r.Spec.Account, r.Spec.ManifestSource.CodeRepo, r.Spec.ManifestSource.Path = "new", "repo-2", "../outside"
			},
			wantAccount: "app", wantRepo: "repo-1",
		},
		"invalid without a record": {
			change: func(r *v1alpha1.DeploymentRuntime) {
				r.Spec.Account, r.Spec.ManifestSource.CodeRepo, r.Spec.ManifestSource.Path = "new", "repo-2", "../outside"
				r.Status.Deployed = nil
			},
			wantAccount: "new", wantRepo: "repo-2",
		},
		"invalid and being deleted": {
			change: func(r *v1alpha1.DeploymentRuntime) {
				r.Spec.Account, r.Spec.ManifestSource.CodeRepo, r.Spec.ManifestSource.Path = "new", "repo-2", "../outside"
				Deleting(r)
			},
			wantAccount: "new", wantRepo: "repo-2",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSnapshot(world(product("product-1")...)...).With(other).With(deployed(t, test.change))
			set, _, err := spaceSets(s, "product-1", "c")
			if err != nil {
				t.Fatal(err)
			}
			for kind, name := range map[string]string{"ServiceAccount": test.wantAccount, "Secret": names.Repository("product-1", test.wantRepo)} {
				var got []string
				for _, item := range set.Items {
					if item.ID.Kind == kind {
						got = append(got, item.ID.Name)
					}
				}
				if !slices.Equal(got, []string{name}) {
					t.Errorf("there are %s %v, want %s", kind, got, name)
				}
			}
		})
	}
}

// So it does for a pipeline runtime, whose launchers run with the account.
func TestSpaceOfDeployedPipeline(t *testing.T) {
	_, r, _, _ := deployedGuide(t, v1alpha1.IsolationShared)
	recordSpec(t, r)
	r.Generation++
	for want, hook := range map[string]string{r.Status.Target.Account: "unknown", "new": ""} {
		changed := r.DeepCopy()
		changed.Spec.Account = "new"
		if hook != "" {
			changed.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: hook}}}
		}
		s, _ := guideSnapshot(t, snapshot.Settings{})
		set, _, err := spaceSets(s.With(changed), guideProduct, guideCluster)
		if err != nil {
			t.Fatal(err)
		}
		if itemOf(set, "ServiceAccount", want) == nil {
			t.Errorf("there is no account %s", want)
		}
	}
}
