package controllers

import (
	"context"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
)

// declaredWork is for kinds that are only declared: it checks them and tells
// whether they can be used, and keeps them while others use them.
type declaredWork[T v1alpha1.Object] struct {
	*Shared
	// ready completes the status of a valid object and returns what to say; may be nil.
	ready func(s *engine.Session[T], snap *snapshot.Snapshot) (string, error)
	// leave removes what goes with an object that nothing uses any more; may be nil.
	leave func(ctx context.Context, snap *snapshot.Snapshot, o T) error
}

// Reconcile implements engine.Work.
func (w declaredWork[T]) Reconcile(ctx context.Context, s *engine.Session[T]) error {
	snap, err := w.Loader.For(ctx, s.Object)
	if err != nil {
		return err
	}
	refusals, _ := validate.Run(snap, validate.Request{New: s.Object})
	if err := verdict(refusals); err != nil {
		fails(s.Facts, v1alpha1.ConditionValid, err)
		return err
	}
	s.Facts.True(v1alpha1.ConditionValid, v1alpha1.ReasonValid, "every rule holds")
	s.Facts.ReadyMessage = "every rule holds, and what it refers to exists"
	if w.ready == nil {
		return nil
	}
	message, err := w.ready(s, snap)
	s.Facts.ReadyMessage = message
	return err
}

// Finalize implements engine.Work.
func (w declaredWork[T]) Finalize(ctx context.Context, s *engine.Session[T]) error {
	snap, err := w.Loader.For(ctx, s.Object)
	if err != nil {
		return err
	}
	if err := inUse(snap, s.Object); err != nil || w.leave == nil {
		return err
	}
	return w.leave(ctx, snap, s.Object)
}
