package summary

import (
	"fmt"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
)

// Cause is the reason why a trigger is not armed.
type Cause struct{ Reason, Message string }

// TriggerFacts decide whether triggers are armed.
type TriggerFacts struct {
	// Refused are the event sources that may not be used.
	Refused map[string]Cause
	// Blocked is the reason why no trigger is armed; empty if there is none.
	Blocked Cause
	// Missing is the reason why the objects may be missing.
	Missing Cause
	// Failed are the objects that could not be written.
	Failed map[plan.ID]Cause
	// Parts returns the objects that a trigger needs.
	Parts func(v1alpha1.PipelineTrigger) []plan.ID
	// State returns the state of such an object, nil if it does not exist, or the reason
	// why it is unknown.
	State func(plan.ID) (*observed.Eventing, Cause)
}

// Statuses returns the status of each trigger.
func (f TriggerFacts) Statuses(triggers []v1alpha1.PipelineTrigger) []v1alpha1.PipelineTriggerStatus {
	statuses := make([]v1alpha1.PipelineTriggerStatus, 0, len(triggers))
	for _, t := range triggers {
		status := v1alpha1.PipelineTriggerStatus{
			EventSource: t.EventSource, Pipeline: t.Pipeline, Revision: t.Revision, Armed: true, Reason: v1alpha1.ReasonArmed,
		}
		if why := f.whyNot(t); why != (Cause{}) {
			status.Armed, status.Reason, status.Message = false, why.Reason, why.Message
		}
		statuses = append(statuses, status)
	}
	return statuses
}

// whyNot returns the reason why a trigger is not armed, or an empty one.
func (f TriggerFacts) whyNot(t v1alpha1.PipelineTrigger) Cause {
	if why, refused := f.Refused[t.EventSource]; refused {
		return why
	}
	if f.Blocked != (Cause{}) {
		return f.Blocked
	}
	parts := f.Parts(t)
	if len(parts) == 0 {
		return f.orMissing("it is not deployed")
	}
	for _, id := range parts {
		if why, failed := f.Failed[id]; failed {
			return why
		}
		state, unknown := f.State(id)
		switch {
		case unknown != (Cause{}):
			return unknown
		case state == nil:
			return f.orMissing(fmt.Sprintf("%s %s is not written yet", id.Kind, id.Name))
		case state.Failed:
			return Cause{v1alpha1.ReasonDegraded, fmt.Sprintf("Argo Events does not run %s %s: %s", id.Kind, id.Name, state.Message)}
		case !state.Deployed:
			return Cause{v1alpha1.ReasonProgressing, fmt.Sprintf("Argo Events has not looked at %s %s yet", id.Kind, id.Name)}
		}
	}
	return Cause{}
}

func (f TriggerFacts) orMissing(message string) Cause {
	if f.Missing.Message != "" {
		return f.Missing
	}
	return Cause{v1alpha1.ReasonProgressing, message}
}

// TriggersOf returns the facts about the triggers of a built runtime: the objects that
// could not be written, the reason why others may be missing, or nil, and the state of
// the deployed ones.
func TriggersOf(built build.Result[build.Pipeline], failed []apply.ItemError, missing error,
	state func(plan.ID) (*observed.Eventing, error), causeOf func(error) Cause) TriggerFacts {
	facts := TriggerFacts{
		Refused: map[string]Cause{}, Failed: map[plan.ID]Cause{},
		State: func(id plan.ID) (*observed.Eventing, Cause) {
			seen, err := state(id)
			if err != nil {
				return nil, causeOf(err)
			}
			return seen, Cause{}
		},
		Parts: func(t v1alpha1.PipelineTrigger) []plan.ID { return build.TriggerParts(built.Plan, t) },
	}
	for _, illegal := range built.Facts.Illegal {
		facts.Refused[illegal.EventSource] = Cause{Reason: v1alpha1.ReasonPermissionDenied, Message: illegal.Reason}
	}
	switch refusal := built.Facts.SourceRefusal; {
	case refusal != "":
		facts.Blocked = Cause{Reason: v1alpha1.ReasonPermissionDenied, Message: refusal}
	case missing != nil:
		facts.Missing = causeOf(missing)
	}
	parts := map[plan.ID]bool{}
	for _, t := range built.Facts.Triggers {
		for _, id := range facts.Parts(t) {
			parts[id] = true
		}
	}
	for i := range failed {
		switch failed := &failed[i]; {
		case failed.Kept, failed.ID.Kind == "Application":
		case parts[failed.ID]:
			facts.Failed[failed.ID] = causeOf(failed)
		case facts.Blocked == Cause{}:
			// All triggers share it: an account, a credential, a path.
			facts.Blocked = causeOf(failed)
		}
	}
	return facts
}

// Revoke disarms the triggers of revoked event sources, given with the reasons.
func Revoke(triggers []v1alpha1.PipelineTriggerStatus, revoked map[string]string) {
	for i := range triggers {
		t := &triggers[i]
		if why, ok := revoked[t.EventSource]; ok && t.Armed {
			t.Armed, t.Reason, t.Message = false, v1alpha1.ReasonPermissionDenied, why
		}
	}
}

// Armed returns the number of armed triggers of all, for example 3/4.
func Armed(triggers []v1alpha1.PipelineTriggerStatus) string {
	n := 0
	for _, t := range triggers {
		if t.Armed {
			n++
		}
	}
	return fmt.Sprintf("%d/%d", n, len(triggers))
}

// SetArmed sets the condition Armed and the message of Ready. It returns a waiting error
// if a trigger is not armed.
func SetArmed(facts *engine.Facts, status *v1alpha1.ProjectPipelineRuntimeStatus) error {
	var not []string
	reason := v1alpha1.ReasonDisarmed
	for _, t := range status.Triggers {
		if !t.Armed {
			if not = append(not, fmt.Sprintf("%s by %s: %s", t.Pipeline, t.EventSource, t.Message)); len(not) == 1 {
				reason = t.Reason
			}
		}
	}
	if len(not) > 0 {
		message := fmt.Sprintf("%s triggers are armed; not armed is %s%s", status.Armed, not[0], engine.More(len(not)-1))
		facts.False(v1alpha1.ConditionArmed, v1alpha1.ReasonDisarmed, message)
		return engine.Waiting(reason, "%s", message)
	}
	facts.True(v1alpha1.ConditionArmed, v1alpha1.ReasonArmed, status.Armed+" triggers are armed")
	if status.Target != nil {
		facts.ReadyMessage = fmt.Sprintf("%s triggers are armed on cluster %s", status.Armed, status.Target.Cluster)
	}
	return nil
}

// NotServed returns the reason why an operator without the image of nautes-runner serves
// no pipeline runtime.
func NotServed() error {
	return engine.Terminal(v1alpha1.ReasonNotServed,
		"pipelines.runnerImage is missing in the operator's configuration: set it to the image with nautes-runner")
}
