package build_test

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi3"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/yaml"
)

// first is the element of a path that stands for the first element of a list.
const first = "[0]"

// maxAbsent bounds how deep the fields are that are tried in an object that is not there.
const maxAbsent = 5

// change is a foreign change of one field. The values are candidates: the first one that
// the server accepts is tried.
type change struct {
	path   []string
	values []any
}

// schemas finds the schema of each kind.
type schemas struct {
	client openapi.Client
	docs   map[schema.GroupVersion]map[string]*spec.Schema
}

func (s *schemas) of(t *testing.T, gvk schema.GroupVersionKind) *spec.Schema {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for s.docs[gvk.GroupVersion()] == nil {
		// The server publishes the schemas of new definitions after a moment.
		doc, err := openapi3.NewRoot(s.client).GVSpec(gvk.GroupVersion())
		switch {
		case err == nil:
			s.docs[gvk.GroupVersion()] = doc.Components.Schemas
		case time.Now().After(deadline):
			t.Fatal(err)
		default:
			time.Sleep(100 * time.Millisecond)
		}
	}
	for _, found := range s.docs[gvk.GroupVersion()] {
		var kinds []metav1.GroupVersionKind
		if err := found.Extensions.GetObject("x-kubernetes-group-version-kind", &kinds); err == nil &&
			slices.Contains(kinds, metav1.GroupVersionKind(gvk)) {
			if _, ok := found.Properties["metadata"]; ok {
				return found
			}
		}
	}
	t.Fatalf("the server has no schema of %v", gvk)
	return nil
}

// resolve follows references.
func (s *schemas) resolve(gv schema.GroupVersion, at spec.Schema) spec.Schema {
	for {
		ref := at.Ref.String()
		if ref == "" && len(at.AllOf) == 1 {
			ref = at.AllOf[0].Ref.String()
		}
		if ref == "" {
			return at
		}
		at = *s.docs[gv][ref[strings.LastIndex(ref, "/")+1:]]
	}
}

// texts returns texts of the forms that rules ask for, among them those that a schema
// allows by its pattern and its format.
func texts(at spec.Schema) []any {
	var all []any
	for _, text := range []string{
		"x", "y", "X", "7s", "/x", "404", "1.31", "30099", "product-9", "https://x.example.com", "https://x.example.com/x.git",
		"http://x.example.com:3128", "ssh://git@x.example.com:22", "eA==",
	} {
		if at.Pattern != "" && !regexp.MustCompile(at.Pattern).MatchString(text) || at.Format == "byte" && text != "eA==" {
			continue
		}
		all = append(all, text)
	}
	return all
}

// samples returns values that a schema describes, unlike was.
func (s *schemas) samples(gv schema.GroupVersion, at spec.Schema, was any, depth int) []any {
	at = s.resolve(gv, at)
	kind := ""
	if len(at.Type) > 0 {
		kind = at.Type[0]
	}
	var all []any
	switch {
	case len(at.Enum) > 0:
		all = slices.Clone(at.Enum)
	case kind == "boolean":
		all = []any{was != true}
	case kind == "integer", kind == "number":
		all = []any{int64(7), int64(8)}
		if at.Minimum != nil && *at.Minimum > 7 {
			all = []any{int64(*at.Minimum), int64(*at.Minimum) + 1}
		}
	case kind == "array":
		if list, _ := was.([]any); len(list) > 0 {
			return []any{append(slices.Clone(list), another(list[0])), list[1:]}
		}
		for _, element := range s.samples(gv, *at.Items.Schema, nil, depth-1) {
			all = append(all, []any{element})
		}
	case kind == "object" || len(at.Properties) > 0:
		there, _ := was.(map[string]any)
		return []any{s.object(gv, at, there, depth)}
	default:
		all = texts(at)
	}
	return slices.DeleteFunc(all, func(value any) bool { return reflect.DeepEqual(value, was) })
}

// object returns an object with the fields that a schema requires, or else with one
// field. The values that are there remain.
func (s *schemas) object(gv schema.GroupVersion, at spec.Schema, there map[string]any, depth int) map[string]any {
	object := s.required(gv, at, depth)
	maps.Copy(object, there)
	if len(object) > len(there) {
		return object
	}
	name, value := "x", any("x")
	if at.AdditionalProperties != nil && at.AdditionalProperties.Schema != nil {
		value = s.samples(gv, *at.AdditionalProperties.Schema, nil, depth-1)[0]
	} else if names := slices.Sorted(maps.Keys(at.Properties)); len(names) > 0 && depth > 0 {
		name = names[0]
		value = s.samples(gv, at.Properties[name], nil, depth-1)[0]
	}
	object[name] = value
	return object
}

// required returns an object with the fields that a schema requires.
func (s *schemas) required(gv schema.GroupVersion, at spec.Schema, depth int) map[string]any {
	object := map[string]any{}
	for _, name := range at.Required {
		if depth > 0 {
			object[name] = s.samples(gv, at.Properties[name], nil, depth-1)[0]
		}
	}
	return object
}

// another returns an element like one, with another name.
func another(element any) any {
	object, ok := element.(map[string]any)
	if !ok {
		return "x"
	}
	object = maps.Clone(object)
	if object["name"] != nil {
		object["name"] = "x"
	}
	return object
}

// below returns a path with one more element.
func below(path []string, name string) []string { return append(slices.Clone(path), name) }

// contents returns a change of each value of an object that has no schema.
func contents(object map[string]any, path []string) []change {
	var all []change
	for _, name := range slices.Sorted(maps.Keys(object)) {
		at := below(path, name)
		switch value := object[name].(type) {
		case map[string]any:
			all = append(all, contents(value, at)...)
		case []any:
			if len(value) == 0 {
				continue
			}
			all = append(all, change{at, []any{append(slices.Clone(value), another(value[0]))}})
			if element, ok := value[0].(map[string]any); ok {
				all = append(all, contents(element, below(at, first))...)
			}
		case string:
			all = append(all, change{at, []any{value + "y"}})
		case bool:
			all = append(all, change{at, []any{!value}})
		default:
			all = append(all, change{at, []any{int64(7)}})
		}
	}
	return append(all, change{below(path, "x"), []any{"x"}})
}

// changes returns a change of each field below a schema. In objects that are not there it
// looks depth levels deep.
func (s *schemas) changes(gv schema.GroupVersion, at spec.Schema, object any, path []string, depth int) []change {
	at = s.resolve(gv, at)
	var all []change
	there, _ := object.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(at.Properties)) {
		if len(path) == 0 && slices.Contains([]string{"apiVersion", "kind", "metadata", "status", "immutable"}, name) {
			// No writer can take back that an object is immutable.
			continue
		}
		property, here := s.resolve(gv, at.Properties[name]), below(path, name)
		inner, isObject := there[name].(map[string]any)
		list, _ := there[name].([]any)
		switch {
		case len(property.Properties) > 0 && isObject:
			all = append(all, s.changes(gv, property, inner, here, depth)...)
		case len(property.Properties) > 0 && depth > 0:
			all = append(all, s.changes(gv, property, nil, here, depth-1)...)
		case isObject && property.AdditionalProperties == nil:
			all = append(all, contents(inner, here)...)
		default:
			all = append(all, change{here, s.samples(gv, property, there[name], maxAbsent)})
			if len(list) > 0 && len(s.resolve(gv, *property.Items.Schema).Properties) > 0 {
				all = append(all, s.changes(gv, *property.Items.Schema, list[0], below(here, first), depth)...)
			}
			for _, key := range slices.Sorted(maps.Keys(inner)) {
				all = append(all, change{below(here, key), s.samples(gv, *property.AdditionalProperties.Schema, inner[key], maxAbsent)})
			}
		}
	}
	return all
}

// set returns content with another value at a path. Objects on the way that are not
// there come with the fields that they require, and an object with room for one field
// loses the one that it has.
func (s *schemas) set(gv schema.GroupVersion, at spec.Schema, content any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	at = s.resolve(gv, at)
	if list, ok := content.([]any); ok && path[0] == first {
		list, element := slices.Clone(list), spec.Schema{}
		if at.Items != nil {
			element = *at.Items.Schema
		}
		list[0] = s.set(gv, element, list[0], path[1:], value)
		return list
	}
	object, there := content.(map[string]any)
	if object = maps.Clone(object); !there {
		object = s.required(gv, at, maxAbsent)
	}
	if at.MaxProperties != nil && *at.MaxProperties == 1 {
		maps.DeleteFunc(object, func(name string, _ any) bool { return name != path[0] })
	}
	object[path[0]] = s.set(gv, at.Properties[path[0]], object[path[0]], path[1:], value)
	return object
}

// valueAt returns the value at a path, or nil.
func valueAt(content any, path []string) any {
	for _, name := range path {
		switch at := content.(type) {
		case []any:
			if len(at) == 0 {
				return nil
			}
			content = at[0]
		case map[string]any:
			content = at[name]
		default:
			return nil
		}
	}
	return content
}

// examples returns contents that the rules of a kind accept, where no generated value
// does: the filled example of our own kinds, and parts of others.
func examples(t *testing.T, kind string) []map[string]any {
	t.Helper()
	var all []map[string]any
	add := func(text []byte) {
		t.Helper()
		example := map[string]any{}
		if err := yaml.Unmarshal(text, &example); err != nil {
			t.Fatal(err)
		}
		all = append(all, example)
	}
	filled, err := os.ReadFile(filepath.Join("..", "..", "test", "api", "testdata", "filled", strings.ToLower(kind)+".yaml"))
	if err == nil {
		add(filled)
	}
	for _, text := range map[string][]string{
		"Ingress": {
			`{spec: {defaultBackend: {service: {name: x, port: {number: 7}}}}}`,
			`{spec: {defaultBackend: {service: {name: x, port: {name: x}}}}}`,
			`{spec: {rules: [{http: {paths: [{backend: {resource: {apiGroup: x, kind: X, name: x}}}]}}]}}`,
			`{spec: {rules: [{http: {paths: [{backend: {service: {name: x, port: {name: x}}}}]}}]}}`,
		},
		"RoleBinding":        {`{subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: x}]}`},
		"ClusterRoleBinding": {`{subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: x}]}`},
		"ProjectPipelineRuntime": {
			`{spec: {eventSources: [{name: webhook-feature-push, calendar: {schedule: 0 17 * * *, exclusionDates: ["2024-12-24"], timezone: Europe/Berlin}}]}}`,
			`{spec: {eventSources: [{name: webhook-feature-push, gitea: {repoName: x, revision: main, events: [pull_request], pullRequestActions: [opened]}}]}}`,
		},
		"Cluster": {`{spec: {apiServer: "https://x.example.com", clusterKind: kubernetes, clusterType: physical, usage: host}}`},
	}[kind] {
		add([]byte(text))
	}
	return all
}
