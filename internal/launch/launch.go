// Package launch is the contract between the plan of a pipeline runtime and the
// program that its launchers run: what a launcher is told, what it is given of an
// event, and what it puts on the runs that it creates. It guarantees that both
// sides read the same words, and that a text made by Encode is inert wherever
// Tekton, a shell or YAML might look at it.
package launch

// Config is what a launcher is told by its runtime. It comes from the objects of
// the product and never from an event.
type Config struct {
	Product string `json:"product"`
	Runtime string `json:"runtime"`
	// Namespace that the run is created in, and the account that it runs as.
	Namespace string `json:"namespace"`
	Account   string `json:"account"`
	// EventSource and Pipeline are the trigger's. Label is the pipeline's, and
	// may be empty.
	EventSource string `json:"eventSource"`
	Pipeline    string `json:"pipeline"`
	Label       string `json:"label,omitempty"`
	// Repository is the CodeRepo of the pipeline files, URL its address without
	// credentials, and Path the file in it.
	Repository string `json:"repository"`
	URL        string `json:"url"`
	Path       string `json:"path"`
	// Revision is the trigger's: a branch, a tag or a commit. When it is empty
	// the event decides.
	Revision string `json:"revision,omitempty"`
	// EventRepository is the CodeRepo whose events trigger; empty for a calendar.
	// A commit of an event is looked up only when it is the repository of the
	// pipeline files; of another one only the name of the branch or tag counts.
	EventRepository string `json:"eventRepository,omitempty"`
	// Inputs are set in the run, in this order.
	Inputs []Input `json:"inputs,omitempty"`
}

// Input sets a string at a JSON pointer of the run. It has exactly one of the
// sources.
type Input struct {
	Path string `json:"path"`
	// Value is a constant.
	Value *string `json:"value,omitempty"`
	// FromEvent names a value of the event: ref, commitID, source_branch,
	// target_branch, title, labels or state.
	FromEvent string `json:"fromEvent,omitempty"`
	// PipelineRevision: the revision that the file was read at, when the trigger
	// has none of its own.
	PipelineRevision bool `json:"pipelineRevision,omitempty"`
}

// Event is what a launcher is given of an event, after the Sensor has picked it
// out. Every value but Event and Time is whatever its sender wrote.
type Event struct {
	// Event is push_events, tag_push_events and so on, or calendar.
	Event string `json:"event"`
	// Ref is the full name that the event concerns, as refs/heads/main; empty
	// when it concerns none.
	Ref string `json:"ref,omitempty"`
	// Commit has 40 hexadecimal digits, or is empty.
	Commit string `json:"commit,omitempty"`
	// The values of a merge request.
	SourceBranch string `json:"source_branch,omitempty"`
	TargetBranch string `json:"target_branch,omitempty"`
	Title        string `json:"title,omitempty"`
	Labels       string `json:"labels,omitempty"`
	State        string `json:"state,omitempty"`
	// Time of a calendar event.
	Time string `json:"time,omitempty"`
}

// EventCalendar is the Event of a calendar.
const EventCalendar = "calendar"

// The labels and annotations of launchers and of the runs that they create. A
// value that is no label is put into an annotation of the same key.
const (
	LabelProduct     = "nautes.io/product"
	LabelRuntime     = "nautes.io/pipeline-runtime"
	LabelEventSource = "nautes.io/event-source"
	LabelPipeline    = "nautes.io/pipeline"
	LabelLabel       = "nautes.io/pipeline-label"
	LabelEvent       = "nautes.io/event"
	LabelCommit      = "nautes.io/commit"
	// LabelRole is RoleLauncher or RoleRun.
	LabelRole    = "nautes.io/role"
	RoleLauncher = "launcher"
	RoleRun      = "run"
	// LabelLauncher is on a run: the launcher that created it.
	LabelLauncher = "nautes.io/launcher"
	// LabelBranch is on a run, and has the pipeline's label, as it always had.
	LabelBranch = "branch"
	// AnnotationRef is the ref of the event.
	AnnotationRef = "nautes.io/ref"
)

// CredentialsDir is where a launcher's step finds the credentials of the
// repository, one file for each field; it is empty for a public repository. The
// files are username and password for HTTP, and ssh-privatekey and known_hosts
// for SSH.
const CredentialsDir = "/nautes/credentials"

// The results of a launcher's step: the name of the run and the commit that the
// pipeline file was read at, both empty when it has failed; and the one of the
// step that waits for the run: how it ended, Succeeded, Failed, Cancelled or
// Timeout. Without a run that is Failed.
const (
	ResultRun    = "run"
	ResultCommit = "commit"
	ResultStatus = "status"
)

// The exit codes of nautes-runner.
const (
	ExitOK = 0
	// ExitUsage: it was called in a wrong way.
	ExitUsage = 2
	// ExitGit: the repository could not be read; trying again may help.
	ExitGit = 3
	// ExitRevision: the repository has no such revision.
	ExitRevision = 4
	// ExitFile: the revision has no such file, or it is too large.
	ExitFile = 5
	// ExitPipeline: the file is no Tekton Pipeline or PipelineRun, or an invalid one.
	ExitPipeline = 6
	// ExitInput: an input cannot be set in the run.
	ExitInput = 7
	// ExitDenied: the cluster refuses the run.
	ExitDenied = 8
	// ExitCluster: the cluster does not answer; trying again may help.
	ExitCluster = 9
	// ExitReport: the result could not be reported.
	ExitReport = 10
	// ExitNoRun: the launcher has created no run.
	ExitNoRun = 11
)
