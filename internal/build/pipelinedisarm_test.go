package build_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// tally counts the kinds of what stays.
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

// deployedGuide returns the guide's runtime as it is on record when it has been
// deployed, and what there is then.
func deployedGuide(t *testing.T, isolation v1alpha1.Isolation) (*snapshot.Snapshot, *v1alpha1.ProjectPipelineRuntime, plan.Plan, []plan.ID) {
	t.Helper()
	s, r := guideSnapshot(t, snapshot.Settings{}, isolated(isolation))
	deployed := mustPipeline(t, s, r)
	var there []plan.ID
	for _, item := range deployed.Sets[0].Items {
		there = append(there, item.ID)
	}
	target, err := s.Target(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Status.Target, r.Status.Webhooks = &target, build.Webhooks(deployed, r)
	for _, trigger := range r.Spec.PipelineTriggers {
		r.Status.Triggers = append(r.Status.Triggers, v1alpha1.PipelineTriggerStatus{
			EventSource: trigger.EventSource, Pipeline: trigger.Pipeline, Revision: trigger.Revision,
		})
	}
	return s, r, deployed, there
}

// otherFaults are what may be wrong with a runtime at the same time.
func otherFaults() map[string]func(*v1alpha1.ProjectPipelineRuntime) {
	const nobody = "a-name-that-nobody-has"
	return map[string]func(*v1alpha1.ProjectPipelineRuntime){
		"no other fault": func(*v1alpha1.ProjectPipelineRuntime) {},
		"an unknown hook": func(r *v1alpha1.ProjectPipelineRuntime) {
			r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: nobody}}}
		},
		"a reserved namespace":    func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Namespace = "kube-system" },
		"another environment":     func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Environment = "env-test-demo" },
		"an environment gone":     func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Destination.Environment = nobody },
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

// TestPipelineDisarmed holds that what may not be used goes, whatever else is
// wrong with a runtime, and that everything else stays as it is.
func TestPipelineDisarmed(t *testing.T) {
	const revoked, theirs, unsure = "webhook-main-tag", "repo-4", "repo-5"
	revoke := listens(3, theirs)
	whole, but := func(isolation v1alpha1.Isolation) map[string]int {
		if isolation == v1alpha1.IsolationShared {
			return guideKinds(map[string]int{"Hook": 0, "ConfigMap": 1, "EventSource": 2, "Sensor": 1})
		}
		return guideKinds(map[string]int{"Hook": 0})
	}, func(isolation v1alpha1.Isolation, n int) map[string]int {
		if isolation == v1alpha1.IsolationShared {
			return guideKinds(map[string]int{"Hook": 0, "ConfigMap": 1, "EventSource": 2, "Sensor": 1, "Secret": 5 - n})
		}
		return guideKinds(map[string]int{"Hook": 0, "ConfigMap": 5 - n, "EventSource": 5 - n, "Sensor": 5 - n, "Secret": 5 - n})
	}
	for _, isolation := range []v1alpha1.Isolation{v1alpha1.IsolationExclusive, v1alpha1.IsolationShared} {
		s, r, deployed, there := deployedGuide(t, isolation)
		s = s.With(CodeRepo(guideProduct, theirs, "api-server"))
		s = s.With(CodeRepo(guideProduct, unsure, "project-demo", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "away" }))
		names := make([]string, 0, len(r.Spec.EventSources))
		for _, e := range r.Spec.EventSources {
			names = append(names, e.Name)
		}
		shared := isolation == v1alpha1.IsolationShared
		tests := map[string]struct {
			change func(*v1alpha1.ProjectPipelineRuntime)
			want   map[string]int
			gone   []string
		}{
			"nothing is refused":         {change: func(*v1alpha1.ProjectPipelineRuntime) {}, want: whole(isolation)},
			"nothing can be told of one": {change: listens(3, unsure), want: whole(isolation)},
			"one is refused":             {change: revoke, want: but(isolation, 1), gone: []string{revoked}},
			"one that was renamed is refused": {
				change: func(r *v1alpha1.ProjectPipelineRuntime) {
					r.Spec.EventSources = r.Spec.EventSources[:3]
					r.Spec.PipelineTriggers = r.Spec.PipelineTriggers[:3]
					r.Status.Webhooks[slices.IndexFunc(r.Status.Webhooks, func(h v1alpha1.WebhookStatus) bool { return h.EventSource == revoked })].CodeRepo = theirs
				}, want: but(isolation, 1), gone: []string{revoked},
			},
			"the pipeline files are refused": {
				change: func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.PipelineSource = theirs }, want: map[string]int{"Application": 1}, gone: names,
			},
			"the pipeline files of before are refused": {
				change: func(r *v1alpha1.ProjectPipelineRuntime) { r.Status.PipelineSource = theirs }, want: map[string]int{"Application": 1}, gone: names,
			},
			"all are refused": {
				change: allOf(listens(0, theirs), listens(1, theirs), listens(2, theirs), revoke), want: map[string]int{"Application": 1}, gone: names,
			},
			"the resources are refused": {
				change: func(r *v1alpha1.ProjectPipelineRuntime) {
					r.Spec.AdditionalResources = &v1alpha1.AdditionalResources{Git: &v1alpha1.AdditionalResourcesGit{CodeRepo: theirs}}
				}, want: func() map[string]int { kinds := whole(isolation); delete(kinds, "Application"); return kinds }(),
			},
		}
		for name, test := range tests {
			for fault, wrong := range otherFaults() {
				if name == "the resources are refused" && fault == "the resources taken out" {
					continue
				}
				t.Run(strings.Join([]string{string(isolation), name, fault}, "/"), func(t *testing.T) {
					r := r.DeepCopy()
					test.change(r)
					wrong(r)
					s := s.With(r)
					before := r.DeepCopy()
					got := build.PipelineDisarmed(s, r, there)
					if diff := cmp.Diff(before, r); diff != "" {
						t.Errorf("it changed the runtime:\n%s", diff)
					}
					if diff := cmp.Diff(test.want, tally(got.Set)); diff != "" {
						t.Errorf("what stays (-want +got):\n%s", diff)
					}
					if gone := slices.Sorted(maps.Keys(got.Gone)); !slices.Equal(gone, slices.Sorted(slices.Values(test.gone))) {
						t.Errorf("gone are %v, want %v", got.Gone, test.gone)
					}
					if got.Set.Owner != build.PipelineOwner(r) || got.Set.Target != plan.Cluster(guideCluster) {
						t.Errorf("the set is for %v of %v", got.Set.Target, got.Set.Owner)
					}
					for _, item := range got.Set.Items {
						checkRemade(t, item, deployed, test.gone, shared)
					}
				})
			}
		}
	}
}

// checkRemade makes sure that an object is the one that is deployed, without some event
// sources.
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

// TestPipelineDisarmedOfMany holds that an event source of which nothing can be
// told goes with the EventSource that it shares with a refused one, and no other.
func TestPipelineDisarmedOfMany(t *testing.T) {
	for isolation, want := range map[v1alpha1.Isolation]int{v1alpha1.IsolationExclusive: 1, v1alpha1.IsolationShared: 2} {
		s, r, _, there := deployedGuide(t, isolation)
		r.Spec.EventSources[2].GitLab.RepoName, r.Spec.EventSources[3].GitLab.RepoName = "unsure", "absent"
		s = s.With(CodeRepo(guideProduct, "unsure", "project-demo", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "away" }))
		if got := build.PipelineDisarmed(s.With(r), r, there); len(got.Gone) != want || got.Gone["webhook-main-tag"] == "" || tally(got.Set)["Application"] != 1 {
			t.Errorf("%s: gone are %v", isolation, got.Gone)
		}
	}
}
