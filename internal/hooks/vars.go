package hooks

import (
	"slices"

	"nautes.io/nautes/api/v1alpha1"
)

// The built-in variables that inputs of a run can take as well.
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

// The built-in variables of hooks alone.
const (
	// VarRef is the ref of the event, as refs/heads/main, with every character
	// escaped as in a URL that is no letter, digit or one of ._/@+-; empty when
	// the event has none.
	VarRef = "ref"
	// VarCommit is the commit of the event; empty when the event has none.
	VarCommit = "commitID"
	// VarRunName is the name of the PipelineRun, and VarRunStatus how it ended:
	// Succeeded, Failed, Cancelled or Timeout. Post hooks have them.
	VarRunName   = "PipelineRunName"
	VarRunStatus = "PipelineRunStatus"
	// VarRunnerImage is the image with nautes-runner.
	VarRunnerImage = "RunnerImage"
)

// RunVars returns the built-in variables that inputs of a run can take, in order.
func RunVars() []string {
	return []string{
		VarCodeRepoProviderURL, VarEventSourceCodeRepoName, VarEventSourceCodeRepoURL, VarNamespace, VarPipelineCodeRepoName,
		VarPipelineCodeRepoURL, VarPipelineDashBoardURL, VarPipelineFilePath, VarPipelineLabel, VarPipelineRevision, VarProviderType,
		VarServiceAccount,
	}
}

// isBuiltIn tells whether a hook on a side can take a variable from us.
func isBuiltIn(name string, side v1alpha1.HookSide) bool {
	switch name {
	case VarRef, VarCommit, VarRunnerImage:
		return true
	case VarRunName, VarRunStatus:
		return side == v1alpha1.HookPost
	}
	return slices.Contains(RunVars(), name)
}
