package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

func entry(manager string, operation metav1.ManagedFieldsOperationType, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Operation: operation, APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}
}

const (
	update = metav1.ManagedFieldsOperationUpdate
	byUs   = metav1.ManagedFieldsOperationApply
)

func TestOtherFields(t *testing.T) {
	application := schema.GroupKind{Group: "argoproj.io", Kind: "Application"}
	for name, test := range map[string]struct {
		kind    schema.GroupKind
		entries []metav1.ManagedFieldsEntry
		token   bool
		// want is manager and fields.
		want []string
	}{
		"ours":                     {entries: []metav1.ManagedFieldsEntry{entry(v1alpha1.ManagedBy, byUs, `{"f:spec":{}}`)}},
		"metadata and status":      {entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:metadata":{"f:labels":{}},"f:status":{}}`)}},
		"an optional field":        {entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:metadata":{},"f:spec":{"f:a":{}}}`)}, want: []string{`x {"f:spec":{"f:a":{}}}`}},
		"applied by another":       {entries: []metav1.ManagedFieldsEntry{entry("x", byUs, `{"f:data":{"f:a":{}}}`)}, want: []string{`x {"f:data":{"f:a":{}}}`}},
		"changed under our name":   {entries: []metav1.ManagedFieldsEntry{entry(v1alpha1.ManagedBy, update, `{"f:data":{}}`)}, want: []string{v1alpha1.ManagedBy + ` {"f:data":{}}`}},
		"two writers":              {entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:a":{}}`), entry("y", update, `{"f:b":{}}`)}, want: []string{`x {"f:a":{}}`, `y {"f:b":{}}`}},
		"an operation":             {kind: application, entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:operation":{}}`)}},
		"an operation elsewhere":   {entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:operation":{}}`)}, want: []string{`x {"f:operation":{}}`}},
		"an Application's spec":    {kind: application, entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:operation":{},"f:spec":{}}`)}, want: []string{`x {"f:spec":{}}`}},
		"secrets of an account":    {kind: schema.GroupKind{Kind: "ServiceAccount"}, entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:secrets":{},"f:imagePullSecrets":{},"f:automountServiceAccountToken":{}}`)}, want: []string{`x {"f:automountServiceAccountToken":{}}`}},
		"finalizers of namespaces": {kind: schema.GroupKind{Kind: "Namespace"}, entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:spec":{"f:finalizers":{}}}`)}},
		"a Secret":                 {kind: schema.GroupKind{Kind: "Secret"}, entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:data":{"f:token":{}}}`)}, want: []string{`x {"f:data":{"f:token":{}}}`}},
		"a token":                  {kind: schema.GroupKind{Kind: "Secret"}, token: true, entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:data":{"f:token":{}}}`)}},
		"without fields":           {entries: []metav1.ManagedFieldsEntry{{Manager: "x", Operation: update}}},
		"unreadable":               {entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:data":`)}},
		"a digest":                 {entries: []metav1.ManagedFieldsEntry{entry("x", update, `"00"`)}},
	} {
		o := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{ManagedFields: test.entries}}
		if test.token {
			o.Annotations = map[string]string{"kubernetes.io/service-account.name": "a"}
		}
		var got []string
		for _, other := range plan.OtherFields(test.kind, o) {
			got = append(got, other.Manager+" "+string(other.Raw))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	status := entry("x", update, `{"f:spec":{}}`)
	status.Subresource = "scale"
	if others := plan.OtherFields(kind, &metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{status}}); others != nil {
		t.Errorf("fields of a subresource must go: %v", others)
	}
}

func TestTakeFields(t *testing.T) {
	ours := entry(v1alpha1.ManagedBy, byUs, `{"f:data":{"f:a":{}}}`)
	for name, test := range map[string]struct {
		entries []metav1.ManagedFieldsEntry
		// want is manager and fields.
		want    []string
		wantErr string
	}{
		"all":        {entries: []metav1.ManagedFieldsEntry{ours, entry("x", update, `{"f:data":{"f:b":{}}}`)}, want: []string{v1alpha1.ManagedBy + ` {"f:data":{"f:a":{},"f:b":{}}}`}},
		"a part":     {entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:immutable":{},"f:metadata":{"f:labels":{}}}`), ours}, want: []string{`x {"f:metadata":{"f:labels":{}}}`, v1alpha1.ManagedBy + ` {"f:data":{"f:a":{}},"f:immutable":{}}`}},
		"no others":  {entries: []metav1.ManagedFieldsEntry{ours}, want: []string{v1alpha1.ManagedBy + ` {"f:data":{"f:a":{}}}`}},
		"none ours":  {entries: []metav1.ManagedFieldsEntry{entry("x", update, `{"f:data":{}}`)}, wantErr: "none of its fields are ours"},
		"unreadable": {entries: []metav1.ManagedFieldsEntry{ours, entry("x", update, `{"f:data":7}`)}, wantErr: "read the fields of x"},
	} {
		got, err := plan.TakeFields(kind, &metav1.ObjectMeta{ManagedFields: test.entries})
		if test.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("%s: error %v, want %q", name, err, test.wantErr)
			}
			continue
		}
		var all []string
		for _, e := range got {
			all = append(all, e.Manager+" "+strings.TrimSpace(string(e.FieldsV1.Raw)))
		}
		if diff := cmp.Diff(test.want, all); diff != "" || err != nil {
			t.Errorf("%s: error %v (-want +got):\n%s", name, err, diff)
		}
	}
	if string(ours.FieldsV1.Raw) != `{"f:data":{"f:a":{}}}` {
		t.Errorf("the entry itself was changed: %s", ours.FieldsV1.Raw)
	}
}

func TestDescribeFields(t *testing.T) {
	managers, paths := plan.DescribeFields([]plan.OtherWriter{
		{Manager: "y", Raw: []byte(`{"f:spec":{"f:projects":{"v:\"other\"":{}},"f:g":{},"f:f":{},"f:e":{}}}`)},
		{Manager: "x", Raw: []byte(`{"f:spec":{"f:a":{},"f:` + strings.Repeat("z", 200) + `":{}}}`)},
		{Manager: "y", Raw: []byte(`{"f:spec":{"f:b":{}}}`)},
	})
	if diff := cmp.Diff([]string{"y", "x"}, managers); diff != "" {
		t.Errorf("managers (-want +got):\n%s", diff)
	}
	want := []string{"spec.a", "spec.b", "spec.e", "spec.f", "spec.g", "2 more"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
	_, paths = plan.DescribeFields([]plan.OtherWriter{{Raw: []byte(`{"f:` + strings.Repeat("z", 200) + `":{}}`)}})
	if len(paths) != 1 || len(paths[0]) > 130 || !strings.HasSuffix(paths[0], "…") {
		t.Errorf("a long path is %q", paths)
	}
}
