package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Object is a Nautes kind: an API object that reports its state by conditions.
// +kubebuilder:object:generate=false
type Object interface {
	metav1.Object
	runtime.Object
	// GetStatus returns the part of the status that every kind has.
	GetStatus() *Status
}

// Status is the part of the status that every kind has.
type Status struct {
	// observedGeneration is the metadata.generation that the conditions describe.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions describe the state of the object. Ready is the summary;
	// Reconciling and Stalled are present only while they are true.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// warnings lists the settings that are allowed and have no effect, or another one
	// than people may expect, each with the reason. At most 20 are listed; the last one
	// says how many more there are.
	// +optional
	// +listType=atomic
	Warnings []string `json:"warnings,omitempty"`
}

// GetStatus returns the common part of the status.
func (s *Status) GetStatus() *Status { return s }

// LocalReference names an object in the namespace of the operator.
type LocalReference struct {
	// name of the object.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name DNSSubdomain `json:"name"`
}

// SecretKeyReference names one key of a Secret in the namespace of the operator.
type SecretKeyReference struct {
	// name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +required
	Name DNSSubdomain `json:"name"`

	// key in the Secret's data.
	// +kubebuilder:default=kubeconfig
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	// +optional
	Key string `json:"key,omitempty"`
}

// ForgeHook is a webhook that the operator has made in a Git forge.
type ForgeHook struct {
	// provider is the name of the CodeRepoProvider whose forge has the hook.
	// +required
	Provider string `json:"provider"`

	// repository is the id of the repository in the forge.
	// +required
	Repository int64 `json:"repository"`

	// url that the forge calls.
	// +required
	URL string `json:"url"`

	// secretHash identifies the secret that the hook has. It is empty while the hook is
	// being made.
	// +optional
	SecretHash string `json:"secretHash,omitempty"`
}

// CommitReport is a status of a commit that the operator has sent to a Git forge.
type CommitReport struct {
	// commit that has the status.
	// +required
	Commit string `json:"commit"`

	// name of the status in the forge.
	// +required
	Name string `json:"name"`

	// result that the forge shows: Running, Succeeded, Failed, Cancelled or Timeout.
	// +required
	Result string `json:"result"`
}

// SyncStatus is the progress of the mirror of a Git repository.
type SyncStatus struct {
	// url of the repository, without credentials.
	// +optional
	URL string `json:"url,omitempty"`

	// branch that is mirrored.
	// +optional
	Branch string `json:"branch,omitempty"`

	// revision is the commit that was mirrored last, in 40 hexadecimal digits.
	// +optional
	Revision string `json:"revision,omitempty"`

	// author of that commit, in the form "name <address>".
	// +optional
	Author string `json:"author,omitempty"`

	// commitTime is when that commit was made.
	// +optional
	CommitTime *metav1.Time `json:"commitTime,omitempty"`

	// files is how many resource files the revision holds.
	// +optional
	Files int32 `json:"files,omitempty"`

	// problems lists the problems of files that could not be mirrored, in order of
	// their paths. At most 50 are listed; problemCount counts all the files.
	// +optional
	// +listType=atomic
	Problems []FileProblem `json:"problems,omitempty"`

	// problemCount is the number of files that could not be mirrored.
	// +optional
	ProblemCount int32 `json:"problemCount,omitempty"`

	// heldBack is how many objects the prune guard keeps although their files
	// are gone.
	// +optional
	HeldBack int32 `json:"heldBack,omitempty"`

	// heldBackSince is the last revision whose removals have all been made, while
	// the prune guard keeps objects. Only commits after it can confirm removals.
	// +optional
	HeldBackSince string `json:"heldBackSince,omitempty"`

	// pruneConfirmed is true if the commits that led to the revision confirm, by the
	// trailer Nautes-Confirm-Prune, what they change and remove. It does for the
	// objects on clusters what the annotation nautes.io/confirm-prune does.
	// +optional
	PruneConfirmed bool `json:"pruneConfirmed,omitempty"`

	// stalled is true if a person must change something before the repository is
	// in sync.
	// +optional
	Stalled bool `json:"stalled,omitempty"`

	// rewrittenFrom is the revision that was mirrored before the branch's
	// history was rewritten; empty when the last change was a fast-forward.
	// +optional
	RewrittenFrom string `json:"rewrittenFrom,omitempty"`
}

// FileProblem is one reason why a file was not mirrored.
type FileProblem struct {
	// path of the file in the repository.
	// +required
	Path string `json:"path"`

	// line in the file that the problem is at, from 1; 0 when it is about the
	// whole file.
	// +optional
	Line int32 `json:"line,omitempty"`

	// reason is a word for programs.
	// +required
	Reason string `json:"reason"`

	// message describes the problem and how to resolve it.
	// +required
	Message string `json:"message"`
}
