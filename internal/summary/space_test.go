package summary

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/testutil"
)

// A runtime waits for its namespaces, its repository and the problems of its space.
func TestSpaceReady(t *testing.T) {
	target := v1alpha1.RuntimeTarget{Cluster: "c", Namespaces: []string{"n", "m"}}
	condition := func(conditionType string, status metav1.ConditionStatus, reason string) metav1.Condition {
		return metav1.Condition{Type: conditionType, Status: status, Reason: reason, Message: "why"}
	}
	applied := condition(v1alpha1.ConditionApplied, metav1.ConditionTrue, "Applied")
	failed := condition(v1alpha1.ConditionApplied, metav1.ConditionFalse, "NotOurs")
	full := v1alpha1.SpaceStatus{Namespaces: []string{"m", "n", "o"}, Repositories: []string{"https://git.example/a"}}
	problem := func(p v1alpha1.SpaceProblem) v1alpha1.SpaceStatus {
		status := *full.DeepCopy()
		p.Object, p.Reason, p.Message = v1alpha1.ObjectReference{Kind: "Namespace", Name: "n"}, "NotOurs", "it is foreign"
		status.Problems = []v1alpha1.SpaceProblem{p}
		return status
	}
	for name, test := range map[string]struct {
		status     *v1alpha1.SpaceStatus
		conditions []metav1.Condition
		url        string
		wantClass  engine.Class
		want       string
	}{
		"ready":                    {status: &full, conditions: []metav1.Condition{applied}, url: "https://git.example/a"},
		"without a repository":     {status: &full, conditions: []metav1.Condition{applied}},
		"no Space":                 {wantClass: engine.ClassSilent},
		"a new Space":              {status: &full, wantClass: engine.ClassSilent},
		"a missing repository":     {status: &full, conditions: []metav1.Condition{applied}, url: "https://git.example/b", wantClass: engine.ClassWaiting, want: "cannot read the repository yet"},
		"a missing namespace":      {status: &v1alpha1.SpaceStatus{Namespaces: []string{"n"}}, conditions: []metav1.Condition{applied}, wantClass: engine.ClassWaiting, want: "namespace m on cluster c"},
		"not written":              {status: &full, conditions: []metav1.Condition{failed}, wantClass: engine.ClassWaiting, want: "why"},
		"not written, stalled":     {status: &full, conditions: []metav1.Condition{failed, condition("Stalled", metav1.ConditionTrue, "NotOurs")}, wantClass: engine.ClassTerminal, want: "why"},
		"stalled by another cause": {status: &full, conditions: []metav1.Condition{failed, condition("Stalled", metav1.ConditionTrue, "Invalid")}, wantClass: engine.ClassWaiting, want: "why"},
	} {
		t.Run(name, func(t *testing.T) {
			s := snapshot.New("t", "nautes")
			if test.status != nil {
				space := &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "c"}, Status: *test.status.DeepCopy()}
				space.Status.Conditions = test.conditions
				s = s.With(space)
			}
			check(t, SpaceReady(s, "product-1", target, "r", test.url), test.wantClass, test.want)
		})
	}
	for stalled, class := range map[bool]engine.Class{true: engine.ClassTerminal, false: engine.ClassWaiting} {
		space := &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "c"}, Status: problem(v1alpha1.SpaceProblem{Stalled: stalled})}
		space.Status.Conditions = []metav1.Condition{applied}
		check(t, SpaceReady(snapshot.New("t", "nautes", space), "product-1", target, "r", ""), class, "it is foreign")
	}
}

// The Application of the additional resources waits for its repository, and nothing else
// waits for that.
func TestReadyPart(t *testing.T) {
	const url = "https://public.example.org/more.git"
	application, sensor := plan.ID{Group: "argoproj.io", Kind: "Application", Name: "a"}, plan.ID{Group: "argoproj.io", Kind: "Sensor", Name: "s"}
	set := plan.Set{Items: []plan.Item{{ID: application}, {ID: sensor}}}
	target := v1alpha1.RuntimeTarget{Cluster: "c", Namespaces: []string{"n"}}
	for name, test := range map[string]struct {
		status    v1alpha1.SpaceStatus
		resources string
		wantItems []plan.ID
		wantKept  []plan.ID
		wantClass engine.Class
	}{
		"ready":                          {status: v1alpha1.SpaceStatus{Namespaces: []string{"n"}, Repositories: []string{url}}, resources: url, wantItems: []plan.ID{application, sensor}},
		"without the repository":         {status: v1alpha1.SpaceStatus{Namespaces: []string{"n"}}, resources: url, wantItems: []plan.ID{sensor}, wantKept: []plan.ID{application}, wantClass: engine.ClassWaiting},
		"without the namespace":          {resources: url, wantClass: engine.ClassWaiting},
		"without resources":              {status: v1alpha1.SpaceStatus{Namespaces: []string{"n"}}, wantItems: []plan.ID{application, sensor}},
		"resources that are not granted": {status: v1alpha1.SpaceStatus{Namespaces: []string{"n"}}, resources: "https://public.example.org/*", wantItems: []plan.ID{application, sensor}},
	} {
		t.Run(name, func(t *testing.T) {
			space := &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "c"}, Status: test.status}
			space.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionApplied, Status: metav1.ConditionTrue, Reason: "Applied"}}
			r := testutil.PipelineRuntime("product-1", "pipe", "api", "ci", "repo-3", func(r *v1alpha1.ProjectPipelineRuntime) {
				if test.resources != "" {
					r.Spec.AdditionalResources = &v1alpha1.AdditionalResources{Git: &v1alpha1.AdditionalResourcesGit{URL: test.resources}}
				}
			})
			some, err := ReadyPart(snapshot.New("t", "nautes", space), r, set, target)
			check(t, err, test.wantClass, "")
			if test.wantItems == nil {
				if some != nil {
					t.Errorf("the part is %v, want none", some)
				}
				return
			}
			var items []plan.ID
			for _, item := range some.Items {
				items = append(items, item.ID)
			}
			if diff := cmp.Diff(test.wantItems, items); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantKept, some.Keep); diff != "" {
				t.Errorf("kept (-want +got):\n%s", diff)
			}
		})
	}
}

func check(t *testing.T, err error, class engine.Class, message string) {
	t.Helper()
	outcome := engine.Classify(err, nil)
	if outcome.Class != class || !strings.Contains(outcome.Message, message) {
		t.Errorf("class %v, %q; want %v, %q", outcome.Class, outcome.Message, class, message)
	}
}

// The outcome of a mirrored object follows from the part of the status that the mirror
// writes, for the generation that it has seen.
func TestMirrorOutcome(t *testing.T) {
	for name, test := range map[string]struct {
		status     metav1.ConditionStatus
		generation int64
		sync       *v1alpha1.SyncStatus
		wantClass  engine.Class
	}{
		"in sync":                {status: metav1.ConditionTrue, generation: 2},
		"waiting":                {status: metav1.ConditionFalse, generation: 2, sync: &v1alpha1.SyncStatus{}, wantClass: engine.ClassWaiting},
		"waiting from the start": {status: metav1.ConditionFalse, generation: 2, wantClass: engine.ClassWaiting},
		"stalled":                {status: metav1.ConditionFalse, generation: 2, sync: &v1alpha1.SyncStatus{Stalled: true}, wantClass: engine.ClassTerminal},
		"an older generation":    {status: metav1.ConditionTrue, generation: 1, wantClass: engine.ClassSilent},
		"never mirrored":         {wantClass: engine.ClassSilent},
	} {
		p := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
		if test.status != "" {
			p.Status.Conditions = []metav1.Condition{{
				Type: v1alpha1.ConditionSynced, Status: test.status, ObservedGeneration: test.generation, Reason: "R", Message: "m",
			}}
		}
		err := MirrorOutcome(p, test.sync)
		if outcome := engine.Classify(err, nil); outcome.Class != test.wantClass {
			t.Errorf("%s: class %v, want %v", name, outcome.Class, test.wantClass)
		}
		if silent := errors.Is(err, engine.ErrNotYet); silent != (test.wantClass == engine.ClassSilent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
