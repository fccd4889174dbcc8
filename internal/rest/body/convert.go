package body

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
)

// Names turns the names of requests into the ids of files, or back. The first argument
// is the value of the tag ref.
type Names func(ref, name string) string

// Spec sets the spec of an object to a body. Keys of the spec that bodies do not have
// keep their values; spec is a pointer to a struct.
func Spec(body, spec any, names Names) error {
	known := file(reflect.ValueOf(body).Elem(), names, true)
	kept := map[string]any{}
	was, err := json.Marshal(spec)
	if err == nil {
		err = json.Unmarshal(was, &kept)
	}
	if err != nil {
		return fmt.Errorf("read the spec: %w", err)
	}
	maps.Copy(kept, known)
	for key, value := range known {
		if value == nil {
			delete(kept, key)
		}
	}
	now, err := json.Marshal(kept)
	if err != nil {
		return fmt.Errorf("write the spec: %w", err)
	}
	target := reflect.ValueOf(spec).Elem()
	target.SetZero()
	return json.Unmarshal(now, spec)
}

// file returns a struct with the keys of files. With all, unset keys are nil.
func file(v reflect.Value, names Names, all bool) map[string]any {
	out := map[string]any{}
	for _, p := range properties(v.Type()) {
		field := v.FieldByIndex(p.index)
		switch {
		case p.file == "":
		case !field.IsZero():
			out[p.file] = fileValue(p, field, names)
		case all:
			out[p.file] = nil
		}
	}
	return out
}

func fileValue(p property, v reflect.Value, names Names) any {
	switch v.Kind() {
	case reflect.Pointer:
		return fileValue(p, v.Elem(), names)
	case reflect.Struct:
		return file(v, names, false)
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = fileValue(p, v.Index(i), names)
		}
		return list
	case reflect.Map:
		out := map[string]any{}
		for key, value := range v.Seq2() {
			out[key.String()] = fileValue(p, value, names)
		}
		return out
	case reflect.String:
		if p.ref != "" && names != nil {
			return names(p.ref, v.String())
		}
	}
	return v.Interface()
}

// Reply sets a body to the spec of an object. It is the reverse of Spec.
func Reply(spec, body any, names Names) error {
	data, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("read the spec: %w", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		return fmt.Errorf("read the spec: %w", err)
	}
	reply(tree, reflect.ValueOf(body).Elem(), names)
	if r, ok := body.(*ProjectPipelineRuntime); ok && r.AdditionalResources != nil && r.AdditionalResources.Git != nil {
		git := PrintedResourcesGit(*r.AdditionalResources.Git)
		r.AdditionalResourcesPrinted = &PrintedResources{Git: &git}
	}
	return nil
}

func reply(tree map[string]any, into reflect.Value, names Names) {
	for _, p := range properties(into.Type()) {
		if value, found := tree[p.file]; found && p.file != "" {
			replyValue(p, value, into.FieldByIndex(p.index), names)
		}
	}
}

func replyValue(p property, value any, into reflect.Value, names Names) {
	switch v := value.(type) {
	case map[string]any:
		switch into.Kind() {
		case reflect.Pointer:
			target := reflect.New(into.Type().Elem())
			reply(v, target.Elem(), names)
			if !target.Elem().IsZero() {
				into.Set(target)
			}
		case reflect.Struct:
			reply(v, into, names)
		case reflect.Map:
			into.Set(reflect.MakeMap(into.Type()))
			for key, item := range v {
				element := reflect.New(into.Type().Elem()).Elem()
				replyValue(p, item, element, names)
				into.SetMapIndex(reflect.ValueOf(key), element)
			}
		}
	case []any:
		into.Set(reflect.MakeSlice(into.Type(), len(v), len(v)))
		for i, item := range v {
			replyValue(p, item, into.Index(i), names)
		}
	case bool:
		into.SetBool(v)
	case string:
		if p.ref != "" && names != nil {
			v = names(p.ref, v)
		}
		into.SetString(v)
	}
}
