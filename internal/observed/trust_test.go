package observed

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestForeignKeys(t *testing.T) {
	by := func(manager, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, FieldsV1: &metav1.FieldsV1{Raw: []byte(fields)}}
	}
	const key = `{"f:data":{"f:git.example.com":{}}}`
	wanted := map[string]string{"git.example.com": "ours\n"}
	for name, test := range map[string]struct {
		data    map[string]string
		managed []metav1.ManagedFieldsEntry
		want    map[string][]string
	}{
		"no such key":                    {data: map[string]string{"other.example.com": "theirs"}},
		"the same value":                 {data: map[string]string{"git.example.com": "ours"}, managed: []metav1.ManagedFieldsEntry{by("argocd-server", key)}},
		"a value of another manager":     {data: map[string]string{"git.example.com": "theirs"}, managed: []metav1.ManagedFieldsEntry{by("argocd-server", key), by("helm", `{"f:data":{}}`)}, want: map[string][]string{"git.example.com": {"argocd-server"}}},
		"a value that Argo CD applied":   {data: map[string]string{"git.example.com": "before"}, managed: []metav1.ManagedFieldsEntry{by("argocd-controller", key)}},
		"a value of both":                {data: map[string]string{"git.example.com": "before"}, managed: []metav1.ManagedFieldsEntry{by("kubectl-edit", key), by("argocd-controller", key)}},
		"a value without a manager":      {data: map[string]string{"git.example.com": "theirs"}, want: map[string][]string{"git.example.com": nil}},
		"managed fields that are broken": {data: map[string]string{"git.example.com": "theirs"}, managed: []metav1.ManagedFieldsEntry{by("argocd-server", `[`)}, want: map[string][]string{"git.example.com": nil}},
		"an empty value":                 {data: map[string]string{"git.example.com": ""}, managed: []metav1.ManagedFieldsEntry{by("helm", key)}, want: map[string][]string{"git.example.com": {"helm"}}},
	} {
		got := ForeignKeys(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{ManagedFields: test.managed}, Data: test.data}, wanted)
		want := test.want
		if want == nil {
			want = map[string][]string{}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
