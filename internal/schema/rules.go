package schema

import (
	"context"
	"maps"
	"slices"
	"sort"
	"strings"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// walk checks the rules of the values that have no blocking error in them.
type walk struct {
	// blocked lists fields with a blocking error, as the schema validation writes them.
	blocked []string
	errs    field.ErrorList
}

// visit checks a value and everything in it. Rules write the path of a value in a
// map as map[key], and the schema validation writes it as map.key: at is the
// first and name the second.
func (w *walk) visit(rules *cel.Validator, at *field.Path, name string, value, old any) {
	switch {
	case slices.Contains(w.blocked, name):
		return
	case !slices.ContainsFunc(w.blocked, func(blocked string) bool { return within(blocked, name) }):
		errs, _ := rules.Validate(context.Background(), at, nil, value, old, celconfig.RuntimeCELCostBudget)
		w.errs = append(w.errs, errs...)
		return
	}
	eachChild(rules, at, value, func(child *cel.Validator, childAt *field.Path, key string, value any) {
		childName := strings.TrimPrefix(name+"."+key, ".")
		if strings.HasPrefix(key, "[") {
			childName = name + key
		}
		var before any
		if values, ok := old.(map[string]any); ok {
			before = values[key]
		}
		w.visit(child, childAt, childName, value, before)
	})
}

// within reports whether a field is a value, or is inside of it; everything is
// inside of the object, which has no name.
func within(field, value string) bool {
	return value == "" || field == value || strings.HasPrefix(field, value+".") || strings.HasPrefix(field, value+"[")
}

// eachChild calls visit for each item, property or entry of a value, in order,
// that has rules in it. The key of an item is its index in brackets.
func eachChild(rules *cel.Validator, at *field.Path, value any, visit func(rules *cel.Validator, at *field.Path, key string, value any)) {
	switch value := value.(type) {
	case []any:
		for i, item := range value {
			if rules.Items != nil {
				index := at.Index(i)
				visit(rules.Items, index, index.String()[len(at.String()):], item)
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if property, found := rules.Properties[key]; found {
				visit(&property, at.Child(key), key, value[key])
			} else if rules.AdditionalProperties != nil {
				visit(rules.AdditionalProperties, at.Key(key), key, value[key])
			}
		}
	}
}

// locate replaces errors of rules about a list or map by errors about the items
// that break the rule, where single items do: alone, or together with items
// before them.
func locate(rules *cel.Validator, object any, errs field.ErrorList) field.ErrorList {
	var located field.ErrorList
	for _, err := range errs {
		s := search{err: err, budget: celconfig.PerCallLimit}
		s.visit(rules, nil, object)
		if len(s.culprits) == 0 {
			located = append(located, err)
		}
		for _, culprit := range s.culprits {
			item := *err
			item.Field = culprit
			located = append(located, &item)
		}
	}
	return located
}

// search looks for the items that cause one error.
type search struct {
	err *field.Error
	// budget is the cost that evaluating the rule may still have. When it is used
	// up, the items that were found until then are the answer.
	budget   int64
	culprits []string
}

// visit searches a value whose path leads to the error's field.
func (s *search) visit(rules *cel.Validator, at *field.Path, value any) {
	if !within(s.err.Field, pathOf(at)) {
		return
	}
	for _, rule := range rules.Schema.XValidations {
		if rule.Message == s.err.Detail && strings.TrimPrefix(pathOf(at)+rule.FieldPath, ".") == s.err.Field {
			s.culprits = s.test(rules, at, value, rule.FieldPath)
			return
		}
	}
	eachChild(rules, at, value, func(child *cel.Validator, childAt *field.Path, _ string, value any) {
		s.visit(child, childAt, value)
	})
}

func pathOf(at *field.Path) string {
	if at == nil {
		return ""
	}
	return at.String()
}

// test returns the items of the list or map, at a path in the value, that break
// the value's own rule.
func (s *search) test(rules *cel.Validator, at *field.Path, value any, path string) []string {
	own := *rules
	own.Items, own.Properties, own.AdditionalProperties, own.AllOfValidators = nil, nil, nil, nil
	names := strings.FieldsFunc(path, func(r rune) bool { return r == '.' })
	inner, innerAt, innerSchema := value, at, rules.Schema
	for _, name := range names {
		properties, _ := inner.(map[string]any)
		property := innerSchema.Properties[name]
		inner, innerAt, innerSchema = properties[name], innerAt.Child(name), &property
	}
	paths, join := parts(inner, innerAt, innerSchema)
	broken := func(items []int) bool {
		errs, budget := own.Validate(context.Background(), at, nil, replaced(value, names, join(items)), nil, s.budget)
		s.budget = budget
		return slices.ContainsFunc(errs, func(err *field.Error) bool { return err.Detail == s.err.Detail })
	}
	if len(paths) == 0 || broken(nil) {
		return nil
	}
	var culprits, left []int
	for i := range paths {
		if broken([]int{i}) {
			culprits = append(culprits, i)
		} else {
			left = append(left, i)
		}
	}
	for {
		// The rule holds for the first n items that are left, and breaks with the next one.
		n := sort.Search(len(left), func(n int) bool { return broken(left[:n+1]) })
		if n == len(left) || s.budget < 0 {
			break
		}
		culprits = append(culprits, left[n])
		left = slices.Delete(left, n, n+1)
	}
	slices.Sort(culprits)
	found := make([]string, 0, len(culprits))
	for _, i := range culprits {
		found = append(found, paths[i])
	}
	return found
}

// parts returns the paths of the items of a list or map, and a function that
// builds a list or map of some of them. Other values have no items.
func parts(value any, at *field.Path, s *structuralschema.Structural) (paths []string, join func(items []int) any) {
	switch value := value.(type) {
	case []any:
		for i := range value {
			paths = append(paths, at.Index(i).String())
		}
		return paths, func(items []int) any {
			joined := make([]any, 0, len(items))
			for _, i := range items {
				joined = append(joined, value[i])
			}
			return joined
		}
	case map[string]any:
		if s.AdditionalProperties == nil {
			return nil, nil
		}
		keys := slices.Sorted(maps.Keys(value))
		for _, key := range keys {
			paths = append(paths, at.Key(key).String())
		}
		return paths, func(items []int) any {
			joined := make(map[string]any, len(items))
			for _, i := range items {
				joined[keys[i]] = value[keys[i]]
			}
			return joined
		}
	default:
		return nil, nil
	}
}

// replaced returns a value with another value at a path of properties.
func replaced(value any, names []string, with any) any {
	if len(names) == 0 {
		return with
	}
	properties, _ := value.(map[string]any)
	changed := maps.Clone(properties)
	changed[names[0]] = replaced(properties[names[0]], names[1:], with)
	return changed
}
