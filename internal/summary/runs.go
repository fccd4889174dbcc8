package summary

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/observed"
)

// maxRuns is the number of runs that a status lists.
const maxRuns = 10

// Runs returns the last ones of some runs, which are in order, and the launchers that
// created none.
func Runs(all []observed.Run) []v1alpha1.PipelineRunStatus {
	started := map[string]bool{}
	for _, run := range all {
		if run.Role == launch.RoleRun {
			started[run.Launcher] = true
		}
	}
	var runs []v1alpha1.PipelineRunStatus
	for _, run := range all {
		result := run.Result
		switch {
		case run.Role == launch.RoleRun:
		case run.Role == launch.RoleLauncher && !run.Launched && !started[run.Name] && slices.Contains(failures(), result):
			result = launch.RunNotStarted
		default:
			continue
		}
		if len(runs) == maxRuns {
			break
		}
		runs = append(runs, v1alpha1.PipelineRunStatus{
			Name: run.Name, Pipeline: run.Pipeline, EventSource: run.EventSource, Event: run.Event, Commit: run.Commit,
			Result: result, Message: run.Message, StartTime: moment(run.Started), CompletionTime: moment(run.Ended),
		})
	}
	return runs
}

// failures are the results of a launcher that did not start a run.
func failures() []string { return []string{launch.RunFailed, launch.RunCancelled, launch.RunTimeout} }

func moment(seconds int64) *metav1.Time {
	if seconds == 0 {
		return nil
	}
	at := metav1.NewTime(time.Unix(seconds, 0).UTC())
	return &at
}
