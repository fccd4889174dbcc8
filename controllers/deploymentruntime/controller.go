// Package deploymentruntime reconciles DeploymentRuntimes into Argo CD Applications. It
// guarantees that an Application is written only into a space that is ready for it.
package deploymentruntime

import (
	"cmp"
	"context"
	"fmt"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/deployed"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/record"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/summary"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=deploymentruntimes,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=deploymentruntimes/status,verbs=patch

// Add adds the controller of DeploymentRuntimes.
func Add(d *reconcile.Deps) error {
	return reconcile.Start(d, work{d}.phases, engine.Options[*v1alpha1.DeploymentRuntime]{})
}

type work struct{ deps *reconcile.Deps }

// pass is one pass over a deployment runtime.
type pass struct {
	deps *reconcile.Deps
	s    *engine.Session[*v1alpha1.DeploymentRuntime]
	// built is the plan; undescribed is the reason why there is none.
	built       build.Result[build.Deployment]
	undescribed error
	// manifests are the source that is deployed.
	manifests v1alpha1.ManifestSource
}

func (w work) phases(s *engine.Session[*v1alpha1.DeploymentRuntime]) engine.Phases {
	p, r := &pass{deps: w.deps, s: s, manifests: s.Object.Spec.ManifestSource}, s.Object
	phases := engine.Phases{
		Conditions: []string{v1alpha1.ConditionValid, v1alpha1.ConditionApplied, v1alpha1.ConditionSynced, v1alpha1.ConditionHealthy},
		Load: func(ctx context.Context) (*snapshot.Snapshot, error) {
			return w.deps.LoadRuntime(ctx, r, r.Status.Deployed != nil, s.Abandons)
		},
		Clusters:  func() []string { return reconcile.ClustersOf(s.Snapshot, r) },
		Prepare:   p.prepare,
		Refused:   p.restore,
		Plan:      p.plan,
		Connected: true,
		Commit:    p.commit,
		After:     p.after,
		Applied: func() string {
			return fmt.Sprintf("Application %s/%s on cluster %s", r.Status.Application.Namespace, r.Status.Application.Name, r.Status.Target.Cluster)
		},
		Observe:  p.observe,
		Withdraw: p.withdraw,
	}
	if len(r.Status.Reports) > 0 {
		phases.Conditions = append(phases.Conditions, v1alpha1.ConditionReported)
	}
	if r.Spec.Suspend {
		phases.Suspended = "spec.suspend is set: nothing is changed until it is removed"
	}
	return phases
}

// prepare builds the plan, whose facts hold for an invalid runtime too.
func (p *pass) prepare(context.Context) error {
	p.built, p.undescribed = build.DeploymentRuntime(p.s.Snapshot, p.s.Object)
	p.s.Object.Status.IllegalProjectRefs = p.built.Facts.Illegal
	return nil
}

// plan returns the Application, if the space is ready for it.
func (p *pass) plan(context.Context) (plan.Plan, error) {
	r := p.s.Object
	target, err := p.s.Snapshot.Target(r)
	if err != nil {
		return plan.Plan{}, err
	}
	if p.undescribed != nil {
		return plan.Plan{}, p.undescribed
	}
	if err := summary.SpaceReady(p.s.Snapshot, r.Namespace, target, r.Spec.ManifestSource.CodeRepo, p.built.Facts.URL); err != nil {
		return plan.Plan{}, err
	}
	p.built.Facts.Target = &target
	return p.built.Plan, nil
}

// commit puts the target on record.
func (p *pass) commit() {
	r, facts := p.s.Object, p.built.Facts
	r.Status.Target = facts.Target
	r.Status.Source = &v1alpha1.RuntimeSource{URL: facts.URL, Permission: facts.Permission}
}

// after notes the Application that was written.
func (p *pass) after(_ context.Context, applied engine.Applied) error {
	if applied.Err != nil && !apply.Differs(applied.Err) {
		return applied.Err
	}
	for _, item := range applied.Set.Items {
		if item.ID.Kind == "Application" {
			p.s.Object.Status.Application = summary.KnownApplication(item.ID, p.s.Object.Status.Application)
		}
	}
	r := p.s.Object
	deployed, err := record.Of(r.Status.Deployed, r.Generation, r.Spec)
	if err != nil {
		return err
	}
	r.Status.Deployed = deployed
	return applied.Err
}

// restore brings the Application of a runtime with an invalid spec to the spec that was
// deployed last.
func (p *pass) restore(ctx context.Context) error {
	r := p.s.Object
	if r.Status.Target == nil || r.Status.Application == nil {
		return nil
	}
	built := deployed.DeploymentRuntime(p.s.Snapshot, r)
	p.manifests = built.Facts.Source
	for _, set := range built.Sets {
		if applied := p.s.Apply(ctx, set, apply.Options{}); applied.Err != nil {
			return applied.Err
		}
	}
	return nil
}

// observe reads the state of the Application, if there is one.
func (p *pass) observe(ctx context.Context, _ error) error {
	r := p.s.Object
	if r.Status.Target == nil || r.Status.Application == nil {
		return nil
	}
	conn, err := p.deps.Clusters.Get(r.Status.Target.Cluster)
	if err != nil {
		return err
	}
	app, err := reconcile.Application(ctx, conn, r.Status.Application.Namespace, r.Status.Application.Name)
	if err != nil {
		return err
	}
	err = summary.Application(p.s.Facts, r.Status.Application, app, comparedSource(r, p.manifests))
	p.deps.Reports.Deployment(ctx, p.s, app)
	return err
}

// comparedSource returns the source that Argo CD must have compared for its report to
// be about the runtime as it is now.
func comparedSource(r *v1alpha1.DeploymentRuntime, manifests v1alpha1.ManifestSource) observed.ApplicationSource {
	source := observed.ApplicationSource{Path: manifests.Path, TargetRevision: cmp.Or(manifests.TargetRevision, "HEAD")}
	if r.Status.Source != nil {
		source.RepoURL = r.Status.Source.URL
	}
	return source
}

// withdraw removes the Application, and with it the objects that Argo CD deployed. The
// space follows when the runtime is gone.
func (p *pass) withdraw(ctx context.Context) error {
	target := p.s.Object.Status.Target
	if target == nil {
		return nil
	}
	reconcile.EndOperation(ctx, p.deps, target.Cluster, p.s.Object.Status.Application)
	set := plan.Set{Owner: build.RuntimeOwner(p.s.Object), Target: plan.Cluster(target.Cluster)}
	return p.s.Withdraw(ctx, set, apply.Options{})
}
