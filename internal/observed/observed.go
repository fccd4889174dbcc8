// Package observed reads the state that Argo CD, Argo Events and Tekton report in
// their objects. It guarantees that the state depends on the object alone, and
// that a field with an unexpected type counts as absent.
package observed

import (
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// statusList returns the objects in a list of the status.
func statusList(object map[string]any, field string) []map[string]any {
	value, _, _ := unstructured.NestedFieldNoCopy(object, "status", field)
	list, _ := value.([]any)
	var out []map[string]any
	for _, one := range list {
		if entry, ok := one.(map[string]any); ok {
			out = append(out, entry)
		}
	}
	return out
}

// clip shortens a text to limit bytes, between two characters.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
