package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProductProviderSpec says where products are found.
type ProductProviderSpec struct {
	// type of the provider; coderepo finds the groups that have a default.project.
	// +kubebuilder:validation:Enum=coderepo
	// +required
	Type string `json:"type"`

	// name of the CodeRepoProvider.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name DNSLabel `json:"name"`
}

// ProductProvider is a place that products come from.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=productproviders,categories=nautes,shortName=pp
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')`,message="metadata.name must be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at both ends"
type ProductProvider struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says where products are found.
	// +required
	Spec ProductProviderSpec `json:"spec"`

	// status is the observed state of the provider.
	// +optional
	Status Status `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *ProductProvider) GetStatus() *Status { return &o.Status }

// ProductProviderList is a list of ProductProvider objects.
// +kubebuilder:object:root=true
type ProductProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ProductProvider `json:"items"`
}
