package reconcile

import (
	"context"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
)

// Declared is the work of a kind that is only declared: it validates an object, and
// keeps a deleted one while others use it.
type Declared[T v1alpha1.Object] struct {
	Deps *Deps
	// Ready completes the status of a valid object and returns the message of Ready;
	// may be nil.
	Ready func(s *engine.Session[T], snap *snapshot.Snapshot) (string, error)
	// Leave removes the secrets of an object that is deleted and not in use; may be nil.
	Leave func(ctx context.Context, snap *snapshot.Snapshot, o T) error
}

// Reconcile implements engine.Work.
func (w Declared[T]) Reconcile(ctx context.Context, s *engine.Session[T]) error {
	snap, err := w.Deps.Loader.For(ctx, s.Object)
	if err != nil {
		return err
	}
	refusals, _ := validate.Run(snap, validate.Request{New: s.Object})
	if err := Verdict(refusals); err != nil {
		SetFalse(s.Facts, v1alpha1.ConditionValid, err)
		return err
	}
	s.Facts.True(v1alpha1.ConditionValid, v1alpha1.ReasonValid, "every rule holds")
	s.Facts.ReadyMessage = "every rule holds, and what it refers to exists"
	if w.Ready == nil {
		return nil
	}
	message, err := w.Ready(s, snap)
	s.Facts.ReadyMessage = message
	return err
}

// Finalize implements engine.Work.
func (w Declared[T]) Finalize(ctx context.Context, s *engine.Session[T]) error {
	snap, err := w.Deps.Loader.For(ctx, s.Object)
	if err != nil {
		return err
	}
	if err := InUse(snap, s.Object); err != nil || w.Leave == nil {
		return err
	}
	return w.Leave(ctx, snap, s.Object)
}
