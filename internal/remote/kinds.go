package remote

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
)

// RuntimeKinds returns the kinds that are looked for on a runtime cluster: the
// one list of what can be written to, and pruned from, such a cluster.
func RuntimeKinds() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{
		namespaceKind(),
		{Version: "v1", Kind: "ServiceAccount"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "Role"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "RoleBinding"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"},
		secretKind(),
		{Version: "v1", Kind: "ConfigMap"},
		{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"},
		{Group: "hnc.x-k8s.io", Version: "v1alpha2", Kind: "HierarchyConfiguration"},
		{Group: "external-secrets.io", Version: "v1", Kind: "SecretStore"},
		{Group: "external-secrets.io", Version: "v1", Kind: "ExternalSecret"},
		{Group: "traefik.io", Version: "v1alpha1", Kind: "Middleware"},
		{Group: "argoproj.io", Version: "v1alpha1", Kind: "EventBus"},
		{Group: "argoproj.io", Version: "v1alpha1", Kind: "EventSource"},
		{Group: "argoproj.io", Version: "v1alpha1", Kind: "Sensor"},
		appProjectKind(),
		applicationKind(),
	}
}

// RuntimeFacts returns the kinds of runtime clusters that are watched as whole
// objects, with what is kept of them.
func RuntimeFacts() map[schema.GroupVersionKind]FactsFunc {
	return map[schema.GroupVersionKind]FactsFunc{
		applicationKind(): applicationFacts, eventSourceKind(): eventingFacts, sensorKind(): eventingFacts,
	}
}

// TenantKinds returns the kinds that are looked for on the tenant cluster: the
// one list of what can be written to, and pruned from, it.
func TenantKinds() []schema.GroupVersionKind {
	kinds := []schema.GroupVersionKind{namespaceKind()}
	for _, kind := range []string{
		"Product", "ProductProvider", "CodeRepoProvider", "Environment", "Project", "CodeRepo",
		"CodeRepoBinding", "Cluster", "DeploymentRuntime", "ProjectPipelineRuntime", "PipelineHook",
		"ComponentCatalogue",
	} {
		kinds = append(kinds, v1alpha1.GroupVersion.WithKind(kind))
	}
	return append(kinds, secretKind(), appProjectKind(), applicationKind())
}

// TenantFacts returns the kinds of the tenant cluster that are watched as whole
// objects, with what is kept of them.
func TenantFacts() map[schema.GroupVersionKind]FactsFunc {
	return map[schema.GroupVersionKind]FactsFunc{applicationKind(): applicationFacts}
}

// TenantNamespaces returns the kinds of the tenant cluster that are looked for in
// the namespace of its Argo CD only.
func TenantNamespaces(argocd string) map[schema.GroupVersionKind]string {
	return map[schema.GroupVersionKind]string{secretKind(): argocd, appProjectKind(): argocd, applicationKind(): argocd}
}

func secretKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
}

func appProjectKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "AppProject"}
}

func namespaceKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Version: "v1", Kind: "Namespace"}
}

func applicationKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Application"}
}

func crdKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
}

func kindText(group, kind string) string {
	if group == "" {
		return kind
	}
	return kind + " (" + group + ")"
}
