package hooks

import (
	"slices"

	"nautes.io/nautes/api/v1alpha1"
)

// The built-in variables of hooks and of the inputs of runs.
const (
	VarCodeRepoProviderURL     = "CodeRepoProviderURL"
	VarEventSourceCodeRepoName = "EventSourceCodeRepoName"
	VarEventSourceCodeRepoURL  = "EventSourceCodeRepoURL"
	VarNamespace               = "Namespace"
	VarPipelineCodeRepoName    = "PipelineCodeRepoName"
	VarPipelineCodeRepoURL     = "PipelineCodeRepoURL"
	VarPipelineDashBoardURL    = "PipelineDashBoardURL"
	VarPipelineFilePath        = "PipelineFilePath"
	VarPipelineLabel           = "PipelineLabel"
	VarPipelineRevision        = "PipelineRevision"
	VarProviderType            = "ProviderType"
	VarServiceAccount          = "ServiceAccount"
)

// The built-in variables of hooks only.
const (
	// VarRef is the ref of the event, for example refs/heads/main. All characters but
	// letters, digits and ._/@+- are percent-encoded. It is empty if the event has no
	// ref.
	VarRef = "ref"
	// VarCommit is the commit of the event; empty if the event has none.
	VarCommit = "commitID"
	// VarRunName is the name of the PipelineRun, and VarRunStatus its result, for
	// example Succeeded. Only post hooks have them.
	VarRunName   = "PipelineRunName"
	VarRunStatus = "PipelineRunStatus"
	// VarRunnerImage is the image with nautes-runner.
	VarRunnerImage = "RunnerImage"
)

// RunVars returns the sorted built-in variables that inputs of a run can take.
func RunVars() []string {
	return []string{
		VarCodeRepoProviderURL, VarEventSourceCodeRepoName, VarEventSourceCodeRepoURL, VarNamespace, VarPipelineCodeRepoName,
		VarPipelineCodeRepoURL, VarPipelineDashBoardURL, VarPipelineFilePath, VarPipelineLabel, VarPipelineRevision, VarProviderType,
		VarServiceAccount,
	}
}

// isBuiltIn reports whether a name is a built-in variable of hooks on a side.
func isBuiltIn(name string, side v1alpha1.HookSide) bool {
	switch name {
	case VarRef, VarCommit, VarRunnerImage:
		return true
	case VarRunName, VarRunStatus:
		return side == v1alpha1.HookPost
	}
	return slices.Contains(RunVars(), name)
}
