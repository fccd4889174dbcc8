package build

import (
	"cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

const (
	// KubeconfigField is the field of a stored secret that holds a kubeconfig.
	KubeconfigField = "kubeconfig"
	// VirtualKubeconfigKey is the key of the Secret in which a virtual cluster
	// leaves its kubeconfig.
	VirtualKubeconfigKey = "config"
	// EngineOperator is the engine of references to Secrets of the operator's
	// own namespace: their path is the Secret's name and the key.
	EngineOperator = "operator"
)

// KubeconfigRef returns where the kubeconfig of a cluster is, in KubeconfigField.
func KubeconfigRef(c *v1alpha1.Cluster) plan.SecretRef {
	if ref := c.Spec.KubeconfigSecretRef; ref != nil {
		return plan.SecretRef{Engine: EngineOperator, Path: ref.Name + "/" + KubeconfigKey(ref)}
	}
	return secrets.ClusterKubeconfig(c.Name)
}

// KubeconfigKey returns the key of a named Secret that holds the kubeconfig.
func KubeconfigKey(ref *v1alpha1.SecretKeyReference) string {
	return cmp.Or(ref.Key, KubeconfigField)
}

// VirtualKubeconfig returns the Secret on the host in which a virtual cluster
// leaves its kubeconfig. False when a person gives the kubeconfig, since the
// virtual cluster is not ours to install, or a Secret is named.
func VirtualKubeconfig(s *snapshot.Snapshot, c *v1alpha1.Cluster) (plan.ID, bool) {
	if c.Spec.ClusterType != v1alpha1.ClusterVirtual || c.Spec.KubeconfigSecretRef != nil {
		return plan.ID{}, false
	}
	for _, component := range s.Choices(c) {
		if component.Category == v1alpha1.CategoryVirtualCluster && !component.External {
			// The chart names the Secret after its release.
			return plan.ID{Kind: "Secret", Namespace: c.Name, Name: "vc-" + component.Name}, true
		}
	}
	return plan.ID{}, false
}
