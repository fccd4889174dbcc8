package runner

//lint:file-ignore SA1019 repositories hold files of v1beta1 for as long as Tekton reads them

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	tektonv1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/yamltext"
)

// texts compares the text of a file with the type that it is read into. Decoding
// ignores the case of field names, and turns numbers into texts.
type texts struct{ notes []string }

// checkTexts refuses fields in another case than the type has, and values and keys
// that YAML changes where the type wants a text. The notes name invisible
// characters.
func checkTexts(root *yaml.Node, object any) (notes []string, err error) {
	var t texts
	err = t.check(root, reflect.TypeOf(object), "")
	return t.notes, err
}

func (t *texts) check(node *yaml.Node, kind reflect.Type, path string) error {
	for kind != nil && kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch node.Kind {
	case yaml.AliasNode:
		return t.check(node.Alias, kind, path)
	case yaml.MappingNode:
		return t.mapping(node, kind, path)
	case yaml.SequenceNode:
		item := itemOf(kind)
		for i, child := range node.Content {
			if err := t.check(child, item, path+"/"+strconv.Itoa(i)); err != nil {
				return err
			}
		}
		return nil
	}
	t.show(node, path)
	if !wantsText(kind) || node.Style&^yaml.FlowStyle != 0 || node.Tag == "!!null" && node.Value == "" {
		return nil
	}
	if becomes, changed := yamltext.Changed(node.Value); changed {
		return fail(launch.ExitPipeline, "line %d: %s: %s", node.Line, path, yamltext.Quote(node.Value, becomes))
	}
	if kind == reflect.TypeFor[element]() && !yamltext.IsText(node.Value) {
		return fail(launch.ExitPipeline, "line %d: %s: %s in a list or a mapping must be a text: put it in quotes", node.Line, path, node.Value)
	}
	return nil
}

// mapping checks the keys and values of a mapping.
func (t *texts) mapping(node *yaml.Node, kind reflect.Type, path string) error {
	fields := fieldsOf(kind)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Tag == "!!merge" {
			if err := t.merged(value, kind, path); err != nil {
				return err
			}
			continue
		}
		at := path + "/" + key.Value
		t.show(key, at)
		if key.Kind == yaml.ScalarNode && key.Style&^yaml.FlowStyle == 0 && !yamltext.IsText(key.Value) {
			becomes, _ := yamltext.Changed(key.Value)
			return fail(launch.ExitPipeline, "line %d: the key %s: %s", key.Line, at, yamltext.Quote(key.Value, becomes))
		}
		child := itemOf(kind)
		if fields != nil {
			var known bool
			if child, known = fields[key.Value]; !known {
				for name := range fields {
					if strings.EqualFold(name, key.Value) {
						return fail(launch.ExitPipeline, "line %d: unknown field %s: write %s", key.Line, at, name)
					}
				}
			}
		}
		if err := t.check(value, child, at); err != nil {
			return err
		}
	}
	return nil
}

// merged checks the mappings that are merged into another one.
func (t *texts) merged(value *yaml.Node, kind reflect.Type, path string) error {
	if value.Kind != yaml.SequenceNode {
		return t.check(value, kind, path)
	}
	for _, one := range value.Content {
		if err := t.check(one, kind, path); err != nil {
			return err
		}
	}
	return nil
}

// maxHidden is the number of invisible characters that the log names.
const maxHidden = 10

func (t *texts) show(node *yaml.Node, path string) {
	if hidden := yamltext.Hidden(node.Value); hidden != "" && len(t.notes) < maxHidden {
		t.notes = append(t.notes, fmt.Sprintf("line %d: %s %s", node.Line, path, hidden))
	}
}

// element is an element of a list or a mapping in the value of a parameter.
type element string

// isValue reports whether a type is the value of a parameter: a text, or a list or
// mapping of texts.
func isValue(kind reflect.Type) bool {
	return kind == reflect.TypeFor[tektonv1.ParamValue]() || kind == reflect.TypeFor[tektonv1beta1.ParamValue]()
}

// wantsText reports whether a scalar of a type is a text.
func wantsText(kind reflect.Type) bool {
	if kind == nil {
		return false
	}
	return isValue(kind) || kind == reflect.TypeFor[metav1.Duration]() || kind.Kind() == reflect.String
}

// itemOf returns the type of the elements of a list or mapping, or nil if it is
// unknown.
func itemOf(kind reflect.Type) reflect.Type {
	switch {
	case kind == nil:
		return nil
	case isValue(kind):
		return reflect.TypeFor[element]()
	case decodesItself(kind):
		if kind.Kind() == reflect.Slice || kind.Kind() == reflect.Map {
			return kind.Elem()
		}
		return nil
	case kind.Kind() == reflect.Slice, kind.Kind() == reflect.Array, kind.Kind() == reflect.Map:
		return kind.Elem()
	}
	return nil
}

func decodesItself(kind reflect.Type) bool {
	return reflect.PointerTo(kind).Implements(reflect.TypeFor[json.Unmarshaler]())
}

// fieldsOf returns the types of the fields of a struct by their names in JSON, or nil
// for other types.
func fieldsOf(kind reflect.Type) map[string]reflect.Type {
	if kind == nil || kind.Kind() != reflect.Struct || decodesItself(kind) {
		return nil
	}
	fields := map[string]reflect.Type{}
	for i := range kind.NumField() {
		field := kind.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case name == "" && (field.Anonymous || strings.Contains(options, "inline")):
			embedded := field.Type
			for embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			for name, kind := range fieldsOf(embedded) {
				if _, known := fields[name]; !known {
					fields[name] = kind
				}
			}
		case field.IsExported():
			if name == "" {
				name = field.Name
			}
			fields[name] = field.Type
		}
	}
	return fields
}
