package layout

import (
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"

	"nautes.io/nautes/api/v1alpha1"
)

// convert checks a value against the Go type that it is for, and returns it as
// JSON has it. It is stricter than the API server: numbers are not taken for
// texts, and an empty list item is no value.
func convert(node *yaml.Node, t reflect.Type, field string) (any, *fault) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[runtime.RawExtension]() {
		if node.Kind != yaml.MappingNode {
			return nil, mustBe(node, field, "a mapping")
		}
		return free(node, field)
	}
	if t == reflect.TypeFor[v1alpha1.JSON]() {
		return free(node, field)
	}
	switch t.Kind() {
	case reflect.Interface:
		return free(node, field)
	case reflect.Struct:
		return convertStruct(node, t, field)
	case reflect.Map:
		return convertMap(node, t, field)
	case reflect.Slice:
		return convertSlice(node, t, field)
	default:
		return convertScalar(node, t, field)
	}
}

func mustBe(node *yaml.Node, field, what string) *fault {
	return at(node, Invalid, field+" must be "+what+", not "+describe(node))
}

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch node.ShortTag() {
	case "!!str", "!!timestamp":
		return "a text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "empty"
	default:
		return "a value with the tag " + node.ShortTag()
	}
}

// null tells whether a field is written without a value, which is as good as
// not written.
func null(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// property is a field of a struct as JSON knows it.
type property struct {
	t        reflect.Type
	required bool
}

// properties lists the fields of a struct, embedded ones included. What has no
// omitempty is required, as in the schemas that are generated from the types.
func properties(t reflect.Type) map[string]property {
	found := map[string]property{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" && f.Anonymous {
			maps.Copy(found, properties(f.Type))
			continue
		}
		found[name] = property{t: f.Type, required: !strings.Contains(options, "omitempty")}
	}
	return found
}

func convertStruct(node *yaml.Node, t reflect.Type, field string) (any, *fault) {
	if node.Kind != yaml.MappingNode {
		return nil, mustBe(node, field, "a mapping")
	}
	known := properties(t)
	value := map[string]any{}
	for i := 0; i < len(node.Content); i += 2 {
		key, child := node.Content[i], node.Content[i+1]
		p, found := known[key.Value]
		if !found {
			return nil, at(key, UnknownField, below(field, key.Value)+" is no field: correct or remove it; known are "+strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		if null(child) {
			continue
		}
		converted, f := convert(child, p.t, below(field, key.Value))
		if f != nil {
			return nil, f
		}
		value[key.Value] = converted
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if _, there := value[name]; !there && known[name].required {
			return nil, at(node, Invalid, below(field, name)+" is missing: add it")
		}
	}
	return value, nil
}

func below(field, name string) string { return field + "." + name }

func convertMap(node *yaml.Node, t reflect.Type, field string) (any, *fault) {
	if node.Kind != yaml.MappingNode {
		return nil, mustBe(node, field, "a mapping")
	}
	value := map[string]any{}
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i].Value
		converted, f := convert(node.Content[i+1], t.Elem(), field+"["+key+"]")
		if f != nil {
			return nil, f
		}
		value[key] = converted
	}
	return value, nil
}

func convertSlice(node *yaml.Node, t reflect.Type, field string) (any, *fault) {
	if node.Kind != yaml.SequenceNode {
		return nil, mustBe(node, field, "a list")
	}
	value := make([]any, 0, len(node.Content))
	for i, item := range node.Content {
		converted, f := convert(item, t.Elem(), field+"["+strconv.Itoa(i)+"]")
		if f != nil {
			return nil, f
		}
		value = append(value, converted)
	}
	return value, nil
}

func convertScalar(node *yaml.Node, t reflect.Type, field string) (any, *fault) {
	tag := ""
	if node.Kind == yaml.ScalarNode {
		tag = node.ShortTag()
	}
	switch {
	case t.Kind() == reflect.String && (tag == "!!str" || tag == "!!timestamp"):
		return text(node, field)
	case t.Kind() == reflect.String:
		hint := mustBe(node, field, "a text")
		if node.Kind == yaml.ScalarNode && tag != "!!null" {
			hint.message += ": put it in quotes"
		}
		return nil, hint
	case t.Kind() == reflect.Bool && tag != "!!bool":
		return nil, mustBe(node, field, "true or false")
	case t.Kind() != reflect.Bool && tag != "!!int":
		return nil, mustBe(node, field, "a whole number")
	}
	return free(node, field)
}

func text(node *yaml.Node, field string) (any, *fault) {
	if strings.ContainsRune(node.Value, 0) {
		return nil, at(node, Invalid, field+" holds a NUL character: remove it")
	}
	return node.Value, nil
}

// free converts a value whose type is not known.
func free(node *yaml.Node, field string) (any, *fault) {
	switch node.Kind {
	case yaml.MappingNode:
		return convertMap(node, reflect.TypeFor[map[string]any](), field)
	case yaml.SequenceNode:
		return convertSlice(node, reflect.TypeFor[[]any](), field)
	}
	switch tag := node.ShortTag(); tag {
	case "!!str", "!!timestamp":
		return text(node, field)
	case "!!null":
		return nil, nil
	case "!!bool", "!!int", "!!float":
		var value any
		if err := node.Decode(&value); err != nil {
			return nil, at(node, Invalid, field+" cannot be read as what its tag "+tag+" says: correct it")
		}
		return number(node, field, value)
	default:
		return nil, at(node, Unparsable, field+" has the tag "+tag+", which is not read: remove the tag")
	}
}

func number(node *yaml.Node, field string, value any) (any, *fault) {
	f, isFloat := value.(float64)
	switch {
	case !isFloat:
		return value, nil
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil, at(node, Invalid, field+" is no finite number: correct it")
	case f == 0:
		// JSON knows a negative zero and YAML reads it as an integer.
		return 0, nil
	default:
		return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
	}
}
