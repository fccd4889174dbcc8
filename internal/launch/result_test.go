package launch_test

import (
	"testing"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"knative.dev/pkg/apis"

	"nautes.io/nautes/internal/launch"
)

// The reasons are Tekton's own, so that an upgrade that renames one is noticed.
func TestRunResult(t *testing.T) {
	tests := map[string]struct {
		status string
		reason tektonv1.PipelineRunReason
		want   string
	}{
		"no condition":         {want: "Running"},
		"pending":              {status: "Unknown", reason: tektonv1.PipelineRunReasonPending, want: "Running"},
		"running":              {status: "Unknown", reason: tektonv1.PipelineRunReasonRunning, want: "Running"},
		"cancelled, not ended": {status: "Unknown", reason: tektonv1.PipelineRunReasonCancelledRunningFinally, want: "Running"},
		"stopped, not ended":   {status: "Unknown", reason: tektonv1.PipelineRunReasonStoppedRunningFinally, want: "Running"},
		"a status of another Tekton": {
			status: "Later", reason: tektonv1.PipelineRunReasonCancelled, want: "Running",
		},
		"succeeded":     {status: "True", reason: tektonv1.PipelineRunReasonSuccessful, want: "Succeeded"},
		"tasks skipped": {status: "True", reason: tektonv1.PipelineRunReasonCompleted, want: "Succeeded"},
		"failed":        {status: "False", reason: tektonv1.PipelineRunReasonFailed, want: "Failed"},
		"invalid":       {status: "False", reason: tektonv1.PipelineRunReasonFailedValidation, want: "Failed"},
		"no reason":     {status: "False", want: "Failed"},
		"cancelled":     {status: "False", reason: tektonv1.PipelineRunReasonCancelled, want: "Cancelled"},
		"timed out":     {status: "False", reason: tektonv1.PipelineRunReasonTimedOut, want: "Timeout"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := launch.RunResult(tt.status, string(tt.reason)); got != tt.want {
				t.Errorf("RunResult(%q, %q) = %q, want %q", tt.status, tt.reason, got, tt.want)
			}
		})
	}
	if launch.ConditionSucceeded != string(apis.ConditionSucceeded) {
		t.Errorf("ConditionSucceeded is %q, and Tekton's is %q", launch.ConditionSucceeded, apis.ConditionSucceeded)
	}
}
