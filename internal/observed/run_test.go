package observed

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"nautes.io/nautes/internal/launch"
)

func conditions(kind, status, reason, message string) map[string]any {
	return map[string]any{"conditions": []any{map[string]any{
		"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z",
	}}}
}

func TestRunOf(t *testing.T) {
	const created = "2026-01-01T00:00:00Z"
	tests := map[string]struct {
		labels map[string]string
		status map[string]any
		want   Run
	}{
		"new":     {want: Run{Result: launch.RunRunning}},
		"pending": {status: conditions("Succeeded", "Unknown", "PipelineRunPending", "waits"), want: Run{Result: launch.RunRunning}},
		"running": {
			status: map[string]any{"startTime": "2026-01-01T00:00:10Z"}, want: Run{Result: launch.RunRunning, Started: 1767225610},
		},
		"succeeded": {status: conditions("Succeeded", "True", "Completed", "Tasks Completed: 1"), want: Run{Result: launch.RunSucceeded}},
		"failed":    {status: conditions("Succeeded", "False", "CouldntGetTask", "no such task"), want: Run{Result: launch.RunFailed, Message: "no such task"}},
		"cancelled": {status: conditions("Succeeded", "False", "Cancelled", "by hand"), want: Run{Result: launch.RunCancelled, Message: "by hand"}},
		"timed out": {status: conditions("Succeeded", "False", "PipelineRunTimeout", "after 1h"), want: Run{Result: launch.RunTimeout, Message: "after 1h"}},
		"a long message": {
			status: conditions("Succeeded", "False", "Failed", strings.Repeat("ü", 1000)),
			want:   Run{Result: launch.RunFailed, Message: strings.Repeat("ü", maxRunMessage/2-2) + "…"},
		},
		"a launcher that failed after it had created a run": {
			status: map[string]any{"results": []any{map[string]any{"name": "run", "value": "build-1"}}}, want: Run{Result: launch.RunRunning, Launched: true},
		},
		"a launcher with a result behind its run": {
			status: map[string]any{"results": []any{map[string]any{"name": "run", "value": "build-1"}, map[string]any{"name": "commit", "value": "0123"}}},
			want:   Run{Result: launch.RunRunning, Launched: true},
		},
		"another condition": {status: conditions("Ready", "False", "Failed", "not yet"), want: Run{Result: launch.RunRunning}},
		"a launcher that created none": {
			status: map[string]any{"results": []any{map[string]any{"name": "run", "value": ""}, map[string]any{"name": "commit", "value": "0123"}}}, want: Run{Result: launch.RunRunning},
		},
		"a status of another form": {status: map[string]any{"conditions": "none", "startTime": "soon"}, want: Run{Result: launch.RunRunning}},
		"labels": {
			labels: map[string]string{
				launch.LabelRole: "launcher", launch.LabelLauncher: "l", launch.LabelPipeline: "p", launch.LabelEventSource: "e",
				launch.LabelEvent: "push_events", launch.LabelCommit: "0123",
			},
			want: Run{Role: "launcher", Launcher: "l", Pipeline: "p", EventSource: "e", Event: "push_events", Commit: "0123", Result: launch.RunRunning},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "run", "creationTimestamp": created}}}
			u.SetLabels(test.labels)
			if test.status != nil {
				u.Object["status"] = test.status
			}
			test.want.Name, test.want.Created = "run", 1767225600
			if diff := cmp.Diff(test.want, RunOf(u)); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}
