// Package product reconciles Products. It guarantees that a product has its namespace
// before its repository is mirrored, and keeps it until its spaces are gone.
package product

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/pushhooks"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/summary"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=products,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=products/status,verbs=patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=spaces,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch;create;patch;delete

// Add adds the controller of Products. A product is reconciled when something changes
// that decides on which clusters it has a space.
func Add(d *reconcile.Deps) error {
	return reconcile.Start(d, work{d}.phases, engine.Options[*v1alpha1.Product]{Foreign: []string{v1alpha1.ConditionSynced}})
}

type work struct{ deps *reconcile.Deps }

// pass is one pass over a product.
type pass struct {
	deps  *reconcile.Deps
	s     *engine.Session[*v1alpha1.Product]
	built build.Result[build.ProductFacts]
}

func (w work) phases(s *engine.Session[*v1alpha1.Product]) engine.Phases {
	p, conditions := &pass{deps: w.deps, s: s}, []string{v1alpha1.ConditionValid, v1alpha1.ConditionApplied}
	adopted := meta.FindStatusCondition(s.Object.Status.Conditions, v1alpha1.ConditionSpaces) != nil
	if adopted || len(s.Object.Status.Spaces) == 0 {
		// Without this condition, the listed spaces are from the time before there were
		// Spaces: it appears when all of them have one.
		conditions = append(conditions, v1alpha1.ConditionSpaces)
	}
	if s.Object.Labels[v1alpha1.LabelFrom] != "" {
		conditions = append(conditions, v1alpha1.ConditionGroupPresent)
	}
	if w.deps.Hooks.Active() {
		conditions = append(conditions, v1alpha1.ConditionHooked)
	}
	return engine.Phases{
		Conditions: conditions,
		Load: func(ctx context.Context) (*snapshot.Snapshot, error) {
			return w.deps.Loader.Product(ctx, s.Object.Name)
		},
		Plan:     p.plan,
		Applied:  func() string { return "namespace " + s.Object.Name + " is in place" },
		Observe:  p.observe,
		Withdraw: p.withdraw,
	}
}

// plan builds the sets of the product.
func (p *pass) plan(context.Context) (_ plan.Plan, err error) {
	p.built, err = build.Product(p.s.Snapshot, p.s.Object)
	return p.built.Plan, err
}

// observe sums up the mirror and the spaces.
func (p *pass) observe(ctx context.Context, failed error) error {
	o := p.s.Object
	summary.SetGroupPresent(p.s.Facts, p.s.Snapshot, o)
	if failed != nil {
		return nil
	}
	if o.Status.Namespace != o.Name {
		// On record at once: the mirror starts when there is a namespace to fill.
		o.Status.Namespace = o.Name
		if err := p.s.Record(ctx); err != nil {
			return err
		}
	}
	if err := pushhooks.Ensure(ctx, p.deps.Hooks, p.s); err != nil {
		return err
	}
	spaces := p.setSpaces()
	if !o.Spec.Suspend {
		if err := summary.MirrorOutcome(o, o.Status.Sync); err != nil {
			return err
		}
	}
	if spaces != nil {
		return spaces
	}
	parts := []string{"namespace " + o.Name}
	if o.Status.Sync != nil && o.Status.Sync.Revision != "" {
		parts = append(parts, "revision "+summary.ShortRevision(o.Status.Sync.Revision))
	}
	for _, space := range o.Status.Spaces {
		parts = append(parts, "cluster "+space.Cluster)
	}
	p.s.Facts.ReadyMessage = strings.Join(parts, ", ")
	return nil
}

// setSpaces writes the summary of the spaces into the status. It returns an error if
// one of them is not ready.
func (p *pass) setSpaces() error {
	o := p.s.Object
	o.Status.Spaces = summary.Spaces(p.s.Snapshot, o, p.built.Facts.Clusters)
	if err := summary.SpacesOutcome(p.s.Snapshot, o); err != nil {
		p.s.Facts.Fail(v1alpha1.ConditionSpaces, err)
		return err
	}
	p.s.Facts.True(v1alpha1.ConditionSpaces, v1alpha1.ReasonReady, fmt.Sprintf("%d spaces are ready", len(o.Status.Spaces)))
	return nil
}

// withdraw removes the namespace. The runtimes in it remove their objects, and the
// spaces go when they are empty.
func (p *pass) withdraw(ctx context.Context) error {
	if _, err := p.plan(ctx); err != nil {
		return err
	}
	if err := pushhooks.Remove(ctx, p.deps.Hooks, p.s); err != nil {
		return err
	}
	// The outcome is the removal, whatever the state of the spaces.
	_ = p.setSpaces()
	if err := p.s.Withdraw(ctx, *p.built.On(plan.Tenant), apply.Options{}); err != nil {
		return err
	}
	for _, space := range p.s.Object.Status.Spaces {
		return engine.Waiting(v1alpha1.ReasonDeleting, "the product's space on cluster %s is being removed: %s", space.Cluster, space.Message)
	}
	return nil
}
