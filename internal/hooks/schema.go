package hooks

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"

	"nautes.io/nautes/api/v1alpha1"
)

// schema is the JSON schema of a hook's variables.
type schema struct {
	// whole has the rules for all variables together.
	whole      *spec.Schema
	properties map[string]spec.Schema
	needed     []string
}

// schemaOf returns the default schema of a hook. Its variables are the parameters of
// the task that have no built-in value.
func schemaOf(task tekton.TaskSpec) schema {
	s := schema{whole: &spec.Schema{}, properties: map[string]spec.Schema{}}
	for _, param := range task.Params {
		if isBuiltIn(param.Name, v1alpha1.HookPost) {
			continue
		}
		s.properties[param.Name] = spec.Schema{}
		if param.Default == nil {
			s.needed = append(s.needed, param.Name)
		}
	}
	return s
}

// keywords are the keywords of JSON schema that apply to strings and to an object of
// strings. Others are refused, since they would have no effect.
var keywords = []string{
	"$schema", "additionalProperties", "allOf", "anyOf", "default", "description", "enum", "format", "maxLength", "maxProperties",
	"minLength", "minProperties", "not", "oneOf", "pattern", "properties", "required", "title", "type",
}

func parseSchema(at *field.Path, raw []byte) (schema, field.ErrorList) {
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return schema{}, field.ErrorList{field.Invalid(at, field.OmitValueType{}, "it is not a JSON schema: "+err.Error())}
	}
	if errs := checkKeywords(at, tree); len(errs) > 0 {
		return schema{}, errs
	}
	whole := &spec.Schema{}
	if err := json.Unmarshal(raw, whole); err != nil {
		return schema{}, field.ErrorList{field.Invalid(at, field.OmitValueType{}, "it is not a JSON schema: "+err.Error())}
	}
	if !slices.Equal(whole.Type, []string{"object"}) {
		return schema{}, field.ErrorList{field.Invalid(at.Child("type"), strings.Join(whole.Type, ","), "the variables are an object: write object")}
	}
	s := schema{whole: whole, properties: whole.Properties, needed: whole.Required}
	// check applies the rules of each variable on their own.
	whole.Properties, whole.Required, whole.AdditionalProperties = nil, nil, nil
	return s, s.checkProperties(at)
}

// checkProperties checks the rules of each variable.
func (s schema) checkProperties(at *field.Path) (errs field.ErrorList) {
	for _, name := range s.names() {
		property, at := s.properties[name], at.Child("properties").Key(name)
		if len(property.Type) > 0 && !slices.Equal(property.Type, []string{"string"}) {
			errs = append(errs, field.Invalid(at.Child("type"), strings.Join(property.Type, ","), "the variables of hooks are strings: write string"))
			continue
		}
		if property.Default == nil {
			continue
		}
		if text, ok := property.Default.(string); !ok || !Inert(text) {
			errs = append(errs, field.Invalid(at.Child("default"), property.Default, "write a string without $("))
		} else if problem := verdict(&property, name, text); problem != "" {
			errs = append(errs, field.Invalid(at.Child("default"), text, "the default is not a value that the schema allows: "+problem))
		}
	}
	for i, name := range s.needed {
		if !s.has(name) {
			errs = append(errs, field.Invalid(at.Child("required").Index(i), name, "properties has no "+name+": add it, or remove it here"))
		}
	}
	return errs
}

// checkKeywords returns an error for each keyword that would have no effect or would
// make the validator fail.
func checkKeywords(at *field.Path, node map[string]any) (errs field.ErrorList) {
	for _, key := range slices.Sorted(maps.Keys(node)) {
		at := at.Child(key)
		wrong := func(format string, args ...any) {
			errs = append(errs, field.Invalid(at, field.OmitValueType{}, fmt.Sprintf(format, args...)))
		}
		switch value := node[key].(type) {
		case string:
			if _, err := regexp.Compile(value); key == "pattern" && err != nil {
				wrong("it is not a regular expression: %s", err)
			}
			if key == "format" && !strfmt.Default.ContainsName(value) {
				wrong("there is no format %s: use pattern", value)
			}
		case map[string]any:
			switch key {
			case "properties":
				for _, name := range slices.Sorted(maps.Keys(value)) {
					if property, ok := value[name].(map[string]any); ok {
						errs = append(errs, checkKeywords(at.Key(name), property)...)
					} else {
						wrong("%s is not a schema", name)
					}
				}
			case "not":
				errs = append(errs, checkKeywords(at, value)...)
			case "additionalProperties":
				wrong("a hook has the variables that properties lists: write false")
			}
		case []any:
			for i, item := range value {
				if part, ok := item.(map[string]any); ok && strings.HasSuffix(key, "Of") {
					errs = append(errs, checkKeywords(at.Index(i), part)...)
				}
			}
		}
		if !slices.Contains(keywords, key) {
			wrong("%s is not supported in the schema of variables, which are strings: use %s", key, strings.Join(keywords, ", "))
		}
	}
	return errs
}

func (s schema) names() []string           { return slices.Sorted(maps.Keys(s.properties)) }
func (s schema) required(name string) bool { return slices.Contains(s.needed, name) }

func (s schema) has(name string) bool {
	_, ok := s.properties[name]
	return ok
}

// fallback returns the default of a variable, or nil if it has none.
func (s schema) fallback(name string) *string {
	if text, ok := s.properties[name].Default.(string); ok {
		return &text
	}
	return nil
}

// check returns the errors in variables. All of them must be in the schema.
func (s schema) check(at *field.Path, hook string, vars map[string]string) (errs field.ErrorList) {
	values := map[string]any{}
	for _, name := range s.names() {
		value, given := vars[name]
		if fallback := s.fallback(name); !given && fallback != nil {
			value, given = *fallback, true
		}
		if !given {
			if s.required(name) {
				errs = append(errs, field.Invalid(at, "", "hook "+hook+" needs the variable "+name+": add it"))
			}
			continue
		}
		values[name] = value
		property := s.properties[name]
		if problem := verdict(&property, name, value); problem != "" {
			errs = append(errs, field.Invalid(at.Key(name), value, "hook "+hook+" does not take this value: "+problem))
		}
	}
	if problem := verdict(s.whole, "vars", values); problem != "" {
		errs = append(errs, field.Invalid(at, "", "hook "+hook+" does not take these variables: "+problem))
	}
	return errs
}

// verdict returns the problems of a value in a stable order, or "" if it is valid.
func verdict(s *spec.Schema, name string, value any) string {
	result := validate.NewSchemaValidator(s, nil, name, strfmt.Default).Validate(value)
	var problems []string
	for _, err := range result.Errors {
		problems = append(problems, strings.Replace(err.Error(), " in body", "", 1))
	}
	slices.Sort(problems)
	return strings.Join(slices.Compact(problems), "; ")
}
