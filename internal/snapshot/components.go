package snapshot

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
)

// The names of the multi-tenancy components.
const (
	TenancyHNC    = "hnc"
	TenancyNative = "native"
)

// defaultArgoCDNamespace is the namespace of Argo CD by default.
const defaultArgoCDNamespace = "argocd"

// Choices returns the components that a cluster has, by name. While the tenant's
// catalogue is invalid, the components in the cluster's status count. The same holds for
// a category whose chosen component does not exist. So nothing moves before the mistake
// is corrected.
func (s *Snapshot) Choices(c *v1alpha1.Cluster) []catalogue.Choice {
	recorded := recordedComponents(c)
	if len(s.CatalogueErrors()) > 0 && len(recorded) > 0 {
		return recorded
	}
	choices := s.Catalogue().Choices(c)
	for i, component := range choices {
		if known := s.Catalogue().Component(component.Name); known != nil && known.Category == component.Category {
			continue
		}
		if was, ok := catalogue.Find(recorded, component.Category); ok {
			choices[i] = was
		}
	}
	slices.SortFunc(choices, func(a, b catalogue.Choice) int { return strings.Compare(a.Name, b.Name) })
	return choices
}

func recordedComponents(c *v1alpha1.Cluster) []catalogue.Choice {
	recorded := make([]catalogue.Choice, 0, len(c.Status.Components))
	for _, component := range c.Status.Components {
		recorded = append(recorded, catalogue.Choice{
			Name: component.Name, Category: component.Category, Namespace: component.Namespace,
			External: component.State == v1alpha1.ComponentExternal,
			OnHost:   component.Category == v1alpha1.CategoryVirtualCluster,
		})
	}
	return recorded
}

// ChoiceOf returns the component of a category on a cluster, or false if it has none.
func (s *Snapshot) ChoiceOf(c *v1alpha1.Cluster, category v1alpha1.ComponentCategory) (catalogue.Choice, bool) {
	return catalogue.Find(s.Choices(c), category)
}

// DeploymentNamespace returns the namespace of Argo CD on a cluster.
func (s *Snapshot) DeploymentNamespace(c *v1alpha1.Cluster) string {
	component, _ := s.ChoiceOf(c, v1alpha1.CategoryDeployment)
	return cmp.Or(component.Namespace, defaultArgoCDNamespace)
}

// Tenancy returns the multi-tenancy component of a cluster: TenancyHNC or
// TenancyNative.
func (s *Snapshot) Tenancy(c *v1alpha1.Cluster) string {
	if component, _ := s.ChoiceOf(c, v1alpha1.CategoryMultiTenant); component.Name == TenancyNative {
		return TenancyNative
	}
	return TenancyHNC
}

// SystemNamespace reports whether no runtime can use a namespace on any cluster: it
// belongs to Kubernetes, or its name has the form of a product.
func SystemNamespace(namespace string) bool {
	return namespace == "default" || strings.HasPrefix(namespace, "kube-") || strings.HasPrefix(namespace, "product-")
}

// ComponentNamespace returns the component that owns a namespace of a cluster, or ""
// if there is none: it runs there by the cluster's own list, or runs or writes there
// by the catalogue. The operator's namespace belongs to "nautes".
func (s *Snapshot) ComponentNamespace(c *v1alpha1.Cluster, namespace string) string {
	if namespace == s.Namespace {
		return "nautes"
	}
	for _, component := range s.Choices(c) {
		if component.Namespace == namespace && !component.OnHost {
			return component.Name
		}
	}
	return s.effective().owners[namespace]
}

// Reserved returns the component namespace that a key of
// reservedNamespacesAllowedProducts stands for. Known reports whether the key is the
// name or the namespace of a component at all. The namespace is empty if the
// component is not on the cluster.
func (s *Snapshot) Reserved(c *v1alpha1.Cluster, key string) (namespace string, known bool) {
	if key == "" {
		return "", false
	}
	for _, component := range s.Choices(c) {
		// A component on the host has no namespace here.
		if !component.OnHost && (component.Name == key || component.Namespace == key) {
			return component.Namespace, true
		}
	}
	return "", s.effective().homes[key] != "" || s.Catalogue().Component(key) != nil
}

// GrantedNamespaces returns the namespaces of components that a cluster lets a
// product deploy to, in order. Names of products count as the cluster's status
// resolved them.
func (s *Snapshot) GrantedNamespaces(c *v1alpha1.Cluster, product string) []string {
	granted := map[string]bool{}
	for key, names := range c.Spec.ReservedNamespacesAllowedProducts {
		if !slices.ContainsFunc(names, func(name string) bool { return resolves(c, name, product) }) {
			continue
		}
		if namespace, _ := s.Reserved(c, key); namespace != "" {
			granted[namespace] = true
		}
	}
	return slices.Sorted(maps.Keys(granted))
}

// GrantedKinds returns the cluster-scoped kinds that a cluster lets a product
// deploy, in order. Patterns grant nothing.
func GrantedKinds(c *v1alpha1.Cluster, product string) []metav1.GroupKind {
	granted := map[metav1.GroupKind]bool{}
	for name, resources := range c.Spec.ProductAllowedClusterResources {
		if !resolves(c, name, product) {
			continue
		}
		for _, resource := range resources {
			if Pattern(resource) {
				continue
			}
			granted[metav1.GroupKind{Group: resource.Group, Kind: resource.Kind}] = true
			if MisgroupedRBAC(resource) {
				granted[metav1.GroupKind{Group: "rbac.authorization.k8s.io", Kind: resource.Kind}] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(granted), func(a, b metav1.GroupKind) int {
		return cmp.Or(strings.Compare(a.Group, b.Group), strings.Compare(a.Kind, b.Kind))
	})
}

// Pattern reports whether a resource names several kinds by a pattern.
func Pattern(r v1alpha1.ClusterResource) bool {
	return strings.ContainsAny(r.Group+r.Kind, "*?[]{}!\\")
}

// MisgroupedRBAC reports whether a resource gives the RBAC kinds the group of the
// access reviews, which has no such kinds.
func MisgroupedRBAC(r v1alpha1.ClusterResource) bool {
	return r.Group == "authorization.k8s.io" && (r.Kind == "ClusterRole" || r.Kind == "ClusterRoleBinding")
}

func resolves(c *v1alpha1.Cluster, name, product string) bool {
	return product != "" && c.Status.ProductIDMap[name] == product
}
