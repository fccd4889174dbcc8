package pipelineruntime

import (
	"cmp"
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/sensorfiles"
	"nautes.io/nautes/internal/summary"
)

// observe reads the state of the triggers, of the runs and of the additional resources.
// deployed is the reason why something could not be written.
func (p *pipelinePass) observe(ctx context.Context, deployed error) error {
	r := p.s.Object
	if !p.planned {
		// The plan names the objects to look for, though it may not be written.
		_, _ = p.set()
	}
	if r.Status.Target == nil {
		return p.setTriggers(func(plan.ID) (*observed.Eventing, error) { return nil, nil }, deployed)
	}
	conn, err := p.deps.Clusters.Get(r.Status.Target.Cluster)
	if err != nil {
		p.s.Facts.Set(v1alpha1.ConditionArmed, metav1.ConditionUnknown, v1alpha1.ReasonNotConnected,
			"the objects on cluster "+r.Status.Target.Cluster+" cannot be seen; "+summary.Armed(r.Status.Triggers)+" triggers were armed")
		return err
	}
	if runs, err := conn.Runs(r.Status.Target.Namespaces[0], r.Namespace, r.Name); err == nil {
		r.Status.Runs = summary.Runs(runs)
		p.deps.Reports.Runs(ctx, p.s)
	}
	triggers := p.setTriggers(func(id plan.ID) (*observed.Eventing, error) { return sensorfiles.State(ctx, conn, id) }, deployed)
	return errors.Join(triggers, p.observeResources(ctx, conn))
}

// observeResources reads the state of the additional resources from Argo CD.
func (p *pipelinePass) observeResources(ctx context.Context, conn *remote.Conn) error {
	r := p.s.Object
	if r.Status.Application == nil {
		return nil
	}
	var source observed.ApplicationSource
	if more := r.Spec.AdditionalResources; more != nil && more.Git != nil {
		source.Path, source.TargetRevision = more.Git.Path, more.Git.Revision
		source.RepoURL, _, _ = p.s.Snapshot.AdditionalResources(r)
	}
	ready := p.s.Facts.ReadyMessage
	app, err := reconcile.Application(ctx, conn, r.Status.Application.Namespace, r.Status.Application.Name)
	if err == nil {
		err = summary.Application(p.s.Facts, r.Status.Application, app, source)
	}
	p.s.Facts.ReadyMessage = ready + "; " + p.s.Facts.ReadyMessage
	return err
}

// setTriggers reports which triggers are armed. If that is unknown, since the runtime is
// invalid, the reported triggers stay.
func (p *pipelinePass) setTriggers(state func(plan.ID) (*observed.Eventing, error), deployed error) error {
	r := p.s.Object
	if p.planned {
		r.Status.Triggers = summary.TriggersOf(p.built, p.failed, deployed, state, causeOf).Statuses(p.built.Facts.Triggers)
	}
	p.setRevokedTriggers()
	return summary.SetArmed(p.s.Facts, &r.Status)
}

// setRevokedTriggers disarms the triggers of revoked event sources in the status.
func (p *pipelinePass) setRevokedTriggers() {
	summary.Revoke(p.s.Object.Status.Triggers, p.revoked)
	p.s.Object.Status.Armed = summary.Armed(p.s.Object.Status.Triggers)
}

// causeOf returns the reason and the message of an error.
func causeOf(err error) summary.Cause {
	outcome := engine.Classify(err, reconcile.Classify)
	return summary.Cause{Reason: cmp.Or(outcome.Reason, v1alpha1.ReasonProgressing), Message: outcome.Message}
}
