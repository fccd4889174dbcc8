package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ProductSpec says where the declarations of a product are.
type ProductSpec struct {
	// name of the product as people know it: the path of its GitLab group, and
	// the OIDC group that its members are in.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name GroupPath `json:"name"`

	// metaDataPath is the URL of the repository default.project that holds the
	// product's declarations: https://…, http://…, ssh://… or git@host:group/default.project.git. It holds
	// no credentials.
	// +kubebuilder:validation:MinLength=1
	// +required
	MetaDataPath GitURL `json:"metaDataPath"`

	// branch of that repository to mirror.
	// +kubebuilder:default=main
	// +optional
	Branch Branch `json:"branch,omitempty"`

	// secretRef names a Secret in the operator's namespace with the credentials
	// of the repository: username and password, or ssh-privatekey and
	// known_hosts. Without it the access token of the CodeRepoProvider whose
	// address the URL begins with is used.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`

	// suspend stops the mirroring of the repository; mirrored objects stay.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ProductStatus is the observed state of a product.
type ProductStatus struct {
	Status `json:",inline"`

	// namespace that holds the product's objects on the tenant cluster.
	// +optional
	Namespace string `json:"namespace,omitempty"`

	// sync is the state of the mirrored repository.
	// +optional
	Sync *SyncStatus `json:"sync,omitempty"`

	// hook reports pushes to the repository, if the operator makes hooks.
	// +optional
	Hook *ForgeHook `json:"hook,omitempty"`

	// spaces lists the clusters that hold, or may hold, objects of the product.
	// +optional
	// +listType=map
	// +listMapKey=cluster
	Spaces []ProductSpace `json:"spaces,omitempty"`
}

// ProductSpace is the summary of a Space of the product.
type ProductSpace struct {
	// cluster that the space is on.
	// +required
	Cluster string `json:"cluster"`

	// ready is true if everything of the space is written.
	// +required
	Ready bool `json:"ready"`

	// namespaces of the space, the product's own one first.
	// +optional
	// +listType=atomic
	Namespaces []string `json:"namespaces,omitempty"`

	// message says why the space is not ready.
	// +optional
	Message string `json:"message,omitempty"`
}

// Product is an IT system: a GitLab group with a repository default.project.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=nautes,shortName=prod
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Problems",type=integer,JSONPath=`.status.sync.problemCount`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.sync.revision`,priority=1
// +kubebuilder:printcolumn:name="Repository",type=string,JSONPath=`.spec.metaDataPath`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^product-[a-z0-9]([-a-z0-9]{0,53}[a-z0-9])?$')`,message="metadata.name must begin with product- and be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at the end"
type Product struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says where the declarations of the product are.
	// +required
	Spec ProductSpec `json:"spec"`

	// status is the observed state of the product.
	// +optional
	Status ProductStatus `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *Product) GetStatus() *Status { return &o.Status.Status }

// ProductList is a list of Products.
// +kubebuilder:object:root=true
type ProductList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Product `json:"items"`
}
