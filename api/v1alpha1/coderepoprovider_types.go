package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CodeRepoProviderSpec describes a Git hosting service.
// +kubebuilder:validation:XValidation:rule=`self.?httpAddress.orValue("") != "" || self.?sshAddress.orValue("") != ""`,message="say where repositories are cloned from: set sshAddress or httpAddress, or both"
type CodeRepoProviderSpec struct {
	// httpAddress is the base URL of the service for people and for clones by HTTP.
	// +optional
	HTTPAddress HTTPURL `json:"httpAddress,omitempty"`

	// sshAddress is the base URL of clones by SSH, for example ssh://git@host:port. The
	// URLs of repositories are derived from it; from httpAddress when empty.
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^(|ssh://[A-Za-z0-9._-]+@([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?|[A-Za-z0-9._][A-Za-z0-9._-]*@([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):?)$')`,message="write the base of the clone URLs, as ssh://git@host:22, or git@host where no port is needed"
	// +optional
	SSHAddress string `json:"sshAddress,omitempty"`

	// apiServer is the base URL of the service's API.
	// +kubebuilder:validation:MinLength=1
	// +required
	APIServer HTTPURL `json:"apiServer"`

	// providerType is the kind of service; only gitlab is implemented.
	// +kubebuilder:validation:Enum=gitlab;github
	// +required
	ProviderType string `json:"providerType"`
}

// CodeRepoProvider is a Git hosting service.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=coderepoproviders,categories=nautes,shortName=crp
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.providerType`
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.httpAddress`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="API",type=string,JSONPath=`.spec.apiServer`,priority=1
// +kubebuilder:printcolumn:name="SSH",type=string,JSONPath=`.spec.sshAddress`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')`,message="metadata.name must be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at both ends"
type CodeRepoProvider struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the service.
	// +required
	Spec CodeRepoProviderSpec `json:"spec"`

	// status is the observed state of the provider.
	// +optional
	Status Status `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *CodeRepoProvider) GetStatus() *Status { return &o.Status }

// CodeRepoProviderList is a list of CodeRepoProvider objects.
// +kubebuilder:object:root=true
type CodeRepoProviderList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CodeRepoProvider `json:"items"`
}
