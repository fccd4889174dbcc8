package controllers

import (
	"context"
	"fmt"
	"strings"

	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/validate"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=products,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=products/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch;create;patch;delete

// productWork gives a product its namespace and tells the state of its
// repository and of its spaces.
type productWork struct{ *Shared }

// Product starts the controller of Products.
func (s *Shared) Product() error {
	s.Syncs.OnChange(func(key SyncKey) {
		if key.Product != "" {
			s.WakeProduct.Wake(request(s.Namespace, key.Product))
		}
	})
	b := ctrl.NewControllerManagedBy(s.Manager).Named("product").For(&v1alpha1.Product{}).
		WatchesRawSource(s.WakeProduct.Source())
	return start(s, b, productWork{s}, engine.Options[*v1alpha1.Product]{
		Kind: "Product", New: func() *v1alpha1.Product { return &v1alpha1.Product{} },
	})
}

// Reconcile implements engine.Work.
func (w productWork) Reconcile(ctx context.Context, s *engine.Session[*v1alpha1.Product]) error {
	p := s.Object
	snap, err := w.Loader.Product(ctx, p.Name)
	if err != nil {
		return err
	}
	refusals, _ := validate.Run(snap, validate.Request{New: p})
	if err := verdict(refusals); err != nil {
		s.Facts.False(v1alpha1.ConditionValid, v1alpha1.ReasonInvalid, err.Error())
		return err
	}
	s.Facts.True(v1alpha1.ConditionValid, v1alpha1.ReasonValid, "every rule holds")

	wanted, err := build.Product(snap, p)
	if err != nil {
		return err
	}
	if err := w.applyTenant(ctx, *wanted.On(plan.Tenant), apply.Options{}); err != nil {
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
func (w productWork) tellSync(s *engine.Session[*v1alpha1.Product]) error {
	p := s.Object
	if p.Spec.Suspend {
		s.Facts.False(v1alpha1.ConditionSynced, v1alpha1.ReasonSuspended, "spec.suspend is set: the repository is not mirrored")
		return nil
	}
	result, known := w.Syncs.Get(SyncKey{Product: p.Name})
	if !known {
		return engine.ErrNotYet
	}
	status := result.Status
	p.Status.Sync = &status
	return syncFacts(s.Facts, result)
}

// syncFacts tells the Synced condition of a mirror, and what it means for Ready.
func syncFacts(facts *engine.Facts, result SyncResult) error {
	status := result.Status
	switch {
	case result.Err != nil:
		fails(facts, v1alpha1.ConditionSynced, result.Err)
		return result.Err
	case status.ProblemCount > 0:
		message := problemMessage(status)
		facts.False(v1alpha1.ConditionSynced, v1alpha1.ReasonFilesRefused, message)
		return engine.Terminal(v1alpha1.ReasonFilesRefused, "%s", message)
	case result.Guarded:
		message := fmt.Sprintf("revision %s removes %d of the mirrored objects, more than half: nothing is removed until the annotation %s: %s is set",
			short(status.Revision), status.HeldBack, v1alpha1.AnnotationConfirmPrune, status.Revision)
		facts.False(v1alpha1.ConditionSynced, v1alpha1.ReasonPruneGuarded, message)
		return engine.Terminal(v1alpha1.ReasonPruneGuarded, "%s", message)
	}
	facts.True(v1alpha1.ConditionSynced, v1alpha1.ReasonSynced, fmt.Sprintf("revision %s, %d files", short(status.Revision), status.Files))
	return nil
}

func problemMessage(status v1alpha1.SyncStatus) string {
	first := status.Problems[0]
	place := first.Path
	if first.Line > 0 {
		place = fmt.Sprintf("%s:%d", first.Path, first.Line)
	}
	message := fmt.Sprintf("%s: %s", place, first.Message)
	if status.ProblemCount > 1 {
		message += fmt.Sprintf(" (and %d more files, see status.sync.problems)", status.ProblemCount-1)
	}
	return message
}

func readyMessage(p *v1alpha1.Product) string {
	parts := []string{"namespace " + p.Name}
	if p.Status.Sync != nil && p.Status.Sync.Revision != "" {
		parts = append(parts, "revision "+short(p.Status.Sync.Revision))
	}
	for _, space := range p.Status.Spaces {
		parts = append(parts, "cluster "+space.Cluster)
	}
	return strings.Join(parts, ", ")
}

// short is the form of a revision for people.
func short(revision string) string {
	if len(revision) > 10 {
		return revision[:10]
	}
	return revision
}

// Finalize implements engine.Work: the namespace goes, the runtimes in it take
// what they deployed with them, and the spaces empty themselves.
func (w productWork) Finalize(ctx context.Context, s *engine.Session[*v1alpha1.Product]) error {
	p := s.Object
	set := plan.Set{Owner: build.ProductOwner(p.Name), Target: plan.Tenant}
	if err := w.applyTenant(ctx, set, apply.Options{NoGuard: true}); err != nil {
		return err
	}
	for _, space := range p.Status.Spaces {
		return engine.Waiting(v1alpha1.ReasonDeleting, "the product's space on cluster %s is being removed: %s", space.Cluster, space.Message)
	}
	w.Syncs.Drop(SyncKey{Product: p.Name})
	return nil
}

// applyTenant applies a set to the tenant cluster; what is still terminating is
// waited for.
func (s *Shared) applyTenant(ctx context.Context, set plan.Set, o apply.Options) error {
	result, err := s.applySet(ctx, s.TenantConn, set, o)
	if err != nil {
		return err
	}
	return removing(result, "tenant")
}

// removing is a Waiting error while objects are still terminating.
func removing(result apply.Result, where string) error {
	if len(result.Removing) == 0 {
		return nil
	}
	return engine.Waiting(v1alpha1.ReasonDeleting, "%s on %s is being removed%s",
		result.Removing[0], where, more(len(result.Removing)-1))
}

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}
