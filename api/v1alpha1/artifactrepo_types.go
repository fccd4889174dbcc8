package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PackageType is the kind of packages that an artifact repository holds.
// +kubebuilder:validation:Enum=image;maven;python;go
type PackageType string

// PackageImage is the package type of container images.
const PackageImage PackageType = "image"

// ArtifactRepoSpec describes an artifact repository and says who may use it.
// +kubebuilder:validation:XValidation:rule=`oldSelf.?product.orValue("") == "" || self.?product.orValue("") == "" || self.product == oldSelf.product`,fieldPath=".product",reason=FieldValueForbidden,message="product cannot change: leave it out, and it is the product of the namespace; or create the object in the namespace of the other product"
type ArtifactRepoSpec struct {
	// product that owns the repository; the product of the namespace when empty.
	// +optional
	Product DNSLabel `json:"product,omitempty"`

	// registry is the address of the repository without a scheme: a host, and perhaps a
	// port and a path, for example registry.example.com/team. For images it is the part of
	// their names that the credentials are used for.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9][-A-Za-z0-9._]*)*$')`,message="registry is a host, and perhaps a port and a path: write it without a scheme and credentials, as registry.example.com/team"
	// +required
	Registry string `json:"registry"`

	// packageType is the kind of packages in the repository. The credentials of images
	// become image pull secrets; accounts read the credentials of the others in Vault.
	// +kubebuilder:default=image
	// +optional
	PackageType PackageType `json:"packageType,omitempty"`

	// projects that may use the repository; all of the product's when empty. A runtime
	// may use it if all of its projects may.
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +listType=set
	Projects []DNSLabel `json:"projects,omitempty"`

	// permissions that are granted. Only pipeline runtimes are granted readwrite;
	// deployments are granted readonly.
	// +kubebuilder:default=readonly
	// +optional
	Permissions Permission `json:"permissions,omitempty"`
}

// HoldsImages reports whether the repository holds container images.
func (s ArtifactRepoSpec) HoldsImages() bool {
	return s.PackageType == "" || s.PackageType == PackageImage
}

// ArtifactRepo is a repository of images or packages of a product. Its credentials are
// in the secret store.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=artifactrepos,categories=nautes,shortName=arepo
// +kubebuilder:printcolumn:name="Registry",type=string,JSONPath=`.spec.registry`
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.packageType`
// +kubebuilder:printcolumn:name="Projects",type=string,JSONPath=`.spec.projects`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')`,message="metadata.name must be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at both ends"
type ArtifactRepo struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the repository and says who may use it.
	// +required
	Spec ArtifactRepoSpec `json:"spec"`

	// status is the observed state of the repository.
	// +optional
	Status Status `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *ArtifactRepo) GetStatus() *Status { return &o.Status }

// ArtifactRepoList is a list of ArtifactRepo objects.
// +kubebuilder:object:root=true
type ArtifactRepoList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ArtifactRepo `json:"items"`
}
