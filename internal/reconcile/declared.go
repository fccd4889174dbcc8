package reconcile

import (
	"context"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/snapshot"
)

// Declared returns the phases of a kind that is only declared: an object is validated,
// and a deleted one stays while others use it. ready completes the status of a valid
// object and returns the message of Ready; leave removes the secrets of an object that
// is deleted. Both may be nil.
func Declared[T v1alpha1.Object](d *Deps, ready func(context.Context, *engine.Session[T]) (string, error),
	leave func(context.Context, *engine.Session[T]) error) engine.Kind[T] {
	return func(s *engine.Session[T]) engine.Phases {
		return engine.Phases{
			Conditions: []string{v1alpha1.ConditionValid},
			Load:       func(ctx context.Context) (*snapshot.Snapshot, error) { return d.Loader.For(ctx, s.Object) },
			Observe: func(ctx context.Context, failed error) (err error) {
				if failed != nil {
					return nil
				}
				s.Facts.ReadyMessage = "every rule holds, and every referenced object exists"
				if ready != nil {
					s.Facts.ReadyMessage, err = ready(ctx, s)
				}
				return err
			},
			Withdraw: func(ctx context.Context) error {
				if err := engine.InUse(s.Snapshot, s.Object); err != nil || leave == nil {
					return err
				}
				return leave(ctx, s)
			},
		}
	}
}
