package summary

import (
	"errors"
	"testing"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
)

func TestTriggersAreArmedWhenAllTheyRelyOnIsDeployed(t *testing.T) {
	source, sensor := plan.ID{Kind: "EventSource", Name: "e"}, plan.ID{Kind: "Sensor", Name: "s"}
	deployed := map[plan.ID]observed.Eventing{source: {Deployed: true}, sensor: {Deployed: true}}
	tests := map[string]struct {
		facts        TriggerFacts
		states       map[plan.ID]observed.Eventing
		unknown      Cause
		unplanned    bool
		wantReason   string
		wantMessage  string
		wantDisarmed bool
	}{
		"armed":       {states: deployed, wantReason: "Armed"},
		"not planned": {states: deployed, unplanned: true, wantDisarmed: true, wantReason: "Progressing", wantMessage: "it is not deployed"},
		"not written": {states: map[plan.ID]observed.Eventing{source: {Deployed: true}}, wantDisarmed: true, wantReason: "Progressing", wantMessage: "Sensor s is not written yet"},
		"not written for a reason": {
			facts: TriggerFacts{Missing: Cause{"NotConnected", "c is away"}}, wantDisarmed: true, wantReason: "NotConnected", wantMessage: "c is away",
		},
		"there, whatever else is missing": {facts: TriggerFacts{Missing: Cause{"NotConnected", "c is away"}}, states: deployed, wantReason: "Armed"},
		"not looked at":                   {states: map[plan.ID]observed.Eventing{source: {}, sensor: {Deployed: true}}, wantDisarmed: true, wantReason: "Progressing", wantMessage: "Argo Events has not looked at EventSource e yet"},
		"failed": {
			states:       map[plan.ID]observed.Eventing{source: {Deployed: true}, sensor: {Failed: true, Message: "no bus"}},
			wantDisarmed: true, wantReason: "Degraded", wantMessage: "Argo Events does not run Sensor s: no bus",
		},
		"refused": {
			facts: TriggerFacts{Refused: map[string]Cause{"push": {"PermissionDenied", "not granted"}}}, states: deployed,
			wantDisarmed: true, wantReason: "PermissionDenied", wantMessage: "not granted",
		},
		"another one refused": {facts: TriggerFacts{Refused: map[string]Cause{"tag": {"PermissionDenied", "not granted"}}}, states: deployed, wantReason: "Armed"},
		"all blocked":         {facts: TriggerFacts{Blocked: Cause{"SecretMissing", "no key"}}, states: deployed, wantDisarmed: true, wantReason: "SecretMissing", wantMessage: "no key"},
		"could not be written": {
			facts: TriggerFacts{Failed: map[plan.ID]Cause{sensor: {"ApplyFailed", "refused"}}}, states: deployed,
			wantDisarmed: true, wantReason: "ApplyFailed", wantMessage: "refused",
		},
		"unknown": {unknown: Cause{"InternalError", "boom"}, wantDisarmed: true, wantReason: "InternalError", wantMessage: "boom"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.facts.Parts = func(v1alpha1.PipelineTrigger) []plan.ID {
				if test.unplanned {
					return nil
				}
				return []plan.ID{source, sensor}
			}
			test.facts.State = func(id plan.ID) (*observed.Eventing, Cause) {
				if state, ok := test.states[id]; ok {
					return &state, test.unknown
				}
				return nil, test.unknown
			}
			got := test.facts.Statuses([]v1alpha1.PipelineTrigger{{EventSource: "push", Pipeline: "build", Revision: "main"}})
			want := []v1alpha1.PipelineTriggerStatus{{
				EventSource: "push", Pipeline: "build", Revision: "main", Armed: !test.wantDisarmed, Reason: test.wantReason, Message: test.wantMessage,
			}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTriggersOf(t *testing.T) {
	trigger := v1alpha1.PipelineTrigger{EventSource: "push", Pipeline: "build"}
	sensor := &argoevents.Sensor{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "s"}}
	sensor.Spec.Dependencies = []argoevents.EventDependency{{Name: "d", EventSourceName: "e"}}
	sensor.Spec.Triggers = []argoevents.Trigger{{Template: &argoevents.TriggerTemplate{Name: names.SensorTrigger("push", "build", "", "calendar"), Conditions: "d"}}}
	ours := plan.ID{Group: "argoproj.io", Kind: "Sensor", Namespace: "n", Name: "s"}
	account := plan.ID{Kind: "ServiceAccount", Namespace: "n", Name: "a"}
	built := func(facts build.Pipeline) build.Result[build.Pipeline] {
		facts.Triggers = []v1alpha1.PipelineTrigger{trigger}
		return build.Result[build.Pipeline]{Plan: plan.Plan{Sets: []plan.Set{{Items: []plan.Item{{ID: ours, Object: sensor}}}}}, Facts: facts}
	}
	failed := func(id plan.ID, kept bool) apply.ItemError {
		return apply.ItemError{ID: id, Kept: kept, Err: errors.New("no")}
	}
	why := func(id plan.ID) Cause {
		err := failed(id, false)
		return Cause{"Because", err.Error()}
	}
	armed := Cause{Reason: "Armed"}
	for name, test := range map[string]struct {
		facts    build.Pipeline
		failed   []apply.ItemError
		missing  error
		state    *observed.Eventing
		stateErr error
		want     Cause
	}{
		"deployed":                    {state: &observed.Eventing{Deployed: true}, want: armed},
		"not written":                 {want: Cause{"Progressing", "EventSource e is not written yet"}},
		"not written for a reason":    {missing: errors.New("c is away"), want: Cause{"Because", "c is away"}},
		"deployed, and c is away":     {missing: errors.New("c is away"), state: &observed.Eventing{Deployed: true}, want: armed},
		"its state is unknown":        {stateErr: errors.New("no cache"), want: Cause{"Because", "no cache"}},
		"refused":                     {facts: build.Pipeline{Illegal: []v1alpha1.IllegalEventSource{{EventSource: "push", Reason: "not granted"}}}, state: &observed.Eventing{Deployed: true}, want: Cause{"PermissionDenied", "not granted"}},
		"no pipeline files":           {facts: build.Pipeline{SourceRefusal: "no access"}, missing: errors.New("c is away"), state: &observed.Eventing{Deployed: true}, want: Cause{"PermissionDenied", "no access"}},
		"its sensor failed":           {failed: []apply.ItemError{failed(ours, false)}, state: &observed.Eventing{Deployed: true}, want: why(ours)},
		"its sensor is kept":          {failed: []apply.ItemError{failed(ours, true)}, state: &observed.Eventing{Deployed: true}, want: armed},
		"an Application failed":       {failed: []apply.ItemError{failed(plan.ID{Kind: "Application"}, false)}, state: &observed.Eventing{Deployed: true}, want: armed},
		"an account failed":           {failed: []apply.ItemError{failed(account, false)}, state: &observed.Eventing{Deployed: true}, want: why(account)},
		"the first of two counts":     {failed: []apply.ItemError{failed(account, false), failed(plan.ID{Kind: "Secret"}, false)}, state: &observed.Eventing{Deployed: true}, want: why(account)},
		"a refusal before a failure":  {facts: build.Pipeline{SourceRefusal: "no access"}, failed: []apply.ItemError{failed(account, false)}, want: Cause{"PermissionDenied", "no access"}},
		"an account, before a sensor": {failed: []apply.ItemError{failed(account, false), failed(ours, false)}, want: why(account)},
	} {
		state := func(plan.ID) (*observed.Eventing, error) { return test.state, test.stateErr }
		causeOf := func(err error) Cause { return Cause{"Because", err.Error()} }
		facts := TriggersOf(built(test.facts), test.failed, test.missing, state, causeOf)
		got := facts.Statuses([]v1alpha1.PipelineTrigger{trigger})[0]
		if (Cause{got.Reason, got.Message}) != test.want || got.Armed != (test.want == armed) {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

// Revoke disarms armed triggers only, and Armed counts the others.
func TestRevoke(t *testing.T) {
	triggers := []v1alpha1.PipelineTriggerStatus{
		{EventSource: "push", Armed: true, Reason: "Armed"}, {EventSource: "tag", Armed: true, Reason: "Armed"}, {EventSource: "push", Reason: "Progressing", Message: "not yet"},
	}
	if got := Armed(triggers); got != "2/3" {
		t.Errorf("%s are armed before, want 2/3", got)
	}
	Revoke(triggers, map[string]string{"push": "not granted any more"})
	want := []v1alpha1.PipelineTriggerStatus{
		{EventSource: "push", Reason: "PermissionDenied", Message: "not granted any more"}, {EventSource: "tag", Armed: true, Reason: "Armed"},
		{EventSource: "push", Reason: "Progressing", Message: "not yet"},
	}
	if diff := cmp.Diff(want, triggers); diff != "" {
		t.Errorf("triggers (-want +got):\n%s", diff)
	}
	if got := Armed(triggers); got != "1/3" {
		t.Errorf("%s are armed, want 1/3", got)
	}
}

// The first trigger that is not armed gives the reason, and the others are counted.
func TestSetArmed(t *testing.T) {
	armed := v1alpha1.PipelineTriggerStatus{EventSource: "push", Pipeline: "build", Armed: true}
	denied := v1alpha1.PipelineTriggerStatus{EventSource: "tag", Pipeline: "release", Reason: "PermissionDenied", Message: "no grant"}
	missing := v1alpha1.PipelineTriggerStatus{EventSource: "night", Pipeline: "build", Reason: "KindMissing", Message: "no kind"}
	for name, test := range map[string]struct {
		triggers  []v1alpha1.PipelineTriggerStatus
		target    bool
		want      []string
		wantReady string
		wantErr   string
	}{
		"all": {triggers: []v1alpha1.PipelineTriggerStatus{armed}, want: []string{"Armed=True/Armed: 1/1 triggers are armed"}},
		"all, on a cluster": {
			triggers: []v1alpha1.PipelineTriggerStatus{armed}, target: true,
			want: []string{"Armed=True/Armed: 1/1 triggers are armed"}, wantReady: "1/1 triggers are armed on cluster c",
		},
		"one not": {
			triggers: []v1alpha1.PipelineTriggerStatus{armed, denied}, target: true, wantErr: "PermissionDenied",
			want: []string{"Armed=False/Disarmed: 1/2 triggers are armed; not armed is release by tag: no grant"},
		},
		"two not": {
			triggers: []v1alpha1.PipelineTriggerStatus{missing, armed, denied}, wantErr: "KindMissing",
			want: []string{"Armed=False/Disarmed: 1/3 triggers are armed; not armed is build by night: no kind (and 1 more)"},
		},
	} {
		facts, status := &engine.Facts{}, &v1alpha1.ProjectPipelineRuntimeStatus{Triggers: test.triggers, Armed: Armed(test.triggers)}
		if test.target {
			status.Target = &v1alpha1.RuntimeTarget{Cluster: "c"}
		}
		err := SetArmed(facts, status)
		if outcome := engine.Classify(err, nil); outcome.Reason != test.wantErr || (err != nil) != (outcome.Class == engine.ClassWaiting) {
			t.Errorf("%s: error %v of %+v, want the reason %q", name, err, outcome, test.wantErr)
		}
		if diff := cmp.Diff(test.want, conditionsOf(facts)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if facts.ReadyMessage != test.wantReady {
			t.Errorf("%s: the message of Ready is %q, want %q", name, facts.ReadyMessage, test.wantReady)
		}
	}
}
