package layout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/schema"
	"nautes.io/nautes/internal/yamltext"
)

// maxFaults is the number of problems that are reported of one file.
const maxFaults = 20

// Decode returns the object in the file at path, or every problem of the file:
// those at a line in the order of the lines, and then the fields that are missing.
// The object has the scope's namespace and nothing else beyond the file.
func (s Scope) Decode(kinds *schema.Kinds, path string, content []byte) (v1alpha1.Object, []v1alpha1.FileProblem) {
	if problem := s.misplaced(path); problem != nil {
		return nil, []v1alpha1.FileProblem{*problem}
	}
	d := document{scope: s, path: path, content: content, unreadable: map[*yaml.Node]bool{}}
	var f *fault
	if d.root, f = parse(content); f != nil {
		d.faults = []fault{*f}
		return nil, d.problems()
	}
	if o := d.object(kinds); o != nil {
		return o, nil
	}
	return nil, d.problems()
}

// document is one file, and the problems found in it so far.
type document struct {
	scope Scope
	path  string
	// content is the text of the file, for hints on its lines.
	content []byte
	root    *yaml.Node
	faults  []fault
	// unreadable holds values that cannot be read: nothing else is said about them.
	unreadable map[*yaml.Node]bool
	// missing are the problems of fields that are missing. They come last, because
	// a misspelt field explains a missing one.
	missing []fault
}

func (d *document) refuse(node *yaml.Node, reason, message string) {
	d.faults = append(d.faults, *at(node, reason, message))
}

// refuseField adds a problem at the line of a field, or of the nearest field above it.
func (d *document) refuseField(field, reason, message string) {
	d.faults = append(d.faults, fault{line: find(d.root, field, 0), reason: reason, message: message})
}

func (d *document) problems() []v1alpha1.FileProblem {
	slices.SortStableFunc(d.faults, func(a, b fault) int { return cmp.Compare(a.line, b.line) })
	faults := append(d.faults, d.missing...)
	if more := len(faults) - maxFaults; more > 0 {
		faults = append(faults[:maxFaults-1],
			fault{reason: Invalid, message: fmt.Sprintf("the file has %d more problems: correct the others first", more+1)})
	}
	problems := make([]v1alpha1.FileProblem, 0, len(faults))
	lines := strings.Split(string(d.content), "\n")
	for _, f := range faults {
		message := f.message
		if f.line > 0 && int(f.line) <= len(lines) && !f.explained {
			if hint := yamltext.Hint(lines[f.line-1]); hint != "" {
				message += "; " + hint
			}
		}
		problems = append(problems, *Problem(d.path, f.line, f.reason, "%s", message))
	}
	return problems
}

// object returns the object in the document, or nil if there are problems.
func (d *document) object(kinds *schema.Kinds) v1alpha1.Object {
	if d.root.Kind != yaml.MappingNode {
		d.refuse(d.root, Invalid, mustBe(d.root, "the file", "a mapping with apiVersion, kind, metadata and spec"))
		return nil
	}
	kind, known := d.kind()
	if !known {
		return nil
	}
	value := map[string]any{"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind}
	var metadata *yaml.Node
	for i := 0; i < len(d.root.Content); i += 2 {
		key, child := d.root.Content[i], d.root.Content[i+1]
		switch key.Value {
		case "apiVersion", "kind":
		case "metadata":
			metadata = child
		case "spec":
			value["spec"] = d.value(child, "spec")
		case "status":
			if !null(child) && (child.Kind != yaml.MappingNode || len(child.Content) > 0) {
				d.refuse(key, NotAllowed, "status is written by Nautes: remove it from the file")
			}
		default:
			d.refuse(key, UnknownField, fmt.Sprintf("unknown field %q: correct or remove it; known fields are apiVersion, kind, metadata and spec", key.Value))
		}
	}
	unreadable := len(d.faults)
	value["metadata"] = d.metadata(metadata)
	d.checkSchema(kinds, value, len(d.faults) > unreadable)
	d.checkPlace(kind, value)
	if len(d.faults)+len(d.missing) > 0 {
		return nil
	}
	o := newObject(kind)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(value, o); err != nil {
		d.faults = append(d.faults, fault{line: 0, reason: Invalid, message: "the file cannot be read as kind " + kind + ": compare it with an example"})
		return nil
	}
	o.SetNamespace(d.scope.Namespace)
	return o
}

// kind checks apiVersion and kind.
func (d *document) kind() (name string, known bool) {
	group := v1alpha1.GroupVersion.String()
	before := len(d.faults)
	for _, field := range []string{"apiVersion", "kind"} {
		key, value := pair(d.root, field)
		switch {
		case key == nil || null(value):
			d.faults = append(d.faults, fault{line: 0, reason: WrongKind, message: field + " is missing: an object has apiVersion " + group + ", a kind, metadata and spec"})
		case value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str":
			d.refuse(value, Invalid, mustBe(value, field, text))
		case field == "apiVersion" && value.Value != group:
			d.refuse(value, WrongKind, "apiVersion is "+value.Value+" and only "+group+" is supported: correct it, or move the file to a folder of your own")
		}
	}
	if len(d.faults) > before {
		return "", false
	}
	_, kind := pair(d.root, "kind")
	top, _, _ := strings.Cut(d.path, "/")
	allowed := d.scope.folders()[top].kinds
	if !slices.Contains(allowed, kind.Value) {
		d.refuse(kind, WrongKind, "the folder "+top+" holds objects of kind "+strings.Join(allowed, " or ")+", not "+kind.Value+": correct the kind or move the file")
		return "", false
	}
	return kind.Value, true
}

// metadata checks the metadata and returns its fields that have a value.
func (d *document) metadata(node *yaml.Node) map[string]any {
	value := map[string]any{}
	switch {
	case node == nil || null(node):
		d.faults = append(d.faults, fault{line: 0, reason: WrongName, message: "metadata is missing: add it, with a name"})
		return value
	case node.Kind != yaml.MappingNode:
		d.refuse(node, Invalid, mustBe(node, "metadata", "a mapping"))
		return value
	}
	for i := 0; i < len(node.Content); i += 2 {
		key, child := node.Content[i], node.Content[i+1]
		field := "metadata." + key.Value
		switch name := key.Value; {
		case null(child) && slices.Contains([]string{"name", "namespace", "labels", "annotations", "creationTimestamp"}, name):
		case name == "name" || name == "namespace":
			value[name] = d.mustBeText(child, field)
		case name == "labels" || name == "annotations":
			value[name] = d.texts(child, field)
			d.checkKeys(child, field)
		default:
			d.refuse(key, NotAllowed, field+" cannot be set in a file: remove it; name, labels and annotations can be")
		}
	}
	d.checkIdentity(node, value)
	return value
}

// mustBeText returns the text of a node, and refuses other nodes.
func (d *document) mustBeText(node *yaml.Node, field string) any {
	if node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str" && node.ShortTag() != "!!timestamp" {
		d.refuse(node, Invalid, mustBe(node, field, text))
		return nil
	}
	return d.text(node, field)
}

// texts returns a mapping of texts, and refuses other nodes.
func (d *document) texts(node *yaml.Node, field string) map[string]any {
	value := map[string]any{}
	if node.Kind != yaml.MappingNode {
		d.refuse(node, Invalid, mustBe(node, field, "a mapping"))
		return value
	}
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i].Value
		value[key] = d.mustBeText(node.Content[i+1], field+"["+key+"]")
	}
	return value
}

// checkIdentity checks name and namespace.
func (d *document) checkIdentity(node *yaml.Node, value map[string]any) {
	name, isText := value["name"].(string)
	nameKey, written := pair(node, "name")
	switch {
	case !isText && written != nil && !null(written):
		// Its type is wrong, and that is a problem already.
	case name == "":
		d.refuse(node, WrongName, "metadata.name is missing: add it")
	case len(validation.IsDNS1123Label(name)) > 0:
		d.refuse(nameKey, WrongName, "metadata.name must be 1 to 63 lower-case letters, digits and dashes, and begin and end with a letter or digit: correct it")
	}
	if namespace, _ := value["namespace"].(string); namespace != "" && namespace != d.scope.Namespace {
		key, _ := pair(node, "namespace")
		d.refuse(key, WrongNamespace, "metadata.namespace is "+namespace+" and the repository belongs to "+d.scope.Namespace+": correct or remove it")
	}
}

// checkKeys refuses the labels and annotations that Nautes and its controllers use
// to identify objects. A file that sets them could hide its object from pruning, or
// confirm an action that only a person may confirm.
func (d *document) checkKeys(node *yaml.Node, field string) {
	for i := 0; node.Kind == yaml.MappingNode && i < len(node.Content); i += 2 {
		key := node.Content[i]
		domain, _, _ := strings.Cut(key.Value, "/")
		reserved := slices.ContainsFunc([]string{"nautes.io", "hnc.x-k8s.io"}, func(reserved string) bool {
			return domain == reserved || strings.HasSuffix(domain, "."+reserved)
		})
		if reserved || key.Value == v1alpha1.LabelManagedBy {
			d.refuse(key, NotAllowed, field+"["+key.Value+"] is reserved and cannot be set in a file: remove it")
		}
	}
}
