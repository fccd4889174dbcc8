// Package pipelineruntime reconciles ProjectPipelineRuntimes into event sources and
// sensors. It guarantees that nothing is triggered from a repository that the runtime
// may not use.
package pipelineruntime

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/deployed"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/pushhooks"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/record"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/sensorfiles"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/summary"
	"nautes.io/nautes/internal/validate"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projectpipelineruntimes,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projectpipelineruntimes/status,verbs=patch

// Add adds the controller of ProjectPipelineRuntimes.
func Add(d *reconcile.Deps) error {
	return reconcile.Start(d, work{d}.phases, engine.Options[*v1alpha1.ProjectPipelineRuntime]{})
}

type work struct{ deps *reconcile.Deps }

// pipelinePass is one pass over a pipeline runtime.
type pipelinePass struct {
	deps *reconcile.Deps
	s    *engine.Session[*v1alpha1.ProjectPipelineRuntime]
	// built is the plan that the cluster is compared with; planned is false if none
	// could be built.
	built   build.Result[build.Pipeline]
	planned bool
	// revoked are the event sources that the deployed runtime lost, with the reasons.
	revoked map[string]string
	// failed are the objects that could not be written.
	failed []apply.ItemError
	// deployed is the reason why something could not be written.
	deployed error
}

func (w work) phases(s *engine.Session[*v1alpha1.ProjectPipelineRuntime]) engine.Phases {
	p, r := &pipelinePass{deps: w.deps, s: s}, s.Object
	phases := engine.Phases{
		Conditions: []string{v1alpha1.ConditionValid, v1alpha1.ConditionApplied, v1alpha1.ConditionArmed},
		Load: func(ctx context.Context) (*snapshot.Snapshot, error) {
			return w.deps.LoadRuntime(ctx, r, r.Status.Deployed != nil, s.Abandons)
		},
		Clusters: func() []string { return reconcile.ClustersOf(s.Snapshot, r) },
		Prepare:  p.prepare,
		Hold:     p.hold,
		Stop:     p.stop,
		Deploy:   p.keeping(p.deploy),
		Refused: p.keeping(func(ctx context.Context) error {
			return p.restore(ctx, s.Snapshot.Settings.RunnerImage == "")
		}),
		Applied: func() string { return "on cluster " + r.Status.Target.Cluster },
		Observe: func(ctx context.Context, _ error) error {
			return errors.Join(p.observe(ctx, p.deployed), pushhooks.EnsureEvents(ctx, w.deps.Hooks, s, w.deps.Secrets))
		},
		Withdraw: p.withdrawAll,
	}
	if len(r.Status.Reports) > 0 {
		phases.Conditions = append(phases.Conditions, v1alpha1.ConditionReported)
	}
	if w.deps.Hooks.Active() {
		phases.Conditions = append(phases.Conditions, v1alpha1.ConditionHooked)
	}
	if r.Spec.AdditionalResources != nil {
		phases.Conditions = append(phases.Conditions, v1alpha1.ConditionSynced, v1alpha1.ConditionHealthy)
	}
	if r.Spec.Suspend {
		phases.Suspended = "spec.suspend is set: nothing is changed until it is removed, except that revoked permissions take effect"
	}
	return phases
}

// prepare lists the event sources that may not be used.
func (p *pipelinePass) prepare(context.Context) error {
	p.s.Object.Status.IllegalEventSources = p.s.Snapshot.IllegalEventSources(p.s.Object)
	return nil
}

// keeping keeps the error of a step for the phase Observe.
func (p *pipelinePass) keeping(step func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		p.deployed = step(ctx)
		return p.deployed
	}
}

// stop returns the reason why a runtime cannot be deployed. If only a repository may not
// be used, the rest is deployed.
func (p *pipelinePass) stop(refusals field.ErrorList) error {
	if p.s.Snapshot.Settings.RunnerImage == "" {
		return summary.NotServed()
	}
	stop := engine.Verdict(slices.DeleteFunc(slices.Clone(refusals), validate.Disarming))
	if stop == nil && p.s.Object.Status.Target == nil && p.sourceRefusal() != "" {
		// Nothing of it would work, so nothing is begun.
		return engine.Verdict(refusals)
	}
	return stop
}

// sourceRefusal returns the reason why the runtime must not read its pipeline files, or "".
func (p *pipelinePass) sourceRefusal() string {
	_, refusal, err := p.s.Snapshot.ProjectRepository(p.s.Object.Namespace, p.s.Object.Spec.Project, p.s.Object.Spec.PipelineSource)
	if err != nil {
		return ""
	}
	return refusal
}

// set builds the plan of the runtime and returns the set for its cluster.
func (p *pipelinePass) set() (plan.Set, error) {
	made, err := build.PipelineRuntime(p.s.Snapshot, p.s.Object)
	if err != nil {
		return plan.Set{}, err
	}
	p.built, p.planned = made, true
	i := slices.IndexFunc(made.Sets, func(set plan.Set) bool { return set.Target.Kind == plan.TargetCluster })
	if i < 0 {
		return plan.Set{}, fmt.Errorf("the plan of %s has no cluster", snapshot.RefOf(p.s.Object))
	}
	return made.Sets[i], nil
}

// deploy brings the runtime to where its spec says.
func (p *pipelinePass) deploy(ctx context.Context) error {
	r := p.s.Object
	target, err := p.s.Snapshot.Target(r)
	if err != nil {
		return err
	}
	if at := r.Status.Target; at != nil && at.Cluster != target.Cluster {
		return p.move(ctx, target)
	}
	set, err := p.set()
	if err != nil {
		return errors.Join(err, p.restore(ctx, true))
	}
	if at := r.Status.Target; at != nil && !reflect.DeepEqual(*at, target) {
		// The space follows the record.
		r.Status.Target, r.Status.Runs = &target, nil
		if err := p.s.Record(ctx); err != nil {
			return err
		}
	}
	conn, err := p.deps.Conn(p.s.Snapshot, target.Cluster)
	if err != nil {
		return err
	}
	some, waits := summary.ReadyPart(p.s.Snapshot, r, set, target)
	if some == nil {
		return errors.Join(waits, p.restore(ctx, true))
	}
	r.Status.Target = &target
	p.setApplication(*some)
	if err := p.s.Record(ctx); err != nil {
		return err
	}
	err = p.write(ctx, conn, *some)
	return errors.Join(err, waits, p.setDeployed(err))
}

// setDeployed notes the spec that is deployed, and its hooks and pipeline files. After
// a write that failed, in whole or in part, the hooks before it may still be in use.
func (p *pipelinePass) setDeployed(err error) error {
	r := p.s.Object
	hooks := slices.Clone(p.built.Facts.Webhooks)
	if wrote(p.failed, err) {
		r.Status.Webhooks, r.Status.PipelineSource = hooks, r.Spec.PipelineSource
		deployed, err := record.Of(r.Status.Deployed, r.Generation, r.Spec)
		if err == nil {
			r.Status.Deployed = deployed
		}
		return err
	}
	for _, before := range r.Status.Webhooks {
		if !slices.ContainsFunc(hooks, func(hook v1alpha1.WebhookStatus) bool { return hook.EventSource == before.EventSource }) {
			hooks = append(hooks, before)
		}
	}
	r.Status.Webhooks = hooks
	return nil
}

// wrote reports whether everything was written. Removed objects may still exist.
func wrote(failed []apply.ItemError, err error) bool {
	return len(failed) == 0 && (err == nil || engine.Classify(err, reconcile.Classify).Class == engine.ClassWaiting)
}

// move takes the runtime off the cluster where it is, and puts on record where it
// goes. Nothing is written there before that.
func (p *pipelinePass) move(ctx context.Context, target v1alpha1.RuntimeTarget) error {
	r := p.s.Object
	from := r.Status.Target.Cluster
	// Without an error, since nothing is described for a cluster that is left.
	p.built, _ = build.PipelineRuntime(p.s.Snapshot, r)
	p.planned, r.Status.Webhooks, r.Status.PipelineSource, r.Status.Deployed = true, nil, "", nil
	if err := p.withdraw(ctx, from); err != nil {
		return err
	}
	r.Status.Target, r.Status.Application, r.Status.Runs = &target, nil, nil
	if err := p.s.Record(ctx); err != nil {
		return err
	}
	return engine.Waiting(v1alpha1.ReasonProgressing, "it has left cluster %s and goes to cluster %s", from, target.Cluster)
}

// restore brings the cluster to the spec that was deployed last, less everything
// that the runtime may no longer use. If hold is true it only removes that.
func (p *pipelinePass) restore(ctx context.Context, hold bool) error {
	r := p.s.Object
	if r.Status.Target == nil {
		return nil
	}
	conn, err := p.deps.Conn(p.s.Snapshot, r.Status.Target.Cluster)
	if err != nil {
		return err
	}
	owned, err := conn.Owned(ctx, build.PipelineOwner(r))
	if err != nil {
		return err
	}
	there := make([]plan.ID, 0, len(owned))
	for i := range owned {
		there = append(there, plan.IDOf(owned[i].GroupVersionKind(), &owned[i]))
	}
	built := deployed.PipelineRuntime(p.s.Snapshot, r, there, hold)
	p.revoked = built.Facts.Revoked
	set := *built.On(plan.Cluster(r.Status.Target.Cluster))
	if built.Facts.Complete {
		p.built, p.planned = built, true
		p.setApplication(set)
		if err := p.s.Record(ctx); err != nil {
			return err
		}
	} else {
		if set.Keep, err = sensorfiles.DropUnused(ctx, conn, set.Keep); err != nil {
			return err
		}
		if len(set.Items) == 0 && len(set.Keep) == len(there) {
			return nil
		}
	}
	err = p.write(ctx, conn, set)
	if wrote(p.failed, err) {
		// Until then a later pass goes by the hooks on record.
		r.Status.Webhooks = built.Facts.Webhooks
	}
	return err
}

// hold removes the objects of a suspended runtime that it may no longer use.
func (p *pipelinePass) hold(ctx context.Context) error {
	err := p.restore(ctx, true)
	p.setRevokedTriggers()
	return err
}

const kindApplication = "Application"

func applicationID(app *v1alpha1.ApplicationStatus) plan.ID {
	return plan.ID{Group: "argoproj.io", Kind: kindApplication, Namespace: app.Namespace, Name: app.Name}
}

// write applies a set. No object holds up another one, and nothing that must go
// waits until Argo CD has removed the additional resources.
func (p *pipelinePass) write(ctx context.Context, conn *remote.Conn, set plan.Set) error {
	r := p.s.Object
	set, err := sensorfiles.Keep(ctx, conn, set)
	if err != nil {
		return err
	}
	failed := []error{pushhooks.EnsureKey(ctx, p.deps.Secrets, set)}
	options := apply.Options{NoGuard: true, Isolate: true}
	if app := r.Status.Application; app != nil && !set.Holds(applicationID(app)) {
		first := set
		first.Keep = append(slices.Clone(set.Keep), applicationID(app))
		if applied := p.s.Apply(ctx, first, options); applied.Err != nil {
			return applied.Err
		}
	}
	applied := p.s.Apply(ctx, set, options)
	result := applied.Result
	p.failed = result.Failed
	if applied.Err != nil {
		return applied.Err
	}
	if app := r.Status.Application; app != nil && !set.Holds(applicationID(app)) && !slices.Contains(result.Removing, applicationID(app)) {
		r.Status.Application = nil
	}
	for i := range result.Failed {
		failed = append(failed, &result.Failed[i])
	}
	return errors.Join(append(failed, engine.Removing(result, set.Target))...)
}

// setApplication notes the Application of the additional resources.
func (p *pipelinePass) setApplication(set plan.Set) {
	for _, item := range set.Items {
		if item.ID.Kind == kindApplication {
			p.s.Object.Status.Application = summary.KnownApplication(item.ID, p.s.Object.Status.Application)
		}
	}
}

// withdraw removes the objects of the runtime from a cluster. It returns nil if all are
// gone, or given up.
func (p *pipelinePass) withdraw(ctx context.Context, cluster string) error {
	set := plan.Set{Owner: build.PipelineOwner(p.s.Object), Target: plan.Cluster(cluster)}
	if app := p.s.Object.Status.Application; app != nil {
		// Nothing is triggered while Argo CD removes the additional resources.
		first := set
		first.Keep = []plan.ID{applicationID(app)}
		if applied := p.s.Apply(ctx, first, apply.Options{NoGuard: true}); applied.Err != nil && applied.Unconnected == nil {
			return applied.Err
		}
	}
	reconcile.EndOperation(ctx, p.deps, cluster, p.s.Object.Status.Application)
	return p.s.Withdraw(ctx, set, apply.Options{})
}

// withdrawAll removes the event sources, and then the objects that Argo CD deployed. The
// space follows when the runtime is gone.
func (p *pipelinePass) withdrawAll(ctx context.Context) error {
	if err := pushhooks.RemoveEvents(ctx, p.deps.Hooks, p.s); err != nil || p.s.Object.Status.Target == nil {
		return err
	}
	return p.withdraw(ctx, p.s.Object.Status.Target.Cluster)
}
