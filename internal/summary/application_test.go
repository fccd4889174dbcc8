package summary

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
)

// The status of an Application stays while its name does.
func TestKnownApplication(t *testing.T) {
	id := plan.ID{Kind: "Application", Namespace: "argocd", Name: "a"}
	for name, test := range map[string]struct {
		known    *v1alpha1.ApplicationStatus
		wantSync string
	}{
		"the first one":     {},
		"the same":          {known: &v1alpha1.ApplicationStatus{Namespace: "argocd", Name: "a", Sync: "Synced"}, wantSync: "Synced"},
		"another name":      {known: &v1alpha1.ApplicationStatus{Namespace: "argocd", Name: "b", Sync: "Synced"}},
		"another namespace": {known: &v1alpha1.ApplicationStatus{Namespace: "argo", Name: "a", Sync: "Synced"}},
	} {
		want := &v1alpha1.ApplicationStatus{Namespace: "argocd", Name: "a", Sync: test.wantSync}
		if diff := cmp.Diff(want, KnownApplication(id, test.known)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A runtime is ready if its Application is Synced and Healthy, and else its conditions
// name the state and the first object at fault.
func TestApplication(t *testing.T) {
	const (
		first = "2788a1a0000000000000000000000000000000aa"
		fix   = "4af9c820000000000000000000000000000000bb"
	)
	source := observed.ApplicationSource{RepoURL: "https://git/x.git", Path: "p", TargetRevision: "main"}
	app := func(sync, health string, change func(*observed.Application)) *observed.Application {
		a := &observed.Application{Sync: sync, Health: health, Revision: first, Compared: source}
		if change != nil {
			change(a)
		}
		return a
	}
	// found is the outcome: the conditions as "status reason", and messages.
	type found struct{ Ready, ReadyMessage, Synced, Healthy, Message string }
	for name, test := range map[string]struct {
		app  *observed.Application
		want found
	}{
		"ready": {app: app("Synced", "Healthy", nil), want: found{
			Ready: "True", ReadyMessage: "Application a is Synced at 2788a1a000, Healthy", Synced: "True Synced", Healthy: "True Healthy",
		}},
		"ready, with a warning": {
			app: app("Synced", "Healthy", func(a *observed.Application) {
				a.Cause, a.Message = observed.CauseWarning, "RepeatedResourceWarning: twice"
			}),
			want: found{
				Ready: "True", ReadyMessage: "Application a is Synced at 2788a1a000, Healthy; RepeatedResourceWarning: twice",
				Synced: "True Synced", Healthy: "True Healthy", Message: "RepeatedResourceWarning: twice",
			},
		},
		"ready, though a hook failed": {
			app: app("Synced", "Healthy", func(a *observed.Application) { a.Cause, a.Message = observed.CauseHook, "Job smoke failed" }),
			want: found{
				Ready: "True", ReadyMessage: "Application a is Synced at 2788a1a000, Healthy; the last sync failed: Job smoke failed",
				Synced: "True Synced", Healthy: "True Healthy", Message: "the last sync failed: Job smoke failed",
			},
		},
		"progressing": {
			app: app("Synced", "Progressing", func(a *observed.Application) { a.Fault = "Deployment.apps n/web: 0 of 1" }),
			want: found{
				Ready: "Progressing", ReadyMessage: "Application a is Progressing: Deployment.apps n/web: 0 of 1",
				Synced: "True Synced", Healthy: "Unknown Progressing", Message: "Deployment.apps n/web: 0 of 1",
			},
		},
		"suspended": {
			app: app("Synced", "Suspended", func(a *observed.Application) { a.Fault = "Rollout.argoproj.io n/web: CanaryPauseStep" }),
			want: found{
				Ready: "Suspended", ReadyMessage: "Application a is Suspended: Rollout.argoproj.io n/web: CanaryPauseStep",
				Synced: "True Synced", Healthy: "False Suspended", Message: "Rollout.argoproj.io n/web: CanaryPauseStep",
			},
		},
		"degraded, with a warning": {
			app: app("Synced", "Degraded", func(a *observed.Application) {
				a.Fault, a.Cause, a.Message = "Pod n/p: crashed", observed.CauseWarning, "w"
			}),
			want: found{
				Ready: "Degraded", ReadyMessage: "Application a is Degraded: Pod n/p: crashed",
				Synced: "True Synced", Healthy: "False Degraded", Message: "Pod n/p: crashed",
			},
		},
		"missing": {app: app("Synced", "Missing", nil), want: found{
			Ready: "Missing", ReadyMessage: "Application a is Missing", Synced: "True Synced", Healthy: "False Missing",
		}},
		"unknown": {
			app: app("Synced", "Unknown", func(a *observed.Application) { a.Fault = "Widget.example.com n/w: script failed" }),
			want: found{
				Ready: "Unknown", ReadyMessage: "Argo CD does not know the health of Application a: Widget.example.com n/w: script failed",
				Synced: "True Synced", Healthy: "Unknown Unknown", Message: "Widget.example.com n/w: script failed",
			},
		},
		"without a health": {app: app("Synced", "", nil), want: found{
			Ready: "Progressing", ReadyMessage: "Argo CD has not reported the health of Application a yet", Synced: "True Synced", Healthy: "Unknown Progressing",
		}},
		"refused, and the fix waits": {
			app: app("OutOfSync", "Healthy", func(a *observed.Application) {
				a.Cause, a.Message, a.Attempt, a.Next = observed.CauseRetried, "ClusterRole refused", first, fix
			}),
			want: found{
				Ready:        "OutOfSync",
				ReadyMessage: "Application a is OutOfSync: the sync to revision 2788a1a000 failed and is tried again: ClusterRole refused; revision 4af9c82000 comes next",
				Synced:       "False OutOfSync", Healthy: "True Healthy",
				Message: "the sync to revision 2788a1a000 failed and is tried again: ClusterRole refused; revision 4af9c82000 comes next",
			},
		},
		"refused for good": {
			app: app("OutOfSync", "Missing", func(a *observed.Application) {
				a.Cause, a.Message, a.Attempt = observed.CauseFailed, "ClusterRole refused", first
			}),
			want: found{
				Ready: "OutOfSync", ReadyMessage: "Application a is OutOfSync: the sync to revision 2788a1a000 failed: ClusterRole refused",
				Synced: "False OutOfSync", Healthy: "False Missing", Message: "the sync to revision 2788a1a000 failed: ClusterRole refused",
			},
		},
		"a wave that waits": {
			app: app("OutOfSync", "Degraded", func(a *observed.Application) {
				a.Cause, a.Message, a.Fault = observed.CauseWaits, "waiting for healthy state of apps/Deployment/web", "Deployment.apps n/web: no image"
			}),
			want: found{
				Ready:        "OutOfSync",
				ReadyMessage: "Application a is OutOfSync: the sync goes on: waiting for healthy state of apps/Deployment/web; it is Degraded: Deployment.apps n/web: no image",
				Synced:       "False OutOfSync", Healthy: "False Degraded", Message: "the sync goes on: waiting for healthy state of apps/Deployment/web",
			},
		},
		"a repository that cannot be read": {
			app: app("Unknown", "Unknown", func(a *observed.Application) { a.Cause, a.Message = observed.CauseError, "authentication required" }),
			want: found{
				Ready: "Unknown", ReadyMessage: "Argo CD cannot compare Application a: authentication required",
				Synced: "Unknown Unknown", Healthy: "Unknown Unknown", Message: "authentication required",
			},
		},
		"of an earlier source": {
			app: app("Synced", "Healthy", func(a *observed.Application) { a.Compared.Path = "old" }),
			want: found{
				Ready: "Progressing", ReadyMessage: "Argo CD has not looked at Application a yet", Synced: "Unknown Progressing", Healthy: "True Healthy",
			},
		},
		"that cannot be compared at all": {
			app: app("Unknown", "Unknown", func(a *observed.Application) {
				a.Compared.Path, a.Cause, a.Message = "old", observed.CauseError, "the project does not permit it"
			}),
			want: found{
				Ready: "Progressing", ReadyMessage: "Argo CD has not looked at Application a yet; its last report is: the project does not permit it",
				Synced: "Unknown Progressing", Healthy: "Unknown Unknown", Message: "the project does not permit it",
			},
		},
		"absent": {want: found{
			Ready: "Progressing", ReadyMessage: "Argo CD has not looked at Application a yet", Synced: "Unknown Progressing", Healthy: "Unknown Progressing",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			facts, status := &engine.Facts{}, &v1alpha1.ApplicationStatus{Name: "a"}
			err := Application(facts, status, test.app, source)
			got := found{Message: status.Message}
			for _, c := range facts.Conditions() {
				switch c.Type {
				case v1alpha1.ConditionSynced:
					got.Synced = string(c.Status) + " " + c.Reason
				case v1alpha1.ConditionHealthy:
					got.Healthy = string(c.Status) + " " + c.Reason
				}
			}
			if outcome := engine.Classify(err, nil); outcome.Class == engine.ClassNone {
				got.Ready, got.ReadyMessage = "True", facts.ReadyMessage
			} else {
				got.Ready, got.ReadyMessage = outcome.Reason, outcome.Message
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}
