package observed

import (
	"encoding/json"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestServes(t *testing.T) {
	gvk := schema.GroupVersionKind{Group: "external-secrets.io", Version: "v1", Kind: "SecretStore"}
	established := []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue}}
	for name, test := range map[string]struct {
		change func(*apiextensionsv1.CustomResourceDefinition)
		want   bool
	}{
		"served":          {change: func(*apiextensionsv1.CustomResourceDefinition) {}, want: true},
		"another version": {change: func(d *apiextensionsv1.CustomResourceDefinition) { d.Spec.Versions[0].Name = "v1beta1" }},
		"not served":      {change: func(d *apiextensionsv1.CustomResourceDefinition) { d.Spec.Versions[0].Served = false }},
		"another kind":    {change: func(d *apiextensionsv1.CustomResourceDefinition) { d.Spec.Names.Kind = "SecretStoreSet" }},
		"not established": {change: func(d *apiextensionsv1.CustomResourceDefinition) { d.Status.Conditions = nil }},
		"refused": {change: func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Status.Conditions[0].Status = apiextensionsv1.ConditionFalse
		}},
	} {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		crd.Spec.Names.Kind = gvk.Kind
		crd.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true}}
		crd.Status.Conditions = append(crd.Status.Conditions, established...)
		test.change(crd)
		raw, err := json.Marshal(crd)
		if err != nil {
			t.Fatal(err)
		}
		if got := Serves(raw, gvk); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if !Serves([]byte("<html>"), gvk) {
		t.Error("an answer that is no definition counts as missing")
	}
}

func TestMayDefine(t *testing.T) {
	for name, want := range map[string]bool{
		"eventbus.argoproj.io": true, "eventbuses.argoproj.io": true, "eventbuss.argoproj.io": true,
		"eventbus.example.com": false, "eventbussets.argoproj.io": false, "eventbus": false,
	} {
		if got := MayDefine(name, schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "EventBus"}); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
