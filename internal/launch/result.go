package launch

// The results of a launcher or of the run that it created. RunPending is reported
// to a forge only, before there is a run.
const (
	RunPending   = "Pending"
	RunRunning   = "Running"
	RunSucceeded = "Succeeded"
	RunFailed    = "Failed"
	RunCancelled = "Cancelled"
	RunTimeout   = "Timeout"
	// RunNotStarted is the result of a launcher that ended without creating a run.
	RunNotStarted = "NotStarted"
)

// ConditionSucceeded is the type of the condition in which Tekton reports how a
// PipelineRun ended.
const ConditionSucceeded = "Succeeded"

// The reasons that Tekton gives a PipelineRun that ended without success, as far
// as they have a result of their own.
const (
	reasonCancelled = "Cancelled"
	reasonTimeout   = "PipelineRunTimeout"
)

// RunResult returns the result of a PipelineRun from the status and the reason of
// its condition ConditionSucceeded. It returns RunRunning until the run has ended,
// also without a condition, when both are empty.
//
// Tekton sets the reasons of a run whose finally tasks still run only while the
// status is Unknown. A run that was stopped ends with the reason Cancelled.
func RunResult(status, reason string) string {
	switch {
	case status == "True":
		return RunSucceeded
	case status != "False":
		return RunRunning
	case reason == reasonCancelled:
		return RunCancelled
	case reason == reasonTimeout:
		return RunTimeout
	}
	return RunFailed
}
