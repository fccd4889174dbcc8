package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Permission is the access that a binding grants.
// +kubebuilder:validation:Enum=readonly;readwrite
type Permission string

// Permissions, the weaker first.
const (
	PermissionReadOnly  Permission = "readonly"
	PermissionReadWrite Permission = "readwrite"
)

// CodeRepoBindingSpec grants a code repository to projects of its product.
// +kubebuilder:validation:XValidation:rule=`oldSelf.?product.orValue("") == "" || self.?product.orValue("") == "" || self.product == oldSelf.product`,fieldPath=".product",reason=FieldValueForbidden,message="product cannot change: leave it out, and it is the product of the namespace; or create the object in the namespace of the other product"
type CodeRepoBindingSpec struct {
	// codeRepo that is granted.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule=`self == oldSelf`,reason=FieldValueForbidden,message="codeRepo cannot change: delete the binding, or give it another name, to grant another repository"
	// +required
	CodeRepo DNSLabel `json:"codeRepo"`

	// product that the repository is granted to; the product of the namespace when empty.
	// +optional
	Product DNSLabel `json:"product,omitempty"`

	// projects that may use the repository; all of the product's when empty.
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +listType=set
	Projects []DNSLabel `json:"projects,omitempty"`

	// permissions that are granted.
	// +kubebuilder:default=readonly
	// +optional
	Permissions Permission `json:"permissions,omitempty"`
}

// CodeRepoBinding grants a code repository to projects of its product.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=coderepobindings,categories=nautes,shortName=crb
// +kubebuilder:printcolumn:name="Repo",type=string,JSONPath=`.spec.codeRepo`
// +kubebuilder:printcolumn:name="Permission",type=string,JSONPath=`.spec.permissions`
// +kubebuilder:printcolumn:name="Projects",type=string,JSONPath=`.spec.projects`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')`,message="metadata.name must be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at both ends"
type CodeRepoBinding struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says which repository is granted, and to whom.
	// +required
	Spec CodeRepoBindingSpec `json:"spec"`

	// status is the observed state of the grant.
	// +optional
	Status Status `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *CodeRepoBinding) GetStatus() *Status { return &o.Status }

// CodeRepoBindingList is a list of CodeRepoBinding objects.
// +kubebuilder:object:root=true
type CodeRepoBindingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CodeRepoBinding `json:"items"`
}
