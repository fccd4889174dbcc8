package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CodeRepoSpec describes a code repository.
// +kubebuilder:validation:XValidation:rule=`oldSelf.?product.orValue("") == "" || self.?product.orValue("") == "" || self.product == oldSelf.product`,fieldPath=".product",reason=FieldValueForbidden,message="product cannot change: leave it out, and it is the product of the namespace; or create the object in the namespace of the other product"
// +kubebuilder:validation:XValidation:rule=`self.?url.orValue("") != "" || (self.?codeRepoProvider.orValue("") != "" && self.?repoName.orValue("") != "")`,message="say where the repository is: set url, or codeRepoProvider and repoName"
type CodeRepoSpec struct {
	// codeRepoProvider is the CodeRepoProvider that hosts the repository.
	// +optional
	CodeRepoProvider DNSLabel `json:"codeRepoProvider,omitempty"`

	// product that owns the repository; the product of the namespace when empty.
	// +optional
	Product DNSLabel `json:"product,omitempty"`

	// project that owns the repository; a repository without one belongs to the
	// product as a whole.
	// +optional
	Project DNSLabel `json:"project,omitempty"`

	// repoName is the repository's name in the product's group.
	// +optional
	RepoName RepoName `json:"repoName,omitempty"`

	// url of the repository; derived from the provider, the product and
	// repoName when empty. It holds no credentials.
	// +optional
	URL GitURL `json:"url,omitempty"`

	// deploymentRuntime marks a repository that holds manifests to deploy. Marks are for
	// people and lists: they allow nothing. A runtime that uses the repository for the
	// other purpose is warned, if the repository is marked for one purpose alone.
	// +optional
	DeploymentRuntime bool `json:"deploymentRuntime,omitempty"`

	// pipelineRuntime marks a repository that holds pipelines, as deploymentRuntime does
	// for manifests.
	// +optional
	PipelineRuntime bool `json:"pipelineRuntime,omitempty"`

	// webhook says which events the hooks of the repository send, beside the ones that
	// pipelines listen to.
	// +optional
	Webhook *Webhook `json:"webhook,omitempty"`

	// branch that is mirrored; only of use on the tenant repository.
	// +optional
	Branch Branch `json:"branch,omitempty"`

	// secretRef names a Secret in the operator's namespace with the credentials
	// of the tenant repository: username and password, or ssh-privatekey and
	// known_hosts.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`
}

// Webhook lists the events that a code repository reports.
type Webhook struct {
	// events that the repository sends, by their names in GitLab's API, also where it is
	// in another forge, which sends the events that it has too. A hook that
	// Nautes plans for the repository sends these and the events that its event source
	// listens to; the others run no pipeline. An event source that listens to an event
	// which is not listed here is warned.
	// +kubebuilder:validation:MaxItems=16
	// +listType=set
	// +required
	Events []GitLabEvent `json:"events"`
}

// GitLabEvent is the name of an event in GitLab's project hooks API.
// +kubebuilder:validation:Enum=confidential_issues_events;confidential_note_events;deployment_events;issues_events;job_events;merge_requests_events;note_events;pipeline_events;push_events;releases_events;tag_push_events;wiki_page_events
type GitLabEvent string

// CodeRepoStatus is the observed state of a code repository.
type CodeRepoStatus struct {
	Status `json:",inline"`

	// url that clients use.
	// +optional
	URL string `json:"url,omitempty"`

	// sync is the state of the mirror; only on the tenant repository.
	// +optional
	Sync *SyncStatus `json:"sync,omitempty"`

	// hook reports pushes to the repository, if the operator makes hooks; only on the
	// tenant repository and on repositories that a DeploymentRuntime deploys.
	// +optional
	Hook *ForgeHook `json:"hook,omitempty"`

	// deployKeys are the deploy keys that the operator has made for the repository, if
	// deployKeys of the provider is set. They are on record before the forge has them.
	// +optional
	DeployKeys *DeployKeys `json:"deployKeys,omitempty"`
}

// DeployKeys are the deploy keys of a code repository in a Git forge.
type DeployKeys struct {
	// provider is the name of the CodeRepoProvider whose forge has the repository.
	// +required
	Provider string `json:"provider"`

	// repository is the id of the repository in the forge.
	// +required
	Repository int64 `json:"repository"`

	// rotated is the value of the annotation nautes.io/rotate-deploy-keys that was
	// answered last.
	// +optional
	Rotated string `json:"rotated,omitempty"`

	// keys that the operator has made.
	// +listType=map
	// +listMapKey=permission
	// +optional
	Keys []DeployKey `json:"keys,omitempty"`
}

// DeployKey is a deploy key in a Git forge.
type DeployKey struct {
	// permission of the key: readonly, or readwrite, which can push.
	// +required
	Permission Permission `json:"permission"`

	// fingerprint of the key as OpenSSH prints it, such as SHA256:…
	// +required
	Fingerprint string `json:"fingerprint"`
}

// CodeRepo is a Git repository of a product, or the tenant repository.
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=coderepos,categories=nautes,shortName=repo
// +kubebuilder:printcolumn:name="Project",type=string,JSONPath=`.spec.project`
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.spec.codeRepoProvider`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`,priority=1
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].message`
// +kubebuilder:validation:XValidation:rule=`self.metadata.name.matches(r'^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')`,message="metadata.name must be a DNS label: at most 63 lower case letters, digits and dashes, with a letter or digit at both ends"
type CodeRepo struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard metadata of an object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec describes the repository.
	// +required
	Spec CodeRepoSpec `json:"spec"`

	// status is the observed state of the repository.
	// +optional
	Status CodeRepoStatus `json:"status,omitempty"`
}

// GetStatus returns the common part of the status.
func (o *CodeRepo) GetStatus() *Status { return &o.Status.Status }

// CodeRepoList is a list of CodeRepo objects.
// +kubebuilder:object:root=true
type CodeRepoList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []CodeRepo `json:"items"`
}
