package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DeploymentRuntimeSpec names the manifests to deploy and their destination.
// +kubebuilder:validation:XValidation:rule=`oldSelf.?product.orValue("") == "" || self.?product.orValue("") == "" || self.product == oldSelf.product`,fieldPath=".product",reason=FieldValueForbidden,message="product cannot change: leave it out, and it is the product of the namespace; or create the object in the namespace of the other product"
type DeploymentRuntimeSpec struct {
	// product that the runtime belongs to; the product of the namespace when empty.
	// +optional
	Product DNSLabel `json:"product,omitempty"`

	// projectsRef lists the projects that are deployed. Each needs to own the
	// code repository or to have it granted by a CodeRepoBinding; without
	// projects the product as a whole needs it.
	// +optional
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +listType=set
	ProjectsRef []DNSLabel `json:"projectsRef,omitempty"`

	// manifestSource is where the Kubernetes manifests are.
	// +required
	ManifestSource ManifestSource `json:"manifestSource"`

	// destination is where they are deployed. It cannot change once deployed.
	// +required
	Destination DeploymentDestination `json:"destination"`

	// account is the ServiceAccount that the runtime gets in its namespaces;
	// the name of the runtime when empty.
	// +optional
	Account DNSLabel `json:"account,omitempty"`

	// suspend stops the reconciliation; deployed objects stay.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ManifestSource is a directory of a code repository.
type ManifestSource struct {
	// codeRepo is the name of the CodeRepo that holds the manifests.
	// +kubebuilder:validation:MinLength=1
	// +required
	CodeRepo DNSLabel `json:"codeRepo"`

	// targetRevision is the branch, tag or commit to deploy.
	// +kubebuilder:default=HEAD
	// +optional
	TargetRevision Revision `json:"targetRevision,omitempty"`

	// path of the directory in the repository; . is its root.
	// +kubebuilder:validation:MinLength=1
	// +required
	Path RelativePath `json:"path"`
}

// DeploymentDestination is an environment and namespaces on its cluster.
type DeploymentDestination struct {
	// environment to deploy to.
	// +kubebuilder:validation:MinLength=1
	// +required
	Environment DNSLabel `json:"environment"`

	// namespaces to deploy to. Manifests without a namespace go to the first
	// one; the name of the runtime is used when the list is empty.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +listType=set
	Namespaces []DNSLabel `json:"namespaces,omitempty"`
}

// DeploymentRuntimeStatus is the observed state of a runtime.
type DeploymentRuntimeStatus struct {
	Status `json:",inline"`

	// target is where the runtime is deployed. It is recorded before the first
	// object is written there, and a deletion follows it.
	// +optional
	Target *RuntimeTarget `json:"target,omitempty"`

	// deployed is the spec that was deployed last. While the spec is invalid, the
	// deployment follows this record.
	// +optional
	Deployed *DeployedSpec `json:"deployed,omitempty"`

	// source of the deployed manifests.
	// +optional
	Source *RuntimeSource `json:"source,omitempty"`

	// illegalProjectRefs lists the projects of projectsRef that may not use the
	// code repository, and why.
	// +optional
	// +listType=map
	// +listMapKey=projectName
	IllegalProjectRefs []IllegalProjectRef `json:"illegalProjectRefs,omitempty"`

	// application is the Argo CD Application on the runtime cluster.
	// +optional
	Application *ApplicationStatus `json:"application,omitempty"`

	// reports are the last statuses of commits that the forge has from the operator, if
	// commitStatuses of the provider is set.
	// +optional
	// +listType=map
	// +listMapKey=commit
	// +listMapKey=name
	Reports []CommitReport `json:"reports,omitempty"`
}

// RuntimeTarget is a place on a cluster.
type RuntimeTarget struct {
	// environment that named the cluster.
	// +required
	Environment string `json:"environment"`

	// cluster that the runtime is on.
	// +required
	Cluster string `json:"cluster"`

	// namespaces of the runtime on that cluster, the default one first.
	// +listType=atomic
	// +required
	Namespaces []string `json:"namespaces"`

	// account of the runtime in these namespaces.
	// +optional
	Account string `json:"account,omitempty"`
}

// DeployedSpec is a spec of a runtime that was deployed.
type DeployedSpec struct {
	// generation of the object that had this spec.
	// +required
	Generation int64 `json:"generation"`

	// spec as it was. It is kept as it is even if later versions of Nautes would
	// refuse it.
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	Spec JSON `json:"spec"`
}

// RuntimeSource is where a runtime's manifests come from.
type RuntimeSource struct {
	// url of the repository.
	// +required
	URL string `json:"url"`

	// permission that the runtime has on it.
	// +required
	Permission Permission `json:"permission"`
}

// IllegalProjectRef is a project that may not use the repository of the runtime.
type IllegalProjectRef struct {
	// projectName is the name of the project.
	// +required
	ProjectName string `json:"projectName"`

	// reason says why, and how to resolve it.
	// +required
	Reason string `json:"reason"`
}

// ApplicationStatus is the state of an Argo CD Application.
type ApplicationStatus struct {
	// name of the Application.
	// +required
	Name string `json:"name"`

	// namespace of the Application.
	// +required
	Namespace string `json:"namespace"`

	// sync is Synced, OutOfSync or Unknown.
	// +optional
	Sync string `json:"sync,omitempty"`

	// health is Healthy, Progressing, Degraded, Suspended, Missing or Unknown.
	// +optional
	Health string `json:"health,omitempty"`

	// revision that is deployed.
	// +optional
	Revision string `json:"revision,omitempty"`

	// message is the newest reason why the Application is not Synced or not Healthy,
	// or a warning, in the words of Argo CD.
	// +optional
	Message string `json:"message,omitempty"`
}

// DeploymentRuntime deploys manifests of a code repository to an environment.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=deploymentruntimes,categories=nautes,shortName=dr
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.spec.destination.environment`
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.status.target.cluster`
// +kubebuilder:printcolumn:name="Sync",type=string,JSONPath=`.status.application.sync`
// +kubebuilder:printcolumn:name="Health",type=string,JSONPath=`.status.application.health`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Repo",type=string,JSONPath=`.spec.manifestSource.codeRepo`,priority=1
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.manifestSource.targetRevision`,priority=1
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.application.revision`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')`,message="metadata.name must be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at both ends"
type DeploymentRuntime struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec names the manifests to deploy and their destination.
	// +required
	Spec DeploymentRuntimeSpec `json:"spec"`

	// status is the observed state of the runtime.
	// +optional
	Status DeploymentRuntimeStatus `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *DeploymentRuntime) GetStatus() *Status { return &o.Status.Status }

// DeploymentRuntimeList is a list of DeploymentRuntime objects.
// +kubebuilder:object:root=true
type DeploymentRuntimeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DeploymentRuntime `json:"items"`
}
