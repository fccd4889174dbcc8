package deployed_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	networkingv1 "k8s.io/api/networking/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/deployed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/guide"
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
	s, r := guide.Snapshot(t, snapshot.Settings{}, func(r *v1alpha1.ProjectPipelineRuntime) { r.Spec.Isolation = isolation })
	built, err := build.PipelineRuntime(s, r)
	if err != nil {
		t.Fatal(err)
	}
	var there []plan.ID
	for _, item := range built.Sets[0].Items {
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
	return s, r, built.Plan, there
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
			return guide.Kinds(map[string]int{"ConfigMap": 1, "EventSource": 2, "Sensor": 1, "Secret": 5 - n})
		}
		return guide.Kinds(map[string]int{"ConfigMap": 5 - n, "EventSource": 5 - n, "Sensor": 5 - n, "Secret": 5 - n})
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
		"the first of two with one pipeline is refused": {deployed: listens(0, theirs), want: less(1), wantRevoked: names[:1]},
		"one is refused, and the status lists no triggers": {
			deployed: allOf(revoke, func(r *v1alpha1.ProjectPipelineRuntime) { r.Status.Triggers = nil }), want: less(1), wantRevoked: []string{revoked},
		},
		"the pipeline files are refused, and one has no hook": {
			deployed: func(r *v1alpha1.ProjectPipelineRuntime) {
				r.Spec.PipelineSource, r.Status.Webhooks = theirs, r.Status.Webhooks[1:]
			},
			want: application, wantRevoked: names,
		},
		"the pipeline files are refused, and a hook is of an older spec": {
			deployed: func(r *v1alpha1.ProjectPipelineRuntime) {
				r.Spec.PipelineSource, r.Status.Webhooks[0].EventSource = theirs, "older"
			},
			want: application, wantRevoked: append(slices.Clone(names), "older"),
		},
		"the resources are refused": {
			deployed: func(r *v1alpha1.ProjectPipelineRuntime) {
				r.Spec.AdditionalResources = &v1alpha1.AdditionalResources{Git: &v1alpha1.AdditionalResourcesGit{CodeRepo: theirs}}
			},
			want: resources, without: "the resources taken out",
		},
	}
}

// TestPipelineRuntime holds that a deployed runtime loses exactly the objects that
// it is no longer granted, whatever is wrong with its new spec.
func TestPipelineRuntime(t *testing.T) {
	for _, isolation := range []v1alpha1.Isolation{v1alpha1.IsolationExclusive, v1alpha1.IsolationShared} {
		s, r, was, there := deployedGuide(t, isolation)
		s = s.With(CodeRepo(guide.Product, "repo-4", "api-server"))
		s = s.With(CodeRepo(guide.Product, "repo-5", "project-demo", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "away" }))
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
							Recorded(t, r)
						}
						if test.spec != nil {
							test.spec(r)
						}
						wrong(r)
						s := s.With(r)
						before := r.DeepCopy()
						got := deployed.PipelineRuntime(s, r, there, mode == "held")
						if diff := cmp.Diff(before, r); diff != "" {
							t.Errorf("it changed the runtime:\n%s", diff)
						}
						set := *got.On(plan.Cluster(guide.Cluster))
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
						checkFacts(t, last, got, test.wantRevoked)
						for _, item := range set.Items {
							checkRemade(t, item, was, test.wantRevoked, isolation == v1alpha1.IsolationShared)
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

// checkFacts checks that the facts are the deployed ones without some event sources.
func checkFacts(t *testing.T, last *v1alpha1.ProjectPipelineRuntime, got build.Result[build.Pipeline], gone []string) {
	t.Helper()
	want := build.Pipeline{Target: last.Status.Target, Triggers: got.Facts.Triggers, Revoked: got.Facts.Revoked}
	for _, hook := range last.Status.Webhooks {
		if !slices.Contains(gone, hook.EventSource) {
			want.Webhooks = append(want.Webhooks, hook)
		}
	}
	if diff := cmp.Diff(want, got.Facts, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("facts (-want +got):\n%s", diff)
	}
	for source, reason := range got.Facts.Revoked {
		if !strings.Contains(reason, "repo-4") {
			t.Errorf("%s is revoked because %q", source, reason)
		}
	}
	written := map[string]int{}
	for _, item := range got.Sets[0].Items {
		written[item.ID.Kind]++
		if slices.Contains(got.Sets[0].Keep, item.ID) {
			t.Errorf("%v is written and kept", item.ID)
		}
	}
	if remain := len(want.Webhooks) > 0 && len(gone) > 0; remain != (written["Ingress"] == 1) || written["EventSource"] > 1 {
		t.Errorf("there is a remaining path: %t; written are %v", remain, written)
	}
	items := got.Sets[0]
	items.Items, items.Keep = slices.Clone(items.Items), slices.Clone(items.Keep)
	items.Sort()
	if diff := cmp.Diff(items.Keep, got.Sets[0].Keep); diff != "" {
		t.Errorf("the objects to keep are not in order (-want +got):\n%s", diff)
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

// TestPipelineRuntimeUnknown holds that an event source that cannot be judged goes
// with the EventSource that it shares with a revoked one, and no other does.
func TestPipelineRuntimeUnknown(t *testing.T) {
	for isolation, want := range map[v1alpha1.Isolation]int{v1alpha1.IsolationExclusive: 1, v1alpha1.IsolationShared: 2} {
		s, r, _, there := deployedGuide(t, isolation)
		r.Spec.EventSources[2].GitLab.RepoName, r.Spec.EventSources[3].GitLab.RepoName = "unsure", "absent"
		Recorded(t, r)
		s = s.With(CodeRepo(guide.Product, "unsure", "project-demo", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "away" }))
		got := deployed.PipelineRuntime(s.With(r), r, there, false)
		if revoked := got.Facts.Revoked; len(revoked) != want || revoked["webhook-main-tag"] == "" || tally(*got.On(plan.Cluster(guide.Cluster)))["Application"] != 1 ||
			tally(*got.On(plan.Cluster(guide.Cluster)))["Ingress"] != 1 {
			t.Errorf("%s: revoked are %v", isolation, revoked)
		}
	}
}

// TestPipelineRuntimeElsewhere holds that the spec on record is deployed again only where
// the runtime is.
func TestPipelineRuntimeElsewhere(t *testing.T) {
	s, r, _, there := deployedGuide(t, v1alpha1.IsolationExclusive)
	Recorded(t, r)
	tests := map[string]struct {
		change       func(*v1alpha1.RuntimeTarget)
		wantComplete bool
	}{
		"where it is":       {change: func(*v1alpha1.RuntimeTarget) {}, wantComplete: true},
		"another account":   {change: func(t *v1alpha1.RuntimeTarget) { t.Account = "other" }},
		"another namespace": {change: func(t *v1alpha1.RuntimeTarget) { t.Namespaces = []string{"other"} }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := r.DeepCopy()
			test.change(r.Status.Target)
			got := deployed.PipelineRuntime(s.With(r), r, there, false)
			if got.Facts.Complete != test.wantComplete {
				t.Errorf("complete is %t, want %t", got.Facts.Complete, test.wantComplete)
			}
			if set := got.Sets[0]; !test.wantComplete && (len(set.Items) > 0 || len(set.Keep) != len(there)) {
				t.Errorf("%d objects are written and %d kept, want none and %d", len(set.Items), len(set.Keep), len(there))
			}
		})
	}
	r.Status.Target = nil
	if got := deployed.PipelineRuntime(s.With(r), r, there, false); len(got.Sets) > 0 {
		t.Errorf("a runtime that is on no cluster has the sets %v", got.Sets)
	}
}

// TestPipelineRuntimeOfRefusedFiles holds that nothing is triggered once the new spec
// names pipeline files that the runtime may not read.
func TestPipelineRuntimeOfRefusedFiles(t *testing.T) {
	s, r, _, there := deployedGuide(t, v1alpha1.IsolationExclusive)
	s = s.With(CodeRepo(guide.Product, "repo-4", "api-server"))
	Recorded(t, r)
	r.Spec.PipelineSource = "repo-4"
	// An EventSource of an older spec belongs to no event source by its name.
	older := there[slices.IndexFunc(there, func(id plan.ID) bool { return id.Kind == "EventSource" })]
	older.Name = "of-an-older-spec"
	there = append(there, older)
	for hold, want := range map[bool]map[string]int{true: {"Application": 1}, false: guide.Kinds(nil)} {
		got := deployed.PipelineRuntime(s.With(r), r, there, hold)
		if diff := cmp.Diff(want, tally(*got.On(plan.Cluster(guide.Cluster)))); diff != "" {
			t.Errorf("hold %t: objects that stay (-want +got):\n%s", hold, diff)
		}
		if revoked := len(got.Facts.Revoked) == len(r.Spec.EventSources); revoked != hold {
			t.Errorf("hold %t: revoked are %v", hold, got.Facts.Revoked)
		}
	}
}

// TestPipelineRuntimeShared holds which parts of a shared EventSource stay, and when it
// goes as a whole.
func TestPipelineRuntimeShared(t *testing.T) {
	noCalendar := func(r *v1alpha1.ProjectPipelineRuntime) {
		for i := range r.Spec.EventSources {
			r.Spec.EventSources[i].Calendar = nil
		}
	}
	tests := map[string]struct {
		change func(*v1alpha1.ProjectPipelineRuntime)
		world  func(*snapshot.Snapshot) *snapshot.Snapshot
		there  func(plan.ID) bool
		// want are the kinds that stay, of EventSource, Sensor and Application.
		want        []string
		wantRevoked int
		// wantEvents is the number of event sources in the EventSource that is written.
		wantEvents int
	}{
		"one is refused, without a calendar": {
			change: allOf(noCalendar, listens(3, "repo-4")), want: []string{"Application", "EventSource", "Sensor"}, wantRevoked: 1,
			there:      func(id plan.ID) bool { return !strings.HasSuffix(id.Name, "calendar") || id.Kind != "EventSource" },
			wantEvents: 3,
		},
		"one has no trigger": {
			change: func(r *v1alpha1.ProjectPipelineRuntime) {
				listens(3, "repo-4")(r)
				r.Spec.PipelineTriggers = slices.DeleteFunc(r.Spec.PipelineTriggers, func(t v1alpha1.PipelineTrigger) bool { return t.EventSource == r.Spec.EventSources[0].Name })
			},
			want: []string{"Application", "EventSource", "Sensor"}, wantRevoked: 1, wantEvents: 2,
		},
		"one that cannot be judged has no trigger": {
			change: func(r *v1alpha1.ProjectPipelineRuntime) {
				allOf(listens(2, "unsure"), listens(3, "repo-4"))(r)
				r.Spec.PipelineTriggers = slices.DeleteFunc(r.Spec.PipelineTriggers, func(t v1alpha1.PipelineTrigger) bool { return t.EventSource == r.Spec.EventSources[2].Name })
			},
			world: func(s *snapshot.Snapshot) *snapshot.Snapshot {
				return s.With(CodeRepo(guide.Product, "unsure", "project-demo", func(r *v1alpha1.CodeRepo) { r.Spec.CodeRepoProvider = "away" }))
			},
			want: []string{"Application", "EventSource", "Sensor"}, wantRevoked: 1, wantEvents: 2,
		},
		"the cluster is gone": {
			change: listens(3, "repo-4"), want: []string{"Application"}, wantRevoked: 4,
			world: func(s *snapshot.Snapshot) *snapshot.Snapshot { return s.Without(s.Cluster(guide.Cluster)) },
		},
		"nothing is refused, and nothing listens": {
			change: func(*v1alpha1.ProjectPipelineRuntime) {}, want: []string{"Application", "Sensor"},
			there: func(id plan.ID) bool { return id.Kind != "EventSource" },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, r, _, there := deployedGuide(t, v1alpha1.IsolationShared)
			s = s.With(CodeRepo(guide.Product, "repo-4", "api-server"))
			test.change(r)
			Recorded(t, r)
			if s = s.With(r); test.world != nil {
				s = test.world(s)
			}
			if test.there != nil {
				there = slices.DeleteFunc(there, func(id plan.ID) bool { return !test.there(id) })
			}
			got := deployed.PipelineRuntime(s, r, there, true)
			kinds := tally(got.Sets[0])
			for _, kind := range []string{"Application", "EventSource", "Sensor"} {
				if stays := kinds[kind] > 0; stays != slices.Contains(test.want, kind) {
					t.Errorf("%d objects of the kind %s stay, want some of %v", kinds[kind], kind, test.want)
				}
			}
			if len(got.Facts.Revoked) != test.wantRevoked {
				t.Errorf("revoked are %v, want %d", got.Facts.Revoked, test.wantRevoked)
			}
			for _, item := range got.Sets[0].Items {
				if source, ok := item.Object.(*argoevents.EventSource); ok && len(source.Spec.Gitlab) != test.wantEvents {
					t.Errorf("it listens to %v, want %d", slices.Sorted(maps.Keys(source.Spec.Gitlab)), test.wantEvents)
				}
			}
		})
	}
}
