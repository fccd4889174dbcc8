package layout

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"

	"nautes.io/nautes/api/v1alpha1"
)

// Decode returns the object that the file at path holds, or what is wrong with
// the file. The object has the scope's namespace and nothing else beyond the
// file.
func (s Scope) Decode(path string, content []byte) (v1alpha1.Object, *v1alpha1.FileProblem) {
	if problem := s.misplaced(path); problem != nil {
		return nil, problem
	}
	root, f := parse(content)
	if f != nil {
		return nil, Problem(path, f.line, f.reason, "%s", f.message)
	}
	o, f := s.object(path, root)
	if f != nil {
		return nil, Problem(path, f.line, f.reason, "%s", f.message)
	}
	if problem := s.place(path, o, func(field string) int32 { return find(root, field, 0) }); problem != nil {
		return nil, problem
	}
	return o, nil
}

// object builds the object from the document.
func (s Scope) object(path string, root *yaml.Node) (v1alpha1.Object, *fault) {
	if root.Kind != yaml.MappingNode {
		return nil, mustBe(root, "the file", "a mapping with apiVersion, kind, metadata and spec")
	}
	kind, f := s.kind(path, root)
	if f != nil {
		return nil, f
	}
	o := newObject(kind)
	value := map[string]any{"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind}
	for i := 0; i < len(root.Content); i += 2 {
		key, child := root.Content[i], root.Content[i+1]
		var f *fault
		switch key.Value {
		case "apiVersion", "kind":
		case "metadata":
			value["metadata"], f = s.metadata(child)
		case "spec":
			if !null(child) {
				spec, _ := reflect.TypeOf(o).Elem().FieldByName("Spec")
				value["spec"], f = convert(child, spec.Type, "spec")
			}
		case "status":
			if !null(child) && (child.Kind != yaml.MappingNode || len(child.Content) > 0) {
				f = at(key, NotAllowed, "status is what Nautes reports: remove it from the file")
			}
		default:
			f = at(key, UnknownField, key.Value+" is no field: correct or remove it; known are apiVersion, kind, metadata and spec")
		}
		if f != nil {
			return nil, f
		}
	}
	switch {
	case value["metadata"] == nil:
		return nil, &fault{0, WrongName, "metadata is missing: add it, with a name"}
	case value["spec"] == nil:
		return nil, &fault{0, Invalid, "spec is missing: add it"}
	}
	if err := fill(o, value); err != nil {
		return nil, &fault{0, Invalid, "the file does not fit the kind " + kind + ": compare it with an example"}
	}
	o.SetNamespace(s.Namespace)
	if product := productOf(o); product != "" && !s.Tenant && product != s.Namespace {
		return nil, &fault{find(root, "spec.product", 0), WrongNamespace,
			"spec.product is " + product + " and the repository belongs to " + s.Namespace + ": correct or remove it"}
	}
	return o, nil
}

func fill(o v1alpha1.Object, value map[string]any) error {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	return json.Unmarshal(content.Bytes(), o)
}

// kind checks apiVersion and kind.
func (s Scope) kind(path string, root *yaml.Node) (string, *fault) {
	group := v1alpha1.GroupVersion.String()
	for _, field := range []string{"apiVersion", "kind"} {
		key, value := pair(root, field)
		switch {
		case key == nil || null(value):
			return "", &fault{0, WrongKind, field + " is missing: an object has apiVersion " + group + ", a kind, metadata and spec"}
		case value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str":
			return "", mustBe(value, field, "a text")
		case field == "apiVersion" && value.Value != group:
			return "", at(value, WrongKind, "apiVersion is "+value.Value+" and only "+group+" is read here: correct it, or move the file to a folder of your own")
		}
	}
	_, kind := pair(root, "kind")
	top, _, _ := strings.Cut(path, "/")
	allowed := s.folders()[top].kinds
	if !slices.Contains(allowed, kind.Value) {
		return "", at(kind, WrongKind, "the folder "+top+" holds objects of the kind "+strings.Join(allowed, " or ")+", not "+kind.Value+": correct the kind or move the file")
	}
	return kind.Value, nil
}

// metadata checks what a file may say there.
func (s Scope) metadata(node *yaml.Node) (any, *fault) {
	if null(node) {
		return nil, nil
	}
	if node.Kind != yaml.MappingNode {
		return nil, mustBe(node, "metadata", "a mapping")
	}
	value := map[string]any{}
	for i := 0; i < len(node.Content); i += 2 {
		key, child := node.Content[i], node.Content[i+1]
		var f *fault
		switch name := key.Value; {
		case slices.Contains([]string{"name", "namespace"}, name) && !null(child):
			value[name], f = convert(child, reflect.TypeFor[string](), "metadata."+name)
		case slices.Contains([]string{"labels", "annotations"}, name) && !null(child):
			if value[name], f = convert(child, reflect.TypeFor[map[string]string](), "metadata."+name); f == nil {
				f = foreignKeys(child, name)
			}
		case null(child) && slices.Contains([]string{"name", "namespace", "labels", "annotations", "creationTimestamp"}, name):
		default:
			f = at(key, NotAllowed, "metadata."+name+" is not a file's to set: remove it; name, labels and annotations are")
		}
		if f != nil {
			return nil, f
		}
	}
	return value, s.identity(node, value)
}

// identity checks name and namespace.
func (s Scope) identity(node *yaml.Node, value map[string]any) *fault {
	name, _ := value["name"].(string)
	nameKey, _ := pair(node, "name")
	switch {
	case name == "":
		return at(node, WrongName, "metadata.name is missing: add it")
	case len(validation.IsDNS1123Label(name)) > 0:
		return at(nameKey, WrongName, "metadata.name must be 1 to 63 lower-case letters, digits and dashes, and begin and end with a letter or digit: correct it")
	}
	if namespace, _ := value["namespace"].(string); namespace != "" && namespace != s.Namespace {
		key, _ := pair(node, "namespace")
		return at(key, WrongNamespace, "metadata.namespace is "+namespace+" and the repository belongs to "+s.Namespace+": correct or remove it")
	}
	return nil
}

// foreignKeys refuses the labels and annotations by which Nautes and the
// controllers that it relies on tell objects apart: a file that sets them could
// hide its object from pruning, or confirm what only a person may confirm.
func foreignKeys(node *yaml.Node, field string) *fault {
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i]
		domain, _, _ := strings.Cut(key.Value, "/")
		for _, reserved := range []string{"nautes.io", "hnc.x-k8s.io"} {
			if domain == reserved || strings.HasSuffix(domain, "."+reserved) {
				return at(key, NotAllowed, "metadata."+field+"["+key.Value+"] is not a file's to set, as everything of "+reserved+": remove it")
			}
		}
		if key.Value == v1alpha1.LabelManagedBy {
			return at(key, NotAllowed, "metadata."+field+"["+key.Value+"] is not a file's to set: remove it")
		}
	}
	return nil
}
