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

	// providerType is the kind of service; gitlab and gitea are implemented.
	// +kubebuilder:validation:Enum=gitlab;github;gitea
	// +required
	ProviderType string `json:"providerType"`

	// caBundle has the certificates of the authorities that vouch for the service's HTTPS
	// certificate, and for the certificate of a proxy, in PEM. Every client of Git trusts them in addition to its own; Argo CD
	// trusts them instead of its own for the host of httpAddress.
	// +kubebuilder:validation:MaxLength=65536
	// +kubebuilder:validation:XValidation:rule=`self == "" || self.contains("-----BEGIN CERTIFICATE-----")`,message="write the certificates of the authorities in PEM, which begins with -----BEGIN CERTIFICATE-----"
	// +kubebuilder:validation:XValidation:rule=`!self.contains("PRIVATE KEY")`,message="remove the private key: certificates are enough, and everybody who may read this object can read it"
	// +optional
	CABundle string `json:"caBundle,omitempty"`

	// knownHosts has the SSH host keys of the service, as lines of OpenSSH's known_hosts,
	// which ssh-keyscan prints. They count in addition to known_hosts of a repository's
	// secret.
	// +kubebuilder:validation:MaxLength=65536
	// +kubebuilder:validation:XValidation:rule=`!self.contains("PRIVATE KEY")`,message="remove the private key: write the public host keys that ssh-keyscan prints"
	// +optional
	KnownHosts string `json:"knownHosts,omitempty"`

	// proxy is the HTTP proxy for clones of this service by HTTP and HTTPS. It replaces
	// the proxy of the operator's configuration.
	// +optional
	Proxy *GitProxy `json:"proxy,omitempty"`

	// deployKeys has the operator make, store and rotate the deploy keys of the CodeRepos
	// of this provider, and enable them in the forge as the CodeRepoBindings say. It needs
	// an access token of a maintainer. A key that a person has stored stays as it is. When
	// it is switched off, the keys stay.
	// +optional
	DeployKeys bool `json:"deployKeys,omitempty"`

	// commitStatuses has the operator show the outcome of deployments and pipelines in the
	// forge, as statuses of the commits in the CodeRepos of this provider. It needs an
	// access token of a maintainer.
	// +optional
	CommitStatuses bool `json:"commitStatuses,omitempty"`
}

// GitProxy is an HTTP proxy for clients of Git.
type GitProxy struct {
	// url is the address of the proxy, for example http://proxy.example.com:3128. It has
	// no credentials, which login declares.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule=`self.matches(r'^https?://[A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?(:[0-9]{1,5})?/?$')`,message="write the address of the proxy as http://host:port, without path and credentials: set login for a proxy that asks for a user name and a password, and put them into the secret store"
	// +required
	URL string `json:"url"`

	// login is true for a proxy that asks for a user name and a password. They are in the
	// fields username and password of the secret git/<CodeRepoProvider>/proxy in the
	// engine tenant of the secret store.
	// +optional
	Login bool `json:"login,omitempty"`

	// noProxy lists the hosts that are reached without the proxy: names, which stand for
	// their subdomains too, addresses and networks such as 10.0.0.0/8.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule=`self.matches(r'^[][A-Za-z0-9.:/*_-]+$')`,message="write a host, an address or a network in each item, without spaces and commas"
	// +listType=set
	// +optional
	NoProxy []string `json:"noProxy,omitempty"`
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
