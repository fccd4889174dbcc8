package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SpaceSpec names the product and the cluster of a space.
type SpaceSpec struct {
	// product that the space belongs to: the namespace that the Space is in.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule=`self == oldSelf`,reason=FieldValueForbidden,message="the product of a space cannot change"
	// +required
	Product DNSLabel `json:"product"`

	// cluster that carries the space. The Space has the same name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule=`self == oldSelf`,reason=FieldValueForbidden,message="the cluster of a space cannot change"
	// +required
	Cluster DNSLabel `json:"cluster"`
}

// SpaceStatus is the observed state of a space.
type SpaceStatus struct {
	Status `json:",inline"`

	// namespaces of the space, the product's own one first.
	// +optional
	// +listType=atomic
	Namespaces []string `json:"namespaces,omitempty"`

	// repositories are the URLs of the Git repositories that Argo CD may read
	// for the space.
	// +optional
	// +listType=atomic
	Repositories []string `json:"repositories,omitempty"`

	// problems lists the objects of the space that could not be written.
	// +optional
	// +listType=atomic
	Problems []SpaceProblem `json:"problems,omitempty"`
}

// SpaceProblem describes an object of a space that could not be written.
type SpaceProblem struct {
	// object that could not be written.
	// +required
	Object ObjectReference `json:"object"`

	// source is the Nautes object that asks for it.
	// +optional
	Source *ObjectReference `json:"source,omitempty"`

	// reason is one of the condition reasons.
	// +required
	Reason string `json:"reason"`

	// message says why the object could not be written, and how to resolve it.
	// +required
	Message string `json:"message"`

	// stalled is true if a person must change something, and false if the
	// operator tries again by itself.
	// +optional
	Stalled bool `json:"stalled,omitempty"`

	// kept is true if the object is there as it was written before, so that
	// runtimes can rely on it.
	// +optional
	Kept bool `json:"kept,omitempty"`
}

// ObjectReference identifies an object.
type ObjectReference struct {
	// kind of the object.
	// +required
	Kind string `json:"kind"`

	// namespace of the object; empty if it has none.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// name of the object.
	// +required
	Name string `json:"name"`
}

// Space is the shared layer of a product on one cluster: its namespaces, access
// rights, Argo CD project and repositories. The operator creates and deletes it; people
// read it.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=nautes,shortName=spc
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.cluster`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Namespaces",type=string,JSONPath=`.status.namespaces`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name == self.spec.cluster`,message="a space has the name of its cluster"
type Space struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec names the product and the cluster.
	// +required
	Spec SpaceSpec `json:"spec"`

	// status is the observed state of the space.
	// +optional
	Status SpaceStatus `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *Space) GetStatus() *Status { return &o.Status.Status }

// SpaceList is a list of Space objects.
// +kubebuilder:object:root=true
type SpaceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Space `json:"items"`
}
