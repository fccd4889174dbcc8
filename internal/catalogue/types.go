// Package catalogue knows the components that clusters can have: the built-in
// catalogue, what a tenant changes in it, and what of it a cluster gets. It
// guarantees that values of a cluster reach charts and manifests as typed
// values, and never as text of a template: a reference is replaced once, by a
// value that is not read for references again, and where one stands alone and
// has no value, its field is left out.
package catalogue

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
)

// Facts are what references in the catalogue can stand for, beside the cluster
// itself.
type Facts struct {
	// Tenant is the tenant's name.
	Tenant string
	// VaultAddress, VaultCABundle (PEM) and VaultNamespace tell clusters where
	// Vault is; empty when the secret store is not Vault.
	VaultAddress, VaultCABundle, VaultNamespace string
}

// Component is a component of one cluster, with everything expanded.
type Component struct {
	Name      string
	Category  v1alpha1.ComponentCategory
	Namespace string
	// External: it is relied on and not installed.
	External bool
	// OnHost: it is installed on the cluster's host, as a vcluster is.
	OnHost  bool
	Sources []Source
	// After lists the components of the cluster that must be ready before.
	After []string
	// Namespaces that it writes to beside its own.
	Namespaces []string
	// ClusterResources are the cluster-scoped kinds that it installs.
	ClusterResources []metav1.GroupKind
	// Ingress is nil when nothing is published.
	Ingress *Ingress
	Secrets []v1alpha1.ComponentSecret
	// Settings by their names, typed: string, int64 or bool.
	Settings map[string]any
}

// Version returns what is shown as the wanted version: the revisions of the
// sources, in order.
func (c Component) Version() string { return versionOf(c.Sources) }

// Source is where manifests of a component come from.
type Source struct {
	Name, RepoURL, Chart, Path, TargetRevision string
	// Values of the chart as a JSON object; nil when there are none.
	Values map[string]any
	// Patches of a kustomization, whose objects belong in the component's namespace.
	Patches []Patch
}

// Patch changes objects of a kustomization.
type Patch struct {
	Kind, Name string
	// Operations is a JSON patch (RFC 6902), encoded.
	Operations []byte
}

// Ingress publishes a Service under a host name.
type Ingress struct {
	Host, Service string
	Port          int32
	// Protected: behind the OAuth proxy only.
	Protected bool
}
