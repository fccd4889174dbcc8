package plan_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

func TestDigestFields(t *testing.T) {
	ours := metav1.ManagedFieldsEntry{
		Manager: v1alpha1.ManagedBy, Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1",
		FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:data":{"f:a":{}}}`)},
	}
	with := func(change func(*metav1.ManagedFieldsEntry), more ...metav1.ManagedFieldsEntry) metav1.Object {
		entry := *ours.DeepCopy()
		change(&entry)
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: append(more, entry)}}
	}
	first := plan.DigestFields(with(func(*metav1.ManagedFieldsEntry) {}))
	if first == (plan.FieldsDigest{}) {
		t.Fatal("our fields have no digest")
	}
	now := metav1.Now()
	same := map[string]metav1.Object{
		"other time": with(func(e *metav1.ManagedFieldsEntry) { e.Time = &now }),
		"other managers": with(func(*metav1.ManagedFieldsEntry) {}, metav1.ManagedFieldsEntry{
			Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: ours.FieldsV1,
		}),
		"only the digest": &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: first.Entries()}},
	}
	for name, o := range same {
		if plan.DigestFields(o) != first {
			t.Errorf("%s: another digest", name)
		}
	}
	different := map[string]metav1.Object{
		"fewer fields":  with(func(e *metav1.ManagedFieldsEntry) { e.FieldsV1.Raw = []byte(`{"f:data":{}}`) }),
		"other version": with(func(e *metav1.ManagedFieldsEntry) { e.APIVersion = "v2" }),
		"a status":      with(func(e *metav1.ManagedFieldsEntry) { e.Subresource = "status" }),
		"an update":     with(func(e *metav1.ManagedFieldsEntry) { e.Operation = metav1.ManagedFieldsOperationUpdate }),
		"nobody's":      &metav1.PartialObjectMetadata{},
	}
	for name, o := range different {
		if plan.DigestFields(o) == first {
			t.Errorf("%s: the same digest", name)
		}
	}
	if entries := (plan.FieldsDigest{}).Entries(); entries != nil {
		t.Errorf("no digest makes %v", entries)
	}
}
