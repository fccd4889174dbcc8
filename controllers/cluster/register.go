package cluster

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/summary"
)

// plan builds the sets of the cluster, after the objects of an earlier registration are
// gone. Until the cluster answers, the sets let it come to answer: the share of its host,
// and the connection of the tenant's Argo CD.
func (p *pass) plan(ctx context.Context) (_ plan.Plan, err error) {
	if err := p.reregister(ctx); err != nil {
		return plan.Plan{}, err
	}
	if p.built, err = build.Cluster(p.s.Snapshot, p.s.Object); err == nil {
		p.refused = p.deps.KeepForeignTrust(ctx, p.s.Object.Name, &p.built)
	}
	return p.built.Plan, err
}

// commit puts the registration on record, so that a later change of the cluster's type,
// usage or host knows which objects to remove.
func (p *pass) commit() {
	if c := p.s.Object; c.Status.Registered == nil {
		identity := c.Identity()
		c.Status.Registered = &identity
	}
}

// before stores the token that the auth mount of the cluster needs.
func (p *pass) before(ctx context.Context, set plan.Set) error {
	if set.Target.Kind != plan.TargetVault || p.deps.Access == nil {
		return nil
	}
	return p.deps.StoreReviewer(ctx, p.s.Snapshot, p.s.Object, p.s.Connect)
}

// after turns the application of a set into conditions. Errors of single objects are
// reported with the component that needs them.
func (p *pass) after(_ context.Context, applied engine.Applied) error {
	target, failed := applied.Set.Target, map[plan.ID]error{}
	if target == plan.Tenant {
		applied.Result.Failed = append(applied.Result.Failed, p.refused...)
	}
	for i := range applied.Result.Failed {
		if one := &applied.Result.Failed[i]; !one.Kept || apply.Differs(one) {
			// The condition Credentials reports an object whose secret is missing.
			failed[one.ID] = one
		}
	}
	p.failed[target] = failed
	switch {
	case target == plan.Tenant:
		return p.registered(applied, failed)
	case target.Kind == plan.TargetVault:
		return p.accessible(applied)
	case applied.Unconnected == nil:
		return applied.Outcome()
	case target.Name == p.s.Object.Name:
		// The condition Connected reports it.
		return nil
	case engine.Classify(applied.Err, reconcile.Classify).Class == engine.ClassSilent:
		return applied.Err
	}
	return summary.HostNotReady(reconcile.Message(applied.Err))
}

// registered sets the condition Registered.
func (p *pass) registered(applied engine.Applied, failed map[plan.ID]error) error {
	err := applied.Outcome()
	switch refused := failed[build.ClusterSecretID(applied.Set)]; {
	case err != nil:
		p.s.Facts.Fail(v1alpha1.ConditionRegistered, err)
	case refused != nil:
		p.s.Facts.Fail(v1alpha1.ConditionRegistered, refused)
		if p.s.Object.Status.Connection != nil {
			return refused
		}
	default:
		summary.Registered(p.s.Facts)
	}
	return err
}

// accessible sets the condition SecretAccess.
func (p *pass) accessible(applied engine.Applied) error {
	if p.deps.Access == nil {
		return nil
	}
	if applied.Err != nil {
		p.s.Facts.Fail(v1alpha1.ConditionSecretAccess, applied.Err)
		return applied.Err
	}
	if applied.Result.Written > 0 {
		// The roles of a mount that was created again are gone with the old one.
		p.deps.EnqueueSpaces(context.Background(), p.s.Object.Name)
	}
	p.s.Facts.True(v1alpha1.ConditionSecretAccess, v1alpha1.ReasonApplied, "accounts of the cluster can log in to the secret store")
	return nil
}

// observe reads the state of the components and the entry points into the status.
func (p *pass) observe(ctx context.Context, _ error) error {
	if len(p.built.Sets) == 0 {
		return nil
	}
	p.setEntryPoints()
	return p.setComponents(ctx)
}

// setEntryPoints writes the ports through which traffic enters into the status; a
// virtual cluster has the ports of its host. Unknown ports stay as they were.
func (p *pass) setEntryPoints() {
	c := p.s.Object
	at := c.Name
	if c.Spec.ClusterType == v1alpha1.ClusterVirtual {
		at = c.Spec.HostCluster
	}
	conn, err := p.deps.Clusters.Get(at)
	if err != nil {
		return
	}
	points, err := conn.EntryPoints()
	if err != nil {
		p.s.Warn("status.entryPoints is not up to date: " + reconcile.Message(err))
		return
	}
	c.Status.EntryPoints = points
}

// setComponents writes the state of each component into the status.
func (p *pass) setComponents(ctx context.Context) error {
	c := p.s.Object
	var components []v1alpha1.ComponentStatus
	var problems []*engine.Error
	for _, component := range p.built.Facts.Components {
		app, err := p.application(ctx, component)
		if err != nil {
			return err
		}
		problem := p.problemOf(component)
		components, problems = append(components, summary.Component(component, app, problem)), append(problems, problem)
	}
	c.Status.Progress = summary.Progress(components)
	c.Status.Components = summary.Since(components, c.Status.Components, metav1.Now())
	if err := p.keepLeaving(ctx); err != nil {
		return err
	}
	return summary.ComponentsReady(p.s.Facts, c, problems)
}

// keepLeaving keeps removed components in the status until Argo CD has removed their
// objects.
func (p *pass) keepLeaving(ctx context.Context) error {
	c := p.s.Object
	for _, last := range p.built.Facts.Leaving {
		app, err := p.deps.TenantConn.Application(ctx, p.argoCD(), last.Application)
		if err != nil {
			return err
		}
		if app == nil {
			continue
		}
		if last.State != v1alpha1.ComponentProgressing || last.Message != leavingMessage {
			now := metav1.Now()
			last.State, last.Message, last.Since = v1alpha1.ComponentProgressing, leavingMessage, &now
		}
		c.Status.Components = append(c.Status.Components, last)
	}
	slices.SortFunc(c.Status.Components, func(a, b v1alpha1.ComponentStatus) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

const leavingMessage = "the cluster is no longer to have it: it is being removed"

// argoCD returns the namespace of the tenant's Argo CD.
func (p *pass) argoCD() string { return build.ArgoCDNamespace(*p.built.On(plan.Tenant)) }

// application returns the state of the Application of a component, or nil if there is
// none.
func (p *pass) application(ctx context.Context, component build.ComponentPlan) (*observed.Application, error) {
	if component.External || component.Application == "" {
		return nil, nil
	}
	return reconcile.Application(ctx, p.deps.TenantConn, p.argoCD(), component.Application)
}

// problemOf returns the error about the objects of a component, or nil.
func (p *pass) problemOf(component build.ComponentPlan) *engine.Error {
	err := summary.ProblemOf(component, p.failed[plan.Cluster(p.s.Object.Name)], p.failed[plan.Tenant])
	if err == nil {
		return nil
	}
	return engine.Classify(err, reconcile.Classify)
}
