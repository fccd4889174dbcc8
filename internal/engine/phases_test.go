package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// cluster is a connection with ConfigMaps of the owner; err is the answer of its cache.
type cluster struct {
	apply.Connection
	client client.Client
	ids    []string
	err    error
}

func newCluster(count int) *cluster { return newClusterOf(owner, count) }

// newClusterOf returns a cluster with objects of an owner.
func newClusterOf(owner plan.Owner, count int) *cluster {
	c := &cluster{}
	var objects []client.Object
	for i := range count {
		name := fmt.Sprintf("m%02d", i)
		c.ids = append(c.ids, name)
		objects = append(objects, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: "u", Labels: owner.Labels("t"), Finalizers: []string{"example.com/hold"}}})
	}
	c.client = fake.NewClientBuilder().WithObjects(objects...).Build()
	return c
}

var owner = plan.Owner{Kind: "Project", Product: "product-1", Name: "p"}

func (c *cluster) UID() string           { return "uid" }
func (c *cluster) Client() client.Client { return c.client }
func (c *cluster) Get(context.Context, plan.ID) (*metav1.PartialObjectMetadata, error) {
	return nil, c.err
}
func (c *cluster) Serves(context.Context, string, string) (bool, error) { return true, c.err }
func (c *cluster) Owned(ctx context.Context, _ plan.Owner) ([]metav1.PartialObjectMetadata, error) {
	var list metav1.PartialObjectMetadataList
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := c.client.List(ctx, &list); err != nil || c.err != nil {
		return nil, errors.Join(err, c.err)
	}
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	}
	return list.Items, nil
}

// aimed is a world with targets.
func aimed(t *testing.T, o *v1alpha1.Project, conns map[string]*cluster) *world {
	w := newWorld(t, o)
	targets := NewTargets()
	targets.Applier = apply.New("t", nil)
	targets.Tenant = conns["tenant"]
	targets.Connect = func(_ *snapshot.Snapshot, name string) (apply.Connection, error) {
		if c := conns[name]; c != nil {
			return c, nil
		}
		return nil, Waiting("NotConnected", "%s is away", name)
	}
	targets.Applied = func(_ client.Object, set plan.Set, _ apply.Result) {
		w.applied = append(w.applied, set.Target.String())
	}
	targets.Abandoned = func(o client.Object, cluster string) { w.abandoned = append(w.abandoned, o.GetName()+" "+cluster) }
	w.options.Targets = targets
	return w
}

func sets(targets ...plan.Target) plan.Plan {
	var p plan.Plan
	for _, target := range targets {
		p.Sets = append(p.Sets, plan.Set{Owner: owner, Target: target})
	}
	return p
}

// traced returns phases that run a step each.
func traced(o *v1alpha1.Project, trace *[]string, step func(phase string) error) Phases {
	return Phases{
		Conditions: []string{v1alpha1.ConditionApplied},
		Load: func(context.Context) (*snapshot.Snapshot, error) {
			product := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "product-1"}}
			return snapshot.New("t", "nautes", product, o), step("load")
		},
		Clusters: func() []string { return []string{"c"} },
		Prepare:  func(context.Context) error { return step("prepare") },
		Refused:  func(context.Context) error { return step("refused") },
		Plan:     func(context.Context) (plan.Plan, error) { return sets(plan.Cluster("c")), step("plan") },
		Commit:   func() { _ = step("commit") },
		Before:   func(context.Context, plan.Set) error { return step("before") },
		After: func(_ context.Context, a Applied) error {
			if a.Set.Target != plan.Cluster("c") {
				*trace = append(*trace, "after of "+a.Set.Target.String())
			}
			if a.Err != nil {
				*trace = append(*trace, "after!")
				return a.Err
			}
			return step("after")
		},
		Applied: func() string { _ = step("applied"); return "done" },
		Observe: func(_ context.Context, err error) error {
			if err != nil {
				*trace = append(*trace, "observe!")
				return nil
			}
			return step("observe")
		},
	}
}

// The phases run in order, and an error ends the pass where it must.
func TestPhases(t *testing.T) {
	bad := Terminal("Bad", "bad")
	for name, test := range map[string]struct {
		// fails is the phase that returns err.
		fails string
		err   error
		// refuses makes the rules refuse the object.
		refuses, custom bool
		// bare is a kind without the phase Refused.
		bare        bool
		want        string
		wantReady   string
		wantApplied string
	}{
		"all":                           {want: "load clusters prepare plan commit before after applied observe", wantReady: "Ready", wantApplied: "True/Applied"},
		"load fails":                    {fails: "load", err: bad, want: "load", wantReady: "Bad", wantApplied: "Unknown/NotEvaluated"},
		"prepare fails":                 {fails: "prepare", err: bad, want: "load clusters prepare plan commit before after applied observe!", wantReady: "Bad", wantApplied: "True/Applied"},
		"prepare does not know":         {fails: "prepare", err: ErrNotYet, want: "load clusters prepare"},
		"plan fails":                    {fails: "plan", err: bad, want: "load clusters prepare plan observe!", wantReady: "Bad", wantApplied: "False/Bad"},
		"plan does not know":            {fails: "plan", err: ErrNotYet, want: "load clusters prepare plan"},
		"before skips":                  {fails: "before", err: ErrSkip, want: "load clusters prepare plan commit before applied observe", wantReady: "Ready", wantApplied: "True/Applied"},
		"before fails":                  {fails: "before", err: bad, want: "load clusters prepare plan commit before after! observe!", wantReady: "Bad", wantApplied: "False/Bad"},
		"after fails":                   {fails: "after", err: bad, want: "load clusters prepare plan commit before after observe!", wantReady: "Bad", wantApplied: "False/Bad"},
		"after does not know":           {fails: "after", err: ErrNotYet, want: "load clusters prepare plan commit before after"},
		"observe fails":                 {fails: "observe", err: bad, want: "load clusters prepare plan commit before after applied observe", wantReady: "Bad", wantApplied: "True/Applied"},
		"the rules refuse":              {refuses: true, want: "load clusters prepare refused observe!", wantReady: "Invalid", wantApplied: "Unknown/NotEvaluated"},
		"the rules refuse, and no more": {refuses: true, bare: true, want: "load clusters prepare observe!", wantReady: "Invalid", wantApplied: "Unknown/NotEvaluated"},
		"the rules refuse too late":     {refuses: true, custom: true, want: "load clusters prepare stop plan commit before after applied observe!", wantReady: "Invalid", wantApplied: "True/Applied"},
		"the kind stops":                {custom: true, fails: "stop", err: bad, want: "load clusters prepare stop refused observe!", wantReady: "Bad", wantApplied: "Unknown/NotEvaluated"},
		"taking the rest away fails":    {refuses: true, fails: "refused", err: Waiting("Late", "late"), want: "load clusters prepare refused observe!", wantReady: "Invalid", wantApplied: "False/Late"},
		"taking the rest away: unsure":  {refuses: true, fails: "refused", err: ErrNotYet, want: "load clusters prepare refused"},
	} {
		t.Run(name, func(t *testing.T) {
			o := project()
			o.Spec.Product = "product-1"
			if test.refuses {
				o.Spec.Product = "product-2"
			}
			w := aimed(t, o, map[string]*cluster{"c": newCluster(0)})
			var trace []string
			step := func(phase string) error {
				trace = append(trace, phase)
				if phase == test.fails {
					return test.err
				}
				return nil
			}
			p := traced(o, &trace, step)
			if test.bare {
				p.Refused = nil
			}
			if test.custom {
				p.Stop = func(field.ErrorList) error { return step("stop") }
			}
			entered := 0
			w.options.Enter = func(request reconcile.Request, clusters ...string) (func(), error) {
				trace = append(trace, "clusters")
				if request.Name != "p" || len(clusters) != 1 || clusters[0] != "c" {
					t.Errorf("%v enters for %v", request, clusters)
				}
				entered++
				return func() { entered-- }, nil
			}
			w.work.phases = p
			if _, err := w.run(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, strings.Join(trace, " ")); diff != "" {
				t.Errorf("phases (-want +got):\n%s", diff)
			}
			if entered != 0 {
				t.Error("the place among the workers was not given back")
			}
			got := map[string]string{}
			for _, c := range w.get().Status.Conditions {
				got[c.Type] = fmt.Sprintf("%s/%s", c.Status, c.Reason)
			}
			if _, reason, _ := strings.Cut(got["Ready"], "/"); reason != test.wantReady || got["Applied"] != test.wantApplied {
				t.Errorf("Ready is %q and Applied %q, want reason %q and %q", got["Ready"], got["Applied"], test.wantReady, test.wantApplied)
			}
			wantValid := map[bool]string{true: "False/Invalid", false: "True/Valid"}[test.refuses]
			if valid := got["Valid"]; test.wantReady != "" && test.fails != "load" && valid != wantValid {
				t.Errorf("Valid is %q, want %q", valid, wantValid)
			}
		})
	}
}

// A full lane ends the pass, and so does a hold that fails.
func TestPhasesThatEndAPass(t *testing.T) {
	for name, test := range map[string]struct {
		phases  func(p *Phases)
		enter   error
		want    []string
		deleted bool
		// laneless is an engine without places among workers.
		laneless bool
	}{
		"no lanes":    {phases: func(p *Phases) { p.Clusters = func() []string { return nil }; p.Plan = nil }, laneless: true, want: []string{"Ready=True/Ready"}},
		"a full lane": {phases: func(p *Phases) { p.Clusters = func() []string { return nil } }, enter: ErrNotYet},
		"a hold that fails": {phases: func(p *Phases) {
			p.Suspended = "later"
			p.Hold = func(context.Context) error { return Waiting("Late", "late") }
		}, want: []string{"Ready=False/Late", "Reconciling=True/Late"}},
		"a hold":              {phases: func(p *Phases) { p.Suspended = "later"; p.Hold = func(context.Context) error { return nil } }, want: []string{"Ready=False/Suspended"}},
		"a kind that deploys": {phases: func(p *Phases) { p.Deploy = func(context.Context) error { return Terminal("Own", "own") } }, want: []string{"Ready=False/Own", "Stalled=True/Own"}},
		"no phases":           {phases: func(p *Phases) { p.Plan = nil }, want: []string{"Ready=True/Ready"}},
		"deleted, full lane":  {phases: func(p *Phases) { p.Clusters = func() []string { return nil } }, enter: ErrNotYet, deleted: true},
		"deleted, no phases":  {phases: func(p *Phases) { p.Withdraw = nil }, deleted: true},
	} {
		t.Run(name, func(t *testing.T) {
			o := project()
			if test.deleted {
				now := metav1.Now()
				o.DeletionTimestamp, o.Finalizers = &now, []string{v1alpha1.Finalizer}
			}
			w := newWorld(t, o)
			p := Phases{
				Plan:     func(context.Context) (plan.Plan, error) { t.Error("it was planned"); return plan.Plan{}, nil },
				Withdraw: func(context.Context) error { t.Error("it was withdrawn"); return nil },
			}
			test.phases(&p)
			if !test.laneless {
				w.options.Enter = func(reconcile.Request, ...string) (func(), error) { return func() {}, test.enter }
			}
			w.work.phases = p
			if _, err := w.run(); err != nil {
				t.Fatal(err)
			}
			if test.deleted {
				err := w.client.Get(t.Context(), client.ObjectKeyFromObject(o), o)
				if gone := apierrors.IsNotFound(err); gone != (test.enter == nil) {
					t.Errorf("the deleted object is gone: %v (%v)", gone, err)
				}
				return
			}
			if diff := cmp.Diff(test.want, conditionsOf(w.get())); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

// A set that fails holds up no other one, and nothing is recorded or applied without the
// connections that a kind requires.
func TestSetsAreIsolated(t *testing.T) {
	for name, test := range map[string]struct {
		connected   bool
		wantApplied []string
		wantRecord  bool
	}{
		"tolerant": {wantApplied: []string{"Cluster c", "Tenant"}, wantRecord: true},
		"strict":   {connected: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := aimed(t, project(), map[string]*cluster{"c": newCluster(0), "tenant": newCluster(0)})
			recorded := false
			w.work.phases = Phases{
				Plan: func(context.Context) (plan.Plan, error) {
					return sets(plan.Cluster("away"), plan.Cluster("c"), plan.Tenant), nil
				},
				Connected: test.connected, Commit: func() { recorded = true },
			}
			if _, err := w.run(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.wantApplied, w.applied); diff != "" || recorded != test.wantRecord {
				t.Errorf("applied (-want +got), recorded %v:\n%s", recorded, diff)
			}
			if diff := cmp.Diff([]string{"Ready=False/NotConnected", "Reconciling=True/NotConnected"}, conditionsOf(w.get())); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

// Nothing is applied if a fact cannot be put on record, or if the outcome of a set is not
// known yet.
func TestSetsThatEndAPass(t *testing.T) {
	for name, test := range map[string]struct {
		statusErr error
		// late is set for facts that come on record before the first set, and not before
		// all of them.
		late        bool
		after       error
		wantApplied []string
		wantErr     bool
	}{
		"on record":          {wantApplied: []string{"Cluster c", "Tenant"}},
		"not on record":      {statusErr: refused(), wantErr: true},
		"on record late":     {late: true, wantApplied: []string{"Cluster c", "Tenant"}},
		"not on record late": {late: true, statusErr: refused(), wantErr: true},
		"changed meanwhile":  {late: true, statusErr: apierrors.NewConflict(schema.GroupResource{Resource: "projects"}, "p", nil)},
		"not known":          {after: ErrNotYet, wantApplied: []string{"Cluster c"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := project()
			w := aimed(t, o, map[string]*cluster{"c": newCluster(0), "tenant": newCluster(0)})
			r, err := New(func(s *Session[*v1alpha1.Project]) Phases {
				p := Phases{
					Plan:  func(context.Context) (plan.Plan, error) { return sets(plan.Cluster("c"), plan.Tenant), nil },
					After: func(_ context.Context, applied Applied) error { return errors.Join(applied.Err, test.after) },
				}
				record := func() { s.Object.Status.Warnings = []string{"a"} }
				if !test.late {
					p.Commit = record
					return p
				}
				p.Before = func(ctx context.Context, _ plan.Set) error {
					if len(s.Object.Status.Warnings) > 0 {
						return nil
					}
					record()
					return s.Record(ctx)
				}
				return p
			}, w.options)
			if err != nil {
				t.Fatal(err)
			}
			w.statusErr = test.statusErr
			if _, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)}); (err != nil) != test.wantErr {
				t.Errorf("error %v, want one: %v", err, test.wantErr)
			}
			if diff := cmp.Diff(test.wantApplied, w.applied); diff != "" {
				t.Errorf("applied (-want +got):\n%s", diff)
			}
		})
	}
}

// The options of a kind are used for its sets.
func TestOptionsOfAKind(t *testing.T) {
	for confirm, want := range map[bool]string{true: "Deleting", false: "PruneGuarded"} {
		w := aimed(t, project(), map[string]*cluster{"c": newCluster(20)})
		w.options.Classify = func(err error) *Error {
			var guard *apply.GuardError
			if errors.As(err, &guard) {
				return &Error{Class: ClassTerminal, Reason: "PruneGuarded"}
			}
			return nil
		}
		w.work.phases = Phases{
			Plan:    func(context.Context) (plan.Plan, error) { return sets(plan.Cluster("c")), nil },
			Options: func(plan.Set) apply.Options { return apply.Options{ConfirmPrune: confirm} },
		}
		if _, err := w.run(); err != nil {
			t.Fatal(err)
		}
		if ready := readyOf(w.get()); ready.Reason != want {
			t.Errorf("confirmed %v: %+v, want reason %s", confirm, ready, want)
		}
	}
}

// A deleted object gives its place among the workers back.
func TestFinalizeLeavesTheLane(t *testing.T) {
	o := project()
	now := metav1.Now()
	o.DeletionTimestamp, o.Finalizers = &now, []string{v1alpha1.Finalizer}
	w := newWorld(t, o)
	entered := 0
	w.options.Enter = func(reconcile.Request, ...string) (func(), error) { entered++; return func() { entered-- }, nil }
	w.work.phases.Clusters = func() []string { return []string{"c"} }
	w.work.finalize = func(*Session[*v1alpha1.Project]) error {
		if entered != 1 {
			t.Errorf("%d places are taken", entered)
		}
		return nil
	}
	if _, err := w.run(); err != nil || entered != 0 || w.work.calls != 1 {
		t.Errorf("%d places are taken after %d calls, error %v", entered, w.work.calls, err)
	}
}

// Conditions do not vanish, and one that nothing changed keeps its transition time.
func TestConditionsStay(t *testing.T) {
	o := project()
	long := metav1.NewTime(metav1.Now().AddDate(-1, 0, 0).Truncate(1e9))
	for _, c := range []string{"Valid", "Synced", "Foreign", "Old"} {
		o.Status.Conditions = append(o.Status.Conditions, metav1.Condition{Type: c, Status: metav1.ConditionTrue, Reason: c, LastTransitionTime: long})
	}
	w := newWorld(t, o)
	w.options.Foreign = []string{"Foreign"}
	w.work.phases.Conditions = []string{"Valid", "Synced"}
	w.work.reconcile = func(s *Session[*v1alpha1.Project]) error {
		s.Facts.False("Valid", "First", "the last one of a type counts")
		s.Facts.True("Valid", "Valid", "fine")
		return Terminal("Invalid", "x")
	}
	check := func(want ...string) {
		t.Helper()
		if _, err := w.run(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, conditionsOf(w.get())); diff != "" {
			t.Errorf("conditions (-want +got):\n%s", diff)
		}
	}
	check("Foreign=True/Foreign", "Ready=False/Invalid", "Stalled=True/Invalid", "Synced=Unknown/NotEvaluated", "Valid=True/Valid")
	for _, c := range w.get().Status.Conditions {
		if kept := c.LastTransitionTime.Equal(&long); kept != (c.Type == "Foreign" || c.Type == "Valid") {
			t.Errorf("the transition time of %s was kept: %v", c.Type, kept)
		}
		if c.Type == "Foreign" && c.ObservedGeneration != 0 {
			t.Error("the condition of another writer was changed")
		}
	}
	before := w.writes
	check("Foreign=True/Foreign", "Ready=False/Invalid", "Stalled=True/Invalid", "Synced=Unknown/NotEvaluated", "Valid=True/Valid")
	if w.writes != before {
		t.Errorf("a pass at rest wrote %d times", w.writes-before)
	}
}
