package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
)

// scripted are phases that a test scripts. They record their calls.
type scripted struct {
	phases    Phases
	reconcile func(*Session[*v1alpha1.Project]) error
	finalize  func(*Session[*v1alpha1.Project]) error
	calls     int
	finalizer bool
}

func (w *scripted) begin(s *Session[*v1alpha1.Project]) Phases {
	p := w.phases
	if p.Prepare == nil {
		p.Prepare = func(context.Context) error {
			w.calls++
			w.finalizer = len(s.Object.Finalizers) == 1
			if w.reconcile == nil {
				return nil
			}
			return w.reconcile(s)
		}
	}
	if w.finalize != nil {
		p.Withdraw = func(context.Context) error {
			w.calls++
			return w.finalize(s)
		}
	}
	return p
}

// world is one project and its reconciler, with the writes and events.
type world struct {
	t        *testing.T
	work     *scripted
	client   client.Client
	recorder *events.FakeRecorder
	options  Options[*v1alpha1.Project]
	writes   int
	classes  []Class
	kinds    []string
	// applied targets, and clusters that were given up.
	applied, abandoned []string
	// getErr, patchErr and statusErr are errors that the client returns once.
	getErr, patchErr, statusErr error
}

// once returns an error and forgets it.
func once(err *error) error {
	e := *err
	*err = nil
	return e
}

func newWorld(t *testing.T, o *v1alpha1.Project) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, work: &scripted{}, recorder: events.NewFakeRecorder(20)}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(o).WithStatusSubresource(o).
		WithInterceptorFuncs(interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
				if err := once(&w.getErr); err != nil {
					return err
				}
				return c.Get(ctx, key, o, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
				w.writes++
				if err := once(&w.patchErr); err != nil {
					return err
				}
				return c.Patch(ctx, o, p, opts...)
			},
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
				w.writes++
				if owner := (&client.SubResourcePatchOptions{}).ApplyOptions(opts).FieldManager; owner != StatusManager {
					t.Errorf("the status is written by %q", owner)
				}
				if err := once(&w.statusErr); err != nil {
					return err
				}
				return c.SubResource(sub).Patch(ctx, o, p, opts...)
			},
		}).Build()
	w.options = Options[*v1alpha1.Project]{
		Client: w.client, Recorder: w.recorder,
		Observe: func(kind string, class Class) {
			w.kinds, w.classes = append(w.kinds, kind), append(w.classes, class)
		},
	}
	return w
}

func project() *v1alpha1.Project {
	return &v1alpha1.Project{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "p", Generation: 3}}
}

func (w *world) run() (reconcile.Result, error) {
	w.t.Helper()
	key := client.ObjectKey{Namespace: "product-1", Name: "p"}
	r, err := New(w.work.begin, w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Reconcile(context.Background(), reconcile.Request{NamespacedName: key})
}

func (w *world) get() *v1alpha1.Project {
	w.t.Helper()
	o := &v1alpha1.Project{}
	if err := w.client.Get(context.Background(), client.ObjectKey{Namespace: "product-1", Name: "p"}, o); err != nil {
		w.t.Fatal(err)
	}
	return o
}

// said returns the events so far.
func (w *world) said() []string {
	var all []string
	for {
		select {
		case e := <-w.recorder.Events:
			all = append(all, e)
		default:
			return all
		}
	}
}

// conditionsOf returns the conditions in short: type=status/reason.
func conditionsOf(o *v1alpha1.Project) []string {
	var all []string
	for _, c := range o.Status.Conditions {
		all = append(all, fmt.Sprintf("%s=%s/%s", c.Type, c.Status, c.Reason))
	}
	return all
}

func TestOutcomes(t *testing.T) {
	raw := errors.New("dial tcp: user:password@host refused")
	for name, test := range map[string]struct {
		err        error
		facts      func(*Facts)
		wantErr    bool
		wantStatus []string
		wantEvent  []string
		wantClass  Class
	}{
		"ready": {
			facts:      func(f *Facts) { f.True("Valid", "Valid", "fine"); f.ReadyMessage = "all is well" },
			wantStatus: []string{"Ready=True/Ready", "Valid=True/Valid"},
			wantEvent:  []string{"Normal Ready all is well"},
		},
		"waiting": {
			err:        Waiting("ReferenceMissing", "Cluster c does not exist yet"),
			wantStatus: []string{"Ready=False/ReferenceMissing", "Reconciling=True/ReferenceMissing"},
			wantEvent:  []string{"Normal ReferenceMissing Cluster c does not exist yet"},
			wantClass:  ClassWaiting,
		},
		"terminal": {
			err:        fmt.Errorf("while checking: %w", Terminal("Invalid", "spec.x: mend it")),
			wantStatus: []string{"Ready=False/Invalid", "Stalled=True/Invalid"},
			wantEvent:  []string{"Warning Invalid spec.x: mend it"},
			wantClass:  ClassTerminal,
		},
		"unexpected errors are retried, and their text stays in the log": {
			err: raw, wantErr: true,
			wantStatus: []string{"Ready=False/InternalError", "Reconciling=True/InternalError"},
			wantEvent:  []string{"Warning InternalError " + unexpectedMessage},
			wantClass:  ClassUnexpected,
		},
		"the worst of several counts": {
			err:        errors.Join(Waiting("NotConnected", "c1"), Terminal("NotOurs", "x is foreign"), nil),
			wantStatus: []string{"Ready=False/NotOurs", "Stalled=True/NotOurs"},
			wantEvent:  []string{"Warning NotOurs x is foreign"},
			wantClass:  ClassTerminal,
		},
		"silence leaves the status alone": {err: ErrNotYet, wantClass: ClassSilent},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, project())
			w.work.reconcile = func(s *Session[*v1alpha1.Project]) error {
				if test.facts != nil {
					test.facts(s.Facts)
				}
				return test.err
			}
			_, err := w.run()
			if (err != nil) != test.wantErr {
				t.Errorf("error %v, want one: %v", err, test.wantErr)
			}
			if !w.work.finalizer {
				t.Error("the work ran before the finalizer was on")
			}
			o := w.get()
			if diff := cmp.Diff(test.wantStatus, conditionsOf(o)); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantEvent, w.said()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]Class{test.wantClass}, w.classes); diff != "" {
				t.Errorf("observed classes (-want +got):\n%s", diff)
			}
			for _, c := range o.Status.Conditions {
				if c.ObservedGeneration != 3 || o.Status.ObservedGeneration != 3 {
					t.Errorf("observedGeneration of %s is %d, of the object %d, want 3", c.Type, c.ObservedGeneration, o.Status.ObservedGeneration)
				}
			}

			// The same outcome again writes nothing and says nothing.
			before := w.writes
			_, _ = w.run()
			if w.writes != before {
				t.Errorf("the second run wrote %d times", w.writes-before)
			}
			if again := w.said(); again != nil {
				t.Errorf("the second run sent %v", again)
			}
			if diff := cmp.Diff(o.Status, w.get().Status); diff != "" {
				t.Errorf("the second run changed the status:\n%s", diff)
			}
		})
	}
}

func TestHealing(t *testing.T) {
	w := newWorld(t, project())
	outcome := Terminal("Invalid", "mend it")
	w.work.reconcile = func(*Session[*v1alpha1.Project]) error { return outcome }
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	outcome = nil
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Ready=True/Ready"}, conditionsOf(w.get())); diff != "" {
		t.Errorf("Stalled must go (-want +got):\n%s", diff)
	}
	if got := len(w.said()); got != 2 {
		t.Errorf("%d events for two transitions", got)
	}
}

func TestSafetyCheckIsLateAndUnimportant(t *testing.T) {
	w := newWorld(t, project())
	w.options.SafetyInterval = time.Hour
	result, err := w.run()
	if err != nil {
		t.Fatal(err)
	}
	if result.RequeueAfter < time.Hour || result.RequeueAfter > 67*time.Minute {
		t.Errorf("checked again after %s, want an hour and up to a tenth", result.RequeueAfter)
	}
	if result.Priority == nil || *result.Priority >= 0 {
		t.Errorf("priority %v, want a low one", result.Priority)
	}
}

func TestSuspended(t *testing.T) {
	w := newWorld(t, project())
	w.work.phases = Phases{
		Suspended: "spec.suspend is set", Conditions: []string{"Valid"},
		Deploy: func(context.Context) error { t.Error("a suspended object was deployed"); return nil },
	}
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Ready=False/Suspended", "Valid=Unknown/NotEvaluated"}, conditionsOf(w.get())); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

func TestFinalize(t *testing.T) {
	w := newWorld(t, project())
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Delete(context.Background(), w.get()); err != nil {
		t.Fatal(err)
	}
	outcome := Waiting("InUse", "DeploymentRuntime d uses it")
	w.work.finalize = func(*Session[*v1alpha1.Project]) error { return outcome }
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	if c := meta.FindStatusCondition(w.get().Status.Conditions, "Ready"); c == nil || c.Reason != "InUse" {
		t.Errorf("Ready is %v, want reason InUse", c)
	}
	outcome = nil
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	err := w.client.Get(context.Background(), client.ObjectKey{Namespace: "product-1", Name: "p"}, &v1alpha1.Project{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the object is still there: %v", err)
	}
}

func TestRecordIsGuardedAgainstNewerObjects(t *testing.T) {
	w := newWorld(t, project())
	w.work.reconcile = func(s *Session[*v1alpha1.Project]) error {
		other := w.get()
		other.Labels = map[string]string{"another": "writer"}
		if err := w.client.Update(context.Background(), other); err != nil {
			t.Fatal(err)
		}
		s.Facts.True("Valid", "Valid", "")
		return s.Record(context.Background())
	}
	result, err := w.run()
	if err != nil {
		t.Fatalf("a conflict is not an error for people: %v", err)
	}
	if result.RequeueAfter == 0 {
		t.Error("a beaten write must be tried again")
	}
}

func TestClassifier(t *testing.T) {
	notFound := apierrors.NewNotFound(schema.GroupResource{Resource: "things"}, "t")
	known := func(err error) *Error {
		if apierrors.IsNotFound(err) {
			return &Error{Class: ClassWaiting, Reason: "ReferenceMissing", Message: "thing t is missing"}
		}
		return nil
	}
	if got := Classify(fmt.Errorf("wrapped: %w", notFound), known); got.Class != ClassWaiting {
		t.Errorf("class %v, want waiting", got.Class)
	}
	if got := Classify(errors.New("other"), known); got.Class != ClassUnexpected {
		t.Errorf("class %v, want unexpected", got.Class)
	}
	if got := Classify(nil, known); got.Class != ClassNone {
		t.Errorf("class %v, want none", got.Class)
	}
}
