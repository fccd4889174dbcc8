package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProjectSpec describes a microservice of a product.
// +kubebuilder:validation:XValidation:rule=`oldSelf.?product.orValue("") == "" || self.?product.orValue("") == "" || self.product == oldSelf.product`,fieldPath=".product",reason=FieldValueForbidden,message="product cannot change: leave it out, and it is the product of the namespace; or create the object in the namespace of the other product"
type ProjectSpec struct {
	// product that the project belongs to; the product of the namespace when empty.
	// +optional
	Product DNSLabel `json:"product,omitempty"`

	// language that the project is written in, for people.
	// +optional
	Language Word `json:"language,omitempty"`
}

// Project is a microservice of a product.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=projects,categories=nautes,shortName=proj
// +kubebuilder:printcolumn:name="Language",type=string,JSONPath=`.spec.language`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')`,message="metadata.name must be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at both ends"
type Project struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the project.
	// +required
	Spec ProjectSpec `json:"spec"`

	// status is the observed state of the project.
	// +optional
	Status Status `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *Project) GetStatus() *Status { return &o.Status }

// ProjectList is a list of Project objects.
// +kubebuilder:object:root=true
type ProjectList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Project `json:"items"`
}
