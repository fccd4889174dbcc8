package plan_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

var kind = schema.GroupKind{Kind: "ConfigMap"}

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
	first := plan.DigestFields(kind, with(func(*metav1.ManagedFieldsEntry) {}))
	if first == (plan.FieldsDigest{}) {
		t.Fatal("our fields have no digest")
	}
	now := metav1.Now()
	same := map[string]metav1.Object{
		"other time": with(func(e *metav1.ManagedFieldsEntry) { e.Time = &now }),
		"other managers": with(func(*metav1.ManagedFieldsEntry) {}, metav1.ManagedFieldsEntry{
			Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate,
			FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:metadata":{"f:labels":{"f:team":{}}},"f:status":{}}`)},
		}),
		"only the digest": &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: first.Entries()}},
	}
	for name, o := range same {
		if plan.DigestFields(kind, o) != first {
			t.Errorf("%s: another digest", name)
		}
	}
	different := map[string]metav1.Object{
		"fewer fields":       with(func(e *metav1.ManagedFieldsEntry) { e.FieldsV1.Raw = []byte(`{"f:data":{}}`) }),
		"other version":      with(func(e *metav1.ManagedFieldsEntry) { e.APIVersion = "v2" }),
		"a status":           with(func(e *metav1.ManagedFieldsEntry) { e.Subresource = "status" }),
		"an update":          with(func(e *metav1.ManagedFieldsEntry) { e.Operation = metav1.ManagedFieldsOperationUpdate }),
		"of no manager":      &metav1.PartialObjectMetadata{},
		"of another manager": with(func(e *metav1.ManagedFieldsEntry) { e.Manager = "kubectl" }),
		"added to by others": with(func(*metav1.ManagedFieldsEntry) {}, metav1.ManagedFieldsEntry{
			Manager: "kubectl", Operation: metav1.ManagedFieldsOperationUpdate, FieldsV1: ours.FieldsV1,
		}),
		"without fields": with(func(e *metav1.ManagedFieldsEntry) { e.FieldsV1 = nil }),
	}
	for name, o := range different {
		if plan.DigestFields(kind, o) == first {
			t.Errorf("%s: the same digest", name)
		}
	}
	// Entries that are not ours are skipped, wherever they stand.
	other := metav1.ManagedFieldsEntry{Manager: "kubectl", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: ours.FieldsV1}
	if got := plan.DigestFields(kind, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{other}}}); got != (plan.FieldsDigest{}) {
		t.Errorf("the fields of another manager have the digest %x", got)
	}
}

func TestEntries(t *testing.T) {
	if entries := (plan.FieldsDigest{}).Entries(); entries != nil {
		t.Errorf("the zero digest makes %v", entries)
	}
	digest := plan.FieldsDigest{0: 1, 31: 2}
	text := hex.EncodeToString(digest[:])
	want := []metav1.ManagedFieldsEntry{{
		Manager: "nautes", Operation: metav1.ManagedFieldsOperationApply, FieldsType: "FieldsV1",
		FieldsV1: &metav1.FieldsV1{Raw: []byte(`"` + text + `"`)},
	}}
	if diff := cmp.Diff(want, digest.Entries()); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}

	// Only a JSON string of exactly the digest's length is a digest.
	digestOf := func(raw string) plan.FieldsDigest {
		entries := digest.Entries()
		entries[0].FieldsV1.Raw = []byte(raw)
		return plan.DigestFields(kind, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: entries}})
	}
	if got := digestOf(`"` + text + `"`); got != digest {
		t.Errorf("the digest of a digest is %x", got)
	}
	for name, raw := range map[string]string{
		"without quotes":      text,
		"with one quote":      `"` + text,
		"with quotes doubled": `""` + text + `""`,
		"too short":           `"` + text[2:] + `"`,
		"too long":            `"` + text + `00"`,
		"not hexadecimal":     `"` + text[:62] + `xx"`,
	} {
		got := digestOf(raw)
		if got == digest || got == (plan.FieldsDigest{}) || got != sha256.Sum256([]byte("\x00"+raw)) {
			t.Errorf("%s: %x is not the hash of the fields", name, got)
		}
	}
}
