package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// OtherWriter is a writer of an object beside us, with its fields that must not stay.
type OtherWriter struct {
	// Manager is the name of the field manager.
	Manager string
	// Raw has the fields in the form of managed fields.
	Raw []byte
}

// mayStay lists the fields of other writers that stay, by kind. In every kind, the
// metadata and the status of others stay.
func mayStay(kind schema.GroupKind, o metav1.Object) []string {
	stay := []string{"f:metadata", "f:status"}
	switch kind {
	case schema.GroupKind{Group: "argoproj.io", Kind: "Application"}:
		// A person, or Argo CD, asks for a synchronisation.
		return append(stay, "f:operation")
	case schema.GroupKind{Kind: "ServiceAccount"}:
		return append(stay, "f:secrets", "f:imagePullSecrets")
	case schema.GroupKind{Kind: "Namespace"}:
		// The finalizers of a namespace are in its spec.
		return append(stay, "f:spec")
	case schema.GroupKind{Kind: "Secret"}:
		if o.GetAnnotations()[corev1.ServiceAccountNameKey] != "" {
			// The cluster fills in the token.
			return append(stay, "f:data")
		}
	}
	return stay
}

// OtherFields returns the writers of an object beside us whose fields must not stay, in
// the order of the managed fields.
func OtherFields(kind schema.GroupKind, o metav1.Object) []OtherWriter {
	var others []OtherWriter
	stay := mayStay(kind, o)
	for _, entry := range o.GetManagedFields() {
		if leave := split(entry, stay); leave != nil {
			others = append(others, OtherWriter{Manager: entry.Manager, Raw: leave})
		}
	}
	return others
}

// split returns the fields of an entry that must not stay, or nil. Fields that cannot be
// read stay.
func split(entry metav1.ManagedFieldsEntry, stay []string) []byte {
	if OurFields(entry) || entry.Subresource != "" || entry.FieldsV1 == nil || !bytes.HasPrefix(entry.FieldsV1.Raw, []byte("{")) {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(entry.FieldsV1.Raw, &fields); err != nil {
		return nil
	}
	for _, name := range stay {
		delete(fields, name)
	}
	if len(fields) == 0 {
		return nil
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return text
}

// DropOtherFields removes the fields of OtherFields from the content of an object, as it
// was read with its managed fields, unless they are ours too. It returns the names of the
// top-level fields that it changed, in order.
func DropOtherFields(kind schema.GroupKind, o *unstructured.Unstructured) ([]string, error) {
	own, others := &fieldpath.Set{}, &fieldpath.Set{}
	for _, entry := range o.GetManagedFields() {
		if OurFields(entry) && entry.FieldsV1 != nil {
			if err := own.FromJSON(bytes.NewReader(entry.FieldsV1.Raw)); err != nil {
				return nil, fmt.Errorf("read our fields: %w", err)
			}
		}
	}
	for _, other := range OtherFields(kind, o) {
		set := &fieldpath.Set{}
		if err := set.FromJSON(bytes.NewReader(other.Raw)); err != nil {
			return nil, fmt.Errorf("read the fields of %s: %w", other.Manager, err)
		}
		others = others.Union(set)
	}
	var changed []string
	for _, element := range elements(others) {
		if element.FieldName != nil {
			changed = append(changed, *element.FieldName)
		}
	}
	drop(o.Object, others, own)
	slices.Sort(changed)
	return changed, nil
}

// Restore replaces the content of an object, as it was read, by what we apply. The fields
// of other writers that may stay, and the metadata, are as they were. It returns the names
// of the top-level fields that it changed, in order.
func Restore(kind schema.GroupKind, o *unstructured.Unstructured, applied map[string]any) []string {
	stay := append(mayStay(kind, o), "f:apiVersion", "f:kind")
	names := map[string]bool{}
	for _, content := range []map[string]any{o.Object, applied} {
		for name := range content {
			names[name] = !slices.Contains(stay, "f:"+name)
		}
	}
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		want, there := applied[name]
		switch {
		case !names[name] || reflect.DeepEqual(want, o.Object[name]):
			continue
		case there:
			o.Object[name] = want
		default:
			delete(o.Object, name)
		}
		changed = append(changed, name)
	}
	return changed
}

// elements returns the elements of a set at its first level.
func elements(set *fieldpath.Set) []fieldpath.PathElement {
	var all []fieldpath.PathElement
	for element := range set.Members.All() {
		all = append(all, element)
	}
	for element := range set.Children.All() {
		if !set.Members.Has(element) {
			all = append(all, element)
		}
	}
	return all
}

// drop removes the fields of others from a value, unless they are ours too, and returns
// the rest.
func drop(content any, others, own *fieldpath.Set) any {
	switch content := content.(type) {
	case map[string]any:
		for _, element := range elements(others) {
			if element.FieldName == nil {
				continue
			}
			name := *element.FieldName
			if below, leave := dropAt(content[name], element, others, own); leave {
				delete(content, name)
			} else if _, there := content[name]; there {
				content[name] = below
			}
		}
	case []any:
		var leaving []int
		for _, element := range elements(others) {
			i := position(content, element)
			if i < 0 {
				continue
			}
			below, leave := dropAt(content[i], element, others, own)
			if content[i] = below; leave {
				leaving = append(leaving, i)
			}
		}
		slices.Sort(leaving)
		for _, i := range slices.Backward(leaving) {
			content = slices.Delete(content, i, i+1)
		}
		return content
	}
	return content
}

// dropAt removes the fields of others below an element. leave is true if the element as a
// whole must go, since nothing of it is ours.
func dropAt(content any, element fieldpath.PathElement, others, own *fieldpath.Set) (rest any, leave bool) {
	ownBelow, partly := own.Children.Get(element)
	if !partly && !own.Members.Has(element) {
		return content, true
	}
	if ownBelow == nil {
		ownBelow = &fieldpath.Set{}
	}
	if othersBelow, ok := others.Children.Get(element); ok {
		content = drop(content, othersBelow, ownBelow)
	}
	return content, false
}

// position returns the index of an element of a list, or -1 if it is not there.
func position(list []any, element fieldpath.PathElement) int {
	return slices.IndexFunc(list, func(item any) bool {
		switch {
		case element.Value != nil:
			return value.Equals(value.NewValueInterface(item), *element.Value)
		case element.Key != nil:
			object, ok := item.(map[string]any)
			return ok && !slices.ContainsFunc(*element.Key, func(field value.Field) bool {
				return !value.Equals(value.NewValueInterface(object[field.Name]), field.Value)
			})
		}
		return false
	})
}

// maxPaths bounds the paths that DescribeFields lists.
const maxPaths = 5

// DescribeFields returns the managers and the paths of fields, for people. Values that
// are part of a path, such as the elements of a set, are shortened.
func DescribeFields(others []OtherWriter) (managers, paths []string) {
	all := &fieldpath.Set{}
	for _, other := range others {
		if !slices.Contains(managers, other.Manager) {
			managers = append(managers, other.Manager)
		}
		set := &fieldpath.Set{}
		if err := set.FromJSON(bytes.NewReader(other.Raw)); err == nil {
			all = all.Union(set)
		}
	}
	all.Leaves().Iterate(func(path fieldpath.Path) {
		paths = append(paths, Words(strings.TrimPrefix(path.String(), "."), maxPath))
	})
	slices.Sort(paths)
	if more := len(paths) - maxPaths; more > 0 {
		paths = append(paths[:maxPaths], fmt.Sprintf("%d more", more))
	}
	return managers, paths
}

// maxPath bounds a path for people, in bytes.
const maxPath = 120
