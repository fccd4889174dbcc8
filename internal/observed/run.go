package observed

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"nautes.io/nautes/internal/launch"
)

// maxRunMessage is the longest message of a run that is kept, in bytes. There can
// be many runs.
const maxRunMessage = 256

// Run is the state of a Tekton PipelineRun with the labels of a pipeline runtime.
// The labels prove nothing: every creator of a PipelineRun can set them.
type Run struct {
	Name string
	// Role is launch.RoleLauncher or launch.RoleRun. Launcher is the name of the
	// launcher that created a run.
	Role, Launcher string
	// Pipeline, EventSource, Event and Commit are values of labels.
	Pipeline, EventSource, Event, Commit string
	// Result is one of the results of package launch, such as launch.RunSucceeded.
	Result string
	// Launched reports whether a launcher names the run that it created. That run
	// may be gone.
	Launched bool
	// Message explains why it did not succeed, in the words of Tekton.
	Message string
	// Created, Started and Ended are in seconds since 1970, or 0 for not yet.
	Created, Started, Ended int64
}

// RunOf returns the state of a PipelineRun.
func RunOf(u *unstructured.Unstructured) Run {
	labels := u.GetLabels()
	run := Run{
		Name: u.GetName(), Role: labels[launch.LabelRole], Launcher: labels[launch.LabelLauncher],
		Pipeline: labels[launch.LabelPipeline], EventSource: labels[launch.LabelEventSource],
		Event: labels[launch.LabelEvent], Commit: labels[launch.LabelCommit],
		Created: u.GetCreationTimestamp().Unix(),
		Started: seconds(u, "startTime"), Ended: seconds(u, "completionTime"),
	}
	for _, result := range statusList(u.Object, "results") {
		run.Launched = run.Launched || result["name"] == launch.ResultRun && result["value"] != ""
	}
	run.Result = launch.RunRunning
	for _, condition := range statusList(u.Object, "conditions") {
		if condition["type"] != launch.ConditionSucceeded {
			continue
		}
		status, _ := condition["status"].(string)
		reason, _ := condition["reason"].(string)
		run.Result = launch.RunResult(status, reason)
		if status == string(metav1.ConditionFalse) {
			message, _ := condition["message"].(string)
			run.Message = clip(message, maxRunMessage)
		}
	}
	return run
}

// seconds returns a time of the status in seconds since 1970, or 0.
func seconds(u *unstructured.Unstructured, field string) int64 {
	text, _, _ := unstructured.NestedString(u.Object, "status", field)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0
	}
	return at.Unix()
}
