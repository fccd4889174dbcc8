package summary

import (
	"testing"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
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
		"external":               {component: build.ComponentPlan{Component: catalogue.Component{External: true}}, problem: refused, wantState: v1alpha1.ComponentExternal},
		"waits for others":       {component: build.ComponentPlan{WaitsFor: []string{"a", "b"}}, problem: busy, wantState: v1alpha1.ComponentWaiting, want: "waits for a, b"},
		"waits":                  {problem: busy, wantState: v1alpha1.ComponentWaiting, want: "busy"},
		"cannot be installed":    {problem: refused, wantState: v1alpha1.ComponentDegraded, want: "refused"},
		"not there yet":          {wantState: v1alpha1.ComponentWaiting},
		"ready":                  {app: &good, wantState: v1alpha1.ComponentReady},
		"ready, but not written": {app: &good, problem: busy, wantState: v1alpha1.ComponentProgressing, want: "busy"},
		"ready, but refused":     {app: &good, problem: refused, wantState: v1alpha1.ComponentDegraded, want: "refused"},
		"of an earlier spec":     {app: with(func(a *observed.Application) { a.Current = false }), wantState: v1alpha1.ComponentProgressing, want: "Application x: Synced, Healthy"},
		"not synced":             {app: with(func(a *observed.Application) { a.Sync = "OutOfSync" }), wantState: v1alpha1.ComponentProgressing, want: "Application x: OutOfSync, Healthy"},
		"not synced, in trouble": {app: with(func(a *observed.Application) { a.Sync, a.Message = "OutOfSync", "boom " }), wantState: v1alpha1.ComponentDegraded, want: "Application x is Healthy: boom"},
		"synced, with a remark":  {app: with(func(a *observed.Application) { a.Message = "hm" }), wantState: v1alpha1.ComponentReady},
		"degraded":               {app: with(func(a *observed.Application) { a.Health = "Degraded" }), wantState: v1alpha1.ComponentDegraded, want: "Application x is Degraded"},
		"missing":                {app: with(func(a *observed.Application) { a.Health = "Missing" }), wantState: v1alpha1.ComponentProgressing, want: "Application x: Synced, Missing"},
		"missing, in trouble":    {app: with(func(a *observed.Application) { a.Health, a.Message = "Missing", "no" }), wantState: v1alpha1.ComponentDegraded, want: "Application x is Missing: no"},
		"not looked at":          {app: &observed.Application{}, wantState: v1alpha1.ComponentProgressing, want: "Application x: health unknown, health unknown"},
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
		outcome := engine.Classify(ComponentsReady(facts, c), nil)
		if outcome.Reason != test.wantReason || outcome.Message != test.want || facts.ReadyMessage != test.wantReady {
			t.Errorf("%s: %s %q, ready: %q", name, outcome.Reason, outcome.Message, facts.ReadyMessage)
		}
	}
}
