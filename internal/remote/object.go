package remote

import (
	"maps"
	"strings"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
)

// ownerIndex is the name of the index by the labels of the owner.
const ownerIndex = "owner"

// factsFunc extracts the facts that are cached beside the metadata of an object. It
// must be pure, and its results must be comparable with ==.
type factsFunc func(*unstructured.Unstructured) any

// object is a cached object: trimmed metadata, and facts if the kind is watched as
// whole objects. It is packed, because there are many: values that many objects
// share are stored once, and our managed fields are stored as a digest.
type object struct {
	gvk             *schema.GroupVersionKind
	namespace       unique.Handle[string]
	name            string
	uid             types.UID
	resourceVersion string
	generation      int64
	// created is in seconds since 1970, or 0 if unknown.
	created     int64
	deleted     *metav1.Time
	labels      labelSet
	annotations map[string]string
	fields      plan.FieldsDigest
	facts       any
}

// GetObjectMeta implements metav1.ObjectMetaAccessor. The caches need the identity
// and the version of the object.
func (o *object) GetObjectMeta() metav1.Object {
	return &metav1.ObjectMeta{Namespace: o.namespace.Value(), Name: o.name, UID: o.uid, ResourceVersion: o.resourceVersion}
}

// labelSet holds the labels of an object in the form of a selector.
type labelSet struct{ unique.Handle[string] }

func packLabels(all map[string]string) labelSet {
	return labelSet{unique.Make(labels.Set(all).String())}
}

// unpack returns the labels, or nil if there are none.
func (l labelSet) unpack() map[string]string {
	packed := l.Value()
	if packed == "" {
		return nil
	}
	all := make(map[string]string, strings.Count(packed, ",")+1)
	for label := range strings.SplitSeq(packed, ",") {
		key, value, _ := strings.Cut(label, "=")
		all[key] = value
	}
	return all
}

// get returns the value of a label, or "" if it is absent.
func (l labelSet) get(key string) string {
	for label := range strings.SplitSeq(l.Value(), ",") {
		if name, value, _ := strings.Cut(label, "="); name == key {
			return value
		}
	}
	return ""
}

// trimmer returns the transformation of the API server's objects into cached
// objects. It is idempotent. more may be nil, and drops further metadata.
func trimmer(gvk schema.GroupVersionKind, facts factsFunc, more func(*object)) cache.TransformFunc {
	var trim cache.TransformFunc
	trim = func(in any) (any, error) {
		switch o := in.(type) {
		case *metav1.PartialObjectMetadata:
			kept := trimmed(&gvk, o)
			kept.facts = observed.Remaining(o)
			return kept, nil
		case *unstructured.Unstructured:
			kept := trimmed(&gvk, o)
			kept.facts = facts(o)
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

// trimmed keeps identity, labels, our annotations and the digest of our managed fields.
func trimmed(gvk *schema.GroupVersionKind, o metav1.Object) *object {
	kept := &object{
		gvk:             gvk,
		namespace:       unique.Make(o.GetNamespace()),
		name:            o.GetName(),
		uid:             o.GetUID(),
		resourceVersion: o.GetResourceVersion(),
		generation:      o.GetGeneration(),
		deleted:         o.GetDeletionTimestamp(),
		labels:          packLabels(o.GetLabels()),
		fields:          plan.DigestFields(gvk.GroupKind(), o),
	}
	if at := o.GetCreationTimestamp(); !at.IsZero() {
		kept.created = at.Unix()
	}
	for key, value := range o.GetAnnotations() {
		if !strings.HasPrefix(key, "nautes.io/") {
			continue
		}
		if kept.annotations == nil {
			kept.annotations = map[string]string{}
		}
		kept.annotations[key] = value
	}
	return kept
}

// equal reports whether two versions of an object are equal in all fields that we
// track. Changes in other fields, such as most of the status, must not cause a
// reconciliation.
func equal(a, b *object) bool {
	return a.uid == b.uid && (a.deleted == nil) == (b.deleted == nil) && a.labels == b.labels &&
		maps.Equal(a.annotations, b.annotations) && a.facts == b.facts && a.fields == b.fields
}

// view returns the metadata of a cached object. Its annotations belong to the
// cache. Its managed fields contain only the digest of ours.
func (o *object) view() *metav1.PartialObjectMetadata {
	m := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace:         o.namespace.Value(),
		Name:              o.name,
		UID:               o.uid,
		ResourceVersion:   o.resourceVersion,
		Generation:        o.generation,
		DeletionTimestamp: o.deleted,
		Labels:            o.labels.unpack(),
		Annotations:       o.annotations,
		ManagedFields:     o.fields.Entries(),
	}}
	if o.created != 0 {
		m.CreationTimestamp = metav1.Unix(o.created, 0)
	}
	m.SetGroupVersionKind(*o.gvk)
	return m
}

func indexByOwner(in any) ([]string, error) {
	o, ok := in.(*object)
	if !ok || o.labels.get(v1alpha1.LabelOwnerKind) == "" {
		return nil, nil
	}
	return []string{ownerKey(plan.Owner{
		Kind:    o.labels.get(v1alpha1.LabelOwnerKind),
		Product: o.labels.get(v1alpha1.LabelProduct),
		Name:    o.labels.get(v1alpha1.LabelOwnerName),
	})}, nil
}

func ownerKey(o plan.Owner) string { return o.Kind + "/" + o.Product + "/" + o.Name }
