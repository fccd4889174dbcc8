package api_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
)

func TestComponentSources(t *testing.T) {
	sources := []any{"spec", "components", 0, "sources"}
	source := func(at ...any) []any { return append(append([]any{}, sources...), at...) }
	const wantPlace = "chart is for a Helm repository and path for a Git repository"
	const wantMeans = "values are for a Helm chart and patches for a kustomization"
	patch := map[string]any{"kind": "Deployment", "operations": []any{map[string]any{"op": "remove", "path": "/spec/replicas"}}}
	checkRules(t, filled(t, "ComponentCatalogue"), map[string]ruleCase{
		"as it is":                 {},
		"nothing but its name":     {changes: []change{set([]any{map[string]any{"name": "chart"}}, sources...)}},
		"a mirror":                 {changes: []change{set([]any{map[string]any{"name": "chart", "repoURL": "https://mirror.example.com"}}, sources...)}},
		"a chart with a path":      {changes: []change{set("charts/traefik", source(0, "path")...)}, wantErr: wantPlace},
		"a chart, an empty path":   {changes: []change{set("", source(0, "path")...)}},
		"a path, an empty chart":   {changes: []change{set("", source(1, "chart")...)}},
		"values and patches":       {changes: []change{set([]any{patch}, source(0, "patches")...)}, wantErr: wantMeans},
		"values and no patches":    {changes: []change{set([]any{}, source(0, "patches")...)}},
		"values of a path":         {changes: []change{remove(source(1, "patches")...), set(map[string]any{"a": int64(1)}, source(1, "values")...)}},
		"values as text":           {changes: []change{set("a: 1", source(0, "values")...)}, wantErr: "Invalid value"},
		"values as a list":         {changes: []change{set([]any{}, source(0, "values")...)}, wantErr: "Invalid value"},
		"a source twice":           {changes: []change{set(map[string]any{"name": "chart"}, source(end)...)}, wantErr: "Duplicate value"},
		"a source without a name":  {changes: []change{remove(source(0, "name")...)}, wantErr: "Required value"},
		"a patch of nothing":       {changes: []change{set([]any{}, source(1, "patches", 0, "operations")...)}, wantErr: "should have at least 1 items"},
		"an unknown operation":     {changes: []change{set("test", source(1, "patches", 0, "operations", 0, "op")...)}, wantErr: "Unsupported value"},
		"a patch of every object":  {changes: []change{remove(source(1, "patches", 0, "name")...)}},
		"an unknown field of ours": {changes: []change{set("x", source(0, "valuesFile")...)}, wantErr: "unknown field"},
	})
}

func TestCatalogueComponents(t *testing.T) {
	components := []any{"spec", "components"}
	first := func(at ...any) []any { return append([]any{"spec", "components", 0}, at...) }
	const wantRule = "so no cluster matches the rule"
	rule := func(fields ...string) map[string]any {
		r := map[string]any{"requirement": "Possible"}
		for i := 0; i < len(fields); i += 2 {
			r[fields[i]] = fields[i+1]
		}
		return r
	}
	checkRules(t, filled(t, "ComponentCatalogue"), map[string]ruleCase{
		"nothing changed":             {changes: []change{set(map[string]any{}, "spec")}},
		"no spec":                     {changes: []change{remove("spec")}, wantErr: "Required value"},
		"a name alone":                {changes: []change{set([]any{map[string]any{"name": "hnc"}}, components...)}},
		"a component twice":           {changes: []change{set(map[string]any{"name": "traefik"}, append(components, end)...)}, wantErr: "Duplicate value"},
		"an unknown category":         {changes: []change{set("monitoring", first("category")...)}, wantErr: "Unsupported value"},
		"a virtual cluster":           {changes: []change{set("virtualCluster", first("category")...)}},
		"an unknown installation":     {changes: []change{set("Manual", first("installation")...)}, wantErr: "Unsupported value"},
		"a component twice in after":  {changes: []change{set([]any{"a", "a"}, first("after")...)}, wantErr: "Duplicate value"},
		"a rule for workers":          {changes: []change{set([]any{rule("usage", "worker")}, first("rules")...)}},
		"a rule for hosts":            {changes: []change{set([]any{rule("usage", "host")}, first("rules")...)}},
		"a rule for physical hosts":   {changes: []change{set([]any{rule("usage", "host", "clusterType", "physical", "workerType", "")}, first("rules")...)}},
		"a rule for virtual hosts":    {changes: []change{set([]any{rule("usage", "host", "clusterType", "virtual")}, first("rules")...)}, wantErr: wantRule},
		"a rule for hosts, worker":    {changes: []change{set([]any{rule("usage", "host", "workerType", "pipeline")}, first("rules")...)}, wantErr: wantRule},
		"a rule without usage":        {changes: []change{set([]any{rule("clusterType", "virtual")}, first("rules")...)}, wantErr: "Required value"},
		"a setting twice":             {changes: []change{set(map[string]any{"name": "httpNodePort"}, first("settings", end)...)}, wantErr: "Duplicate value"},
		"a setting without a type":    {changes: []change{remove(first("settings", 0, "type")...)}},
		"an unknown type":             {changes: []change{set("object", first("settings", 0, "type")...)}, wantErr: "Unsupported value"},
		"a port that is none":         {changes: []change{set(int64(0), first("ingress", "port")...)}, wantErr: "should be greater than or equal to 1"},
		"a port that is too great":    {changes: []change{set(int64(65536), first("ingress", "port")...)}, wantErr: "should be less than or equal to 65535"},
		"an ingress without setting":  {changes: []change{remove(first("ingress", "hostSetting")...)}, wantErr: "Required value"},
		"a secret without keys":       {changes: []change{set([]any{}, first("secrets", 0, "keys")...)}, wantErr: "should have at least 1 items"},
		"a secret twice":              {changes: []change{set(map[string]any{"name": "traefik", "path": "a", "keys": []any{"b"}}, first("secrets", end)...)}, wantErr: "Duplicate value"},
		"every cluster-scoped kind":   {changes: []change{set([]any{map[string]any{"kind": "*", "group": "*"}}, first("clusterResources")...)}, wantErr: "should match"},
		"a cluster-scoped kind twice": {changes: []change{set([]any{map[string]any{"kind": "Namespace"}, map[string]any{"kind": "Namespace"}}, first("clusterResources")...)}},
	})
}

// Values of charts and of patches are stored as they are written, nulls and
// types included, when they come by server-side apply from the Go types as the
// mirror sends them; and a second apply changes nothing.
func TestCatalogueKeepsAnyValue(t *testing.T) {
	c := clientFor(t)
	values := `{"a":null,"b":{"c":[1,null,{"d":1.5}],"e":"$(cluster.name)"},"f":true,"g":{},"h":[]}`
	for name, value := range map[string]string{
		"text": `"$(settings.host)"`, "empty text": `""`, "number": `3`, "fraction": `0.5`, "zero": `0`, "true": `true`, "false": `false`,
		"list": `[1,"a",{"b":null}]`, "empty list": `[]`, "object": `{"a":{"b":null},"c":[]}`, "empty object": `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			catalogue := &v1alpha1.ComponentCatalogue{
				TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ComponentCatalogue"},
				ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ComponentCatalogueName, Namespace: nsTransitions},
				Spec: v1alpha1.ComponentCatalogueSpec{Components: []v1alpha1.CatalogueComponent{{
					Name: "any",
					Sources: []v1alpha1.ComponentSource{
						{Name: "chart", Values: &runtime.RawExtension{Raw: []byte(values)}},
						{Name: "manifests", Patches: []v1alpha1.ComponentPatch{{Kind: "Deployment", Operations: []v1alpha1.ComponentPatchOperation{
							{Op: "add", Path: "/a", Value: &v1alpha1.JSON{Raw: []byte(value)}},
						}}}},
					},
				}}},
			}
			content, err := defaultConverter.ToUnstructured(catalogue)
			if err != nil {
				t.Fatal(err)
			}
			object := &unstructured.Unstructured{Object: content}
			unstructured.RemoveNestedField(object.Object, "metadata", "creationTimestamp")
			unstructured.RemoveNestedField(object.Object, "status")
			first := apply(t, c, object)
			if second := apply(t, c, object); first != second {
				t.Errorf("the second apply wrote: resource version %s became %s", first, second)
			}
			stored := &v1alpha1.ComponentCatalogue{}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(catalogue), stored); err != nil {
				t.Fatal(err)
			}
			sources := stored.Spec.Components[0].Sources
			if diff := cmp.Diff(parsed(t, []byte(values)), parsed(t, sources[0].Values.Raw)); diff != "" {
				t.Errorf("values of the chart (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(parsed(t, []byte(value)), parsed(t, sources[1].Patches[0].Operations[0].Value.Raw)); diff != "" {
				t.Errorf("value of the patch (-want +got):\n%s", diff)
			}
		})
	}
}

func parsed(t *testing.T, raw []byte) any {
	t.Helper()
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return value
}
