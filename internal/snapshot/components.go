package snapshot

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
)

// Component is a component on a cluster.
type Component struct {
	// Name in the catalogue, as argocd.
	Name string
	// Namespace that it runs in.
	Namespace string
}

// The names of the multi-tenancy components.
const (
	TenancyHNC    = "hnc"
	TenancyNative = "native"
)

// Catalogue returns the components that can be on a cluster, with the
// namespaces they run in unless a cluster says otherwise, by name. Native
// tenancy has no namespace of its own.
func Catalogue() []Component {
	return []Component{
		{"argo-events", "argo-events"},
		{"argo-rollouts", "argo-rollouts"},
		{"argocd", "argocd"},
		{"cert-manager", "cert-manager"},
		{"external-secrets", "external-secrets"},
		{TenancyHNC, "hnc-system"},
		{TenancyNative, ""},
		{"oauth2-proxy", "oauth2-proxy"},
		{"tekton", "tekton-pipelines"},
		{"traefik", "traefik"},
		{"vault", "vault"},
	}
}

func catalogueNamespace(name string) string {
	for _, c := range Catalogue() {
		if c.Name == name {
			return c.Namespace
		}
	}
	return ""
}

// Components returns the components of a cluster by name: those that its
// componentsList chooses, and for the other categories that a cluster of its
// kind has, the usual ones.
func Components(c *v1alpha1.Cluster) []Component {
	var (
		list     = c.Spec.ComponentsList
		worker   = c.Spec.Usage == v1alpha1.UsageWorker
		pipeline = worker && c.Spec.WorkerType == v1alpha1.WorkerTypePipeline
		deploy   = worker && c.Spec.WorkerType == v1alpha1.WorkerTypeDeployment
		physical = c.Spec.ClusterType == v1alpha1.ClusterPhysical
	)
	var found []Component
	for _, category := range []struct {
		chosen *v1alpha1.Component
		usual  string
		has    bool
	}{
		{list.CertManagement, "cert-manager", true},
		{list.Deployment, "argocd", worker},
		{list.EventListener, "argo-events", pipeline},
		{list.Gateway, "traefik", physical},
		{list.MultiTenant, TenancyHNC, worker},
		{list.OauthProxy, "oauth2-proxy", physical},
		{list.Pipeline, "tekton", pipeline},
		{list.ProgressiveDelivery, "argo-rollouts", deploy},
		{list.SecretManagement, "vault", true},
		{list.SecretSync, "external-secrets", worker},
	} {
		switch {
		case category.chosen != nil:
			found = append(found, Component{
				Name:      category.chosen.Name,
				Namespace: cmp.Or(category.chosen.Namespace, catalogueNamespace(category.chosen.Name)),
			})
		case category.has:
			found = append(found, Component{Name: category.usual, Namespace: catalogueNamespace(category.usual)})
		}
	}
	slices.SortFunc(found, func(a, b Component) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Namespace, b.Namespace))
	})
	return slices.Compact(found)
}

// DeploymentNamespace returns the namespace of Argo CD on a cluster.
func DeploymentNamespace(c *v1alpha1.Cluster) string {
	if chosen := c.Spec.ComponentsList.Deployment; chosen != nil && chosen.Namespace != "" {
		return chosen.Namespace
	}
	return catalogueNamespace("argocd")
}

// Tenancy returns the multi-tenancy component of a cluster: TenancyHNC or
// TenancyNative.
func Tenancy(c *v1alpha1.Cluster) string {
	if chosen := c.Spec.ComponentsList.MultiTenant; chosen != nil && chosen.Name == TenancyNative {
		return TenancyNative
	}
	return TenancyHNC
}

// SystemNamespace tells whether a namespace can never be a runtime's, on any
// cluster: it is Kubernetes' own, or has the form of a product's.
func SystemNamespace(namespace string) bool {
	return namespace == "default" || strings.HasPrefix(namespace, "kube-") || strings.HasPrefix(namespace, "product-")
}

// ComponentNamespace returns the component that owns a namespace of a cluster,
// by the cluster's own list or by the catalogue; the operator's namespace is
// Nautes'. Empty when no component does.
func (s *Snapshot) ComponentNamespace(c *v1alpha1.Cluster, namespace string) string {
	if namespace == s.Namespace {
		return "nautes"
	}
	for _, component := range slices.Concat(Components(c), Catalogue()) {
		if component.Namespace == namespace {
			return component.Name
		}
	}
	return ""
}

// Reserved returns the component namespace that a key of
// reservedNamespacesAllowedProducts stands for. Known tells whether the key is a
// component's name or namespace at all; the namespace is empty when the
// component is not on the cluster.
func Reserved(c *v1alpha1.Cluster, key string) (namespace string, known bool) {
	if key == "" {
		return "", false
	}
	for _, component := range Components(c) {
		if component.Name == key || component.Namespace == key {
			return component.Namespace, true
		}
	}
	return "", slices.ContainsFunc(Catalogue(), func(component Component) bool {
		return component.Name == key || component.Namespace == key
	})
}

// GrantedNamespaces returns the namespaces of components that a cluster lets a
// product deploy to, in order. Names of products count as the cluster's status
// resolved them.
func GrantedNamespaces(c *v1alpha1.Cluster, product string) []string {
	granted := map[string]bool{}
	for key, names := range c.Spec.ReservedNamespacesAllowedProducts {
		if !slices.ContainsFunc(names, func(name string) bool { return resolves(c, name, product) }) {
			continue
		}
		if namespace, _ := Reserved(c, key); namespace != "" {
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

// Pattern tells whether a resource names several kinds by a pattern.
func Pattern(r v1alpha1.ClusterResource) bool {
	return strings.ContainsAny(r.Group+r.Kind, "*?[]{}!\\")
}

// MisgroupedRBAC tells whether a resource gives the RBAC kinds the group of the
// access reviews, which has no such kinds.
func MisgroupedRBAC(r v1alpha1.ClusterResource) bool {
	return r.Group == "authorization.k8s.io" && (r.Kind == "ClusterRole" || r.Kind == "ClusterRoleBinding")
}

func resolves(c *v1alpha1.Cluster, name, product string) bool {
	return product != "" && c.Status.ProductIDMap[name] == product
}
