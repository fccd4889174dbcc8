package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// HookSide is the side of the pipeline that a hook runs on.
// +kubebuilder:validation:Enum=pre;post
type HookSide string

// Sides of hooks.
const (
	HookPre  HookSide = "pre"
	HookPost HookSide = "post"
)

// EventSourceType is a type of event sources.
// +kubebuilder:validation:Enum=gitlab;calendar;gitea
type EventSourceType string

// Types of event sources.
const (
	EventSourceGitLab   EventSourceType = "gitlab"
	EventSourceCalendar EventSourceType = "calendar"
	EventSourceGitea    EventSourceType = "gitea"
)

// PipelineHookSpec describes a step that can run before or after a pipeline.
type PipelineHookSpec struct {
	// description of the hook, for people.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Description string `json:"description,omitempty"`

	// sides that the hook can run on.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	// +listType=set
	// +required
	Sides []HookSide `json:"sides"`

	// eventSources that the hook works with; all when empty.
	// +optional
	// +kubebuilder:validation:MaxItems=3
	// +listType=set
	EventSources []EventSourceType `json:"eventSources,omitempty"`

	// varsSchema is a JSON schema of the hook's variables: an object whose
	// properties are strings. Without it, they are the parameters of the task that
	// have no built-in value.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +optional
	VarsSchema *runtime.RawExtension `json:"varsSchema,omitempty"`

	// task is the spec of the Tekton task that runs. The variables reach it as
	// parameters of their names, and so do the built-in variables, such as ref, commitID
	// and, after the run, PipelineRunName and PipelineRunStatus. A script must not
	// refer to parameters: they are for args and env.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	Task runtime.RawExtension `json:"task"`
}

// PipelineHook is a step that can run before or after a pipeline.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=pipelinehooks,categories=nautes,shortName=phook
// +kubebuilder:printcolumn:name="Sides",type=string,JSONPath=`.spec.sides`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Event Sources",type=string,JSONPath=`.spec.eventSources`,priority=1
// +kubebuilder:printcolumn:name="Description",type=string,JSONPath=`.spec.description`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')`,message="metadata.name must be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at both ends"
type PipelineHook struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the step.
	// +required
	Spec PipelineHookSpec `json:"spec"`

	// status is the observed state of the hook.
	// +optional
	Status Status `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *PipelineHook) GetStatus() *Status { return &o.Status }

// PipelineHookList is a list of PipelineHook objects.
// +kubebuilder:object:root=true
type PipelineHookList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PipelineHook `json:"items"`
}
