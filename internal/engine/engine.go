// Package engine is the skeleton of every reconciler. It runs the phases of a pass:
// load, validate, plan, apply, observe, and withdraw for an object that is deleted.
// It guarantees that nothing is written elsewhere before the finalizer is on and the
// target on record, that a status is written only if it differs, and that an event is
// sent only if the summary of an object changes.
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
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// StatusManager is the field manager of everything below status, unless another
// controller declares a part of it as its own.
const StatusManager = "nautes-status"

// Object is a pointer to a kind that the engine can make an empty one of.
type Object[T any] interface {
	*T
	v1alpha1.Object
}

// Kind returns the phases of one pass over an object.
type Kind[T v1alpha1.Object] func(s *Session[T]) Phases

// Options configures a Reconciler.
type Options[T v1alpha1.Object] struct {
	// Client reads from the cache and writes to the server.
	Client client.Client
	// Recorder of events.
	Recorder events.EventRecorder
	// Classify knows the errors of the packages that the phases call.
	Classify Classifier
	// Targets are the systems that sets are applied to.
	Targets *Targets
	// Enter takes a place among the workers for a pass over slow clusters; may be nil.
	Enter func(request reconcile.Request, clusters ...string) (leave func(), err error)
	// Foreign are condition types that another controller writes. They are kept as
	// they are.
	Foreign []string
	// NoFinalizer is set for kinds that leave no trace elsewhere and that no other
	// object depends on.
	NoFinalizer bool
	// SafetyInterval after which an object is reconciled without an event; it is
	// stretched by up to a tenth at random. 0 means never.
	SafetyInterval time.Duration
	// Observe is called with the class of each outcome; may be nil.
	Observe func(kind string, class Class)
}

// Reconciler runs the phases for the objects of one kind.
type Reconciler[T any, P Object[T]] struct {
	options Options[P]
	phases  Kind[P]
	kind    string
}

// New returns the reconciler of one kind. It fails if the client does not know the kind.
func New[T any, P Object[T]](phases Kind[P], o Options[P]) (*Reconciler[T, P], error) {
	gvk, err := o.Client.GroupVersionKindFor(P(new(T)))
	if err != nil {
		return nil, fmt.Errorf("find the kind of %T: %w", P(nil), err)
	}
	return &Reconciler[T, P]{options: o, phases: phases, kind: gvk.Kind}, nil
}

// Session is one pass over one object. Object is a private copy: the phases set its
// status fields, and the engine writes them.
type Session[T v1alpha1.Object] struct {
	Object T
	Facts  *Facts
	// Snapshot is set after the phase Load.
	Snapshot *snapshot.Snapshot
	// Asked is another object whose annotations confirm a prune or give up a cluster,
	// and which has the events about prunes too, for a kind that people do not write;
	// may be nil.
	Asked v1alpha1.Object

	options *Options[T]
	saved   T
	// unrecorded is why a status could not be written, or nil.
	unrecorded error
	// warnings are the ones of this pass, if the rules were checked in it.
	validated bool
	warnings  []string
}

// Record writes the status as it is now, if it differs from the saved one. It is for
// facts that must be on record before something is done: after an error, the pass applies
// nothing more, since the facts that Object has are in memory only.
func (s *Session[T]) Record(ctx context.Context) error {
	if equality.Semantic.DeepEqual(s.Object, s.saved) {
		return nil
	}
	// The patch is guarded by the resourceVersion: a status is never computed
	// from one object and written to another.
	patch := client.MergeFromWithOptions(s.saved, client.MergeFromWithOptimisticLock{})
	if err := s.options.Client.Status().Patch(ctx, s.Object, patch, client.FieldOwner(StatusManager)); err != nil {
		s.unrecorded = fmt.Errorf("write the status of %s: %w", client.ObjectKeyFromObject(s.Object), err)
		return s.unrecorded
	}
	s.saved = s.Object.DeepCopyObject().(T)
	return nil
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler[T, P]) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	// The client returns a copy of the cached object, so it may be changed.
	object := P(new(T))
	if err := r.options.Client.Get(ctx, request.NamespacedName, object); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	s := &Session[P]{
		Object: object, Facts: &Facts{classify: r.options.Classify}, options: &r.options, saved: object.DeepCopyObject().(P),
	}
	if !object.GetDeletionTimestamp().IsZero() {
		return r.finalize(ctx, s)
	}
	if !r.options.NoFinalizer && !controllerutil.ContainsFinalizer(object, v1alpha1.Finalizer) {
		if err := r.patchFinalizer(ctx, s, controllerutil.AddFinalizer); err != nil {
			return ignoreConflict(err)
		}
	}
	p := r.phases(s)
	return r.finish(ctx, s, p, s.reconcile(ctx, p))
}

// finalize removes the traces of an object, and then its finalizer.
func (r *Reconciler[T, P]) finalize(ctx context.Context, s *Session[P]) (reconcile.Result, error) {
	if !controllerutil.ContainsFinalizer(s.Object, v1alpha1.Finalizer) {
		return reconcile.Result{}, nil
	}
	p := r.phases(s)
	err := s.finalize(ctx, p)
	if err == nil {
		return ignoreConflict(r.patchFinalizer(ctx, s, controllerutil.RemoveFinalizer))
	}
	return r.finish(ctx, s, p, err)
}

func (r *Reconciler[T, P]) patchFinalizer(ctx context.Context, s *Session[P], change func(client.Object, string) bool) error {
	change(s.Object, v1alpha1.Finalizer)
	// The list of finalizers is replaced as a whole, so the patch must fail if
	// another controller has changed it meanwhile.
	patch := client.MergeFromWithOptions(s.saved, client.MergeFromWithOptimisticLock{})
	// The server answers with the stored object, which lacks status changes
	// that are only in memory.
	written := s.Object.DeepCopyObject().(P)
	if err := r.options.Client.Patch(ctx, written, patch, client.FieldOwner(v1alpha1.ManagedBy)); err != nil {
		return fmt.Errorf("patch the finalizers of %s %s: %w", r.kind, client.ObjectKeyFromObject(s.Object), err)
	}
	s.Object.SetResourceVersion(written.GetResourceVersion())
	s.Object.SetManagedFields(written.GetManagedFields())
	s.saved.SetFinalizers(written.GetFinalizers())
	s.saved.SetResourceVersion(written.GetResourceVersion())
	s.saved.SetManagedFields(written.GetManagedFields())
	return nil
}

// finish turns facts and outcome into status, events and the next run.
func (r *Reconciler[T, P]) finish(ctx context.Context, s *Session[P], p Phases, err error) (reconcile.Result, error) {
	outcome := Classify(err, r.options.Classify)
	if r.options.Observe != nil {
		r.options.Observe(r.kind, outcome.Class)
	}
	if outcome.Class == ClassSilent {
		if outcome.RetryAfter > 0 {
			return requeueAfter(outcome.RetryAfter), nil
		}
		return reconcile.Result{}, nil
	}
	if outcome.Class == ClassUnexpected && apierrors.IsConflict(outcome.Cause) {
		return ignoreConflict(outcome.Cause)
	}
	before, warned := readyOf(s.saved), s.saved.GetStatus().Warnings
	if s.validated {
		s.Object.GetStatus().Warnings = listed(s.warnings)
	}
	summarise(s.Object.GetStatus(), s.Object.GetGeneration(), s.Facts, outcome, declared{types: p.Conditions, foreign: r.options.Foreign})
	if recordErr := s.Record(ctx); recordErr != nil {
		if apierrors.IsConflict(recordErr) {
			return ignoreConflict(recordErr)
		}
		// The outcome may be the more important one: both go to the log.
		return reconcile.Result{}, errors.Join(outcome.Cause, client.IgnoreNotFound(recordErr))
	}
	r.announce(s.Object, before, readyOf(s.Object), outcome.Class)
	r.announceWarnings(s.Object, warned)
	if outcome.Class == ClassUnexpected {
		return reconcile.Result{}, err
	}
	if outcome.Class == ClassWaiting {
		log.FromContext(ctx).V(1).Info("waiting", "reason", outcome.Reason, "message", outcome.Message)
	}
	if outcome.RetryAfter > 0 {
		return requeueAfter(outcome.RetryAfter), nil
	}
	return r.safetyRequeue(), nil
}

// requeueAfter requeues with low priority.
func requeueAfter(after time.Duration) reconcile.Result {
	priority := handler.LowPriority
	return reconcile.Result{RequeueAfter: after, Priority: &priority}
}

// ignoreConflict treats a lost update race as a requeue, and a missing object as
// success.
func ignoreConflict(err error) (reconcile.Result, error) {
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: conflictPause}, nil
	}
	return reconcile.Result{}, client.IgnoreNotFound(err)
}

// conflictPause lets the cache catch up with the write that won the race.
const conflictPause = 50 * time.Millisecond

// safetyRequeue requeues for the safety check, with low priority.
func (r *Reconciler[T, P]) safetyRequeue() reconcile.Result {
	if r.options.SafetyInterval <= 0 {
		return reconcile.Result{}
	}
	return requeueAfter(r.options.SafetyInterval + time.Duration(rand.Int64N(int64(r.options.SafetyInterval)/10+1)))
}

func readyOf(o v1alpha1.Object) metav1.Condition {
	if c := meta.FindStatusCondition(o.GetStatus().Conditions, v1alpha1.ConditionReady); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// announce sends an event if the status or the reason of the summary changed.
func (r *Reconciler[T, P]) announce(o P, before, after metav1.Condition, class Class) {
	if before.Status == after.Status && before.Reason == after.Reason {
		return
	}
	kind := corev1.EventTypeNormal
	if class >= ClassTerminal {
		kind = corev1.EventTypeWarning
	}
	r.options.Recorder.Eventf(o, nil, kind, after.Reason, "Reconcile", "%s", plan.Cut(after.Message, maxNote))
}

// maxNote is the API's limit on the text of an event, in bytes.
const maxNote = 1000
