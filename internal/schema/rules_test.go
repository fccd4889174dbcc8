package schema

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// invented is a kind with rules of every shape over lists and maps.
const invented = `
metadata: {name: inventions.example.com}
spec:
  group: example.com
  names: {kind: Invention, plural: inventions}
  versions:
  - name: v1
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          apiVersion: {type: string}
          kind: {type: string}
          metadata: {type: object}
          spec:
            type: object
            x-kubernetes-validations:
            - rule: "!has(self.inner) || self.inner.names.all(n, n != 'x')"
              message: no x
              fieldPath: .inner.names
            - rule: "!has(self.inner) || size(self.inner.names) < 4"
              message: few names
            properties:
              needed: {type: string, maxLength: 3}
              words:
                type: array
                maxItems: 50
                items: {type: string, maxLength: 10}
                x-kubernetes-validations:
                - rule: "self.all(a, a != 'bad' && self.exists_one(b, a == b))"
                  message: no bad word, and none twice
                - rule: "size(self) == 0 || self.exists(a, a == 'good' || a == 'bad')"
                  message: some good word
                - rule: "self.exists(a, a != 'lonely')"
                  message: not only lonely
              counts:
                type: object
                maxProperties: 50
                additionalProperties:
                  type: integer
                  x-kubernetes-validations:
                  - {rule: self != 7, message: not seven}
                x-kubernetes-validations:
                - rule: "self.all(k, self[k] < 10)"
                  message: small counts
              inner:
                type: object
                required: [names]
                properties:
                  names:
                    type: array
                    maxItems: 50
                    items: {type: string, maxLength: 10}
                x-kubernetes-validations:
                - rule: "self.names.all(n, n != 'w')"
                  message: no w
`

func invention(t *testing.T) (*apiextensionsv1.CustomResourceDefinition, *Kinds) {
	t.Helper()
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict([]byte(invented), definition); err != nil {
		t.Fatal(err)
	}
	return definition, &Kinds{kinds: map[string]func() (*kind, error){"Invention": func() (*kind, error) { return compile(definition) }}}
}

func TestCulprits(t *testing.T) {
	_, kinds := invention(t)
	for spec, want := range map[string][]string{
		"{words: [good]}":                        nil,
		"{words: [good, bad, good, w, bad]}":     {"spec.words[1] no bad word, and none twice", "spec.words[2] no bad word, and none twice", "spec.words[4] no bad word, and none twice"},
		"{words: [bad]}":                         {"spec.words[0] no bad word, and none twice"},
		"{words: [a, b]}":                        {"spec.words[0] some good word", "spec.words[1] some good word"},
		"{words: [lonely]}":                      {"spec.words not only lonely", "spec.words[0] some good word"},
		"{counts: {b: 11, a: 1, c: 12}}":         {"spec.counts[b] small counts", "spec.counts[c] small counts"},
		"{counts: {a: 7, b: text}}":              {`spec.counts.b spec.counts.b in body must be of type integer: "string"`, "spec.counts[a] not seven"},
		"{inner: {names: [a, x, x]}}":            {"spec.inner.names[1] no x", "spec.inner.names[2] no x"},
		"{inner: {names: [a, w]}}":               {"spec.inner no w"},
		"{inner: {names: [a, b, c, d]}}":         {"spec few names"},
		"{needed: long, words: [bad]}":           {"spec.needed may not be more than 3 bytes", "spec.words[0] no bad word, and none twice"},
		"{needed: long, inner: {names: [x, w]}}": {"spec.inner no w", "spec.needed may not be more than 3 bytes"},
		"{inner: {names: [x, 7, w]}, words: [bad]}": {
			`spec.inner.names[1] spec.inner.names[1] in body must be of type string: "integer"`, "spec.words[0] no bad word, and none twice",
		},
	} {
		object := map[string]any{}
		if err := yaml.Unmarshal([]byte("apiVersion: example.com/v1\nkind: Invention\nmetadata: {name: a}\nspec: "+spec+"\n"), &object); err != nil {
			t.Fatal(err)
		}
		_, errs := kinds.Check(integers(object).(map[string]any), nil)
		var got, words []string
		for _, err := range errs {
			got = append(got, err.Field+" "+err.Detail)
			if strings.HasPrefix(err.Field, "spec.words[") && strings.Contains(err.Detail, "bad word") {
				words = append(words, err.Field)
			}
		}
		if !slices.IsSorted(words) {
			t.Errorf("%s: items out of order: %v", spec, words)
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", spec, diff)
		}
	}
}

// integers returns a value that YAML has read, with its numbers as int64.
func integers(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key := range value {
			value[key] = integers(value[key])
		}
	case []any:
		for i := range value {
			value[i] = integers(value[i])
		}
	case float64:
		return int64(value)
	}
	return value
}

func TestCompileRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(d *apiextensionsv1.CustomResourceDefinition)
		want   string
	}{
		"two versions": {func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Spec.Versions = append(d.Spec.Versions, d.Spec.Versions[0])
		}, "kind Invention has 2 versions"},
		"a schema that is not structural": {func(d *apiextensionsv1.CustomResourceDefinition) {
			ref := "#/definitions/a"
			d.Spec.Versions[0].Schema.OpenAPIV3Schema.Ref = &ref
		}, "schema of kind Invention"},
	} {
		definition, _ := invention(t)
		test.change(definition)
		if _, err := compile(definition); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		kinds := &Kinds{kinds: map[string]func() (*kind, error){"Invention": func() (*kind, error) { return compile(definition) }}}
		if _, errs := kinds.Check(map[string]any{"kind": "Invention", "apiVersion": "example.com/v1"}, nil); len(errs) != 1 || !strings.Contains(errs[0].Error(), test.want) {
			t.Errorf("%s: Check = %v", name, errs)
		}
	}
}
