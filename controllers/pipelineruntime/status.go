package pipelineruntime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/remote"
)

// maxRuns is how many of the last runs a status lists.
const maxRuns = 10

// observe tells what became of the triggers, of the runs and of the additional
// resources. deployed is why something could not be written.
func (p *pipelinePass) observe(ctx context.Context, deployed error) error {
	r := p.Object
	if !p.planned {
		// The plan says what to look for, though it may not be written.
		_, _ = p.set()
	}
	if r.Status.Target == nil {
		return p.tellTriggers(func(plan.ID) (*observed.Eventing, error) { return nil, nil }, deployed)
	}
	conn, err := p.deps.Clusters.Get(r.Status.Target.Cluster)
	if err != nil {
		p.Facts.Set(v1alpha1.ConditionArmed, metav1.ConditionUnknown, v1alpha1.ReasonNotConnected,
			"what is on cluster "+r.Status.Target.Cluster+" cannot be seen; "+armed(r.Status.Triggers)+" triggers were armed")
		return err
	}
	if runs, err := conn.Runs(r.Status.Target.Namespaces[0], r.Namespace, r.Name); err == nil {
		r.Status.Runs = lastRuns(runs)
	}
	triggers := p.tellTriggers(func(id plan.ID) (*observed.Eventing, error) { return eventing(ctx, conn, id) }, deployed)
	return errors.Join(triggers, p.observeResources(ctx, conn))
}

// eventing returns what is known of an EventSource or a Sensor, and nil when it is
// not there. A sensor whose files are gone works only until its Pod starts again.
// The files themselves are those of a sensor that is there, or not in use yet.
func eventing(ctx context.Context, conn *remote.Conn, id plan.ID) (*observed.Eventing, error) {
	if id.Group == "" {
		return &observed.Eventing{Deployed: true}, nil
	}
	state, err := conn.Eventing(ctx, id)
	if err != nil || state == nil || state.Files == "" {
		return state, err
	}
	files, err := conn.Get(ctx, build.SensorFilesID(id, state.Files))
	if err == nil && files == nil {
		state = &observed.Eventing{Failed: true, Message: "its ConfigMap " + state.Files + " is gone, and is made again when the runtime can be deployed"}
	}
	return state, err
}

// observeResources tells what Argo CD says of the additional resources.
func (p *pipelinePass) observeResources(ctx context.Context, conn *remote.Conn) error {
	r := p.Object
	if r.Status.Application == nil {
		return nil
	}
	var source observed.ApplicationSource
	if more := r.Spec.AdditionalResources; more != nil && more.Git != nil {
		source.Path, source.TargetRevision = more.Git.Path, more.Git.Revision
		source.RepoURL, _, _ = p.Snapshot.AdditionalResources(r)
	}
	ready := p.Facts.ReadyMessage
	err := reconcile.ObserveApplication(ctx, conn, p.Facts, r.Status.Application, source)
	p.Facts.ReadyMessage = ready + "; " + p.Facts.ReadyMessage
	return err
}

// tellTriggers tells which triggers are armed. When that cannot be told, since the
// runtime is invalid, what was known before stays.
func (p *pipelinePass) tellTriggers(state func(plan.ID) (*observed.Eventing, error), deployed error) error {
	r := p.Object
	if p.planned {
		r.Status.Triggers = p.triggers(state, deployed).statuses(p.built.Facts.Triggers)
	}
	p.setRevokedTriggers()
	var not []string
	reason := v1alpha1.ReasonDisarmed
	for _, t := range r.Status.Triggers {
		if !t.Armed {
			if not = append(not, fmt.Sprintf("%s by %s: %s", t.Pipeline, t.EventSource, t.Message)); len(not) == 1 {
				reason = t.Reason
			}
		}
	}
	if len(not) > 0 {
		message := fmt.Sprintf("%s triggers are armed; not armed is %s%s", r.Status.Armed, not[0], engine.More(len(not)-1))
		p.Facts.False(v1alpha1.ConditionArmed, v1alpha1.ReasonDisarmed, message)
		return engine.Waiting(reason, "%s", message)
	}
	p.Facts.True(v1alpha1.ConditionArmed, v1alpha1.ReasonArmed, r.Status.Armed+" triggers are armed")
	if r.Status.Target != nil {
		p.Facts.ReadyMessage = fmt.Sprintf("%s triggers are armed on cluster %s", r.Status.Armed, r.Status.Target.Cluster)
	}
	return nil
}

// setRevokedTriggers notes that nothing runs the triggers of revoked event sources,
// whatever else is known of them.
func (p *pipelinePass) setRevokedTriggers() {
	r := p.Object
	for i := range r.Status.Triggers {
		t := &r.Status.Triggers[i]
		if why, revoked := p.revoked[t.EventSource]; revoked && t.Armed {
			t.Armed, t.Reason, t.Message = false, v1alpha1.ReasonPermissionDenied, why
		}
	}
	r.Status.Armed = armed(r.Status.Triggers)
}

// armed is how many of some triggers are armed, as 3/4.
func armed(triggers []v1alpha1.PipelineTriggerStatus) string {
	n := 0
	for _, t := range triggers {
		if t.Armed {
			n++
		}
	}
	return fmt.Sprintf("%d/%d", n, len(triggers))
}

// triggers gathers what decides about the triggers.
func (p *pipelinePass) triggers(state func(plan.ID) (*observed.Eventing, error), deployed error) triggerFacts {
	facts := triggerFacts{
		refused: map[string]cause{}, failed: map[plan.ID]cause{}, state: state,
		parts: func(t v1alpha1.PipelineTrigger) []plan.ID { return build.TriggerParts(p.built.Plan, t) },
	}
	for _, illegal := range p.built.Facts.Illegal {
		facts.refused[illegal.EventSource] = cause{v1alpha1.ReasonPermissionDenied, illegal.Reason}
	}
	switch refusal := p.built.Facts.SourceRefusal; {
	case refusal != "":
		facts.blocked = cause{v1alpha1.ReasonPermissionDenied, refusal}
	case deployed != nil:
		facts.missing = causeOf(deployed)
	}
	parts := map[plan.ID]bool{}
	for _, t := range p.built.Facts.Triggers {
		for _, id := range facts.parts(t) {
			parts[id] = true
		}
	}
	for i := range p.failed {
		switch failed := &p.failed[i]; {
		case failed.Kept, failed.ID.Kind == kindApplication:
		case parts[failed.ID]:
			facts.failed[failed.ID] = causeOf(failed)
		case facts.blocked == cause{}:
			// What all of them share: an account, a credential, a path.
			facts.blocked = causeOf(failed)
		}
	}
	return facts
}

// cause says why a trigger is not armed.
type cause struct{ reason, message string }

func causeOf(err error) cause {
	outcome := engine.Classify(err, reconcile.Classify)
	return cause{cmp.Or(outcome.Reason, v1alpha1.ReasonProgressing), outcome.Message}
}

// triggerFacts decide whether triggers are armed.
type triggerFacts struct {
	// refused are the event sources that may not be used.
	refused map[string]cause
	// blocked is why none is armed; empty when there is no such reason.
	blocked cause
	// missing is why nothing may be there yet.
	missing cause
	// failed are the parts that could not be written.
	failed map[plan.ID]cause
	// parts returns what a trigger relies on, and state what Argo Events says of it.
	parts func(v1alpha1.PipelineTrigger) []plan.ID
	state func(plan.ID) (*observed.Eventing, error)
}

func (f triggerFacts) statuses(triggers []v1alpha1.PipelineTrigger) []v1alpha1.PipelineTriggerStatus {
	statuses := make([]v1alpha1.PipelineTriggerStatus, 0, len(triggers))
	for _, t := range triggers {
		status := v1alpha1.PipelineTriggerStatus{
			EventSource: t.EventSource, Pipeline: t.Pipeline, Revision: t.Revision, Armed: true, Reason: v1alpha1.ReasonArmed,
		}
		if why := f.whyNot(t); why != (cause{}) {
			status.Armed, status.Reason, status.Message = false, why.reason, why.message
		}
		statuses = append(statuses, status)
	}
	return statuses
}

// whyNot says why a trigger is not armed; it is empty when it is.
func (f triggerFacts) whyNot(t v1alpha1.PipelineTrigger) cause {
	if why, refused := f.refused[t.EventSource]; refused {
		return why
	}
	if f.blocked != (cause{}) {
		return f.blocked
	}
	parts := f.parts(t)
	if len(parts) == 0 {
		return f.orMissing("it is not deployed")
	}
	for _, id := range parts {
		if why, failed := f.failed[id]; failed {
			return why
		}
		state, err := f.state(id)
		switch {
		case err != nil:
			return causeOf(err)
		case state == nil:
			return f.orMissing(fmt.Sprintf("%s %s is not written yet", id.Kind, id.Name))
		case state.Failed:
			return cause{v1alpha1.ReasonDegraded, fmt.Sprintf("Argo Events does not run %s %s: %s", id.Kind, id.Name, state.Message)}
		case !state.Deployed:
			return cause{v1alpha1.ReasonProgressing, fmt.Sprintf("Argo Events has not looked at %s %s yet", id.Kind, id.Name)}
		}
	}
	return cause{}
}

func (f triggerFacts) orMissing(message string) cause {
	if f.missing.message != "" {
		return f.missing
	}
	return cause{v1alpha1.ReasonProgressing, message}
}

// lastRuns returns the last of some runs, which are in order, and the launchers
// that created none.
func lastRuns(all []observed.Run) []v1alpha1.PipelineRunStatus {
	started := map[string]bool{}
	for _, run := range all {
		if run.Role == launch.RoleRun {
			started[run.Launcher] = true
		}
	}
	var runs []v1alpha1.PipelineRunStatus
	for _, run := range all {
		result := run.Result
		switch {
		case run.Role == launch.RoleRun:
		case run.Role == launch.RoleLauncher && !run.Launched && !started[run.Name] && slices.Contains(failures(), result):
			result = launch.RunNotStarted
		default:
			continue
		}
		if len(runs) == maxRuns {
			break
		}
		runs = append(runs, v1alpha1.PipelineRunStatus{
			Name: run.Name, Pipeline: run.Pipeline, EventSource: run.EventSource, Event: run.Event, Commit: run.Commit,
			Result: result, Message: run.Message, StartTime: moment(run.Started), CompletionTime: moment(run.Ended),
		})
	}
	return runs
}

// failures are the results of a launcher that did not do its work.
func failures() []string { return []string{launch.RunFailed, launch.RunCancelled, launch.RunTimeout} }

func moment(seconds int64) *metav1.Time {
	if seconds == 0 {
		return nil
	}
	at := metav1.NewTime(time.Unix(seconds, 0).UTC())
	return &at
}
