package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProjectPipelineRuntimeSpec says which pipelines run, when and where.
// +kubebuilder:validation:XValidation:rule=`self.pipelineTriggers.all(t, self.eventSources.exists(e, e.name == t.eventSource))`,fieldPath=".pipelineTriggers",reason=FieldValueInvalid,message="a trigger names an event source that is not in eventSources: correct the name, or add the event source"
// +kubebuilder:validation:XValidation:rule=`self.pipelineTriggers.all(t, self.pipelines.exists(p, p.name == t.pipeline))`,fieldPath=".pipelineTriggers",reason=FieldValueInvalid,message="a trigger names a pipeline that is not in pipelines: correct the name, or add the pipeline"
type ProjectPipelineRuntimeSpec struct {
	// project that the runtime belongs to.
	// +kubebuilder:validation:MinLength=1
	// +required
	Project DNSLabel `json:"project"`

	// pipelineSource is the CodeRepo that holds the pipeline files.
	// +kubebuilder:validation:MinLength=1
	// +required
	PipelineSource DNSLabel `json:"pipelineSource"`

	// pipelines are the pipeline files.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=map
	// +listMapKey=name
	// +required
	Pipelines []Pipeline `json:"pipelines"`

	// destination is where the pipelines run.
	// +required
	Destination PipelineDestination `json:"destination"`

	// eventSources can trigger the pipelines.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=map
	// +listMapKey=name
	// +required
	EventSources []EventSource `json:"eventSources"`

	// isolation says whether event sources share resources: shared or exclusive.
	// +required
	Isolation Isolation `json:"isolation"`

	// pipelineTriggers relate event sources to pipelines.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=200
	// +kubebuilder:validation:XValidation:rule=`self.all(a, self.exists_one(b, a.eventSource == b.eventSource && a.pipeline == b.pipeline && (has(a.revision) ? a.revision : "") == (has(b.revision) ? b.revision : "")))`,message="two triggers have the same eventSource, pipeline and revision: remove one of them"
	// +listType=atomic
	// +required
	PipelineTriggers []PipelineTrigger `json:"pipelineTriggers"`

	// additionalResources are Kubernetes manifests that the pipelines need.
	// +optional
	AdditionalResources *AdditionalResources `json:"additionalResources,omitempty"`

	// hooks are steps before and after each pipeline.
	// +optional
	Hooks *Hooks `json:"hooks,omitempty"`

	// account is the ServiceAccount that the pipelines run as; the name of the
	// runtime when empty.
	// +optional
	Account DNSLabel `json:"account,omitempty"`

	// suspend stops the reconciliation; deployed objects stay.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// Isolation says whether event sources share resources.
// +kubebuilder:validation:Enum=shared;exclusive
type Isolation string

// Isolations.
const (
	IsolationShared    Isolation = "shared"
	IsolationExclusive Isolation = "exclusive"
)

// Pipeline is a pipeline file.
type Pipeline struct {
	// name that triggers refer to.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name DottedLabel `json:"name"`

	// label that is put on the runs of the pipeline.
	// +optional
	Label LabelValue `json:"label,omitempty"`

	// path of the file in the pipeline source.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule=`!self.matches(r'(^|/)\.?$')`,message="write the path of a file, as pipelines/main.yaml"
	// +required
	Path RelativePath `json:"path"`
}

// PipelineDestination is an environment and a namespace on its cluster.
type PipelineDestination struct {
	// environment that the pipelines run in.
	// +kubebuilder:validation:MinLength=1
	// +required
	Environment DNSLabel `json:"environment"`

	// namespace that the pipelines run in; the name of the runtime when empty.
	// +optional
	Namespace DNSLabel `json:"namespace,omitempty"`
}

// EventSource is a source of events that trigger pipelines.
// +kubebuilder:validation:XValidation:rule=`has(self.gitlab) || has(self.gitea) || has(self.calendar)`,reason=FieldValueRequired,message="an event source needs a type: set gitlab, gitea or calendar"
// +kubebuilder:validation:XValidation:rule=`!has(self.gitlab) || !has(self.gitea)`,reason=FieldValueInvalid,message="an event source listens to one code repository: write a second event source for gitea"
type EventSource struct {
	// name that triggers refer to.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name DottedLabel `json:"name"`

	// gitlab is an event of a code repository in GitLab.
	// +optional
	GitLab *GitLabEventSource `json:"gitlab,omitempty"`

	// gitea is an event of a code repository in Gitea.
	// +optional
	Gitea *GiteaEventSource `json:"gitea,omitempty"`

	// calendar is an event of the clock.
	// +optional
	Calendar *CalendarEventSource `json:"calendar,omitempty"`
}

// GitLabEventSource is an event of a code repository.
// +kubebuilder:validation:XValidation:rule=`!has(self.mergeRequestActions) || self.events.exists(e, e == "merge_requests_events")`,fieldPath=".mergeRequestActions",reason=FieldValueInvalid,message="mergeRequestActions has no effect without merge_requests_events: add it to events, or remove mergeRequestActions"
// +kubebuilder:validation:XValidation:rule=`!has(self.deploymentStatuses) || self.events.exists(e, e == "deployment_events")`,fieldPath=".deploymentStatuses",reason=FieldValueInvalid,message="deploymentStatuses has no effect without deployment_events: add it to events, or remove deploymentStatuses"
type GitLabEventSource struct {
	// repoName is the name of the CodeRepo, for example repo-123.
	// +kubebuilder:validation:MinLength=1
	// +required
	RepoName DNSLabel `json:"repoName"`

	// revision is a Lua pattern that the ref of the event must match, as
	// ^refs/heads/feature%-; every ref matches when empty.
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
	// +optional
	Revision string `json:"revision,omitempty"`

	// events that count, by their names in GitLab's API.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=set
	// +required
	Events []GitLabEvent `json:"events"`

	// mergeRequestActions are the changes of a merge request that count. They have
	// the names of GitLab's actions, but for push, which is an update with new
	// commits; update is any other one, for example of a label or the title. If
	// empty, the changes of code count: open, reopen and push.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	// +listType=set
	MergeRequestActions []GitLabMergeRequestAction `json:"mergeRequestActions,omitempty"`

	// deploymentStatuses are the statuses of a deployment that count, of which
	// GitLab sends one after the other. If empty, success counts.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	// +listType=set
	DeploymentStatuses []GitLabDeploymentStatus `json:"deploymentStatuses,omitempty"`
}

// GitLabMergeRequestAction is a change of a merge request.
// +kubebuilder:validation:Enum=open;reopen;push;update;close;merge;approval;approved;unapproval;unapproved
type GitLabMergeRequestAction string

// The actions of merge requests that change code.
const (
	MergeRequestOpen   GitLabMergeRequestAction = "open"
	MergeRequestReopen GitLabMergeRequestAction = "reopen"
	MergeRequestPush   GitLabMergeRequestAction = "push"
)

// GitLabDeploymentStatus is the status of a deployment.
// +kubebuilder:validation:Enum=created;running;success;failed;canceled;skipped;blocked
type GitLabDeploymentStatus string

// DeploymentSuccess is the status of a deployment that has ended well.
const DeploymentSuccess GitLabDeploymentStatus = "success"

// GiteaEventSource is an event of a code repository in Gitea.
// +kubebuilder:validation:XValidation:rule=`!has(self.pullRequestActions) || self.events.exists(e, e == "pull_request")`,fieldPath=".pullRequestActions",reason=FieldValueInvalid,message="pullRequestActions has no effect without pull_request: add it to events, or remove pullRequestActions"
type GiteaEventSource struct {
	// repoName is the name of the CodeRepo, for example repo-123.
	// +kubebuilder:validation:MinLength=1
	// +required
	RepoName DNSLabel `json:"repoName"`

	// revision is a Lua pattern that the ref of the event must match, as
	// ^refs/heads/feature%-; every ref matches when empty.
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
	// +optional
	Revision string `json:"revision,omitempty"`

	// events that count, by their names in Gitea's API. A push is of a branch or a tag,
	// and of releases only the published ones count.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=set
	// +required
	Events []GiteaEvent `json:"events"`

	// pullRequestActions are the changes of a pull request that count, by the names of
	// Gitea's actions. If empty, the changes of code count: opened, reopened and
	// synchronized.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +optional
	// +listType=set
	PullRequestActions []GiteaPullRequestAction `json:"pullRequestActions,omitempty"`
}

// GiteaEvent is the name of an event in Gitea's hooks API.
// +kubebuilder:validation:Enum=push;pull_request;release
type GiteaEvent string

// GiteaPullRequestAction is a change of a pull request.
// +kubebuilder:validation:Enum=opened;reopened;synchronized;closed;edited
type GiteaPullRequestAction string

// The actions of pull requests that change code.
const (
	PullRequestOpened       GiteaPullRequestAction = "opened"
	PullRequestReopened     GiteaPullRequestAction = "reopened"
	PullRequestSynchronized GiteaPullRequestAction = "synchronized"
)

// CalendarEventSource is an event of the clock.
// +kubebuilder:validation:XValidation:rule=`self.?schedule.orValue("") != "" || self.?interval.orValue("") != ""`,reason=FieldValueRequired,message="a calendar needs schedule or interval: set schedule to a cron expression, as 0 17 * * 1-5, or interval to a duration, as 30m"
type CalendarEventSource struct {
	// schedule is a cron expression of five fields (minute, hour, day of the
	// month, month, day of the week), for example 0 17 * * 1-5, or one of @yearly,
	// @annually, @monthly, @weekly, @daily, @midnight and @hourly. It has
	// precedence over interval.
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|([0-9*?/,-]+ +){3}[0-9A-Za-z*?/,-]+ +[0-9A-Za-z*?/,-]+)?$')`,message="write a cron expression of five fields (minute, hour, day of the month, month, day of the week), for example 0 17 * * 1-5, or @hourly, @daily, @weekly, @monthly or @yearly"
	// +optional
	Schedule string `json:"schedule,omitempty"`

	// interval between two events, such as 30s, 10m or 1h30m; at least one second.
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule=`self == "" || (self.matches(r'^([0-9]{1,6}(\.[0-9]{1,6})?(h|m|s|ms))+$') && duration(self) >= duration("1s"))`,message="write a duration of at least one second, as 30s, 10m or 1h30m"
	// +optional
	Interval string `json:"interval,omitempty"`

	// exclusionDates are times without events, in ISO 8601. A date excludes the whole
	// day, such as 2024-12-24; a date and hour that hour, such as 2024-12-24T17Z; a
	// date and time that minute, such as 2024-12-24T17:00:00Z. Days, and times
	// without an offset, are in the timezone of the schedule.
	// +kubebuilder:validation:MaxItems=100
	// +optional
	// +listType=atomic
	ExclusionDates []ISODate `json:"exclusionDates,omitempty"`

	// timezone that the schedule is in, for example Europe/Berlin; UTC if empty.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2})?$')`,message="write the name of a time zone of the tz database, as Europe/Berlin or UTC"
	// +optional
	Timezone string `json:"timezone,omitempty"`
}

// PipelineTrigger runs a pipeline at an event.
type PipelineTrigger struct {
	// eventSource that triggers.
	// +kubebuilder:validation:MinLength=1
	// +required
	EventSource DottedLabel `json:"eventSource"`

	// pipeline that runs.
	// +kubebuilder:validation:MinLength=1
	// +required
	Pipeline DottedLabel `json:"pipeline"`

	// revision of the pipeline source to take the pipeline file from; the
	// revision of the event when empty.
	// +optional
	Revision Revision `json:"revision,omitempty"`

	// inputs are values that are set in the run.
	// +kubebuilder:validation:MaxItems=32
	// +optional
	// +listType=atomic
	Inputs []PipelineInput `json:"inputs,omitempty"`
}

// PipelineInput is a value that is set in a run.
type PipelineInput struct {
	// source of the value.
	// +required
	Source InputSource `json:"source"`

	// transmissionMethod says how the value gets into the run.
	// +required
	TransmissionMethod TransmissionMethod `json:"transmissionMethod"`
}

// InputSource is where a value comes from: exactly one of its fields is set.
// +kubebuilder:validation:XValidation:rule=`has(self.builtInVar) != has(self.fromEvent)`,reason=FieldValueInvalid,message="an input has exactly one source: set either builtInVar or fromEvent"
type InputSource struct {
	// builtInVar is a value that Nautes knows, for example PipelineRevision.
	// +optional
	BuiltInVar *BuiltInVar `json:"builtInVar,omitempty"`

	// fromEvent is a value of the event, such as ref or commitID; the others are of
	// merge requests.
	// +optional
	FromEvent *EventVar `json:"fromEvent,omitempty"`
}

// TransmissionMethod says how a value gets into a run.
type TransmissionMethod struct {
	// kustomization replaces a value in the run's manifest.
	// +required
	Kustomization *TransmissionMethodKustomization `json:"kustomization"`
}

// TransmissionMethodKustomization replaces a value in a manifest.
type TransmissionMethodKustomization struct {
	// path is a JSON pointer into the manifest, for example /spec/params/0/value.
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^(/([^/~]|~[01])*)+$')`,message="write a JSON pointer into the run, as /spec/params/0/value"
	// +required
	Path string `json:"path"`
}

// AdditionalResources are manifests that pipelines need.
type AdditionalResources struct {
	// git is where the manifests are; there are none without it.
	// +optional
	Git *AdditionalResourcesGit `json:"git,omitempty"`
}

// AdditionalResourcesGit is a directory of a Git repository.
// +kubebuilder:validation:XValidation:rule=`self.?codeRepo.orValue("") != "" || self.?url.orValue("") != ""`,reason=FieldValueRequired,message="say which repository holds the manifests: set codeRepo, or url for a repository that is not a CodeRepo"
type AdditionalResourcesGit struct {
	// codeRepo is the CodeRepo that holds the manifests.
	// +optional
	CodeRepo DNSLabel `json:"codeRepo,omitempty"`

	// url of a repository that is not a CodeRepo.
	// +optional
	URL GitURL `json:"url,omitempty"`

	// revision is the branch, tag or commit.
	// +kubebuilder:validation:MinLength=1
	// +required
	Revision Revision `json:"revision"`

	// path of the directory; . is the root of the repository.
	// +kubebuilder:validation:MinLength=1
	// +required
	Path RelativePath `json:"path"`
}

// Hooks are steps before and after a pipeline.
// +kubebuilder:validation:XValidation:rule=`!has(self.preHooks) || !has(self.postHooks) || !self.preHooks.exists(a, self.postHooks.exists(b, (has(a.alias) && a.alias != "" ? a.alias : a.name) == (has(b.alias) && b.alias != "" ? b.alias : b.name)))`,message="a hook before and a hook after have the same name: set alias so that each hook has a name of its own on both sides"
type Hooks struct {
	// preHooks run before the pipeline, in this order.
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule=`self.all(a, self.exists_one(b, a.name == b.name))`,message="a hook can be used once on each side: remove one of them, or move it to the other side"
	// +kubebuilder:validation:XValidation:rule=`self.all(a, self.exists_one(b, (has(a.alias) && a.alias != "" ? a.alias : a.name) == (has(b.alias) && b.alias != "" ? b.alias : b.name)))`,message="two hooks on one side have the same name: set alias so that each hook has a name of its own on both sides"
	// +optional
	// +listType=atomic
	PreHooks []Hook `json:"preHooks,omitempty"`

	// postHooks run after the pipeline has ended, in this order.
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule=`self.all(a, self.exists_one(b, a.name == b.name))`,message="a hook can be used once on each side: remove one of them, or move it to the other side"
	// +kubebuilder:validation:XValidation:rule=`self.all(a, self.exists_one(b, (has(a.alias) && a.alias != "" ? a.alias : a.name) == (has(b.alias) && b.alias != "" ? b.alias : b.name)))`,message="two hooks on one side have the same name: set alias so that each hook has a name of its own on both sides"
	// +optional
	// +listType=atomic
	PostHooks []Hook `json:"postHooks,omitempty"`
}

// Hook is one use of a PipelineHook.
// +kubebuilder:validation:XValidation:rule=`!(has(self.alias) && self.alias != "" ? self.alias : self.name).startsWith("nautes-")`,fieldPath=".alias",reason=FieldValueInvalid,message="names that begin with nautes- are reserved for the steps of Nautes: set another alias"
type Hook struct {
	// name of the PipelineHook.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name DNSLabel `json:"name"`

	// alias names this use of it; the hook's name when empty.
	// +optional
	Alias DNSLabel `json:"alias,omitempty"`

	// vars are the values of the hook's variables. They must not hold $(, which
	// Tekton takes for the beginning of a variable.
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule=`self.all(k, k.matches(r'^[A-Za-z_][-A-Za-z0-9_.]{0,127}$'))`,message="the keys are names of variables: they begin with a letter or underscore and hold letters, digits, dashes, dots and underscores, at most 128"
	// +kubebuilder:validation:XValidation:rule=`self.all(k, size(self[k]) <= 4096)`,message="a value is at most 4096 characters long"
	// +optional
	Vars map[string]string `json:"vars,omitempty"`
}

// ProjectPipelineRuntime runs pipelines of a project at events.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=projectpipelineruntimes,categories=nautes,shortName=ppr
// +kubebuilder:printcolumn:name="Project",type=string,JSONPath=`.spec.project`
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.spec.destination.environment`
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.status.target.cluster`
// +kubebuilder:printcolumn:name="Armed",type=string,JSONPath=`.status.armed`
// +kubebuilder:printcolumn:name="Last Run",type=string,JSONPath=`.status.runs[0].result`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Repo",type=string,JSONPath=`.spec.pipelineSource`,priority=1
// +kubebuilder:printcolumn:name="Isolation",type=string,JSONPath=`.spec.isolation`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')`,message="metadata.name must be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at both ends"
// +kubebuilder:validation:XValidation:rule=`!has(oldSelf.status) || !has(oldSelf.status.target) || self.spec.project == oldSelf.spec.project`,fieldPath=".spec.project",reason=FieldValueForbidden,message="the project of a deployed runtime cannot change: delete the runtime and create it in the other project"
type ProjectPipelineRuntime struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which pipelines run, when and where.
	// +required
	Spec ProjectPipelineRuntimeSpec `json:"spec"`

	// status is the observed state of the runtime.
	// +optional
	Status ProjectPipelineRuntimeStatus `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *ProjectPipelineRuntime) GetStatus() *Status { return &o.Status.Status }

// ProjectPipelineRuntimeList is a list of ProjectPipelineRuntime objects.
// +kubebuilder:object:root=true
type ProjectPipelineRuntimeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ProjectPipelineRuntime `json:"items"`
}
