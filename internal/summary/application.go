// Package summary turns the observed state of written objects into the status and the
// conditions of the custom resource that asked for them. It guarantees that a status is
// a function of that state.
package summary

import (
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
	status.Revision, status.Message = app.Revision, app.Message
	return setApplication(facts, status)
}

// setApplication sets the conditions Healthy and Synced from the status of an
// Application. It returns an error unless the Application is synced and not degraded.
func setApplication(facts *engine.Facts, app *v1alpha1.ApplicationStatus) error {
	where := "Application " + app.Name
	detail := ""
	if app.Message != "" {
		detail = ": " + strings.TrimSpace(app.Message)
	}
	switch app.Health {
	case "Healthy":
		facts.True(v1alpha1.ConditionHealthy, v1alpha1.ReasonHealthy, where+" is healthy")
	case "Degraded", "Missing":
		facts.False(v1alpha1.ConditionHealthy, v1alpha1.ReasonDegraded, where+" is "+app.Health+detail)
	default:
		facts.Set(v1alpha1.ConditionHealthy, metav1.ConditionUnknown, v1alpha1.ReasonProgressing, where+" is progressing")
	}
	switch {
	case app.Sync == "":
		facts.Set(v1alpha1.ConditionSynced, metav1.ConditionUnknown, v1alpha1.ReasonProgressing, "Argo CD has not looked at "+where+" yet")
		return engine.Waiting(v1alpha1.ReasonProgressing, "Argo CD has not looked at %s yet", where)
	case app.Sync != "Synced":
		facts.False(v1alpha1.ConditionSynced, v1alpha1.ReasonOutOfSync, where+" is "+app.Sync+detail)
		return engine.Waiting(v1alpha1.ReasonOutOfSync, "%s is %s%s", where, app.Sync, detail)
	}
	facts.True(v1alpha1.ConditionSynced, v1alpha1.ReasonSynced, where+" is at revision "+ShortRevision(app.Revision))
	if app.Health == "Degraded" || app.Health == "Missing" {
		return engine.Waiting(v1alpha1.ReasonDegraded, "%s is %s%s", where, app.Health, detail)
	}
	facts.ReadyMessage = fmt.Sprintf("%s is Synced at %s, %s", where, ShortRevision(app.Revision), orUnknown(app.Health))
	return nil
}

func orUnknown(health string) string {
	if health == "" {
		return "health unknown"
	}
	return health
}
