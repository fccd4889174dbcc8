package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
)

var projects = schema.GroupResource{Group: v1alpha1.GroupVersion.Group, Resource: "projects"}

func conflict() error { return apierrors.NewConflict(projects, "p", errors.New("changed")) }
func missing() error  { return apierrors.NewNotFound(projects, "p") }
func refused() error  { return apierrors.NewForbidden(projects, "p", errors.New("no")) }

// Errors of the client end the pass: a conflict is a short pause, a missing object is no
// error, and any other one comes back.
func TestClientErrors(t *testing.T) {
	for name, test := range map[string]struct {
		prepare   func(w *world)
		wantErr   bool
		wantPause bool
		wantCalls int
	}{
		"the object is gone":           {prepare: func(w *world) { w.getErr = missing() }},
		"the read fails":               {prepare: func(w *world) { w.getErr = refused() }, wantErr: true},
		"the finalizer loses a race":   {prepare: func(w *world) { w.patchErr = conflict() }, wantPause: true},
		"the finalizer is refused":     {prepare: func(w *world) { w.patchErr = refused() }, wantErr: true},
		"gone before the finalizer":    {prepare: func(w *world) { w.patchErr = missing() }},
		"the status loses a race":      {prepare: func(w *world) { w.statusErr = conflict() }, wantPause: true, wantCalls: 1},
		"the status is refused":        {prepare: func(w *world) { w.statusErr = refused() }, wantErr: true, wantCalls: 1},
		"gone before the status":       {prepare: func(w *world) { w.statusErr = missing() }, wantCalls: 1},
		"the work loses a race":        {prepare: func(w *world) { w.fails(conflict()) }, wantPause: true, wantCalls: 1},
		"a terminal error that quotes": {prepare: func(w *world) { w.fails(&Error{Class: ClassTerminal, Reason: "Invalid", Cause: conflict()}) }, wantCalls: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, project())
			test.prepare(w)
			result, err := w.run()
			if (err != nil) != test.wantErr {
				t.Errorf("error %v, want one: %v", err, test.wantErr)
			}
			if (result.RequeueAfter == conflictPause) != test.wantPause || !test.wantPause && result.RequeueAfter != 0 {
				t.Errorf("requeued after %s, want a pause: %v", result.RequeueAfter, test.wantPause)
			}
			if w.work.calls != test.wantCalls {
				t.Errorf("%d passes, want %d", w.work.calls, test.wantCalls)
			}
		})
	}
}

func (w *world) fails(err error) {
	w.work.reconcile = func(*Session[*v1alpha1.Project]) error { return err }
}

// The log gets both errors when the outcome cannot be written.
func TestBothErrorsAreReturned(t *testing.T) {
	w := newWorld(t, project())
	cause := errors.New("boom")
	w.fails(cause)
	w.statusErr = refused()
	if _, err := w.run(); !errors.Is(err, cause) || !apierrors.IsForbidden(errors.Unwrap(errors.Unwrap(err))) && !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("error %v, want both", err)
	}
	if events := w.said(); events != nil {
		t.Errorf("an outcome that is not on record was announced: %v", events)
	}
}

func TestRetryAfter(t *testing.T) {
	for name, test := range map[string]struct {
		err  *Error
		want time.Duration
	}{
		"silent":           {err: &Error{Class: ClassSilent, RetryAfter: time.Minute}, want: time.Minute},
		"silent, no time":  {err: &Error{Class: ClassSilent}},
		"waiting":          {err: &Error{Class: ClassWaiting, Reason: "NotConnected", RetryAfter: time.Second}, want: time.Second},
		"waiting, no time": {err: &Error{Class: ClassWaiting, Reason: "NotConnected"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, project())
			w.fails(test.err)
			result, err := w.run()
			if test.want == 0 && result != (reconcile.Result{}) {
				t.Errorf("requeued with %+v, want never", result)
			}
			if err != nil || result.RequeueAfter != test.want {
				t.Errorf("requeued after %s (%v), want %s", result.RequeueAfter, err, test.want)
			}
			if test.want > 0 && (result.Priority == nil || *result.Priority >= 0) {
				t.Errorf("priority %v, want a low one", result.Priority)
			}
		})
	}
}

// Without an interval there is no safety check.
func TestNoSafetyInterval(t *testing.T) {
	w := newWorld(t, project())
	if result, err := w.run(); err != nil || result != (reconcile.Result{}) {
		t.Errorf("requeued with %+v (%v), want never", result, err)
	}
}

func TestNoFinalizer(t *testing.T) {
	w := newWorld(t, project())
	w.options.NoFinalizer = true
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	if got := w.get().Finalizers; len(got) > 0 {
		t.Errorf("finalizers %v, want none", got)
	}
	if w.writes != 1 {
		t.Errorf("%d writes, want the status only", w.writes)
	}
}

// An object that waits for the finalizer of another program is left alone.
func TestForeignFinalizer(t *testing.T) {
	o := project()
	now := metav1.Now()
	o.DeletionTimestamp, o.Finalizers = &now, []string{"example.com/other"}
	w := newWorld(t, o)
	w.work.finalize = func(*Session[*v1alpha1.Project]) error { return nil }
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	if w.work.calls != 0 || w.writes != 0 {
		t.Errorf("%d calls and %d writes, want none", w.work.calls, w.writes)
	}
}

// A status that is only in memory survives the patch of the finalizer.
func TestFinalizerKeepsTheStatus(t *testing.T) {
	w := newWorld(t, project())
	w.work.reconcile = func(s *Session[*v1alpha1.Project]) error {
		s.Facts.True("Valid", "Valid", "fine")
		return s.Record(context.Background())
	}
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	o := w.get()
	if len(o.Finalizers) != 1 || len(o.Status.Conditions) == 0 {
		t.Errorf("finalizers %v and conditions %v", o.Finalizers, o.Status.Conditions)
	}
	// One patch of the finalizers and one of the status: nothing differs at Record.
	if w.writes != 2 {
		t.Errorf("%d writes, want 2", w.writes)
	}
	if diff := cmp.Diff([]string{"Project"}, w.kinds); diff != "" {
		t.Errorf("observed kinds (-want +got):\n%s", diff)
	}
}

// A pass may record several facts, one after another.
func TestRecordTwice(t *testing.T) {
	w := newWorld(t, project())
	w.work.reconcile = func(s *Session[*v1alpha1.Project]) error {
		for _, warning := range []string{"a", "b"} {
			s.Object.Status.Warnings = []string{warning}
			if err := s.Record(t.Context()); err != nil {
				return err
			}
		}
		return nil
	}
	result, err := w.run()
	if warnings := w.get().Status.Warnings; err != nil || result != (reconcile.Result{}) || len(warnings) != 1 || warnings[0] != "b" {
		t.Errorf("warnings %q, requeued with %+v, error %v", warnings, result, err)
	}
}

// An event is sent if the status or the reason of the summary changes, and not for
// another message.
func TestEvents(t *testing.T) {
	for name, test := range map[string]struct {
		second error
		want   int
	}{
		"another reason":  {second: Waiting("NotConnected", "c"), want: 2},
		"another status":  {second: nil, want: 2},
		"another message": {second: Waiting("Ready", "other"), want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, project())
			// The reason of a Ready condition that is true.
			w.fails(Waiting("Ready", "c"))
			for range 2 {
				if _, err := w.run(); err != nil {
					t.Fatal(err)
				}
				w.fails(test.second)
			}
			if got := w.said(); len(got) != test.want {
				t.Errorf("events %q, want %d", got, test.want)
			}
		})
	}
}

// Messages are cut at the limit of the API.
func TestLongMessage(t *testing.T) {
	w := newWorld(t, project())
	w.fails(Waiting("Invalid", "%s", strings.Repeat("x", 40000)))
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	if got := len(w.get().Status.Conditions[0].Message); got != maxMessage {
		t.Errorf("a condition's message has %d bytes, want %d", got, maxMessage)
	}
	if note := strings.TrimPrefix(w.said()[0], "Normal Invalid "); len(note) != maxNote {
		t.Errorf("an event's note has %d bytes, want %d", len(note), maxNote)
	}
}

func TestClassify(t *testing.T) {
	bad, worse := Waiting("A", "a"), Terminal("B", "b")
	for name, test := range map[string]struct {
		err    error
		reason string
	}{
		"the worst comes first":    {err: errors.Join(worse, bad), reason: "B"},
		"the worst comes last":     {err: errors.Join(bad, worse), reason: "B"},
		"bad, worse, bad":          {err: errors.Join(bad, worse, Waiting("C", "c")), reason: "B"},
		"the first of equal ones":  {err: errors.Join(Terminal("D", "d"), worse), reason: "D"},
		"one inside another one":   {err: errors.Join(bad, fmt.Errorf("of x: %w", worse)), reason: "B"},
		"an unexpected one counts": {err: errors.Join(worse, errors.New("boom")), reason: v1alpha1.ReasonInternalError},
	} {
		if got := Classify(test.err, nil); got.Reason != test.reason {
			t.Errorf("%s: reason %s, want %s", name, got.Reason, test.reason)
		}
	}
	cause := errors.New("boom")
	if err := (&Error{Message: "it failed", Cause: cause}); err.Error() != "it failed: boom" || !errors.Is(err, cause) {
		t.Errorf("error %q, or not its cause", err)
	}
	names := map[Class]string{
		ClassNone: "ready", ClassSilent: "waiting", ClassWaiting: "waiting", ClassHeld: "waiting", ClassTerminal: "stalled", ClassUnexpected: "error",
	}
	for class, want := range names {
		if got := class.String(); got != want {
			t.Errorf("class %d is %q, want %q", class, got, want)
		}
	}
}
