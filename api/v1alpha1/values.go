package v1alpha1

// The names below are other words for string: they carry the rules of a value
// once, for every field that holds such a value. All of them allow the empty
// string; a required field says so itself by MinLength.

// DNSLabel is the name of an object, a namespace or an account: at most 63
// lower case letters, digits and dashes.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`
type DNSLabel = string

// DNSSubdomain is DNS labels joined by dots.
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$`
type DNSSubdomain = string

// DottedLabel is the name of a part of an object: DNS labels joined by dots, at
// most 63 characters in all.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$`
type DottedLabel = string

// LabelValue is the value of a Kubernetes label.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`
type LabelValue = string

// Word is a short text in one line, for people.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
type Word = string

// GroupPath is the path of a group of a Git hosting service, for example group/subgroup.
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:Pattern=`^(\.?[A-Za-z0-9_][-A-Za-z0-9_.]*(/\.?[A-Za-z0-9_][-A-Za-z0-9_.]*)*)?$`
type GroupPath = string

// RepoName is the name of a repository in its group.
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:Pattern=`^(\.?[A-Za-z0-9_][-A-Za-z0-9_.]*)?$`
type RepoName = string

// HTTPURL is the base URL of a service.
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule=`self == "" || self.matches(r'^https?://([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#]*)?$')`,message="write an http:// or https:// URL of host, port and path, as https://host:6443, without user name, password and query"
type HTTPURL = string

// GitURL is the URL of a Git repository, without credentials. Its path has no
// character that is a pattern where lists of repositories are kept.
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule=`self == "" || self.matches(r'^(https?://|ssh://[A-Za-z0-9._-]+@)([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/[A-Za-z0-9._~/-]+$') || self.matches(r'^[A-Za-z0-9._][A-Za-z0-9._-]*@([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):[A-Za-z0-9._~/][A-Za-z0-9._~/-]*$')`,message="write the URL of a Git repository without credentials, as https://host/group/name.git, ssh://git@host:22/group/name.git or git@host:group/name.git"
type GitURL = string

// SourceURL is the URL of a Helm or Git repository, without credentials: a GitURL,
// or the address of a Helm repository or an OCI registry. It has no character
// that is a pattern where lists of repositories are kept.
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule=`self == "" || self.matches(r'^((https?://|oci://)?([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?|ssh://[A-Za-z0-9._-]+@([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/[A-Za-z0-9._~/-]+|[A-Za-z0-9._][A-Za-z0-9._-]*@([A-Za-z0-9]([-A-Za-z0-9._]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):[A-Za-z0-9._~/][A-Za-z0-9._~/-]*)$')`,message="write the URL of a Helm or Git repository without credentials, as https://charts.example.com/stable, registry.example.com/charts or ssh://git@host/group/name.git"
type SourceURL = string

// Branch is the short name of a Git branch.
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule=`self == "" || (self.matches(r'^[^\x00-\x20\x7f~^:?*\[\\]+$') && !self.matches(r'^[-/.]|^refs/|^@$|\.\.|@\{|//|/\.|\.lock(/|$)|[/.]$'))`,message="write the name of a Git branch without refs/heads/, as main or release/1.2"
type Branch = string

// Revision is a Git branch, tag or commit, or a range of versions that tags are
// matched with.
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:XValidation:rule=`self == "" || (self.matches(r'^[^-\x00-\x20\x7f:?\[\\][^\x00-\x20\x7f:?\[\\]*$') && !self.matches(r'\.\.|@\{'))`,message="write a Git branch, tag or commit, as main, v1.2.0, refs/heads/main or HEAD; it has no spaces and does not begin with a dash"
type Revision = string

// RelativePath is a path in a repository, from its root.
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule=`self == "" || (self.matches(r'^[^\x00-\x1f\x7f\\]+$') && !self.matches(r'^/|(^|/)\.\.(/|$)|^\s|\s$'))`,message="write a path from the root of the repository, as manifests/production or . for the root itself; it does not begin with / and has no .. in it"
type RelativePath = string

// NodePort is a port number in a string.
// +kubebuilder:validation:MaxLength=5
// +kubebuilder:validation:XValidation:rule=`self == "" || (self.matches(r'^[0-9]{1,5}$') && int(self) >= 1 && int(self) <= 65535)`,message="write a port number from 1 to 65535, in quotes"
type NodePort = string

// ISODate is a date, or a date and time, in ISO 8601.
// +kubebuilder:validation:MaxLength=40
// +kubebuilder:validation:XValidation:rule=`self.matches(r'^[0-9]{4}(-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])|(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01]))([T ]([01][0-9]|2[0-4])(:?[0-5][0-9](:?[0-6][0-9]([.,][0-9]{1,9})?)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?$')`,message="write a date or a date and time in ISO 8601, as 2024-12-24 or 2024-12-24T17:00:00Z"
type ISODate = string

// BuiltInVar is the name of a value that Nautes knows of a run.
// +kubebuilder:validation:Enum=CodeRepoProviderURL;EventSourceCodeRepoName;EventSourceCodeRepoURL;Namespace;PipelineCodeRepoName;PipelineCodeRepoURL;PipelineDashBoardURL;PipelineFilePath;PipelineLabel;PipelineRevision;ProviderType;ServiceAccount
type BuiltInVar = string

// EventVar is the name of a value that an event carries.
// +kubebuilder:validation:Enum=commitID;labels;ref;source_branch;state;target_branch;title
type EventVar = string
