package observed

import (
	"encoding/json"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ResourceOf returns the name of a kind's resource, or "" if it has none.
func ResourceOf(kind string, resources []metav1.APIResource) string {
	for _, r := range resources {
		if r.Kind == kind && !strings.Contains(r.Name, "/") {
			return r.Name
		}
	}
	return ""
}

// MayDefine reports whether a CustomResourceDefinition may be the one of a kind by its
// name, which is <plural>.<group>.
func MayDefine(name string, gvk schema.GroupVersionKind) bool {
	plural, group, _ := strings.Cut(name, ".")
	kind := strings.ToLower(gvk.Kind)
	return group == gvk.Group && slices.Contains([]string{kind, kind + "s", kind + "es"}, plural)
}

// Serves reports whether an API server that knows a CustomResourceDefinition, in JSON,
// serves a kind by it. A definition that cannot be read counts as one.
func Serves(definition []byte, gvk schema.GroupVersionKind) bool {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := json.Unmarshal(definition, &crd); err != nil {
		return true
	}
	return crd.Spec.Names.Kind == gvk.Kind &&
		slices.ContainsFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Name == gvk.Version && v.Served }) &&
		slices.ContainsFunc(crd.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
			return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
		})
}
