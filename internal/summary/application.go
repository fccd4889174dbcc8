// Package summary turns the observed state of written objects into the status and the
// conditions of the custom resource that asked for them. It guarantees that a status is
// a function of that state.
package summary

import (
	"cmp"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
)

// KnownApplication returns the known status of an Application while its name stays,
// or a new one.
func KnownApplication(id plan.ID, known *v1alpha1.ApplicationStatus) *v1alpha1.ApplicationStatus {
	if known != nil && known.Name == id.Name && known.Namespace == id.Namespace {
		return known
	}
	return &v1alpha1.ApplicationStatus{Name: id.Name, Namespace: id.Namespace}
}

// Application copies the state that Argo CD reports for an Application, which is nil if
// there is none, into its status and the conditions. The report counts only for the
// given source.
func Application(facts *engine.Facts, status *v1alpha1.ApplicationStatus, app *observed.Application, source observed.ApplicationSource) error {
	if app == nil {
		app = &observed.Application{}
	}
	sync := app.Sync
	if app.Compared != source {
		// The report is about an earlier source.
		sync = ""
	}
	status.Sync, status.Health = sync, app.Health
	status.Revision, status.Message = app.Revision, detailOf(app)
	return setApplication(facts, status, app)
}

// setApplication sets the conditions Healthy and Synced from the state of an
// Application. It returns an error unless the Application is synced and healthy.
func setApplication(facts *engine.Facts, status *v1alpha1.ApplicationStatus, app *observed.Application) error {
	where := "Application " + status.Name
	unhealthy := setHealthy(facts, where, app)
	cause := causeText(app)
	switch status.Sync {
	case "":
		message := "Argo CD has not looked at " + where + " yet"
		if app.Cause == observed.CauseError {
			message += "; its last report is: " + cause
		}
		facts.Set(v1alpha1.ConditionSynced, metav1.ConditionUnknown, v1alpha1.ReasonProgressing, message)
		return engine.Waiting(v1alpha1.ReasonProgressing, "%s", message)
	case "Synced":
		facts.True(v1alpha1.ConditionSynced, v1alpha1.ReasonSynced, and(where+" is at revision "+ShortRevision(app.Revision), cause))
		facts.ReadyMessage = and(fmt.Sprintf("%s is Synced at %s, %s", where, ShortRevision(app.Revision), app.Health), cause)
		return unhealthy
	case "OutOfSync":
		message := because(where+" is OutOfSync", cause)
		facts.False(v1alpha1.ConditionSynced, v1alpha1.ReasonOutOfSync, message)
		if !strings.Contains(message, app.Fault) {
			message += "; it is " + app.Health + ": " + app.Fault
		}
		return engine.Waiting(v1alpha1.ReasonOutOfSync, "%s", message)
	default:
		message := because("Argo CD cannot compare "+where, cause)
		facts.Set(v1alpha1.ConditionSynced, metav1.ConditionUnknown, v1alpha1.ReasonUnknown, message)
		return engine.Waiting(v1alpha1.ReasonUnknown, "%s", message)
	}
}

// setHealthy sets the condition Healthy, and returns an error unless it is true.
func setHealthy(facts *engine.Facts, where string, app *observed.Application) error {
	message := because(where+" is "+app.Health, app.Fault)
	status, reason := metav1.ConditionUnknown, v1alpha1.ReasonUnknown
	switch app.Health {
	case "Healthy":
		facts.True(v1alpha1.ConditionHealthy, v1alpha1.ReasonHealthy, where+" is healthy")
		return nil
	case "Progressing":
		reason = v1alpha1.ReasonProgressing
	case "Degraded":
		status, reason = metav1.ConditionFalse, v1alpha1.ReasonDegraded
	case "Missing":
		status, reason = metav1.ConditionFalse, v1alpha1.ReasonMissing
	case "Suspended":
		status, reason = metav1.ConditionFalse, v1alpha1.ReasonSuspended
	case "":
		reason, message = v1alpha1.ReasonProgressing, "Argo CD has not reported the health of "+where+" yet"
	default:
		message = because("Argo CD does not know the health of "+where, cmp.Or(app.Fault, causeText(app)))
	}
	facts.Set(v1alpha1.ConditionHealthy, status, reason, message)
	return engine.Waiting(reason, "%s", message)
}

// causeText returns the newest cause of the state of an Application for people, or "".
func causeText(app *observed.Application) string {
	attempt := "the sync"
	if app.Attempt != "" {
		attempt += " to revision " + ShortRevision(app.Attempt)
	}
	text := app.Message
	switch app.Cause {
	case observed.CauseRetried:
		text = attempt + " failed and is tried again: " + text
	case observed.CauseFailed:
		text = attempt + " failed: " + text
	case observed.CauseHook:
		text = "the last sync failed: " + text
	case observed.CauseWaits:
		text = attempt + " goes on: " + text
	}
	if app.Next != "" {
		text += "; revision " + ShortRevision(app.Next) + " comes next"
	}
	return text
}

// detailOf returns the text that explains the state of an Application best, or "": the
// object at fault if all is deployed, and else the reason why it is not.
func detailOf(app *observed.Application) string {
	if app.Sync == "Synced" {
		return cmp.Or(app.Fault, causeText(app))
	}
	return cmp.Or(causeText(app), app.Fault)
}

// because appends a cause to a message.
func because(message, cause string) string { return strings.TrimSuffix(message+": "+cause, ": ") }

// and appends a remark to a message.
func and(message, remark string) string { return strings.TrimSuffix(message+"; "+remark, "; ") }
