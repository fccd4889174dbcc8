// Package externalsecrets holds the few fields of the kinds of External Secrets that
// Nautes sets. It guarantees that an object of these types is accepted by the CRDs of
// External Secrets, whose own API package does not compile with our
// controller-runtime.
package externalsecrets

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SecretStoreKind is the kind of SecretStores.
func SecretStoreKind() schema.GroupVersionKind { return kind("SecretStore") }

// ExternalSecretKind is the kind of ExternalSecrets.
func ExternalSecretKind() schema.GroupVersionKind { return kind("ExternalSecret") }

func kind(name string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "external-secrets.io", Version: "v1", Kind: name}
}

// SecretStore is a place from which External Secrets reads secrets for a namespace.
type SecretStore struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              SecretStoreSpec `json:"spec"`
}

// SecretStoreSpec names the one provider.
type SecretStoreSpec struct {
	Provider SecretStoreProvider `json:"provider"`
}

// SecretStoreProvider is the system that holds the secrets.
type SecretStoreProvider struct {
	Vault *VaultProvider `json:"vault,omitempty"`
}

// VaultProvider is an engine of a Vault.
type VaultProvider struct {
	// Server is the URL of Vault.
	Server string `json:"server"`
	// Path of the engine, and the Version of its kind, v2.
	Path    string `json:"path"`
	Version string `json:"version"`
	// Namespace of Vault Enterprise.
	Namespace string `json:"namespace,omitempty"`
	// CABundle vouches for the server, in PEM.
	CABundle []byte    `json:"caBundle,omitempty"`
	Auth     VaultAuth `json:"auth"`
}

// VaultAuth is the method of logging in to Vault.
type VaultAuth struct {
	Kubernetes VaultKubernetesAuth `json:"kubernetes"`
}

// VaultKubernetesAuth logs in with the token of an account of the namespace.
type VaultKubernetesAuth struct {
	MountPath         string            `json:"mountPath"`
	Role              string            `json:"role"`
	ServiceAccountRef ServiceAccountRef `json:"serviceAccountRef"`
}

// ServiceAccountRef names an account of the namespace.
type ServiceAccountRef struct {
	Name string `json:"name"`
}

// DeepCopyObject implements runtime.Object.
func (s *SecretStore) DeepCopyObject() runtime.Object {
	out := &SecretStore{TypeMeta: s.TypeMeta, ObjectMeta: *s.ObjectMeta.DeepCopy()}
	if vault := s.Spec.Provider.Vault; vault != nil {
		own := *vault
		own.CABundle = append([]byte(nil), vault.CABundle...)
		out.Spec.Provider.Vault = &own
	}
	return out
}

// ExternalSecret copies a stored secret into a Secret, and keeps the two in step.
type ExternalSecret struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              ExternalSecretSpec `json:"spec"`
}

// ExternalSecretSpec names the stored secret and the Secret that is written.
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

// ExternalSecretRegexp replaces the part of a field's name that matches Source by
// Target.
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
