package summary

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
)

func TestComponent(t *testing.T) {
	refused := &engine.Error{Class: engine.ClassTerminal, Message: "refused"}
	busy := &engine.Error{Class: engine.ClassWaiting, Message: "busy"}
	good := observed.Application{Sync: "Synced", Health: "Healthy", Current: true}
	with := func(change func(*observed.Application)) *observed.Application {
		app := good
		change(&app)
		return &app
	}
	for name, test := range map[string]struct {
		component build.ComponentPlan
		app       *observed.Application
		problem   *engine.Error
		wantState v1alpha1.ComponentState
		want      string
	}{
		"external":               {component: build.ComponentPlan{Component: catalogue.Component{Choice: catalogue.Choice{External: true}}}, problem: refused, wantState: v1alpha1.ComponentExternal},
		"waits for others":       {component: build.ComponentPlan{WaitsFor: []string{"a", "b"}}, problem: busy, wantState: v1alpha1.ComponentWaiting, want: "waits for a, b"},
		"waits":                  {problem: busy, wantState: v1alpha1.ComponentWaiting, want: "busy"},
		"cannot be installed":    {problem: refused, wantState: v1alpha1.ComponentDegraded, want: "refused"},
		"not there yet":          {wantState: v1alpha1.ComponentWaiting},
		"ready":                  {app: &good, wantState: v1alpha1.ComponentReady},
		"ready, but not written": {app: &good, problem: busy, wantState: v1alpha1.ComponentProgressing, want: "busy"},
		"ready, but refused":     {app: &good, problem: refused, wantState: v1alpha1.ComponentDegraded, want: "refused"},
		"of an earlier spec":     {app: with(func(a *observed.Application) { a.Current = false }), wantState: v1alpha1.ComponentProgressing, want: "Application x: Synced, Healthy"},
		"not synced":             {app: with(func(a *observed.Application) { a.Sync = "OutOfSync" }), wantState: v1alpha1.ComponentProgressing, want: "Application x: OutOfSync, Healthy"},
		"not synced, in trouble": {app: with(func(a *observed.Application) { a.Sync, a.Message, a.Cause = "OutOfSync", "boom", observed.CauseFailed }), wantState: v1alpha1.ComponentDegraded, want: "Application x is OutOfSync, Healthy: the sync failed: boom"},
		"not synced, tried again": {app: with(func(a *observed.Application) {
			a.Sync, a.Message, a.Cause, a.Attempt, a.Next = "OutOfSync", "boom", observed.CauseRetried, "1.0.0", "1.0.1"
		}), wantState: v1alpha1.ComponentDegraded, want: "Application x is OutOfSync, Healthy: the sync to revision 1.0.0 failed and is tried again: boom; revision 1.0.1 comes next"},
		"waits for a hook": {app: with(func(a *observed.Application) {
			a.Sync, a.Message, a.Cause = "OutOfSync", "waiting for completion of hook batch/Job/m", observed.CauseWaits
		}), wantState: v1alpha1.ComponentProgressing, want: "Application x: OutOfSync, Healthy: the sync goes on: waiting for completion of hook batch/Job/m"},
		"on its way": {app: with(func(a *observed.Application) { a.Health, a.Fault = "Progressing", "Pod p: 0 of 1" }), wantState: v1alpha1.ComponentProgressing, want: "Application x: Synced, Progressing: Pod p: 0 of 1"},
		"degraded object": {app: with(func(a *observed.Application) {
			a.Health, a.Fault, a.Cause, a.Message = "Degraded", "Pod p: crashed", observed.CauseWarning, "w"
		}), wantState: v1alpha1.ComponentDegraded, want: "Application x is Synced, Degraded: Pod p: crashed"},
		"synced, with a remark": {app: with(func(a *observed.Application) { a.Message, a.Cause = "hm", observed.CauseWarning }), wantState: v1alpha1.ComponentReady},
		"degraded":              {app: with(func(a *observed.Application) { a.Health = "Degraded" }), wantState: v1alpha1.ComponentDegraded, want: "Application x is Synced, Degraded"},
		"missing":               {app: with(func(a *observed.Application) { a.Health = "Missing" }), wantState: v1alpha1.ComponentProgressing, want: "Application x: Synced, Missing"},
		"missing, in trouble": {app: with(func(a *observed.Application) {
			a.Sync, a.Health, a.Message, a.Cause = "OutOfSync", "Missing", "no", observed.CauseFailed
		}), wantState: v1alpha1.ComponentDegraded, want: "Application x is OutOfSync, Missing: the sync failed: no"},
		"not looked at": {app: &observed.Application{}, wantState: v1alpha1.ComponentProgressing, want: "Application x: not compared yet, health unknown"},
	} {
		test.component.Application = "x"
		got := Component(test.component, test.app, test.problem)
		if got.State != test.wantState || got.Message != test.want {
			t.Errorf("%s: %s %q, want %s %q", name, got.State, got.Message, test.wantState, test.want)
		}
	}
}

func TestComponentsReady(t *testing.T) {
	for name, test := range map[string]struct {
		states     []v1alpha1.ComponentState
		wantReason string
		want       string
		wantReady  string
	}{
		"none":        {wantReady: "n are ready"},
		"all":         {states: []v1alpha1.ComponentState{v1alpha1.ComponentReady, v1alpha1.ComponentExternal}, wantReady: "n are ready"},
		"one waits":   {states: []v1alpha1.ComponentState{v1alpha1.ComponentReady, v1alpha1.ComponentWaiting}, wantReason: "ComponentsProgressing", want: "n; not ready yet: 1"},
		"two of them": {states: []v1alpha1.ComponentState{v1alpha1.ComponentProgressing, v1alpha1.ComponentWaiting}, wantReason: "ComponentsProgressing", want: "n; not ready yet: 0, 1"},
		"one is bad":  {states: []v1alpha1.ComponentState{v1alpha1.ComponentWaiting, v1alpha1.ComponentDegraded}, wantReason: "ComponentDegraded", want: "n; 1: m"},
	} {
		c := &v1alpha1.Cluster{}
		c.Status.Progress = "n"
		for i, state := range test.states {
			c.Status.Components = append(c.Status.Components, v1alpha1.ComponentStatus{Name: string(rune('0' + i)), State: state, Message: "m"})
		}
		facts := &engine.Facts{}
		problems := []*engine.Error{nil, {RetryAfter: time.Hour}, {RetryAfter: time.Minute}, {}}
		outcome := engine.Classify(ComponentsReady(facts, c, problems), nil)
		if want := time.Minute; test.wantReason != "" && outcome.RetryAfter != want {
			t.Errorf("%s: it is tried again after %s, want %s", name, outcome.RetryAfter, want)
		}
		if outcome.Reason != test.wantReason || outcome.Message != test.want || facts.ReadyMessage != test.wantReady {
			t.Errorf("%s: %s %q, ready: %q", name, outcome.Reason, outcome.Message, facts.ReadyMessage)
		}
	}
}

// A component keeps the time of its last change while its state stays.
func TestSince(t *testing.T) {
	now := metav1.Now()
	then := metav1.NewTime(now.Add(-time.Hour))
	state := func(name string, state v1alpha1.ComponentState, since *metav1.Time) v1alpha1.ComponentStatus {
		return v1alpha1.ComponentStatus{Name: name, State: state, Since: since}
	}
	before := []v1alpha1.ComponentStatus{
		state("same", v1alpha1.ComponentReady, &then), state("other", v1alpha1.ComponentWaiting, &then), state("undated", v1alpha1.ComponentReady, nil),
	}
	got := Since([]v1alpha1.ComponentStatus{
		state("same", v1alpha1.ComponentReady, nil), state("other", v1alpha1.ComponentReady, nil),
		state("undated", v1alpha1.ComponentReady, nil), state("new", v1alpha1.ComponentExternal, nil),
	}, before, now)
	for i, want := range []*metav1.Time{&then, &now, &now, &now} {
		if !got[i].Since.Equal(want) {
			t.Errorf("%s since %v, want %v", got[i].Name, got[i].Since, want)
		}
	}
	if progress := Progress(append(got, before[1])); progress != "4/5 components" {
		t.Errorf("progress %s", progress)
	}
}

func TestProblemOf(t *testing.T) {
	component := build.ComponentPlan{Component: catalogue.Component{Choice: catalogue.Choice{Namespace: "tekton"}}, Application: "c-tekton"}
	for name, test := range map[string]struct {
		own, tenant *plan.ID
		want        bool
	}{
		"none":                   {},
		"in its namespace":       {own: &plan.ID{Kind: "Secret", Namespace: "tekton", Name: "s"}, want: true},
		"its namespace":          {own: &plan.ID{Kind: "Namespace", Name: "tekton"}, want: true},
		"of another one":         {own: &plan.ID{Kind: "Secret", Namespace: "other", Name: "tekton"}},
		"another namespace":      {own: &plan.ID{Kind: "Namespace", Name: "other"}},
		"its Application":        {tenant: &plan.ID{Kind: "Application", Name: "c-tekton"}, want: true},
		"another Application":    {tenant: &plan.ID{Kind: "Application", Name: "c-other"}},
		"the project of all":     {tenant: &plan.ID{Kind: "AppProject", Name: "p"}, want: true},
		"a namesake on its side": {own: &plan.ID{Kind: "Application", Namespace: "other", Name: "c-tekton"}},
	} {
		errs := func(id *plan.ID) map[plan.ID]error {
			if id == nil {
				return nil
			}
			return map[plan.ID]error{*id: errors.New("refused")}
		}
		if err := ProblemOf(component, errs(test.own), errs(test.tenant)); (err != nil) != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
