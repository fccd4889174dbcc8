package pipelineruntime

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/summary"
)

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
			"what is on cluster "+r.Status.Target.Cluster+" cannot be seen; "+summary.Armed(r.Status.Triggers)+" triggers were armed")
		return err
	}
	if runs, err := conn.Runs(r.Status.Target.Namespaces[0], r.Namespace, r.Name); err == nil {
		r.Status.Runs = summary.Runs(runs)
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
	app, err := conn.Application(ctx, r.Status.Application.Namespace, r.Status.Application.Name)
	if err == nil {
		err = summary.Application(p.Facts, r.Status.Application, app, source)
	}
	p.Facts.ReadyMessage = ready + "; " + p.Facts.ReadyMessage
	return err
}

// tellTriggers tells which triggers are armed. When that cannot be told, since the
// runtime is invalid, what was known before stays.
func (p *pipelinePass) tellTriggers(state func(plan.ID) (*observed.Eventing, error), deployed error) error {
	r := p.Object
	if p.planned {
		r.Status.Triggers = p.triggers(state, deployed).Statuses(p.built.Facts.Triggers)
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
	r.Status.Armed = summary.Armed(r.Status.Triggers)
}

// triggers gathers what decides about the triggers.
func (p *pipelinePass) triggers(state func(plan.ID) (*observed.Eventing, error), deployed error) summary.TriggerFacts {
	facts := summary.TriggerFacts{
		Refused: map[string]summary.Cause{}, Failed: map[plan.ID]summary.Cause{},
		State: func(id plan.ID) (*observed.Eventing, summary.Cause) {
			seen, err := state(id)
			if err != nil {
				return nil, causeOf(err)
			}
			return seen, summary.Cause{}
		},
		Parts: func(t v1alpha1.PipelineTrigger) []plan.ID { return build.TriggerParts(p.built.Plan, t) },
	}
	for _, illegal := range p.built.Facts.Illegal {
		facts.Refused[illegal.EventSource] = summary.Cause{Reason: v1alpha1.ReasonPermissionDenied, Message: illegal.Reason}
	}
	switch refusal := p.built.Facts.SourceRefusal; {
	case refusal != "":
		facts.Blocked = summary.Cause{Reason: v1alpha1.ReasonPermissionDenied, Message: refusal}
	case deployed != nil:
		facts.Missing = causeOf(deployed)
	}
	parts := map[plan.ID]bool{}
	for _, t := range p.built.Facts.Triggers {
		for _, id := range facts.Parts(t) {
			parts[id] = true
		}
	}
	for i := range p.failed {
		switch failed := &p.failed[i]; {
		case failed.Kept, failed.ID.Kind == kindApplication:
		case parts[failed.ID]:
			facts.Failed[failed.ID] = causeOf(failed)
		case facts.Blocked == summary.Cause{}:
			// What all of them share: an account, a credential, a path.
			facts.Blocked = causeOf(failed)
		}
	}
	return facts
}

func causeOf(err error) summary.Cause {
	outcome := engine.Classify(err, reconcile.Classify)
	return summary.Cause{Reason: cmp.Or(outcome.Reason, v1alpha1.ReasonProgressing), Message: outcome.Message}
}
