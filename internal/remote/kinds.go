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
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "RoleBinding"},
		{Version: "v1", Kind: "Secret"},
		{Group: "hnc.x-k8s.io", Version: "v1alpha2", Kind: "HierarchyConfiguration"},
		{Group: "argoproj.io", Version: "v1alpha1", Kind: "AppProject"},
		applicationKind(),
	}
}

// TenantKinds returns the kinds that are looked for on the tenant cluster: the
// one list of what can be written to, and pruned from, it.
func TenantKinds() []schema.GroupVersionKind {
	kinds := []schema.GroupVersionKind{namespaceKind()}
	for _, kind := range []string{
		"Product", "ProductProvider", "CodeRepoProvider", "Environment", "Project", "CodeRepo",
		"CodeRepoBinding", "Cluster", "DeploymentRuntime", "ProjectPipelineRuntime", "PipelineHook",
	} {
		kinds = append(kinds, v1alpha1.GroupVersion.WithKind(kind))
	}
	return kinds
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
