// Package catalogue holds the components that clusters can have: the built-in
// catalogue, the changes of a tenant, and the components of each cluster. It
// guarantees that values of a cluster reach charts and manifests as typed values, and
// never as text of a template. A reference is replaced once, by a value that is not
// searched for references again. If a field consists of one reference without a value,
// the field is left out.
package catalogue

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
)

// ProxyAuthorities is the key of the authorities of proxies among the certificates of
// hosts. No host has such a name.
const ProxyAuthorities = "git_proxies"

// Facts are the values of references in the catalogue that are not about the cluster.
type Facts struct {
	// Tenant is the tenant's name.
	Tenant string
	// VaultAddress, VaultCABundle (PEM) and VaultNamespace locate Vault for clusters;
	// empty if the secret store is not Vault.
	VaultAddress, VaultCABundle, VaultNamespace string
	// GitCertificates are the certificate authorities of Git servers in PEM, by host, and
	// of proxies at ProxyAuthorities. GitKnownHosts are SSH host keys.
	GitCertificates map[string]string
	GitKnownHosts   string
}

// Choice is a component that one cluster has, without its manifests and settings.
type Choice struct {
	Name      string
	Category  v1alpha1.ComponentCategory
	Namespace string
	// External is true for a component that Nautes relies on but does not install.
	External bool
	// OnHost is true for a component on the cluster's host, such as a vcluster.
	OnHost bool
}

// In reports whether the component belongs to a category.
func (c Choice) In(category v1alpha1.ComponentCategory) bool { return c.Category == category }

// Find returns the component of a category, or false if there is none.
func Find[C interface {
	In(v1alpha1.ComponentCategory) bool
}](components []C, category v1alpha1.ComponentCategory) (found C, ok bool) {
	if i := slices.IndexFunc(components, func(c C) bool { return c.In(category) }); i >= 0 {
		return components[i], true
	}
	return found, false
}

// Component is a component of one cluster, with everything expanded.
type Component struct {
	Choice
	Sources []Source
	// After lists the components of the cluster that must be ready first.
	After []string
	// Namespaces that it writes to beside its own.
	Namespaces []string
	// ClusterResources are the cluster-scoped kinds that it installs.
	ClusterResources []metav1.GroupKind
	// Ingress is nil if nothing is published.
	Ingress *Ingress
	Secrets []v1alpha1.ComponentSecret
	// Settings by their names, typed: string, int64 or bool.
	Settings map[string]any
}

// Version returns the wanted version, for people: the revisions of the sources, in
// order.
func (c Component) Version() string { return versionOf(c.Sources) }

// Source is a source of manifests of a component.
type Source struct {
	Name, RepoURL, Chart, Path, TargetRevision string
	// Values of the chart as a JSON object; nil if there are none.
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
	// Protected is true for a Service that is reached through the OAuth proxy only.
	Protected bool
}
