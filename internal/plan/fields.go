package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
)

// FieldsDigest is a hash of the fields of an object that our server-side apply
// owns, and of the fields of other writers that must not stay. It changes when one of
// them changes or gets another manager. It is zero if we own none.
type FieldsDigest [sha256.Size]byte

// DigestFields returns the digest of the fields of an object of a kind. An object whose
// managed fields were replaced by Entries has the same digest.
func DigestFields(kind schema.GroupKind, o metav1.Object) FieldsDigest {
	for _, entry := range o.GetManagedFields() {
		if !OurFields(entry) || entry.FieldsV1 == nil {
			continue
		}
		raw := entry.FieldsV1.Raw
		var d FieldsDigest
		// Managed fields are a JSON object, so a JSON string is a digest.
		if text := bytes.Trim(raw, `"`); len(text) == hex.EncodedLen(len(d)) && len(raw) == len(text)+2 {
			if _, err := hex.Decode(d[:], text); err == nil {
				return d
			}
		}
		content := append([]byte(entry.APIVersion+"\x00"), raw...)
		for _, other := range OtherFields(kind, o) {
			content = append(append(content, "\x00"+other.Manager+"\x00"...), other.Raw...)
		}
		return sha256.Sum256(content)
	}
	return FieldsDigest{}
}

// OurFields reports whether an entry of managed fields comes from our server-side apply.
func OurFields(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == v1alpha1.ManagedBy && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == ""
}

// Entries returns managed fields that carry only the digest, or nil if it is zero.
func (d FieldsDigest) Entries() []metav1.ManagedFieldsEntry {
	if d == (FieldsDigest{}) {
		return nil
	}
	return []metav1.ManagedFieldsEntry{{
		Manager: v1alpha1.ManagedBy, Operation: metav1.ManagedFieldsOperationApply, FieldsType: "FieldsV1",
		FieldsV1: &metav1.FieldsV1{Raw: []byte(`"` + hex.EncodeToString(d[:]) + `"`)},
	}}
}
