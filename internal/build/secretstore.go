package build

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// The API package of External Secrets does not compile with our
// controller-runtime: these are the few fields that are set here, and a test
// holds them against its CRD.

// externalSecrets is the component that knows SecretStores.
const externalSecrets = "external-secrets"

var secretStoreKind = schema.GroupVersionKind{Group: "external-secrets.io", Version: "v1", Kind: "SecretStore"}

// SecretStore says where External Secrets reads secrets for its namespace.
type SecretStore struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              SecretStoreSpec `json:"spec"`
}

// SecretStoreSpec names the one provider.
type SecretStoreSpec struct {
	Provider SecretStoreProvider `json:"provider"`
}

// SecretStoreProvider is where the secrets are.
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

// VaultAuth is how one logs in to Vault.
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

// syncsSecrets tells whether External Secrets is what brings secrets from Vault
// to a cluster.
func syncsSecrets(s *snapshot.Snapshot, c *v1alpha1.Cluster) bool {
	component, ok := s.ComponentOf(c, v1alpha1.CategorySecretSync)
	return ok && component.Name == externalSecrets && hasAccess(s, c)
}

// addSecretStores lets each account of the space read what its role in Vault
// lets it, in each of its namespaces. The kind comes with External Secrets:
// until that is ready, what there is stays.
func (s *space) addSecretStores() {
	vault := s.snap.Settings.Vault
	if !syncsSecrets(s.snap, s.cluster) {
		return
	}
	component, _ := s.snap.ComponentOf(s.cluster, v1alpha1.CategorySecretSync)
	ready := componentReady(s.cluster, component)
	for at, source := range s.seats() {
		if !ready {
			s.keep(secretStoreKind, at.namespace, SecretStoreName(at.account))
			continue
		}
		s.add(plan.StageConfig, secretStoreKind, &SecretStore{
			ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: SecretStoreName(at.account)},
			Spec: SecretStoreSpec{Provider: SecretStoreProvider{Vault: &VaultProvider{
				Server: vault.Address, Path: engineGit, Version: "v2", Namespace: vault.Namespace, CABundle: []byte(vault.CABundle),
				Auth: VaultAuth{Kubernetes: VaultKubernetesAuth{
					MountPath: s.cluster.Name, Role: AccessRoleName(s.product.Name, at.account),
					ServiceAccountRef: ServiceAccountRef{Name: at.account},
				}},
			}}},
		}, source)
	}
}
