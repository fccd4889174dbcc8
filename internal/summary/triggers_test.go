package summary

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
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
