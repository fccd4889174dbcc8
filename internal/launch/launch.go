// Package launch is the contract between the plan of a pipeline runtime and the
// program that its launchers run: the configuration of a launcher, the event that
// it gets, the labels of the runs that it creates, and their results. It guarantees
// that both sides use the same words, and that a text made by Encode is inert
// wherever Tekton, a shell or YAML might interpret it.
package launch

// Config is the configuration of a launcher. It is made from the objects of the
// product, never from an event.
type Config struct {
	Product string `json:"product"`
	Runtime string `json:"runtime"`
	// Namespace of the run, and the account that it runs as.
	Namespace string `json:"namespace"`
	Account   string `json:"account"`
	// EventSource and Pipeline are the trigger's. Label is the pipeline's; it may
	// be empty.
	EventSource string `json:"eventSource"`
	Pipeline    string `json:"pipeline"`
	Label       string `json:"label,omitempty"`
	// Repository is the CodeRepo of the pipeline files, URL its address without
	// credentials, and Path the file in it.
	Repository string `json:"repository"`
	URL        string `json:"url"`
	Path       string `json:"path"`
	// Proxy is the URL of the HTTP proxy for the repository, without credentials; empty
	// for none.
	Proxy string `json:"proxy,omitempty"`
	// ProxyLogin is true if the proxy asks for the login in FileProxyUser and
	// FileProxyPassword.
	ProxyLogin bool `json:"proxyLogin,omitempty"`
	// Revision is the trigger's: a branch, a tag or a commit. If it is empty, the
	// event decides.
	Revision string `json:"revision,omitempty"`
	// EventRepository is the CodeRepo whose events start the launcher; empty for a
	// calendar. The commit of an event counts only if this is the repository of the
	// pipeline files. Otherwise only the name of the branch or tag counts.
	EventRepository string `json:"eventRepository,omitempty"`
	// Inputs to set in the run, in this order.
	Inputs []Input `json:"inputs,omitempty"`
}

// Input sets a string at a JSON pointer of the run. Exactly one of Value, FromEvent
// and PipelineRevision is set.
type Input struct {
	Path string `json:"path"`
	// Value is a constant.
	Value *string `json:"value,omitempty"`
	// FromEvent names a value of the event: ref, commitID, source_branch,
	// target_branch, title, labels or state.
	FromEvent string `json:"fromEvent,omitempty"`
	// PipelineRevision is true for the commit that the pipeline file was read at.
	PipelineRevision bool `json:"pipelineRevision,omitempty"`
}

// Event holds the values that the Sensor takes from an event for a launcher. All of
// them but Event and Time are chosen by the sender.
type Event struct {
	// Event is the name of the event in the forge's API, for example push_events, or
	// EventCalendar.
	Event string `json:"event"`
	// Ref is the full name of the branch or tag, for example refs/heads/main; empty
	// for an event that concerns none.
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

// The labels and annotations of launchers and of the runs that they create. A value
// that is not valid in a label becomes an annotation with the same key.
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
	// LabelLauncher is set on a run: the name of the launcher that created it.
	LabelLauncher = "nautes.io/launcher"
	// LabelBranch is set on a run: the pipeline's label, under its older key.
	LabelBranch = "branch"
	// AnnotationRef is the ref of the event.
	AnnotationRef = "nautes.io/ref"
)

// CredentialsDir is the directory with the credentials of the repository in a
// launcher's step, one file for each field; it is empty for a public repository. The
// files are username and password for HTTP, and ssh-privatekey and known_hosts for
// SSH. The login for a proxy has files of its own there.
const (
	CredentialsDir    = "/nautes/credentials"
	FileProxyUser     = "proxy-username"
	FileProxyPassword = "proxy-password"
)

// GitDir is the directory in a launcher's step with the files by which the runner knows
// the Git server. FileCA has certificates in PEM, FileKnownHosts has SSH host keys.
const (
	GitDir         = "/nautes/git"
	FileCA         = "ca.crt"
	FileKnownHosts = "known_hosts"
)

// The results of a launcher's steps in Tekton. ResultRun is the name of the run and
// ResultCommit the commit of the pipeline file; both are empty if the launch failed.
// ResultStatus is the result of the run, RunFailed if there is none.
const (
	ResultRun    = "run"
	ResultCommit = "commit"
	ResultStatus = "status"
)

// The exit codes of nautes-runner.
const (
	ExitOK = 0
	// ExitUsage: the arguments are wrong.
	ExitUsage = 2
	// ExitGit: the repository could not be read; a later attempt may succeed.
	ExitGit = 3
	// ExitRevision: the repository has no such revision.
	ExitRevision = 4
	// ExitFile: the revision has no such file, or it is too large.
	ExitFile = 5
	// ExitPipeline: the file is not a valid Tekton Pipeline or PipelineRun.
	ExitPipeline = 6
	// ExitInput: an input cannot be set in the run.
	ExitInput = 7
	// ExitDenied: the cluster refuses the run.
	ExitDenied = 8
	// ExitCluster: the cluster does not answer; a later attempt may succeed.
	ExitCluster = 9
	// ExitReport: the result could not be reported.
	ExitReport = 10
	// ExitNoRun: the launcher created no run.
	ExitNoRun = 11
)
