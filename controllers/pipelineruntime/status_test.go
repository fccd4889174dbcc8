package pipelineruntime

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/snapshot"
)

func TestTriggersAreArmedWhenAllTheyRelyOnIsDeployed(t *testing.T) {
	source, sensor := plan.ID{Kind: "EventSource", Name: "e"}, plan.ID{Kind: "Sensor", Name: "s"}
	deployed := map[plan.ID]observed.Eventing{source: {Deployed: true}, sensor: {Deployed: true}}
	tests := map[string]struct {
		facts        triggerFacts
		states       map[plan.ID]observed.Eventing
		err          error
		unplanned    bool
		wantReason   string
		wantMessage  string
		wantDisarmed bool
	}{
		"armed":       {states: deployed, wantReason: "Armed"},
		"not planned": {states: deployed, unplanned: true, wantDisarmed: true, wantReason: "Progressing", wantMessage: "it is not deployed"},
		"not written": {states: map[plan.ID]observed.Eventing{source: {Deployed: true}}, wantDisarmed: true, wantReason: "Progressing", wantMessage: "Sensor s is not written yet"},
		"not written for a reason": {
			facts: triggerFacts{missing: cause{"NotConnected", "c is away"}}, wantDisarmed: true, wantReason: "NotConnected", wantMessage: "c is away",
		},
		"there, whatever else is missing": {facts: triggerFacts{missing: cause{"NotConnected", "c is away"}}, states: deployed, wantReason: "Armed"},
		"not looked at":                   {states: map[plan.ID]observed.Eventing{source: {}, sensor: {Deployed: true}}, wantDisarmed: true, wantReason: "Progressing", wantMessage: "Argo Events has not looked at EventSource e yet"},
		"failed": {
			states:       map[plan.ID]observed.Eventing{source: {Deployed: true}, sensor: {Failed: true, Message: "no bus"}},
			wantDisarmed: true, wantReason: "Degraded", wantMessage: "Argo Events does not run Sensor s: no bus",
		},
		"refused": {
			facts: triggerFacts{refused: map[string]cause{"push": {"PermissionDenied", "not granted"}}}, states: deployed,
			wantDisarmed: true, wantReason: "PermissionDenied", wantMessage: "not granted",
		},
		"another one refused": {facts: triggerFacts{refused: map[string]cause{"tag": {"PermissionDenied", "not granted"}}}, states: deployed, wantReason: "Armed"},
		"all blocked":         {facts: triggerFacts{blocked: cause{"SecretMissing", "no key"}}, states: deployed, wantDisarmed: true, wantReason: "SecretMissing", wantMessage: "no key"},
		"could not be written": {
			facts: triggerFacts{failed: map[plan.ID]cause{sensor: {"ApplyFailed", "refused"}}}, states: deployed,
			wantDisarmed: true, wantReason: "ApplyFailed", wantMessage: "refused",
		},
		"not known yet":  {err: &remote.NotSyncedError{Group: "argoproj.io", Kind: "Sensor"}, wantDisarmed: true, wantReason: "Progressing", wantMessage: reconcile.Message(&remote.NotSyncedError{Group: "argoproj.io", Kind: "Sensor"})},
		"cannot be told": {err: errors.New("boom"), wantDisarmed: true, wantReason: "InternalError", wantMessage: reconcile.Message(errors.New("boom"))},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.facts.parts = func(v1alpha1.PipelineTrigger) []plan.ID {
				if test.unplanned {
					return nil
				}
				return []plan.ID{source, sensor}
			}
			test.facts.state = func(id plan.ID) (*observed.Eventing, error) {
				if state, ok := test.states[id]; ok {
					return &state, test.err
				}
				return nil, test.err
			}
			got := test.facts.statuses([]v1alpha1.PipelineTrigger{{EventSource: "push", Pipeline: "build", Revision: "main"}})
			want := []v1alpha1.PipelineTriggerStatus{{
				EventSource: "push", Pipeline: "build", Revision: "main", Armed: !test.wantDisarmed, Reason: test.wantReason, Message: test.wantMessage,
			}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLastRuns(t *testing.T) {
	run := func(name, launcher, result string) observed.Run {
		return observed.Run{Name: name, Role: launch.RoleRun, Launcher: launcher, Result: result}
	}
	launcher := func(name, result string) observed.Run {
		return observed.Run{Name: name, Role: launch.RoleLauncher, Result: result, Message: "why"}
	}
	tests := map[string]struct {
		runs []observed.Run
		want []string
	}{
		"none": {},
		"a run hides its launcher, however that ended": {
			runs: []observed.Run{run("r", "l", "Succeeded"), launcher("l", "Failed")}, want: []string{"r Succeeded"},
		},
		"launchers at work, and those that did their work, are no runs": {
			runs: []observed.Run{launcher("a", "Running"), launcher("b", "Succeeded")},
		},
		"a launcher that created nothing": {
			runs: []observed.Run{launcher("c", "Timeout"), launcher("b", "Cancelled"), launcher("a", "Failed"), run("r", "other", "Failed")},
			want: []string{"c NotStarted", "b NotStarted", "a NotStarted", "r Failed"},
		},
		"a launcher whose run is gone, and that failed after it": {
			runs: []observed.Run{{Name: "l", Role: launch.RoleLauncher, Result: "Failed", Launched: true}},
		},
		"whoever has another role": {runs: []observed.Run{{Name: "x", Role: "guest", Result: "Failed"}}},
	}
	many := make([]observed.Run, 0, 20)
	for i := range 20 {
		many = append(many, run(fmt.Sprint(i), "", "Succeeded"))
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, r := range lastRuns(test.runs) {
				got = append(got, r.Name+" "+r.Result)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
		})
	}
	if got := lastRuns(many); len(got) != maxRuns || got[0].Name != "0" || got[maxRuns-1].Name != "9" {
		t.Errorf("of twenty runs it lists %v", got)
	}
	got := lastRuns([]observed.Run{{
		Name: "r", Role: launch.RoleRun, Pipeline: "p", EventSource: "e", Event: "push_events", Commit: "c",
		Result: "Failed", Message: "m", Started: 1767225600,
	}})
	want := []v1alpha1.PipelineRunStatus{{
		Name: "r", Pipeline: "p", EventSource: "e", Event: "push_events", Commit: "c", Result: "Failed", Message: "m",
		StartTime: &metav1.Time{Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a run (-want +got):\n%s", diff)
	}
}

// What a set leaves as it is, it neither writes nor removes.
func TestPartsOfSets(t *testing.T) {
	app, sensor, old := plan.ID{Kind: "Application", Name: "a"}, plan.ID{Kind: "Sensor", Name: "s"}, plan.ID{Kind: "Secret", Name: "k"}
	set := plan.Set{Items: []plan.Item{{ID: app}, {ID: sensor}}, Keep: []plan.ID{old}}
	some := without(set, func(id plan.ID) bool { return id == app })
	if len(some.Items) != 1 || some.Items[0].ID != sensor || !holds(some, app) || !holds(some, old) {
		t.Errorf("without: %+v", some)
	}
	if len(set.Items) != 2 || len(set.Keep) != 1 {
		t.Errorf("the set itself has changed: %+v", set)
	}
}

// Without the image of the runner nothing is deployed, and the message says what
// to do.
func TestPipelinesNeedTheRunnersImage(t *testing.T) {
	session := &engine.Session[*v1alpha1.ProjectPipelineRuntime]{
		Object: &v1alpha1.ProjectPipelineRuntime{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "pr"}}, Facts: &engine.Facts{},
	}
	p := &pipelinePass{Session: session}
	refusals := field.ErrorList{{Field: "spec.project", Detail: "it does not exist", Origin: v1alpha1.ReasonReferenceMissing}}
	for image, want := range map[string]string{"": v1alpha1.ReasonNotServed, "runner": v1alpha1.ReasonReferenceMissing} {
		session.Snapshot = snapshot.New("tenant", "nautes").WithSettings(snapshot.Settings{RunnerImage: image})
		outcome := engine.Classify(p.stop(refusals), reconcile.Classify)
		if outcome.Reason != want || image == "" && !strings.Contains(outcome.Message, "pipelines.runnerImage") {
			t.Errorf("with the image %q it is stopped by %v, want %s", image, outcome, want)
		}
	}
}
