package build

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/foreign/externalsecrets"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// externalSecrets is the component that knows SecretStores.
const externalSecrets = "external-secrets"

// syncsSecrets reports whether External Secrets brings secrets from Vault to a
// cluster.
func syncsSecrets(s *snapshot.Snapshot, c *v1alpha1.Cluster) bool {
	component, ok := s.ChoiceOf(c, v1alpha1.CategorySecretSync)
	return ok && component.Name == externalSecrets && hasAccess(s, c)
}

// addSecretStores gives each account of the space access to Vault by its role, in each
// of its namespaces. External Secrets brings the kind: until it is ready, existing
// SecretStores stay.
func (s *space) addSecretStores() {
	vault := s.snap.Settings.Vault
	if !syncsSecrets(s.snap, s.cluster) {
		return
	}
	component, _ := s.snap.ChoiceOf(s.cluster, v1alpha1.CategorySecretSync)
	ready := componentReady(s.cluster, component)
	for at, source := range s.accountsIn() {
		if !ready {
			s.keep(externalsecrets.SecretStoreKind(), at.namespace, names.SecretStore(at.account))
			continue
		}
		s.add(plan.StageConfig, externalsecrets.SecretStoreKind(), &externalsecrets.SecretStore{
			ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: names.SecretStore(at.account)},
			Spec: externalsecrets.SecretStoreSpec{Provider: externalsecrets.SecretStoreProvider{Vault: &externalsecrets.VaultProvider{
				Server: vault.Address, Path: engineGit, Version: "v2", Namespace: vault.Namespace, CABundle: []byte(vault.CABundle),
				Auth: externalsecrets.VaultAuth{Kubernetes: externalsecrets.VaultKubernetesAuth{
					MountPath: s.cluster.Name, Role: names.AccessRole(s.product.Name, at.account),
					ServiceAccountRef: externalsecrets.ServiceAccountRef{Name: at.account},
				}},
			}}},
		}, source)
	}
}
