package engine

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
)

// Phases are the parts of a pass that a kind contributes, in the order in which they
// run. A nil phase is left out.
type Phases struct {
	// Conditions are the condition types of the object beside Ready, Reconciling and
	// Stalled. A type that the pass does not reach becomes Unknown.
	Conditions []string
	// Load returns the snapshot that the pass decides by. Without it nothing is
	// validated.
	Load func(ctx context.Context) (*snapshot.Snapshot, error)
	// Clusters returns the names of the clusters that the pass calls.
	Clusters func() []string
	// Prepare does the work that does not depend on the rules. Its error becomes part
	// of the outcome, and a silent one ends the pass.
	Prepare func(ctx context.Context) error
	// Suspended is the message of an object that asks to be left alone, or empty.
	Suspended string
	// Hold runs instead of the phases below for a suspended object.
	Hold func(ctx context.Context) error
	// Stop returns the reason not to plan and apply, given the errors of the rules.
	// Without it every error is one.
	Stop func(refusals field.ErrorList) error
	// Refused runs instead of Plan and Apply if there is such a reason.
	Refused func(ctx context.Context) error
	// Deploy runs instead of Plan and the application of its sets, for a kind that
	// needs an order of its own.
	Deploy func(ctx context.Context) error
	// Plan returns the sets to apply.
	Plan func(ctx context.Context) (plan.Plan, error)
	// Connected requires the connection to every cluster of the plan before anything
	// is recorded or applied.
	Connected bool
	// Commit sets the parts of the status that must be on record before the first write.
	Commit func()
	// Options returns the way in which a set is applied; may be nil.
	Options func(set plan.Set) apply.Options
	// Before runs before a set is applied. ErrSkip leaves the set out.
	Before func(ctx context.Context, set plan.Set) error
	// After turns the application of a set into an error. Without it the error of the
	// application counts, and objects that are being removed are waited for.
	After func(ctx context.Context, applied Applied) error
	// Applied returns the message of the condition Applied. Without it the kind has no
	// such condition.
	Applied func() string
	// Observe reads the state of the written objects into the status. It also runs
	// after a failure, given as err; its own error counts only if there is none.
	Observe func(ctx context.Context, err error) error
	// Withdraw removes everything that a deleted object has elsewhere. It returns nil
	// if all is gone, and a Waiting error until then.
	Withdraw func(ctx context.Context) error
}

// ErrSkip is returned by the phase Before for a set that must not be applied now.
var ErrSkip = errors.New("the set is left out")

// Applied is the application of one set.
type Applied struct {
	Set    plan.Set
	Result apply.Result
	// Unconnected is the reason why the target of the set cannot be reached.
	Unconnected error
	// Err is the error of the application, or Unconnected.
	Err error
}

// Outcome returns the error of an application, or a Waiting error while objects are
// being removed.
func (a Applied) Outcome() error {
	if a.Err != nil {
		return a.Err
	}
	return Removing(a.Result, a.Set.Target)
}

// begin loads the snapshot and takes a place among the workers. leave is never nil.
func (s *Session[T]) begin(ctx context.Context, p Phases) (leave func(), err error) {
	leave = func() {}
	if p.Load != nil {
		if s.Snapshot, err = p.Load(ctx); err != nil {
			return leave, err
		}
	}
	if p.Clusters == nil || s.options.Enter == nil {
		return leave, nil
	}
	return s.options.Enter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(s.Object)}, p.Clusters()...)
}

// reconcile runs the phases of an object that is not deleted.
func (s *Session[T]) reconcile(ctx context.Context, p Phases) error {
	leave, err := s.begin(ctx, p)
	defer leave()
	if err != nil {
		return err
	}
	var prepared error
	if p.Prepare != nil {
		if prepared = p.Prepare(ctx); s.silent(prepared) {
			return prepared
		}
	}
	if p.Suspended != "" {
		return s.hold(ctx, p)
	}
	invalid, stop := s.validate(p)
	switch {
	case stop != nil && p.Refused != nil:
		err = p.Refused(ctx)
	case stop == nil:
		err = s.deploy(ctx, p)
	}
	if s.silent(err) {
		return err
	}
	switch {
	case p.Applied == nil:
	case err != nil:
		s.Facts.Fail(v1alpha1.ConditionApplied, err)
	case stop == nil:
		s.Facts.True(v1alpha1.ConditionApplied, v1alpha1.ReasonApplied, p.Applied())
	}
	return s.observe(ctx, p, errors.Join(stop, invalid, err, prepared))
}

// hold ends the pass of a suspended object.
func (s *Session[T]) hold(ctx context.Context, p Phases) error {
	if p.Hold != nil {
		if err := p.Hold(ctx); err != nil {
			return err
		}
	}
	return Held(v1alpha1.ReasonSuspended, "%s", p.Suspended)
}

// validate checks the rules and sets the condition Valid. It returns the errors of the
// rules, and the reason not to go on.
func (s *Session[T]) validate(p Phases) (invalid, stop error) {
	if s.Snapshot == nil {
		return nil, nil
	}
	refusals, warnings := validate.Run(s.Snapshot, validate.Request{New: s.Object})
	s.validated, s.warnings = true, warnings
	invalid = s.Facts.Valid(refusals)
	if p.Stop == nil {
		return invalid, invalid
	}
	return invalid, p.Stop(refusals)
}

// deploy plans, and applies the sets one after another. No set holds up another one.
func (s *Session[T]) deploy(ctx context.Context, p Phases) error {
	switch {
	case p.Deploy != nil:
		return p.Deploy(ctx)
	case p.Plan == nil:
		return nil
	}
	planned, err := p.Plan(ctx)
	if err != nil {
		return err
	}
	if p.Connected {
		for _, set := range planned.Sets {
			if _, err := s.Connect(set.Target); err != nil {
				return err
			}
		}
	}
	if p.Commit != nil {
		p.Commit()
		if err := s.Record(ctx); err != nil {
			return err
		}
	}
	var found []error
	for _, set := range planned.Sets {
		err := s.applySet(ctx, p, set)
		if s.silent(err) {
			return err
		}
		found = append(found, err)
	}
	return errors.Join(found...)
}

func (s *Session[T]) applySet(ctx context.Context, p Phases, set plan.Set) error {
	applied := Applied{Set: set}
	if p.Before != nil {
		if applied.Err = p.Before(ctx, set); errors.Is(applied.Err, ErrSkip) {
			return nil
		}
	}
	if applied.Err == nil {
		var o apply.Options
		if p.Options != nil {
			o = p.Options(set)
		}
		applied = s.Apply(ctx, set, o)
	}
	if p.After == nil {
		return applied.Outcome()
	}
	return p.After(ctx, applied)
}

// observe runs the phase Observe and returns the outcome of the pass.
func (s *Session[T]) observe(ctx context.Context, p Phases, outcome error) error {
	if p.Observe == nil {
		return outcome
	}
	observed := p.Observe(ctx, outcome)
	if outcome != nil {
		return outcome
	}
	return observed
}

// finalize runs the phases of an object that is deleted.
func (s *Session[T]) finalize(ctx context.Context, p Phases) error {
	if p.Withdraw == nil {
		return nil
	}
	leave, err := s.begin(ctx, p)
	defer leave()
	if err != nil {
		return err
	}
	return p.Withdraw(ctx)
}

// silent reports whether an error ends the pass without a change of the status.
func (s *Session[T]) silent(err error) bool {
	return Classify(err, s.options.Classify).Class == ClassSilent
}
