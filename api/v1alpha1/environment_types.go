package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// EnvironmentSpec relates a stage of the product to a cluster.
// +kubebuilder:validation:XValidation:rule=`oldSelf.?product.orValue("") == "" || self.?product.orValue("") == "" || self.product == oldSelf.product`,fieldPath=".product",reason=FieldValueForbidden,message="product cannot change: leave it out, and it is the product of the namespace; or create the object in the namespace of the other product"
type EnvironmentSpec struct {
	// product that the environment belongs to; the product of the namespace when empty.
	// +optional
	Product DNSLabel `json:"product,omitempty"`

	// cluster that carries the environment.
	// +kubebuilder:validation:MinLength=1
	// +required
	Cluster DNSLabel `json:"cluster"`

	// envType names the stage: dev, test, staging, production or any other word.
	// +kubebuilder:validation:MinLength=1
	// +required
	EnvType Word `json:"envType"`
}

// Environment is a stage of a product, and the cluster that carries it.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=environments,categories=nautes,shortName=env
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.envType`
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.cluster`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')`,message="metadata.name must be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at both ends"
type Environment struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec relates the environment to a cluster.
	// +required
	Spec EnvironmentSpec `json:"spec"`

	// status is the observed state of the environment.
	// +optional
	Status Status `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *Environment) GetStatus() *Status { return &o.Status }

// EnvironmentList is a list of Environment objects.
// +kubebuilder:object:root=true
type EnvironmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Environment `json:"items"`
}
