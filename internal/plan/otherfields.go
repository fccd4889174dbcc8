package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
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
		if leave, _ := split(entry, stay); len(leave) > 0 {
			others = append(others, OtherWriter{Manager: entry.Manager, Raw: leave})
		}
	}
	return others
}

// split returns the fields of an entry that must not stay, and the others; nil for none.
// Fields that cannot be read stay.
func split(entry metav1.ManagedFieldsEntry, stay []string) (leave, rest []byte) {
	if OurFields(entry) || entry.Subresource != "" || entry.FieldsV1 == nil || !bytes.HasPrefix(entry.FieldsV1.Raw, []byte("{")) {
		return nil, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(entry.FieldsV1.Raw, &fields); err != nil {
		return nil, nil
	}
	kept := map[string]json.RawMessage{}
	for _, name := range stay {
		if content, ok := fields[name]; ok {
			kept[name] = content
			delete(fields, name)
		}
	}
	return encode(fields), encode(kept)
}

// encode returns fields as JSON, or nil if there are none.
func encode(fields map[string]json.RawMessage) []byte {
	if len(fields) == 0 {
		return nil
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	return text
}

// TakeFields returns the managed fields of an object in which the fields of OtherFields
// belong to our server-side apply: its next request removes those that it does not set.
func TakeFields(kind schema.GroupKind, o metav1.Object) ([]metav1.ManagedFieldsEntry, error) {
	stay := mayStay(kind, o)
	ours, taken := -1, &fieldpath.Set{}
	var entries []metav1.ManagedFieldsEntry
	for _, entry := range o.GetManagedFields() {
		if OurFields(entry) {
			ours = len(entries)
		}
		if leave, rest := split(entry, stay); len(leave) > 0 {
			set := &fieldpath.Set{}
			if err := set.FromJSON(bytes.NewReader(leave)); err != nil {
				return nil, fmt.Errorf("read the fields of %s: %w", entry.Manager, err)
			}
			taken = taken.Union(set)
			if rest == nil {
				continue
			}
			entry.FieldsV1 = &metav1.FieldsV1{Raw: rest}
		}
		entries = append(entries, entry)
	}
	if ours < 0 || entries[ours].FieldsV1 == nil {
		return nil, fmt.Errorf("none of its fields are ours")
	}
	own := &fieldpath.Set{}
	if err := own.FromJSON(bytes.NewReader(entries[ours].FieldsV1.Raw)); err != nil {
		return nil, fmt.Errorf("read our fields: %w", err)
	}
	raw, err := own.Union(taken).ToJSON()
	if err != nil {
		return nil, fmt.Errorf("write our fields: %w", err)
	}
	entries[ours].FieldsV1 = &metav1.FieldsV1{Raw: raw}
	return entries, nil
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
		text := strings.TrimPrefix(path.String(), ".")
		if len(text) > maxPath {
			text = strings.ToValidUTF8(text[:maxPath], "") + "…"
		}
		paths = append(paths, text)
	})
	slices.Sort(paths)
	if more := len(paths) - maxPaths; more > 0 {
		paths = append(paths[:maxPaths], fmt.Sprintf("%d more", more))
	}
	return managers, paths
}

// maxPath bounds a path for people, in bytes.
const maxPath = 120
