package summary

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
)

// Component returns the state of a component. app is nil if its Application does not
// exist, and problem is nil if its objects were written.
func Component(component build.ComponentPlan, app *observed.Application, problem *engine.Error) v1alpha1.ComponentStatus {
	status := v1alpha1.ComponentStatus{
		Name: component.Name, Category: component.Category, Namespace: component.Namespace, Version: component.Version(),
	}
	if component.External {
		status.State = v1alpha1.ComponentExternal
		return status
	}
	if app == nil {
		status.State = v1alpha1.ComponentWaiting
		switch {
		case len(component.WaitsFor) > 0:
			status.Message = "waits for " + strings.Join(component.WaitsFor, ", ")
		case problem != nil:
			status.Message = problem.Message
		}
		if problem != nil && problem.Class >= engine.ClassTerminal {
			status.State = v1alpha1.ComponentDegraded
		}
		return status
	}
	status.Application = component.Application
	switch {
	case problem != nil && problem.Class >= engine.ClassTerminal:
		status.State, status.Message = v1alpha1.ComponentDegraded, problem.Message
	case app.Health == "Degraded", app.Cause.Failed() && app.Sync != "Synced":
		status.State = v1alpha1.ComponentDegraded
		status.Message = because(fmt.Sprintf("Application %s is %s", component.Application, stateOf(app)), detailOf(app))
	case app.Sync == "Synced" && app.Health == "Healthy" && app.Current && problem == nil:
		status.State = v1alpha1.ComponentReady
	case problem != nil:
		status.State, status.Message = v1alpha1.ComponentProgressing, problem.Message
	default:
		status.State = v1alpha1.ComponentProgressing
		status.Message = because(fmt.Sprintf("Application %s: %s", component.Application, stateOf(app)), detailOf(app))
	}
	return status
}

// stateOf returns the two states of an Application for people.
func stateOf(app *observed.Application) string {
	return cmp.Or(app.Sync, "not compared yet") + ", " + cmp.Or(app.Health, "health unknown")
}

// ProblemOf returns the errors of the objects of a component, or nil: its Application, and
// the objects in its namespace. The errors are given by object, for the cluster itself and
// for the tenant.
func ProblemOf(component build.ComponentPlan, own, tenant map[plan.ID]error) error {
	var found []error
	for _, id := range slices.SortedFunc(maps.Keys(own), plan.ID.Compare) {
		if id.Namespace == component.Namespace || (id.Kind == "Namespace" && id.Name == component.Namespace) {
			found = append(found, own[id])
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(tenant), plan.ID.Compare) {
		if id.Name == component.Application || id.Kind == "AppProject" {
			found = append(found, tenant[id])
		}
	}
	return errors.Join(found...)
}

// Progress returns the number of ready components of all, for people.
func Progress(components []v1alpha1.ComponentStatus) string {
	ready := 0
	for _, one := range components {
		if one.State == v1alpha1.ComponentReady || one.State == v1alpha1.ComponentExternal {
			ready++
		}
	}
	return fmt.Sprintf("%d/%d components", ready, len(components))
}

// Since sets the time of the last change of state, given the components as they were.
func Since(components, before []v1alpha1.ComponentStatus, now metav1.Time) []v1alpha1.ComponentStatus {
	known := map[string]v1alpha1.ComponentStatus{}
	for _, one := range before {
		known[one.Name] = one
	}
	for i := range components {
		one := &components[i]
		one.Since = &now
		if last := known[one.Name]; last.State == one.State && last.Since != nil {
			one.Since = last.Since
		}
	}
	return components
}

// ComponentsReady sets the condition ComponentsReady. It returns an error if a
// component is not ready, which is tried again as soon as one of the problems must be.
func ComponentsReady(facts *engine.Facts, c *v1alpha1.Cluster, problems []*engine.Error) error {
	var degraded, open []string
	for _, one := range c.Status.Components {
		switch one.State {
		case v1alpha1.ComponentDegraded:
			degraded = append(degraded, one.Name+": "+one.Message)
		case v1alpha1.ComponentWaiting, v1alpha1.ComponentProgressing:
			open = append(open, one.Name)
		}
	}
	switch {
	case len(degraded) > 0:
		err := notReady(v1alpha1.ReasonComponentDegraded, c.Status.Progress+"; "+strings.Join(degraded, "; "), problems)
		facts.Fail(v1alpha1.ConditionComponents, err)
		return err
	case len(open) > 0:
		err := notReady(v1alpha1.ReasonComponentsProgressing, c.Status.Progress+"; not ready yet: "+strings.Join(open, ", "), problems)
		facts.Fail(v1alpha1.ConditionComponents, err)
		return err
	}
	facts.True(v1alpha1.ConditionComponents, v1alpha1.ReasonComponentsReady, c.Status.Progress)
	facts.ReadyMessage = c.Status.Progress + " are ready"
	if connection := c.Status.Connection; connection != nil {
		facts.ReadyMessage += " on Kubernetes " + connection.Version
	}
	return nil
}

// notReady returns the error for components that are not ready. It is tried again after
// the shortest time that one of the problems asks for.
func notReady(reason, message string, problems []*engine.Error) *engine.Error {
	err := &engine.Error{Class: engine.ClassWaiting, Reason: reason, Message: message}
	for _, problem := range problems {
		if problem != nil && problem.RetryAfter > 0 && (err.RetryAfter == 0 || problem.RetryAfter < err.RetryAfter) {
			err.RetryAfter = problem.RetryAfter
		}
	}
	return err
}
