package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProjectPipelineRuntimeStatus is the observed state of a runtime.
type ProjectPipelineRuntimeStatus struct {
	Status `json:",inline"`

	// target is where the runtime is deployed. It is recorded before the first
	// object is written there, and a deletion follows it.
	// +optional
	Target *RuntimeTarget `json:"target,omitempty"`

	// deployed is the spec that was deployed last. While the spec is invalid, the
	// deployment follows this record.
	// +optional
	Deployed *DeployedSpec `json:"deployed,omitempty"`

	// pipelineSource is the CodeRepo whose pipeline files run now, which is the one
	// of the spec once that is deployed.
	// +optional
	PipelineSource string `json:"pipelineSource,omitempty"`

	// illegalEventSources lists the event sources that are not deployed, and why.
	// +optional
	// +listType=map
	// +listMapKey=eventSource
	IllegalEventSources []IllegalEventSource `json:"illegalEventSources,omitempty"`

	// armed is how many of the triggers are armed, for example 3/4.
	// +optional
	Armed string `json:"armed,omitempty"`

	// triggers lists each trigger, and whether an event would run its pipeline.
	// +optional
	// +listType=atomic
	Triggers []PipelineTriggerStatus `json:"triggers,omitempty"`

	// webhooks are the addresses that the code provider sends events to.
	// +optional
	// +listType=map
	// +listMapKey=eventSource
	Webhooks []WebhookStatus `json:"webhooks,omitempty"`

	// hooks are the webhooks that the operator has made in the forge, if it makes hooks.
	// +optional
	// +listType=map
	// +listMapKey=eventSource
	Hooks []EventSourceHook `json:"hooks,omitempty"`

	// application installs the additional resources.
	// +optional
	Application *ApplicationStatus `json:"application,omitempty"`

	// reports are the last statuses of commits that the forge has from the operator, if
	// commitStatuses of the provider is set.
	// +optional
	// +listType=map
	// +listMapKey=commit
	// +listMapKey=name
	Reports []CommitReport `json:"reports,omitempty"`

	// runs are the last runs, the latest first; at most ten.
	// +optional
	// +listType=map
	// +listMapKey=name
	Runs []PipelineRunStatus `json:"runs,omitempty"`
}

// PipelineTriggerStatus reports whether an event would run the pipeline of a trigger.
type PipelineTriggerStatus struct {
	// eventSource of the trigger.
	// +required
	EventSource string `json:"eventSource"`

	// pipeline of the trigger.
	// +required
	Pipeline string `json:"pipeline"`

	// revision of the trigger, if it has one of its own.
	// +optional
	Revision string `json:"revision,omitempty"`

	// armed reports whether an event runs the pipeline.
	// +required
	Armed bool `json:"armed"`

	// reason says in one word why the trigger is armed or not.
	// +required
	Reason string `json:"reason"`

	// message says why the trigger is not armed, and how to arm it.
	// +optional
	Message string `json:"message,omitempty"`
}

// WebhookStatus is an address that a code provider sends events to.
type WebhookStatus struct {
	// eventSource that listens there.
	// +required
	EventSource string `json:"eventSource"`

	// codeRepo whose events are expected.
	// +required
	CodeRepo string `json:"codeRepo"`

	// url of the hook.
	// +required
	URL string `json:"url"`

	// events that the hook subscribes to, by the names of the forge's API.
	// +listType=set
	// +required
	Events []string `json:"events"`
}

// EventSourceHook is a webhook that the operator has made for an event source.
type EventSourceHook struct {
	// eventSource that listens to it.
	// +required
	EventSource string `json:"eventSource"`

	ForgeHook `json:",inline"`
}

// PipelineRunStatus is a run of a pipeline, or a launcher that created none.
type PipelineRunStatus struct {
	// name of the Tekton PipelineRun in the runtime's namespace.
	// +required
	Name string `json:"name"`

	// pipeline that ran, by its name in the runtime.
	// +optional
	Pipeline string `json:"pipeline,omitempty"`

	// eventSource that triggered the run.
	// +optional
	EventSource string `json:"eventSource,omitempty"`

	// event that triggered the run, such as push_events or calendar.
	// +optional
	Event string `json:"event,omitempty"`

	// commit that the pipeline file was read at.
	// +optional
	Commit string `json:"commit,omitempty"`

	// result is Running, Succeeded, Failed, Cancelled or Timeout; NotStarted when
	// a launcher ended without creating a run.
	// +required
	Result string `json:"result"`

	// message says why the run failed.
	// +optional
	Message string `json:"message,omitempty"`

	// startTime of the run.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`

	// completionTime of the run, when it has ended.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty"`
}

// IllegalEventSource is an event source that may not be used.
type IllegalEventSource struct {
	// eventSource by its name.
	// +required
	EventSource string `json:"eventSource"`

	// reason says why, and how to resolve it.
	// +required
	Reason string `json:"reason"`
}
