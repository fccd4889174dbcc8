// Package productprovider reconciles ProductProviders. It guarantees that each group of
// the forge with a default.project has a Product, and that a Product goes only after the
// forge has answered that there is no such group.
package productprovider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/discover"
	"nautes.io/nautes/internal/discover/ask"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/servers"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/summary"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=productproviders,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=productproviders/status,verbs=patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=products,verbs=get;list;watch;create;patch;delete

// interval is the longest time between two questions to the forge, which reports no new
// groups by itself.
const interval = time.Minute

// Add adds the controller of ProductProviders.
func Add(d *reconcile.Deps) error {
	options := engine.Options[*v1alpha1.ProductProvider]{SafetyInterval: interval}
	if d.PollInterval > 0 {
		options.SafetyInterval = min(interval, d.PollInterval)
	}
	return reconcile.Start(d, work{d}.phases, options)
}

type work struct{ deps *reconcile.Deps }

// pass is one pass over a provider.
type pass struct {
	deps    *reconcile.Deps
	s       *engine.Session[*v1alpha1.ProductProvider]
	world   discover.World
	asked   bool
	decided discover.Result
}

func (w work) phases(s *engine.Session[*v1alpha1.ProductProvider]) engine.Phases {
	p := &pass{deps: w.deps, s: s}
	return engine.Phases{
		Conditions: []string{v1alpha1.ConditionValid, v1alpha1.ConditionListed, v1alpha1.ConditionApplied},
		Load:       w.deps.Loader.TenantLevel,
		Plan:       p.plan,
		Options:    func(plan.Set) apply.Options { return apply.Options{Isolate: true} },
		After:      func(_ context.Context, applied engine.Applied) error { return outcome(applied) },
		Applied:    func() string { return fmt.Sprintf("%d Products", p.count()) },
		Observe:    p.observe,
		Withdraw:   p.withdraw,
	}
}

// plan asks the forge and decides.
func (p *pass) plan(ctx context.Context) (plan.Plan, error) {
	if err := p.ask(ctx); err != nil {
		p.s.Facts.Fail(v1alpha1.ConditionListed, err)
		return plan.Plan{}, err
	}
	p.s.Facts.True(v1alpha1.ConditionListed, v1alpha1.ReasonListed, p.world.Found())
	var err error
	if p.decided, err = p.world.Decide(); err != nil {
		return plan.Plan{}, engine.Terminal(v1alpha1.ReasonInvalid, "%s", err)
	}
	return plan.Plan{Sets: []plan.Set{p.decided.Set}}, nil
}

// ask collects everything that the decision depends on.
func (p *pass) ask(ctx context.Context) error {
	o, snap := p.s.Object, p.s.Snapshot
	provider := snap.CodeRepoProvider(o.Spec.Name)
	if provider == nil {
		return &snapshot.MissingError{Missing: plan.Ref{Kind: "CodeRepoProvider", Namespace: p.deps.Namespace, Name: o.Spec.Name}, Needed: snapshot.RefOf(o)}
	}
	forge, err := servers.Tenant(ctx, p.deps.Secrets, p.deps.Loader.Settings.Git, provider)
	if err != nil {
		return err
	}
	p.world = discover.World{
		Tenant: p.deps.Tenant, Namespace: p.deps.Namespace, Provider: o, CodeRepoProvider: provider, Products: snap.Products(), Now: time.Now(),
	}
	if err := ask.Forge(ctx, forge, &p.world); err != nil {
		return summary.ForgeProblem(provider.Name, err)
	}
	p.asked = true
	if warning := summary.TokenWarning(provider.Name, p.world.TokenEnds, p.world.Now); warning != "" {
		p.s.Warn(warning)
	}
	return nil
}

// count returns the number of Products of the provider.
func (p *pass) count() int { return len(p.decided.Set.Items) + len(p.decided.Set.Keep) }

func (p *pass) observe(_ context.Context, failed error) error {
	o := p.s.Object
	if !p.asked {
		// The forge was not asked, or did not answer: the departures stay on record.
		return nil
	}
	o.Status.Products, o.Status.Departures = int32(p.count()), p.decided.Departures
	if failed != nil {
		return nil
	}
	p.s.Facts.ReadyMessage = fmt.Sprintf("%d Products", o.Status.Products)
	if n := len(o.Status.Departures); n > 0 {
		p.s.Facts.ReadyMessage += fmt.Sprintf(", %d of them not as they should be in the forge: %s: %s%s",
			n, o.Status.Departures[0].Product, o.Status.Departures[0].Message, engine.More(n-1))
	}
	return nil
}

// outcome returns the errors of an application, and of single Products.
func outcome(applied engine.Applied) error {
	found := []error{applied.Outcome()}
	for i := range applied.Result.Failed {
		found = append(found, &applied.Result.Failed[i])
	}
	return errors.Join(found...)
}

// withdraw lets a provider go when it has no Products. Until then it does its work, but
// adds no Products.
func (p *pass) withdraw(ctx context.Context) error {
	inUse := engine.InUse(p.s.Snapshot, p.s.Object)
	if inUse == nil {
		return nil
	}
	planned, err := p.plan(ctx)
	if err != nil {
		return errors.Join(inUse, err)
	}
	found := []error{inUse}
	for _, set := range planned.Sets {
		found = append(found, outcome(p.s.Apply(ctx, set, apply.Options{Isolate: true})))
	}
	return errors.Join(append(found, p.observe(ctx, inUse))...)
}
