package plan

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
)

// RuntimeKinds returns the kinds that are cached on a runtime cluster. It is the
// only list of kinds that can be written to, and pruned from, such a cluster.
func RuntimeKinds() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{
		coreKind("Namespace"),
		coreKind("ServiceAccount"),
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "Role"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "RoleBinding"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"},
		coreKind("Secret"),
		coreKind("ConfigMap"),
		{Group: "networking.k8s.io", Version: "v1", Kind: "Ingress"},
		{Group: "hnc.x-k8s.io", Version: "v1alpha2", Kind: "HierarchyConfiguration"},
		{Group: "external-secrets.io", Version: "v1", Kind: "SecretStore"},
		{Group: "external-secrets.io", Version: "v1", Kind: "ExternalSecret"},
		{Group: "traefik.io", Version: "v1alpha1", Kind: "Middleware"},
		argoKind("EventBus"),
		argoKind("EventSource"),
		argoKind("Sensor"),
		argoKind("AppProject"),
		argoKind("Application"),
	}
}

// TenantKinds returns the kinds that are cached on the tenant cluster. It is the
// only list of kinds that can be written to, and pruned from, that cluster.
func TenantKinds() []schema.GroupVersionKind {
	kinds := []schema.GroupVersionKind{coreKind("Namespace")}
	for _, kind := range []string{
		"Product", "ProductProvider", "CodeRepoProvider", "Environment", "Project", "CodeRepo",
		"CodeRepoBinding", "ArtifactRepo", "Cluster", "DeploymentRuntime", "ProjectPipelineRuntime", "PipelineHook",
		"ComponentCatalogue", "Space",
	} {
		kinds = append(kinds, v1alpha1.GroupVersion.WithKind(kind))
	}
	return append(kinds, coreKind("Secret"), argoKind("AppProject"), argoKind("Application"))
}

// TenantNamespaces returns the kinds of the tenant cluster that are cached in the
// namespace of its Argo CD only.
func TenantNamespaces(argocd string) map[schema.GroupVersionKind]string {
	return map[schema.GroupVersionKind]string{coreKind("Secret"): argocd, argoKind("AppProject"): argocd, argoKind("Application"): argocd}
}

func coreKind(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Version: "v1", Kind: kind}
}

// argoKind returns a kind of Argo CD or Argo Events.
func argoKind(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: kind}
}
