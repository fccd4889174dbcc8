package summary

import (
	"fmt"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
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
	case app.Health == "Degraded" || app.Health == "Missing" && app.Message != "" || app.Message != "" && app.Sync != "Synced":
		status.State = v1alpha1.ComponentDegraded
		status.Message = strings.TrimSuffix(fmt.Sprintf("Application %s is %s: %s", component.Application, orUnknown(app.Health), strings.TrimSpace(app.Message)), ": ")
	case app.Sync == "Synced" && app.Health == "Healthy" && app.Current && problem == nil:
		status.State = v1alpha1.ComponentReady
	case problem != nil:
		status.State, status.Message = v1alpha1.ComponentProgressing, problem.Message
	default:
		status.State = v1alpha1.ComponentProgressing
		status.Message = fmt.Sprintf("Application %s: %s, %s", component.Application, orUnknown(app.Sync), orUnknown(app.Health))
	}
	return status
}

// ComponentsReady sets the condition ComponentsReady. It returns an error if a
// component is not ready.
func ComponentsReady(facts *engine.Facts, c *v1alpha1.Cluster) error {
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
		err := engine.Waiting(v1alpha1.ReasonComponentDegraded, "%s; %s", c.Status.Progress, strings.Join(degraded, "; "))
		facts.Fail(v1alpha1.ConditionComponents, err)
		return err
	case len(open) > 0:
		err := engine.Waiting(v1alpha1.ReasonComponentsProgressing, "%s; not ready yet: %s", c.Status.Progress, strings.Join(open, ", "))
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
