package build

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// As with SecretStores, these are the few fields that are set here.

// credentialsRefresh is how long a changed credential may take to arrive.
const credentialsRefresh = "5m0s"

var externalSecretKind = schema.GroupVersionKind{Group: "external-secrets.io", Version: "v1", Kind: "ExternalSecret"}

// ExternalSecret has External Secrets keep a Secret in step with a stored one.
type ExternalSecret struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              ExternalSecretSpec `json:"spec"`
}

// ExternalSecretSpec says what is read, and what it is written to.
type ExternalSecretSpec struct {
	// RefreshInterval between two looks at the store, a duration.
	RefreshInterval string                   `json:"refreshInterval"`
	SecretStoreRef  SecretStoreRef           `json:"secretStoreRef"`
	Target          ExternalSecretTarget     `json:"target"`
	DataFrom        []ExternalSecretDataFrom `json:"dataFrom"`
}

// SecretStoreRef names a store of the namespace.
type SecretStoreRef struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// ExternalSecretTarget is the Secret that is written.
type ExternalSecretTarget struct {
	Name string `json:"name"`
	// CreationPolicy Owner: the Secret goes with the ExternalSecret.
	CreationPolicy string `json:"creationPolicy"`
	// DeletionPolicy Retain: the Secret stays when the store has nothing.
	DeletionPolicy string `json:"deletionPolicy"`
}

// ExternalSecretDataFrom takes the fields of a stored secret.
type ExternalSecretDataFrom struct {
	Extract ExternalSecretExtract `json:"extract"`
	// Rewrite gives fields other names.
	Rewrite []ExternalSecretRewrite `json:"rewrite,omitempty"`
}

// ExternalSecretExtract names a stored secret, by its path below the engine.
type ExternalSecretExtract struct {
	Key string `json:"key"`
}

// ExternalSecretRewrite gives fields another name.
type ExternalSecretRewrite struct {
	Regexp ExternalSecretRegexp `json:"regexp"`
}

// ExternalSecretRegexp replaces what of a field's name matches Source by Target.
type ExternalSecretRegexp struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// DeepCopyObject implements runtime.Object.
func (e *ExternalSecret) DeepCopyObject() runtime.Object {
	out := &ExternalSecret{TypeMeta: e.TypeMeta, ObjectMeta: *e.ObjectMeta.DeepCopy(), Spec: e.Spec}
	out.Spec.DataFrom = append([]ExternalSecretDataFrom(nil), e.Spec.DataFrom...)
	for i := range out.Spec.DataFrom {
		out.Spec.DataFrom[i].Rewrite = append([]ExternalSecretRewrite(nil), e.Spec.DataFrom[i].Rewrite...)
	}
	return out
}
