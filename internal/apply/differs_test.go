package apply

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/internal/plan"
)

func TestCompare(t *testing.T) {
	for name, test := range map[string]struct {
		applied, stored string
		kind            string
		secrets         []plan.SecretValue
		want            string
	}{
		"equal":                    {applied: `spec: {a: [1, b, true]}`, stored: `spec: {a: [1, b, true]}`},
		"defaults":                 {applied: `spec: {a: 1}`, stored: `{spec: {a: 1, b: 2}, status: {c: 3}}`},
		"empty values left out":    {applied: `spec: {a: "", b: [], c: {d: {}}, e: false, f: 0}`, stored: `spec: {}`},
		"an empty value set":       {applied: `spec: {prune: false}`, stored: `spec: {prune: true}`, want: "spec.prune is true, and false was applied"},
		"a list that is filled":    {applied: `spec: {list: []}`, stored: `spec: {list: ["*"]}`},
		"a changed value":          {applied: `spec: {automated: {prune: true}}`, stored: `spec: {automated: {prune: false}}`, want: "spec.automated.prune is false, and true was applied"},
		"a removed value":          {applied: `spec: {automated: {prune: true}}`, stored: `spec: {}`, want: "spec.automated is absent, and {\"prune\":true} was applied"},
		"another type":             {applied: `spec: {a: {b: 1}}`, stored: `spec: {a: [b]}`, want: `spec.a is ["b"], and {"b":1} was applied`},
		"a quantity":               {applied: `spec: {cpu: 1000m, n: 1}`, stored: `spec: {cpu: "1", n: "1"}`},
		"no quantity":              {applied: `spec: {cpu: none}`, stored: `spec: {cpu: "0"}`, want: `spec.cpu is "0", and "none" was applied`},
		"no quantity any more":     {applied: `spec: {cpu: "0"}`, stored: `spec: {cpu: none}`, want: `spec.cpu is "none", and "0" was applied`},
		"another quantity":         {applied: `spec: {cpu: 1000m}`, stored: `spec: {cpu: "2"}`, want: `spec.cpu is "2", and "1000m" was applied`},
		"an element of another":    {applied: `subjects: [{name: a}, {name: b}]`, stored: `subjects: [{name: x}, {name: a, kind: Group}, {name: b}]`},
		"a changed element":        {applied: `spec: {images: [{name: a, image: x}]}`, stored: `spec: {images: [{name: a, image: z}]}`, want: `spec.images[0].image is "z", and "x" was applied`},
		"an element that is taken": {applied: `spec: {repos: [a, b]}`, stored: `spec: {repos: [a]}`, want: `spec.repos[1] is absent, and "b" was applied`},
		"a label":                  {applied: `metadata: {labels: {a: b}}`, stored: `metadata: {labels: {c: d}}`, want: `metadata.labels.a is absent, and "b" was applied`},
		"a secret":                 {applied: `data: {key: aGlkZGVu}`, stored: `data: {key: b3RoZXI=}`, kind: "Secret", want: "data.key has another value"},
		"a value from a secret":    {applied: `spec: {a: aGlkZGVu}`, stored: `spec: {a: b3RoZXI=}`, secrets: make([]plan.SecretValue, 1), want: "spec.a has another value"},
		"a deep value":             {applied: `spec: {a: {b: {c: 1}}}`, stored: `{}`, want: `spec is absent, and {"a":{"b":{"c":1}}} was applied`},
		"no value":                 {applied: `spec: {a: null}`, stored: `spec: {a: "<nil>"}`, want: `spec.a is "\u003cnil\u003e", and absent was applied`},
		"the first of two":         {applied: `{b: 1, a: {d: 1, c: 1}}`, stored: `{b: 2, a: {d: 2, c: 2}}`, want: "a.c is 2, and 1 was applied"},
		"a long value":             {applied: `spec: {a: ` + strings.Repeat("x", 200) + `}`, stored: `spec: {a: z}`, want: `spec.a is "z", and "` + strings.Repeat("x", 96) + `… was applied`},
	} {
		objects := make([]*unstructured.Unstructured, 2)
		for i, text := range []string{test.applied, test.stored} {
			objects[i] = &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(text), &objects[i].Object); err != nil {
				t.Fatal(err)
			}
		}
		id := plan.ID{Kind: "Application", Namespace: "n", Name: "a"}
		p := &pass{set: plan.Set{Target: plan.Cluster("alpha")}}
		got := p.compare(intent{item: plan.Item{ID: id, Secrets: test.secrets}, gvk: schema.GroupVersionKind{Kind: test.kind}}, objects[0], objects[1])
		want := ""
		if test.want != "" {
			want = "Application n/a on Cluster alpha differs from what was written: " + test.want +
				"; change the admission webhook, the policy or the schema that causes it"
		}
		message := ""
		if got != nil {
			message = got.Error()
			if !Differs(fmt.Errorf("of x: %w", got)) {
				t.Errorf("%s: the error does not say that the object differs", name)
			}
		}
		if message != want {
			t.Errorf("%s: %q, want %q", name, message, want)
		}
	}
}

func TestDiffers(t *testing.T) {
	for _, err := range []error{nil, errors.New("odd"), &ConflictError{}} {
		if Differs(err) {
			t.Errorf("%v says that an object differs", err)
		}
	}
}
