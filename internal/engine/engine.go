// Package engine is the one skeleton of every reconciler: load, decide, act,
// tell. It guarantees that nothing is created elsewhere before the finalizer is
// on, that a status is written only when it differs, and that an event is sent
// only when the summary of an object changes.
package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
)

// statusManager is the field manager of everything below status.
const statusManager = "nautes-status"

// Session is one reconciliation of one object. Object is a private copy: the
// work sets its status fields, the engine writes them.
type Session[T v1alpha1.Object] struct {
	Object T
	Facts  *Facts

	client client.Client
	saved  T
}

// Record writes the status as it is now, if it differs from what the server
// has. It is for facts that must be on record before something is done.
func (s *Session[T]) Record(ctx context.Context) error {
	if equality.Semantic.DeepEqual(s.Object, s.saved) {
		return nil
	}
	// The patch is guarded by the resourceVersion: a status is never computed
	// from one object and written to another.
	patch := client.MergeFromWithOptions(s.saved, client.MergeFromWithOptimisticLock{})
	if err := s.client.Status().Patch(ctx, s.Object, patch, client.FieldOwner(statusManager)); err != nil {
		return fmt.Errorf("write the status of %s: %w", client.ObjectKeyFromObject(s.Object), err)
	}
	s.saved = s.Object.DeepCopyObject().(T)
	return nil
}

// Work is what a controller contributes to the skeleton.
type Work[T v1alpha1.Object] interface {
	// Reconcile brings about what the object asks for and records facts.
	Reconcile(ctx context.Context, s *Session[T]) error
	// Finalize removes what the object has elsewhere. It returns nil when all
	// is gone, and a Waiting error until then.
	Finalize(ctx context.Context, s *Session[T]) error
}

// Options configures a Reconciler.
type Options[T v1alpha1.Object] struct {
	// Kind of the objects, as in their apiVersion.
	Kind string
	// New returns an empty object.
	New func() T
	// Client reads from the cache and writes to the server.
	Client client.Client
	// Recorder of events.
	Recorder events.EventRecorder
	// Classify knows the errors of the packages that the work calls.
	Classify Classifier
	// Suspended tells whether an object asks to be left alone; may be nil.
	Suspended func(T) bool
	// NoFinalizer is set for kinds that leave no trace elsewhere and that
	// nothing depends on.
	NoFinalizer bool
	// SafetyInterval after which an object is looked at although nothing
	// happened; it is stretched by up to a tenth at random. 0: never.
	SafetyInterval time.Duration
	// Observe is told the class of each outcome; may be nil.
	Observe func(kind string, class Class)
}

// Reconciler runs Work for the objects of one kind.
type Reconciler[T v1alpha1.Object] struct {
	options Options[T]
	work    Work[T]
}

// New returns the reconciler of one kind.
func New[T v1alpha1.Object](work Work[T], o Options[T]) *Reconciler[T] {
	return &Reconciler[T]{options: o, work: work}
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler[T]) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	object := r.options.New()
	if err := r.options.Client.Get(ctx, request.NamespacedName, object); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	object = object.DeepCopyObject().(T)
	s := &Session[T]{Object: object, Facts: &Facts{}, client: r.options.Client, saved: object.DeepCopyObject().(T)}

	if !object.GetDeletionTimestamp().IsZero() {
		return r.finalize(ctx, s)
	}
	if !r.options.NoFinalizer && !controllerutil.ContainsFinalizer(object, v1alpha1.Finalizer) {
		if err := r.patchFinalizer(ctx, s, controllerutil.AddFinalizer); err != nil {
			return beaten(err)
		}
	}
	if r.options.Suspended != nil && r.options.Suspended(object) {
		return r.finish(ctx, s, Held(v1alpha1.ReasonSuspended, "spec.suspend is set: nothing is changed until it is removed"))
	}
	return r.finish(ctx, s, r.work.Reconcile(ctx, s))
}

// finalize removes the traces of an object, and then its finalizer.
func (r *Reconciler[T]) finalize(ctx context.Context, s *Session[T]) (reconcile.Result, error) {
	if !controllerutil.ContainsFinalizer(s.Object, v1alpha1.Finalizer) {
		return reconcile.Result{}, nil
	}
	err := r.work.Finalize(ctx, s)
	if err == nil {
		return beaten(r.patchFinalizer(ctx, s, controllerutil.RemoveFinalizer))
	}
	return r.finish(ctx, s, err)
}

func (r *Reconciler[T]) patchFinalizer(ctx context.Context, s *Session[T], change func(client.Object, string) bool) error {
	change(s.Object, v1alpha1.Finalizer)
	// The list of finalizers is replaced as a whole, so the patch must fail when
	// another controller has changed it meanwhile.
	patch := client.MergeFromWithOptions(s.saved, client.MergeFromWithOptimisticLock{})
	// The server answers with the stored object, which lacks status changes
	// that are only in memory.
	written := s.Object.DeepCopyObject().(T)
	if err := r.options.Client.Patch(ctx, written, patch, client.FieldOwner(v1alpha1.ManagedBy)); err != nil {
		return fmt.Errorf("patch the finalizers of %s %s: %w", r.options.Kind, client.ObjectKeyFromObject(s.Object), err)
	}
	s.Object.SetResourceVersion(written.GetResourceVersion())
	s.Object.SetManagedFields(written.GetManagedFields())
	s.saved.SetFinalizers(written.GetFinalizers())
	s.saved.SetResourceVersion(written.GetResourceVersion())
	s.saved.SetManagedFields(written.GetManagedFields())
	return nil
}

// finish turns facts and outcome into status, events and the next run.
func (r *Reconciler[T]) finish(ctx context.Context, s *Session[T], err error) (reconcile.Result, error) {
	outcome := Classify(err, r.options.Classify)
	if r.options.Observe != nil {
		r.options.Observe(r.options.Kind, outcome.Class)
	}
	if outcome.Class == ClassSilent {
		if outcome.RetryAfter > 0 {
			return soon(outcome.RetryAfter), nil
		}
		return reconcile.Result{}, nil
	}
	if outcome.Class == ClassUnexpected && apierrors.IsConflict(outcome.Cause) {
		return beaten(outcome.Cause)
	}
	before := readyOf(s.saved)
	summarise(s.Object.GetStatus(), s.Object.GetGeneration(), s.Facts, outcome)
	if recordErr := s.Record(ctx); recordErr != nil {
		if apierrors.IsConflict(recordErr) {
			return beaten(recordErr)
		}
		// The outcome may be what matters: both go to the log.
		return reconcile.Result{}, errors.Join(outcome.Cause, client.IgnoreNotFound(recordErr))
	}
	r.announce(s.Object, before, readyOf(s.Object), outcome.Class)
	if outcome.Class == ClassUnexpected {
		return reconcile.Result{}, err
	}
	if outcome.Class == ClassWaiting {
		log.FromContext(ctx).V(1).Info("waiting", "reason", outcome.Reason, "message", outcome.Message)
	}
	if outcome.RetryAfter > 0 {
		return soon(outcome.RetryAfter), nil
	}
	return r.later(), nil
}

// soon asks for another look behind everything that is urgent.
func soon(after time.Duration) reconcile.Result {
	priority := handler.LowPriority
	return reconcile.Result{RequeueAfter: after, Priority: &priority}
}

// beaten is the result of a write: somebody who was faster is no error, for the
// cache brings the new object in a moment, and neither is an object that is gone.
func beaten(err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: conflictPause}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

// conflictPause lets the cache catch up with a write that beat ours.
const conflictPause = 50 * time.Millisecond

// later asks for the safety check, behind everything that is urgent.
func (r *Reconciler[T]) later() reconcile.Result {
	if r.options.SafetyInterval <= 0 {
		return reconcile.Result{}
	}
	return soon(r.options.SafetyInterval + time.Duration(rand.Int64N(int64(r.options.SafetyInterval)/10+1)))
}

func readyOf(o v1alpha1.Object) metav1.Condition {
	if c := meta.FindStatusCondition(o.GetStatus().Conditions, v1alpha1.ConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// announce sends an event when the summary changed: its status or its reason.
func (r *Reconciler[T]) announce(o T, before, after metav1.Condition, class Class) {
	if before.Status == after.Status && before.Reason == after.Reason {
		return
	}
	kind := corev1.EventTypeNormal
	if class >= ClassTerminal {
		kind = corev1.EventTypeWarning
	}
	note := after.Message
	if len(note) > maxNote {
		note = note[:maxNote]
	}
	r.options.Recorder.Eventf(o, nil, kind, after.Reason, "Reconcile", "%s", note)
}

// maxNote is the API's limit on the text of an event.
const maxNote = 1000
