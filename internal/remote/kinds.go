package remote

import "k8s.io/apimachinery/pkg/runtime/schema"

func coreKind(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Version: "v1", Kind: kind}
}

// argoKind returns a kind of Argo CD or Argo Events.
func argoKind(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: kind}
}

func pipelineRunKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "PipelineRun"}
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
