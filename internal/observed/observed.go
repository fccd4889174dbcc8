// Package observed reads the state that Argo CD, Argo Events and Tekton report in
// their objects. It guarantees that the state depends on the object alone, and
// that a field with an unexpected type counts as absent.
package observed

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"nautes.io/nautes/internal/plan"
)

// statusList returns the objects in a list of the status.
func statusList(object map[string]any, field string) []map[string]any {
	return listAt(object, "status", field)
}

// listAt returns the objects in a list, without a copy.
func listAt(object map[string]any, path ...string) []map[string]any {
	value, _, _ := unstructured.NestedFieldNoCopy(object, path...)
	list, _ := value.([]any)
	var out []map[string]any
	for _, one := range list {
		if entry, ok := one.(map[string]any); ok {
			out = append(out, entry)
		}
	}
	return out
}

// mapAt returns a map, without a copy, or nil if it has another type.
func mapAt(object map[string]any, path ...string) map[string]any {
	value, _, _ := unstructured.NestedFieldNoCopy(object, path...)
	fields, _ := value.(map[string]any)
	return fields
}

// text returns a string of an object, or "" if it has another type.
func text(object map[string]any, path ...string) string {
	s, _, _ := unstructured.NestedString(object, path...)
	return s
}

// clip returns a foreign text for a status, at most limit bytes long.
func clip(text string, limit int) string { return plan.Words(text, limit) }
