// Package space reconciles Spaces, the shared layer of each product on each cluster. It
// guarantees that a space holds the objects that its runtimes need, and no others.
package space

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/summary"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=spaces,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=spaces/status,verbs=patch

// Add adds the controller of Spaces.
func Add(d *reconcile.Deps) error {
	return reconcile.Start(d, work{d}.phases, engine.Options[*v1alpha1.Space]{})
}

type work struct{ deps *reconcile.Deps }

// pass is one pass over a space.
type pass struct {
	deps  *reconcile.Deps
	s     *engine.Session[*v1alpha1.Space]
	built build.Result[build.SpaceFacts]
}

func (w work) phases(s *engine.Session[*v1alpha1.Space]) engine.Phases {
	p := &pass{deps: w.deps, s: s}
	return engine.Phases{
		Conditions: w.deps.AccessCondition(v1alpha1.ConditionApplied),
		Load:       p.load,
		Clusters:   func() []string { return []string{s.Object.Name} },
		Plan:       p.plan,
		Options:    p.options,
		Before:     p.before,
		After:      p.after,
		Observe: func(_ context.Context, _ error) error {
			s.Facts.ReadyMessage = "everything that the runtimes share is in place"
			return nil
		},
		Withdraw: p.withdraw,
	}
}

// plan builds the sets of the space: first the access to the secret store, since a lost
// grant ends whether the cluster answers or not.
func (p *pass) plan(ctx context.Context) (plan.Plan, error) {
	o := p.s.Object
	var err error
	if p.built, err = build.Space(p.s.Snapshot, o.Namespace, o.Name); err != nil {
		p.s.Facts.Fail(v1alpha1.ConditionApplied, err)
		return plan.Plan{}, err
	}
	if len(p.wanted()) == 0 {
		err = p.leave(ctx)
		p.s.Facts.Fail(v1alpha1.ConditionApplied, err)
		return plan.Plan{}, err
	}
	return plan.Plan{Sets: p.sets()}, nil
}

func (p *pass) sets() []plan.Set {
	cluster := p.s.Object.Name
	return []plan.Set{*p.built.On(plan.Vault(cluster)), *p.built.On(plan.Cluster(cluster))}
}

// wanted returns the objects that runtimes need on the cluster. A runtime that is being
// deleted needs its space until its own objects are gone.
func (p *pass) wanted() []plan.Item { return p.built.On(plan.Cluster(p.s.Object.Name)).Items }

// leave removes everything, and then the Space, which no runtime needs any more.
func (p *pass) leave(ctx context.Context) error {
	o := p.s.Object
	if err := p.empty(ctx); err != nil {
		return err
	}
	o.Status.Namespaces = nil
	if err := p.s.Record(ctx); err != nil {
		return err
	}
	version := o.GetResourceVersion()
	err := p.deps.Client.Delete(ctx, o, client.Preconditions{UID: &o.UID, ResourceVersion: &version})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete the empty Space %s/%s: %w", o.Namespace, o.Name, err)
	}
	return engine.ErrNotYet
}

// empty removes everything that the space has. It returns nil if all is gone.
func (p *pass) empty(ctx context.Context) error {
	o := p.s.Object
	if _, err := p.s.Connect(plan.Cluster(o.Name)); len(o.Status.Namespaces) == 0 && errors.Is(err, remote.ErrNotConnected) {
		// Nothing was ever written there.
		return nil
	}
	var found []error
	for _, set := range p.sets() {
		found = append(found, p.s.Withdraw(ctx, set, p.options(set)))
	}
	return errors.Join(found...)
}

// load returns the snapshot of the product, whose annotations count for its spaces.
func (p *pass) load(ctx context.Context) (*snapshot.Snapshot, error) {
	o := p.s.Object
	snap, err := p.deps.Loader.Product(ctx, o.Namespace)
	if err == nil {
		err = p.deps.CheckRecords(ctx, snap, o.Namespace, o.Name)
	}
	if err != nil {
		return nil, err
	}
	product := snap.Product(o.Namespace)
	if product == nil {
		return snap, nil
	}
	p.s.Asked = product
	if len(o.Status.Conditions) == 0 && len(o.Status.Namespaces) == 0 {
		// The record from the time before there were Spaces. A space whose first pass was
		// cut off has a record of its own, which the product may not list yet.
		for _, space := range product.Status.Spaces {
			if space.Cluster == o.Name {
				o.Status.Namespaces = space.Namespaces
			}
		}
	}
	return snap, nil
}

// options returns the way in which a set is applied. A namespace that one runtime cannot
// have holds up no other one, and a role that goes takes no data with it.
func (p *pass) options(set plan.Set) apply.Options {
	product := p.s.Snapshot.Product(p.s.Object.Namespace)
	if set.Target.Kind == plan.TargetVault {
		return apply.Options{NoGuard: true}
	}
	return apply.Options{
		// Objects whose runtime was removed need no confirmation.
		Weighs:  summary.StillAsked(p.s.Snapshot, p.s.Object.Namespace, p.s.Object.Name),
		Isolate: true, NoGuard: product == nil || !product.DeletionTimestamp.IsZero(),
		// The revision that lifts the guard of the mirror lifts this one as well.
		ConfirmPrune: product != nil && product.Status.Sync != nil && product.Status.Sync.Revision != "" &&
			product.Annotations[v1alpha1.AnnotationConfirmPrune] == product.Status.Sync.Revision,
	}
}

// before puts the namespaces on record before the first write. Until the cluster has
// answered once it has no auth mount, so the access to the secret store is left out.
func (p *pass) before(ctx context.Context, set plan.Set) error {
	o := p.s.Object
	if len(o.Status.Namespaces) > 0 {
		return nil
	}
	_, err := p.s.Connect(plan.Cluster(o.Name))
	switch {
	case err != nil && set.Target.Kind == plan.TargetVault:
		return engine.ErrSkip
	case err != nil:
		// The connection may come before the set is applied, which would write without a
		// record.
		return err
	}
	o.Status.Namespaces = p.built.Facts.Namespaces
	return p.s.Record(ctx)
}

// after writes the result of a set into the status. The access to the secret store is a
// condition of its own, since no runtime waits for it.
func (p *pass) after(_ context.Context, applied engine.Applied) error {
	if applied.Set.Target.Kind == plan.TargetVault {
		err := applied.Outcome()
		if p.deps.Access != nil {
			summary.SpaceAccess(p.s.Facts, err)
		}
		return err
	}
	return p.setContents(applied)
}

// setContents writes the contents of the space on its cluster into the status. While
// objects are being removed or kept by the guard, the rest is in place all the same.
func (p *pass) setContents(applied engine.Applied) error {
	o, err := p.s.Object, applied.Err
	var guard *apply.GuardError
	guarded := errors.As(err, &guard)
	if err != nil && !guarded {
		p.s.Facts.Fail(v1alpha1.ConditionApplied, err)
		return err
	}
	if left := len(applied.Result.Removing) > 0 || guarded; !left || len(p.built.Facts.Namespaces) > 0 {
		// An empty list is the record that nothing is left.
		o.Status.Namespaces = p.built.Facts.Namespaces
	}
	o.Status.Repositories, o.Status.Problems = p.built.Facts.Repositories, nil
	p.s.Facts.True(v1alpha1.ConditionApplied, v1alpha1.ReasonApplied, "on cluster "+o.Name)
	sources := map[plan.ID]plan.Ref{}
	for _, item := range applied.Set.Items {
		sources[item.ID] = item.Source
	}
	found := []error{err}
	if err == nil {
		found[0] = applied.Outcome()
	}
	for i := range applied.Result.Failed {
		failed := &applied.Result.Failed[i]
		found = append(found, failed)
		o.Status.Problems = append(o.Status.Problems, problem(failed, sources[failed.ID]))
	}
	return errors.Join(found...)
}

// problem describes an object that could not be written.
func problem(failed *apply.ItemError, source plan.Ref) v1alpha1.SpaceProblem {
	outcome := engine.Classify(failed, reconcile.Classify)
	p := v1alpha1.SpaceProblem{
		Object: v1alpha1.ObjectReference{Kind: failed.ID.Kind, Namespace: failed.ID.Namespace, Name: failed.ID.Name},
		Reason: outcome.Reason, Message: outcome.Message, Stalled: outcome.Class == engine.ClassTerminal, Kept: failed.Kept,
	}
	if source != (plan.Ref{}) {
		p.Source = &v1alpha1.ObjectReference{Kind: source.Kind, Namespace: source.Namespace, Name: source.Name}
	}
	return p
}

// withdraw ends a Space that was deleted. If runtimes need its objects, it stays and does
// its work until they do not.
func (p *pass) withdraw(ctx context.Context) error {
	o := p.s.Object
	var err error
	if p.built, err = build.Space(p.s.Snapshot, o.Namespace, o.Name); err != nil {
		return err
	}
	wanted := p.wanted()
	if len(wanted) == 0 {
		return p.empty(ctx)
	}
	if len(o.Status.Namespaces) == 0 {
		// Nothing is there, and the Product creates the next Space.
		return nil
	}
	var found []error
	for _, set := range p.sets() {
		found = append(found, p.after(ctx, p.s.Apply(ctx, set, p.options(set))))
	}
	return errors.Join(append(found, engine.Waiting(v1alpha1.ReasonInUse,
		"it is deleted when no runtime needs it any more; now %s does", wanted[len(wanted)-1].Source))...)
}
