package plan_test

import (
	gocmp "cmp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

// Only the fields of others go: from maps, from lists with keys, and from sets.
func TestDropOtherFields(t *testing.T) {
	const ours = `{"f:spec":{"f:a":{},"f:own":{"f:b":{}},"f:empty":{},"f:set":{"v:\"x\"":{}},"f:list":{"k:{\"name\":\"n\"}":{".":{},"f:name":{}}}}}`
	content := func() map[string]any {
		return map[string]any{
			"spec": map[string]any{
				"a": "1", "c": "theirs", "own": map[string]any{"b": "1", "d": "theirs"}, "new": map[string]any{"e": "theirs", "default": "1"},
				"empty": map[string]any{"f": "theirs"},
				"set":   []any{"x", "z", "y"},
				"list":  []any{map[string]any{"name": "m", "g": "theirs"}, map[string]any{"name": "n", "h": "theirs"}},
			},
			"zone": false,
		}
	}
	for name, test := range map[string]struct {
		theirs string
		// ours replaces our fields.
		ours    string
		change  func(o map[string]any)
		want    []string
		wantErr string
	}{
		"nothing":            {theirs: `{"f:metadata":{}}`, change: func(map[string]any) {}},
		"a field":            {theirs: `{"f:spec":{"f:c":{}}}`, change: func(o map[string]any) { delete(o["spec"].(map[string]any), "c") }, want: []string{"spec"}},
		"shared with us":     {theirs: `{"f:spec":{"f:a":{}}}`, change: func(map[string]any) {}, want: []string{"spec"}},
		"beside ours":        {theirs: `{"f:spec":{"f:own":{"f:d":{},"f:b":{}}}}`, change: func(o map[string]any) { delete(o["spec"].(map[string]any)["own"].(map[string]any), "d") }, want: []string{"spec"}},
		"a map":              {theirs: `{"f:spec":{"f:new":{".":{},"f:e":{}}}}`, change: func(o map[string]any) { delete(o["spec"].(map[string]any), "new") }, want: []string{"spec"}},
		"in an empty map":    {theirs: `{"f:spec":{"f:empty":{"f:f":{}}}}`, change: func(o map[string]any) { o["spec"].(map[string]any)["empty"] = map[string]any{} }, want: []string{"spec"}},
		"elements of a set":  {theirs: `{"f:spec":{"f:set":{"v:\"y\"":{},"v:\"z\"":{},"v:\"gone\"":{}}}}`, change: func(o map[string]any) { o["spec"].(map[string]any)["set"] = []any{"x"} }, want: []string{"spec"}},
		"an element":         {theirs: `{"f:spec":{"f:list":{"k:{\"name\":\"m\"}":{".":{},"f:name":{},"f:g":{}}}}}`, change: func(o map[string]any) { s := o["spec"].(map[string]any); s["list"] = s["list"].([]any)[1:] }, want: []string{"spec"}},
		"in an element":      {theirs: `{"f:spec":{"f:list":{"k:{\"name\":\"n\"}":{"f:h":{}}}}}`, change: func(o map[string]any) { delete(o["spec"].(map[string]any)["list"].([]any)[1].(map[string]any), "h") }, want: []string{"spec"}},
		"two at the top":     {theirs: `{"f:spec":{"f:c":{}},"f:zone":{}}`, change: func(o map[string]any) { delete(o["spec"].(map[string]any), "c"); delete(o, "zone") }, want: []string{"spec", "zone"}},
		"not there any more": {theirs: `{"f:spec":{"f:gone":{"f:x":{}}}}`, change: func(map[string]any) {}, want: []string{"spec"}},
		"unreadable":         {theirs: `{"f:data":7}`, change: func(map[string]any) {}, wantErr: "read the fields of x"},
		"no name for a map":  {theirs: `{"f:spec":{"f:own":{"v:1":{},"f:d":{}}}}`, change: func(o map[string]any) { delete(o["spec"].(map[string]any)["own"].(map[string]any), "d") }, want: []string{"spec"}},
		"a place in a list":  {theirs: `{"f:spec":{"f:set":{"i:1":{}}}}`, change: func(map[string]any) {}, want: []string{"spec"}},
		"ours unreadable":    {ours: `{"f:data":7}`, theirs: `{"f:spec":{"f:c":{}}}`, change: func(map[string]any) {}, wantErr: "read our fields"},
	} {
		o := &unstructured.Unstructured{Object: content()}
		o.SetManagedFields([]metav1.ManagedFieldsEntry{entry("x", update, test.theirs), entry(v1alpha1.ManagedBy, byUs, gocmp.Or(test.ours, ours))})
		got, err := plan.DropOtherFields(kind, o)
		if test.wantErr == "" && err != nil || test.wantErr != "" && (err == nil || !strings.Contains(err.Error(), test.wantErr)) {
			t.Errorf("%s: error %v, want %q", name, err, test.wantErr)
		}
		want := content()
		test.change(want)
		delete(o.Object, "metadata")
		if diff := cmp.Diff(want, o.Object); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: changed (-want +got):\n%s", name, diff)
		}
	}
}

// The content is what we apply, but for the fields that may stay.
func TestRestore(t *testing.T) {
	content := func() map[string]any {
		return map[string]any{
			"apiVersion": "example.com/v2", "kind": "Other", "metadata": map[string]any{"name": "x"}, "status": "ready",
			"operation": "sync", "spec": map[string]any{"one": "1"}, "zone": "z", "theirs": "x",
		}
	}
	applied := map[string]any{"apiVersion": "example.com/v1", "kind": "Kind", "metadata": map[string]any{}, "spec": map[string]any{"two": "2"}, "zone": "z", "added": "x"}
	for kind, operation := range map[schema.GroupKind]any{{Group: "argoproj.io", Kind: "Application"}: "sync", {Group: "example.com", Kind: "Kind"}: nil} {
		o, want := &unstructured.Unstructured{Object: content()}, content()
		wantChanged := []string{"added", "spec", "theirs"}
		want["added"], want["spec"] = "x", map[string]any{"two": "2"}
		delete(want, "theirs")
		if operation == nil {
			delete(want, "operation")
			wantChanged = slices.Insert(wantChanged, 1, "operation")
		}
		changed := plan.Restore(kind, o, applied)
		if diff := cmp.Diff(wantChanged, changed); diff != "" {
			t.Errorf("%v: changed (-want +got):\n%s", kind, diff)
		}
		if diff := cmp.Diff(want, o.Object); diff != "" {
			t.Errorf("%v (-want +got):\n%s", kind, diff)
		}
	}
}

func TestDropOtherFieldsBesideNoneOfOurs(t *testing.T) {
	o := &unstructured.Unstructured{Object: map[string]any{"data": "x"}}
	o.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: v1alpha1.ManagedBy, Operation: byUs}, entry("x", update, `{"f:data":{}}`)})
	changed, err := plan.DropOtherFields(kind, o)
	if _, there := o.Object["data"]; err != nil || there || len(changed) != 1 {
		t.Errorf("changed %q of %v, error %v", changed, o.Object, err)
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
	_, paths = plan.DescribeFields([]plan.OtherWriter{{Raw: []byte(`{"f:a":{"f:z":{}},"f:b":{},"f:c":{},"f:d":{},"f:e":{}}`)}})
	if diff := cmp.Diff([]string{"a.z", "b", "c", "d", "e"}, paths); diff != "" {
		t.Errorf("five paths (-want +got):\n%s", diff)
	}
	_, paths = plan.DescribeFields([]plan.OtherWriter{{Raw: []byte(`{"f:` + strings.Repeat("z", 200) + `":{}}`)}})
	if len(paths) != 1 || len(paths[0]) > 130 || !strings.HasSuffix(paths[0], "…") {
		t.Errorf("a long path is %q", paths)
	}
}

// FuzzDropOtherFields holds that managed fields of any form cause no panic, and that
// our fields stay.
func FuzzDropOtherFields(f *testing.F) {
	f.Add(`{"f:spec":{"f:a":{},"f:list":{"k:{\"name\":\"n\"}":{}},"f:set":{"v:1":{},"i:0":{}}}}`)
	f.Add(`{"f:metadata":{},"f:own":{}}`)
	f.Add(`{".":{},"f:":{}}`)
	f.Fuzz(func(t *testing.T, theirs string) {
		o := &unstructured.Unstructured{Object: map[string]any{
			"own":  "1",
			"spec": map[string]any{"own": "1", "a": "2", "list": []any{map[string]any{"name": "n"}}, "set": []any{int64(1), "x"}},
		}}
		o.SetManagedFields([]metav1.ManagedFieldsEntry{entry(v1alpha1.ManagedBy, byUs, `{"f:own":{},"f:spec":{"f:own":{}}}`), entry("x", update, theirs)})
		if _, err := plan.DropOtherFields(kind, o); err != nil {
			return
		}
		spec, _ := o.Object["spec"].(map[string]any)
		if o.Object["own"] != "1" || spec["own"] != "1" {
			t.Errorf("our fields went: %v", o.Object)
		}
	})
}
