package remote

import (
	"bytes"
	"maps"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// ownerIndex is the index of the caches by the labels of the owner.
const ownerIndex = "owner"

// FactsFunc takes from a whole object what is kept of it beside its metadata.
// It is pure, and what it returns can be compared with ==.
type FactsFunc func(*unstructured.Unstructured) any

// object is what a cache holds: trimmed metadata, and the facts of kinds that
// are watched as a whole.
type object struct {
	metav1.PartialObjectMetadata
	facts any
}

// trimmer returns the transformation from what the API server sends to what a
// cache holds; more, which may be nil, drops what is not needed beside. It is
// idempotent.
func trimmer(gvk schema.GroupVersionKind, facts FactsFunc, more func(*object)) cache.TransformFunc {
	var trim cache.TransformFunc
	trim = func(in any) (any, error) {
		switch o := in.(type) {
		case *metav1.PartialObjectMetadata:
			return &object{PartialObjectMetadata: trimmed(gvk, o)}, nil
		case *unstructured.Unstructured:
			kept := &object{PartialObjectMetadata: trimmed(gvk, o), facts: facts(o)}
			if more != nil {
				more(kept)
			}
			return kept, nil
		case cache.DeletedFinalStateUnknown:
			inner, err := trim(o.Obj)
			o.Obj = inner
			return o, err
		}
		return in, nil
	}
	return trim
}

// trimmed keeps identity, labels, our annotations and our managed fields.
func trimmed(gvk schema.GroupVersionKind, o metav1.Object) metav1.PartialObjectMetadata {
	m := metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace:         o.GetNamespace(),
		Name:              o.GetName(),
		UID:               o.GetUID(),
		ResourceVersion:   o.GetResourceVersion(),
		Generation:        o.GetGeneration(),
		CreationTimestamp: o.GetCreationTimestamp(),
		DeletionTimestamp: o.GetDeletionTimestamp(),
		Labels:            maps.Clone(o.GetLabels()),
	}}
	m.SetGroupVersionKind(gvk)
	for key, value := range o.GetAnnotations() {
		if !strings.HasPrefix(key, "nautes.io/") {
			continue
		}
		if m.Annotations == nil {
			m.Annotations = map[string]string{}
		}
		m.Annotations[key] = value
	}
	for _, entry := range o.GetManagedFields() {
		if entry.Manager == v1alpha1.ManagedBy && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == "" {
			m.ManagedFields = append(m.ManagedFields, *entry.DeepCopy())
		}
	}
	return m
}

// alike tells whether two versions of an object are the same to us: what others
// keep writing into it, as a status, wakes nobody.
func alike(a, b *object) bool {
	if a.UID != b.UID || (a.DeletionTimestamp == nil) != (b.DeletionTimestamp == nil) ||
		!maps.Equal(a.Labels, b.Labels) || !maps.Equal(a.Annotations, b.Annotations) ||
		a.facts != b.facts || len(a.ManagedFields) != len(b.ManagedFields) {
		return false
	}
	for i := range a.ManagedFields {
		x, y := a.ManagedFields[i], b.ManagedFields[i]
		if x.APIVersion != y.APIVersion || (x.FieldsV1 == nil) != (y.FieldsV1 == nil) ||
			x.FieldsV1 != nil && !bytes.Equal(x.FieldsV1.Raw, y.FieldsV1.Raw) {
			return false
		}
	}
	return true
}

// view returns the metadata of a cached object; its maps belong to the cache.
func (o *object) view() *metav1.PartialObjectMetadata {
	m := o.PartialObjectMetadata
	return &m
}

func indexByOwner(in any) ([]string, error) {
	o, ok := in.(*object)
	if !ok || o.Labels[v1alpha1.LabelOwnerKind] == "" {
		return nil, nil
	}
	return []string{ownerKey(plan.Owner{
		Kind:    o.Labels[v1alpha1.LabelOwnerKind],
		Product: o.Labels[v1alpha1.LabelProduct],
		Name:    o.Labels[v1alpha1.LabelOwnerName],
	})}, nil
}

func ownerKey(o plan.Owner) string { return o.Kind + "/" + o.Product + "/" + o.Name }
