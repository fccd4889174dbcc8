package engine

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// session returns a session for the targets of a world.
func (w *world) session(o *v1alpha1.Project) *Session[*v1alpha1.Project] {
	return &Session[*v1alpha1.Project]{Object: o, Facts: &Facts{}, options: &w.options}
}

func annotated(key, value string) *v1alpha1.Project {
	o := project()
	o.Annotations = map[string]string{key: value}
	return o
}

// Most of the objects go only if a person confirms it, by the generation of the object
// or of the one that is asked in its place.
func TestApplyIsGuarded(t *testing.T) {
	confirm := v1alpha1.AnnotationConfirmPrune
	for name, test := range map[string]struct {
		object, asked *v1alpha1.Project
		options       apply.Options
		// sync is the state of the mirror of the product.
		sync        *v1alpha1.SyncStatus
		wantDeleted int
	}{
		"confirmed by the commit":     {object: project(), sync: &v1alpha1.SyncStatus{PruneConfirmed: true}, wantDeleted: 20},
		"the commit does not confirm": {object: project(), sync: &v1alpha1.SyncStatus{Revision: "r"}},
		"no object weighs":            {object: project(), options: apply.Options{Weighs: func(plan.ID) bool { return false }}, wantDeleted: 20},
		"not confirmed":               {object: project()},
		"another generation":          {object: annotated(confirm, "2")},
		"confirmed":                   {object: annotated(confirm, "3"), wantDeleted: 20},
		"confirmed by the asked one":  {object: project(), asked: annotated(confirm, "4"), wantDeleted: 20},
		"the asked one does not":      {object: project(), asked: annotated(confirm, "3")},
		"confirmed by the kind":       {object: project(), options: apply.Options{ConfirmPrune: true}, wantDeleted: 20},
		"the owner is being deleted":  {object: project(), options: apply.Options{NoGuard: true}, wantDeleted: 20},
	} {
		t.Run(name, func(t *testing.T) {
			w := aimed(t, test.object, map[string]*cluster{"c": newCluster(20)})
			s := w.session(test.object)
			var by v1alpha1.Object = test.object
			if test.asked != nil {
				test.asked.Name, test.asked.Generation = "asked", 4
				s.Asked, by = test.asked, test.asked
			}
			if test.sync != nil {
				s.Snapshot = snapshot.New("t", "nautes", &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: test.object.Namespace}, Status: v1alpha1.ProductStatus{Sync: test.sync}})
			}
			applied := s.Apply(t.Context(), plan.Set{Owner: owner, Target: plan.Cluster("c")}, test.options)
			var guard *apply.GuardError
			if errors.As(applied.Err, &guard) && (guard.Value != strconv.FormatInt(by.GetGeneration(), 10) || guard.Confirm.Name != by.GetName()) {
				t.Errorf("confirmed by %q of %s", guard.Value, guard.Confirm)
			}
			if guarded := errors.As(applied.Err, &guard); guarded != (test.wantDeleted == 0) || len(applied.Result.Deleted) != test.wantDeleted {
				t.Errorf("deleted %d (%v), want %d", len(applied.Result.Deleted), applied.Err, test.wantDeleted)
			}
			wantEvents := 0
			if test.wantDeleted > 0 {
				wantEvents = 1
				if test.asked != nil {
					wantEvents = 2
				}
			}
			if got := w.said(); len(got) != wantEvents {
				t.Errorf("events %v, want %d", got, wantEvents)
			}
		})
	}
}

// The tenant repository confirms the removal of the objects of the tenant only.
func TestTenantConfirms(t *testing.T) {
	for name, test := range map[string]struct {
		owner       plan.Owner
		confirms    bool
		count       int
		wantDeleted int
	}{
		"of the tenant, confirmed":     {plan.Owner{Kind: "Cluster", Name: "c"}, true, 20, 20},
		"of the tenant, not confirmed": {plan.Owner{Kind: "Cluster", Name: "c"}, false, 20, 0},
		"few of the tenant":            {plan.Owner{Kind: "Cluster", Name: "c"}, true, 5, 5},
		"of a product":                 {plan.Owner{Kind: "Space", Product: "product-1", Name: "product-1"}, true, 20, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := aimed(t, project(), map[string]*cluster{"c": newClusterOf(test.owner, test.count)})
			s := w.session(project())
			s.options.Targets.TenantConfirms = func(context.Context) bool { return test.confirms }
			applied := s.Apply(t.Context(), plan.Set{Owner: test.owner, Target: plan.Cluster("c")}, apply.Options{})
			if len(applied.Result.Deleted) != test.wantDeleted || (applied.Err == nil) != (test.wantDeleted > 0) {
				t.Errorf("deleted %d (%v), want %d", len(applied.Result.Deleted), applied.Err, test.wantDeleted)
			}
		})
	}
}

// Without a repository of the tenant, nothing confirms.
func TestNoTenantConfirms(t *testing.T) {
	tenant := plan.Owner{Kind: "Cluster", Name: "c"}
	w := aimed(t, project(), map[string]*cluster{"c": newClusterOf(tenant, 20)})
	applied := w.session(project()).Apply(t.Context(), plan.Set{Owner: tenant, Target: plan.Cluster("c")}, apply.Options{})
	var guard *apply.GuardError
	if !errors.As(applied.Err, &guard) {
		t.Errorf("error %v, want one of the guard", applied.Err)
	}
}

// Objects on a lost cluster are waited for, unless a person gives them up.
func TestWithdraw(t *testing.T) {
	abandon := v1alpha1.AnnotationAbandon
	for name, test := range map[string]struct {
		object, asked *v1alpha1.Project
		conns         map[string]*cluster
		target        plan.Target
		options       apply.Options
		want          string
		wantAbandoned []string
	}{
		"nothing is left":        {conns: map[string]*cluster{"c": newCluster(0)}},
		"everything goes":        {conns: map[string]*cluster{"c": newCluster(20)}, want: "(and 19 more)"},
		"no guard":               {conns: map[string]*cluster{"c": newCluster(20)}, options: apply.Options{Weighs: func(plan.ID) bool { return true }, NoGuard: true}, want: "(and 19 more)"},
		"guarded":                {conns: map[string]*cluster{"c": newCluster(20)}, options: apply.Options{Weighs: func(plan.ID) bool { return true }}, want: "20 of the 20"},
		"the cache fails":        {conns: map[string]*cluster{"c": {client: newCluster(0).client, err: errors.New("boom")}}, want: "boom"},
		"lost":                   {want: "cluster c is not connected"},
		"given up":               {object: annotated(abandon, "c"), wantAbandoned: []string{"p c"}},
		"another one given up":   {object: annotated(abandon, "d"), want: "cluster c is not connected"},
		"given up by the asked":  {asked: annotated(abandon, "c"), wantAbandoned: []string{"p c"}},
		"connected, not gone":    {object: annotated(abandon, "c"), conns: map[string]*cluster{"c": newCluster(1)}, want: "is being removed"},
		"not known yet":          {object: annotated(abandon, "unknown"), target: plan.Cluster("unknown"), want: "not evaluated yet"},
		"a system without a way": {target: plan.Target{Kind: "Forge"}, want: "no connection to Forge"},
	} {
		t.Run(name, func(t *testing.T) {
			object, target := test.object, test.target
			if object == nil {
				object = project()
			}
			if target == (plan.Target{}) {
				target = plan.Cluster("c")
			}
			w := aimed(t, object, test.conns)
			connect := w.options.Targets.Connect
			w.options.Targets.Connect = func(snap *snapshot.Snapshot, name string) (apply.Connection, error) {
				if name == "unknown" {
					return nil, ErrNotYet
				}
				return connect(snap, name)
			}
			s := w.session(object)
			if test.asked != nil {
				s.Asked = test.asked
			}
			err := s.Withdraw(t.Context(), plan.Set{Owner: owner, Target: target}, test.options)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if diff := cmp.Diff(test.wantAbandoned, w.abandoned); diff != "" {
				t.Errorf("abandoned (-want +got):\n%s", diff)
			}
		})
	}
}

// A secret store that accounts cannot log in to has nothing to apply.
func TestApplyWithoutAccess(t *testing.T) {
	w := aimed(t, project(), nil)
	applied := w.session(project()).Apply(t.Context(), plan.Set{Owner: owner, Target: plan.Vault("c")}, apply.Options{})
	if err := applied.Outcome(); err != nil || w.applied != nil {
		t.Errorf("error %v, applied %v, want neither", err, w.applied)
	}
}

// store is a secret store that has nothing.
type store struct{ apply.System }

func (store) UID() string                                        { return "store" }
func (store) Kinds() []plan.SystemKind                           { return nil }
func (store) Owned(context.Context, plan.Set) ([]plan.ID, error) { return nil, nil }

// The sets of a product in a secret store are applied one after another.
func TestApplyToTheStore(t *testing.T) {
	w := aimed(t, project(), nil)
	w.options.Targets.Vault = store{}
	s := w.session(project())
	for _, owner := range []plan.Owner{owner, owner, {Kind: "Cluster", Name: "c"}} {
		applied := s.Apply(t.Context(), plan.Set{Owner: owner, Target: plan.Vault("c"), Items: []plan.Item{{ID: plan.ID{Kind: "Unknown"}}}}, apply.Options{})
		if applied.Err == nil {
			t.Errorf("%s: an item of a kind that the store does not have was applied", owner)
		}
	}
	if diff := cmp.Diff([]string{"Vault c", "Vault c", "Vault c"}, w.applied); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

func TestVerdict(t *testing.T) {
	missing := func(path string) *field.Error {
		return &field.Error{Field: path, Detail: "does not exist", Origin: v1alpha1.ReasonReferenceMissing}
	}
	denied := &field.Error{Field: "b", Detail: "denied", Origin: v1alpha1.ReasonPermissionDenied}
	for name, test := range map[string]struct {
		refusals field.ErrorList
		want     *Error
	}{
		"none":             {want: &Error{}},
		"missing":          {refusals: field.ErrorList{missing("b"), missing("a")}, want: &Error{Class: ClassWaiting, Reason: "ReferenceMissing", Message: "a: does not exist; b: does not exist"}},
		"one is worse":     {refusals: field.ErrorList{missing("a"), denied, missing("a")}, want: &Error{Class: ClassTerminal, Reason: "PermissionDenied", Message: "a: does not exist; b: denied"}},
		"worse at first":   {refusals: field.ErrorList{denied, missing("a")}, want: &Error{Class: ClassTerminal, Reason: "PermissionDenied", Message: "a: does not exist; b: denied"}},
		"the first counts": {refusals: field.ErrorList{denied, {Field: "c", Detail: "bad"}}, want: &Error{Class: ClassTerminal, Reason: "PermissionDenied", Message: "b: denied; c: bad"}},
		"without a reason": {refusals: field.ErrorList{{Field: "c", Detail: "bad"}}, want: &Error{Class: ClassTerminal, Reason: "Invalid", Message: "c: bad"}},
	} {
		if diff := cmp.Diff(test.want, Classify(Verdict(test.refusals), nil)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestInUse(t *testing.T) {
	env := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "dev"}}
	runtime := func(name string) *v1alpha1.DeploymentRuntime {
		r := &v1alpha1.DeploymentRuntime{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: name}}
		r.Spec.Destination.Environment = "dev"
		return r
	}
	for name, test := range map[string]struct {
		snap *snapshot.Snapshot
		want string
	}{
		"unused": {snap: snapshot.New("t", "nautes", env)},
		"one":    {snap: snapshot.New("t", "nautes", env, runtime("a")), want: "now DeploymentRuntime product-1/a does"},
		"two":    {snap: snapshot.New("t", "nautes", env, runtime("a"), runtime("b")), want: "now DeploymentRuntime product-1/a does (and 1 more)"},
	} {
		err := InUse(test.snap, env)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasSuffix(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// New fails for a kind that the client does not know.
func TestNewKnowsItsKind(t *testing.T) {
	w := aimed(t, project(), nil)
	o := Options[*v1alpha1.Project]{Client: newCluster(0).client}
	if _, err := New(w.work.begin, o); err == nil {
		t.Error("a client without the kind was accepted")
	}
}
