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

	// gracePeriodSeconds is the time in seconds between the first answer of the forge
	// that a group does not exist and the removal of its Product. It is 3600 by default.
	// +kubebuilder:default=3600
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	GracePeriodSeconds *int32 `json:"gracePeriodSeconds,omitempty"`
}

// ProductProviderStatus is the observed state of a provider of products.
type ProductProviderStatus struct {
	Status `json:",inline"`

	// products is the number of Products that come from the provider.
	// +kubebuilder:validation:Minimum=0
	// +optional
	Products int32 `json:"products,omitempty"`

	// departures lists the Products whose group or repository is not in the forge as it
	// should be.
	// +optional
	// +listType=map
	// +listMapKey=product
	Departures []ProductDeparture `json:"departures,omitempty"`
}

// ProductDeparture is a Product that the forge does not show as it should be.
type ProductDeparture struct {
	// product is the name of the Product.
	// +required
	Product string `json:"product"`

	// reason is MarkedForDeletion, RepositoryMissing or GroupMissing.
	// +required
	Reason string `json:"reason"`

	// since is the time of the first answer of this kind.
	// +required
	Since metav1.Time `json:"since"`

	// message says what the forge answered, and what to do.
	// +required
	Message string `json:"message"`
}

// ProductProvider is a place that products come from.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=productproviders,categories=nautes,shortName=pp
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Products",type=integer,JSONPath=`.status.products`
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
	Status ProductProviderStatus `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *ProductProvider) GetStatus() *Status { return &o.Status.Status }

// ProductProviderList is a list of ProductProvider objects.
// +kubebuilder:object:root=true
type ProductProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ProductProvider `json:"items"`
}
