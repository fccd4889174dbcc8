// Package product reconciles Products. It guarantees that a product has its namespace
// before its repository is mirrored, and keeps it until its spaces are gone.
package product

import (
	"context"
	"strings"

	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/validate"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=products,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=products/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch;create;patch;delete

// work gives a product its namespace and tells the state of its
// repository and of its spaces.
type work struct{ deps *reconcile.Deps }

// Add starts the controller of Products.
func Add(d *reconcile.Deps) error {
	d.Syncs.OnChange(func(key reconcile.SyncKey) {
		if key.Product != "" {
			d.Triggers.Product.Enqueue(reconcile.Request(d.Namespace, key.Product))
		}
	})
	b := ctrl.NewControllerManagedBy(d.Manager).Named("product").For(&v1alpha1.Product{}).
		WatchesRawSource(d.Triggers.Product.Source())
	return reconcile.Start(d, b, work{d}, engine.Options[*v1alpha1.Product]{
		Kind: "Product", New: func() *v1alpha1.Product { return &v1alpha1.Product{} },
	})
}

// Reconcile implements engine.Work.
func (w work) Reconcile(ctx context.Context, s *engine.Session[*v1alpha1.Product]) error {
	p := s.Object
	snap, err := w.deps.Loader.Product(ctx, p.Name)
	if err != nil {
		return err
	}
	refusals, _ := validate.Run(snap, validate.Request{New: p})
	if err := reconcile.Verdict(refusals); err != nil {
		s.Facts.False(v1alpha1.ConditionValid, v1alpha1.ReasonInvalid, err.Error())
		return err
	}
	s.Facts.True(v1alpha1.ConditionValid, v1alpha1.ReasonValid, "every rule holds")

	wanted, err := build.Product(snap, p)
	if err != nil {
		return err
	}
	if err := w.deps.ApplyTenant(ctx, *wanted.On(plan.Tenant), apply.Options{}); err != nil {
		s.Facts.False(v1alpha1.ConditionApplied, v1alpha1.ReasonApplyFailed, "the product's namespace is not written")
		return err
	}
	// On record at once: the mirror begins when there is a namespace to fill.
	p.Status.Namespace = p.Name
	if err := s.Record(ctx); err != nil {
		return err
	}
	s.Facts.True(v1alpha1.ConditionApplied, v1alpha1.ReasonApplied, "namespace "+p.Name+" is in place")

	if err := w.tellSync(s); err != nil {
		return err
	}
	for _, space := range p.Status.Spaces {
		if !space.Ready {
			return engine.Waiting(v1alpha1.ReasonProgressing, "cluster %s: %s", space.Cluster, space.Message)
		}
	}
	s.Facts.ReadyMessage = readyMessage(p)
	return nil
}

// tellSync brings the last result of the mirror into the status.
func (w work) tellSync(s *engine.Session[*v1alpha1.Product]) error {
	p := s.Object
	if p.Spec.Suspend {
		s.Facts.False(v1alpha1.ConditionSynced, v1alpha1.ReasonSuspended, "spec.suspend is set: the repository is not mirrored")
		return nil
	}
	result, known := w.deps.Syncs.Get(reconcile.SyncKey{Product: p.Name})
	if !known {
		return engine.ErrNotYet
	}
	status := result.Status
	p.Status.Sync = &status
	return reconcile.SetSynced(s.Facts, result)
}

func readyMessage(p *v1alpha1.Product) string {
	parts := []string{"namespace " + p.Name}
	if p.Status.Sync != nil && p.Status.Sync.Revision != "" {
		parts = append(parts, "revision "+reconcile.ShortRevision(p.Status.Sync.Revision))
	}
	for _, space := range p.Status.Spaces {
		parts = append(parts, "cluster "+space.Cluster)
	}
	return strings.Join(parts, ", ")
}

// Finalize implements engine.Work: the namespace goes, the runtimes in it take
// what they deployed with them, and the spaces empty themselves.
func (w work) Finalize(ctx context.Context, s *engine.Session[*v1alpha1.Product]) error {
	p := s.Object
	set := plan.Set{Owner: build.ProductOwner(p.Name), Target: plan.Tenant}
	if err := w.deps.ApplyTenant(ctx, set, apply.Options{NoGuard: true}); err != nil {
		return err
	}
	for _, space := range p.Status.Spaces {
		return engine.Waiting(v1alpha1.ReasonDeleting, "the product's space on cluster %s is being removed: %s", space.Cluster, space.Message)
	}
	w.deps.Syncs.Drop(reconcile.SyncKey{Product: p.Name})
	return nil
}
