package edit

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/schema"
)

// declared returns the part of an object that a file holds, in a namespace. Labels and
// annotations of the object before are kept. Before may be nil.
func declared(o, before v1alpha1.Object, namespace string) v1alpha1.Object {
	copied := reflect.New(reflect.TypeOf(o).Elem())
	copied.Elem().FieldByName("Spec").Set(reflect.ValueOf(o.DeepCopyObject()).Elem().FieldByName("Spec"))
	object := copied.Interface().(v1alpha1.Object)
	object.SetNamespace(namespace)
	object.SetName(o.GetName())
	labels, annotations := map[string]string{}, map[string]string{}
	if before != nil {
		maps.Copy(labels, before.GetLabels())
		maps.Copy(annotations, before.GetAnnotations())
	}
	maps.Copy(labels, o.GetLabels())
	maps.Copy(annotations, o.GetAnnotations())
	if len(labels) > 0 {
		object.SetLabels(labels)
	}
	if len(annotations) > 0 {
		object.SetAnnotations(annotations)
	}
	return object
}

// withStatus returns a declared object with the status, the times and the identity of
// the stored one.
func withStatus(o, stored v1alpha1.Object) v1alpha1.Object {
	object := o.DeepCopyObject().(v1alpha1.Object)
	status := reflect.ValueOf(stored.DeepCopyObject()).Elem().FieldByName("Status")
	if field := reflect.ValueOf(object).Elem().FieldByName("Status"); field.IsValid() && status.IsValid() {
		field.Set(status)
	}
	object.SetUID(stored.GetUID())
	object.SetResourceVersion(stored.GetResourceVersion())
	object.SetGeneration(stored.GetGeneration())
	object.SetCreationTimestamp(stored.GetCreationTimestamp())
	object.SetDeletionTimestamp(stored.GetDeletionTimestamp())
	return object
}

// same reports whether two declared objects are equal.
func same(a, b v1alpha1.Object) bool {
	return a.GetName() == b.GetName() && a.GetNamespace() == b.GetNamespace() && SameSpec(a, b) &&
		maps.Equal(a.GetLabels(), b.GetLabels()) && maps.Equal(a.GetAnnotations(), b.GetAnnotations())
}

// SameSpec reports whether two objects are of one kind, and have equal specs.
func SameSpec(a, b v1alpha1.Object) bool {
	spec := func(o v1alpha1.Object) any { return reflect.ValueOf(o).Elem().FieldByName("Spec").Interface() }
	return reflect.TypeOf(a) == reflect.TypeOf(b) && equality.Semantic.DeepEqual(spec(a), spec(b))
}

// valueOf returns an object as JSON has it, without status and namespace.
func valueOf(o v1alpha1.Object) (map[string]any, error) {
	whole, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	metadata := map[string]any{"name": o.GetName()}
	for key, texts := range map[string]map[string]string{"labels": o.GetLabels(), "annotations": o.GetAnnotations()} {
		if len(texts) == 0 {
			continue
		}
		values := map[string]any{}
		for name, text := range texts {
			values[name] = text
		}
		metadata[key] = values
	}
	value := map[string]any{"apiVersion": v1alpha1.GroupVersion.String(), "kind": references.RefOf(o).Kind, "metadata": metadata}
	if spec, ok := whole["spec"].(map[string]any); ok && len(spec) > 0 {
		value["spec"] = spec
	}
	return value, nil
}

// encoder writes the files of one repository.
type encoder struct {
	kinds *schema.Kinds
	scope layout.Scope
}

// encode returns the content of the file at a path for a declared object. Before is the
// present content, or nil. Of that it changes only what differs: comments, order and
// unknown parts of the format stay. The problems are the ones of the object.
func (e encoder) encode(path string, before []byte, o v1alpha1.Object) ([]byte, []v1alpha1.FileProblem, error) {
	if before != nil && e.holds(path, before, o) {
		return before, nil, nil
	}
	value, err := valueOf(o)
	if err != nil {
		return nil, nil, err
	}
	if content, done := spliced(before, value); done && e.holds(path, content, o) {
		return content, nil, nil
	}
	if _, isPipeline := o.(*v1alpha1.ProjectPipelineRuntime); isPipeline {
		value["metadata"].(map[string]any)["namespace"] = o.GetNamespace()
	}
	content, err := yaml.Marshal(value)
	if err != nil || e.holds(path, content, o) {
		return content, nil, err
	}
	// JSON is YAML in which each text is in quotes.
	plain, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return nil, nil, err
	}
	if plain = append(plain, '\n'); e.holds(path, plain, o) {
		return plain, nil, nil
	}
	_, problems := e.scope.Decode(e.kinds, path, content)
	if len(problems) == 0 {
		problems = []v1alpha1.FileProblem{*layout.Problem(path, 0, layout.Invalid, "a value cannot be written to a file so that it is read again as it is: use another value")}
	}
	return nil, problems, nil
}

// holds reports whether the file at a path with a content is read as an object.
func (e encoder) holds(path string, content []byte, o v1alpha1.Object) bool {
	read, problems := e.scope.Decode(e.kinds, path, content)
	return len(problems) == 0 && same(declared(read, nil, o.GetNamespace()), o)
}

// asMap returns an object with its status, for rules about transitions.
func asMap(o v1alpha1.Object) (map[string]any, error) {
	value, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	value["apiVersion"], value["kind"] = v1alpha1.GroupVersion.String(), references.RefOf(o).Kind
	if metadata, ok := value["metadata"].(map[string]any); ok && metadata["creationTimestamp"] == nil {
		delete(metadata, "creationTimestamp")
	}
	return value, nil
}

// lineEnd returns the line end of a text.
func lineEnd(content []byte) string {
	if bytes.Contains(content, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}
