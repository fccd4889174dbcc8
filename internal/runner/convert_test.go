package runner

//lint:file-ignore SA1019 repositories hold files of v1beta1 for as long as Tekton reads them

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	tektonv1beta1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1beta1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// step is a step from a value to one of its fields, elements or entries.
type step struct {
	field int
	name  string
}

// leaves returns the paths to all fields of a type that hold no further fields of
// Tekton. A type that holds itself is entered once.
func leaves(kind reflect.Type, within []reflect.Type) [][]step {
	switch kind.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		if kind.Elem().Kind() == reflect.Uint8 {
			return [][]step{nil}
		}
		return under(step{-1, "*"}, leaves(kind.Elem(), within))
	case reflect.Struct:
	default:
		return [][]step{nil}
	}
	for _, outer := range within {
		if outer == kind {
			return nil
		}
	}
	if !strings.Contains(kind.PkgPath(), "tektoncd/pipeline") || isValue(kind) {
		return [][]step{nil}
	}
	var all [][]step
	for i := range kind.NumField() {
		field := kind.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" {
			continue
		}
		all = append(all, under(step{i, name}, leaves(field.Type, append(within, kind)))...)
	}
	return all
}

func under(first step, rest [][]step) [][]step {
	var all [][]step
	for _, path := range rest {
		all = append(all, append([]step{first}, path...))
	}
	return all
}

// set makes the holders of a path, and sets the value at its end.
func set(t *testing.T, value reflect.Value, path []step, leaf bool) {
	t.Helper()
	switch kind := value.Type(); kind.Kind() {
	case reflect.Pointer:
		if len(path) > 0 {
			path = path[1:]
		}
		value.Set(reflect.New(kind.Elem()))
		set(t, value.Elem(), path, leaf)
		return
	case reflect.Slice:
		if kind.Elem().Kind() == reflect.Uint8 {
			break
		}
		value.Set(reflect.MakeSlice(kind, 1, 1))
		set(t, value.Index(0), path[min(1, len(path)):], leaf)
		return
	case reflect.Map:
		item := reflect.New(kind.Elem()).Elem()
		set(t, item, path[min(1, len(path)):], leaf)
		value.Set(reflect.MakeMap(kind))
		value.SetMapIndex(reflect.ValueOf("k").Convert(kind.Key()), item)
		return
	case reflect.Struct:
		if len(path) > 0 {
			set(t, value.Field(path[0].field), path[1:], leaf)
			return
		}
	}
	if leaf {
		fill(t, value)
	}
}

// fill sets any value but the zero value.
func fill(t *testing.T, value reflect.Value) {
	t.Helper()
	switch v := value.Addr().Interface().(type) {
	case *tektonv1beta1.ParamValue:
		*v = *tektonv1beta1.NewStructuredValues("text")
		return
	case *metav1.Duration:
		v.Duration = time.Minute
		return
	case *metav1.Time:
		v.Time = time.Unix(1e9, 0).UTC()
		return
	case *resource.Quantity:
		*v = resource.MustParse("5")
		return
	}
	switch value.Kind() {
	case reflect.String:
		value.SetString("text")
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		value.SetInt(7)
	case reflect.Slice:
		if value.Type().Elem().Kind() == reflect.Uint8 {
			value.SetBytes([]byte(`{"a":"b"}`))
			return
		}
		value.Set(reflect.MakeSlice(value.Type(), 1, 1))
		fill(t, value.Index(0))
	case reflect.Map:
		item := reflect.New(value.Type().Elem()).Elem()
		fill(t, item)
		value.Set(reflect.MakeMap(value.Type()))
		value.SetMapIndex(reflect.ValueOf("k").Convert(value.Type().Key()), item)
	case reflect.Pointer:
		value.Set(reflect.New(value.Type().Elem()))
		fill(t, value.Elem())
	case reflect.Struct:
		for i := range value.NumField() {
			if value.Type().Field(i).IsExported() {
				fill(t, value.Field(i))
				return
			}
		}
	default:
		t.Fatalf("a field of kind %s", value.Kind())
	}
}

// withTypes gives the values of parameters a type, without which they have no JSON.
func withTypes(value reflect.Value) {
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() {
			withTypes(value.Elem())
		}
	case reflect.Slice:
		for i := range value.Len() {
			withTypes(value.Index(i))
		}
	case reflect.Struct:
		if v, isValue := value.Addr().Interface().(*tektonv1beta1.ParamValue); isValue {
			if v.Type == "" {
				*v = *tektonv1beta1.NewStructuredValues("")
			}
			return
		}
		for i := range value.NumField() {
			if value.Type().Field(i).IsExported() {
				withTypes(value.Field(i))
			}
		}
	}
}

// Every field of the types of v1beta1 is in the run, or the file is refused with the
// name of the field.
func TestConversionKeepsEveryField(t *testing.T) {
	type version struct {
		spec   reflect.Type
		old    func() convertible
		object func() convertible
		kind   string
	}
	versions := []version{
		{
			spec: reflect.TypeFor[tektonv1beta1.PipelineRunSpec](), kind: kindPipelineRun,
			old:    func() convertible { return &tektonv1beta1.PipelineRun{} },
			object: func() convertible { return &tektonv1.PipelineRun{} },
		},
		{
			spec: reflect.TypeFor[tektonv1beta1.PipelineSpec](), kind: kindPipeline,
			old:    func() convertible { return &tektonv1beta1.Pipeline{} },
			object: func() convertible { return &tektonv1.Pipeline{} },
		},
	}
	for _, v := range versions {
		kept, refused := 0, map[string]bool{}
		for _, path := range leaves(v.spec, nil) {
			var names []string
			for _, one := range path {
				if one.name != "" {
					names = append(names, one.name)
				}
			}
			name := v.kind + "/" + strings.ReplaceAll(strings.Join(names, "/"), "/*", "")
			create := func(leaf bool) (convertible, []byte) {
				old := v.old()
				spec := reflect.ValueOf(old).Elem().FieldByName("Spec")
				set(t, spec, path, leaf)
				withTypes(spec)
				object := v.object()
				content, err := json.Marshal(old)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				var fields map[string]any
				if err := json.Unmarshal(content, &fields); err != nil {
					t.Fatal(err)
				}
				delete(fields, "status")
				fields["apiVersion"], fields["kind"] = versionV1beta1, v.kind
				content, err = json.Marshal(fields)
				if err != nil {
					t.Fatal(err)
				}
				if err := old.ConvertTo(context.Background(), object); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				return object, content
			}
			specOf := func(o convertible) string {
				content, err := json.Marshal(reflect.ValueOf(o).Elem().FieldByName("Spec").Interface())
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				return string(content)
			}
			with, content := create(true)
			without, _ := create(false)
			arrives := specOf(with) != specOf(without)
			object := v.object()
			err := decode(content, versionV1beta1, object, v.old(), v.old())
			switch {
			case err == nil && !arrives:
				t.Errorf("%s vanishes without a word: %s", name, content)
			case err == nil:
				kept++
				if got, want := specOf(object), specOf(with); got != want {
					t.Errorf("%s: the spec is %s, want %s", name, got, want)
				}
			case arrives:
				t.Errorf("%s is refused although it is kept: %v", name, err)
			default:
				refused[name] = true
				if field := "/" + names[len(names)-1]; !strings.Contains(err.Error(), "/spec/") || !slices.ContainsFunc(names, func(one string) bool { return strings.Contains(err.Error(), "/"+one) }) {
					t.Errorf("%s: the message does not name the field %s: %v", name, field, err)
				}
			}
		}
		if kept < 100 || len(refused) == 0 {
			t.Errorf("%s: %d fields are kept and %d refused", v.kind, kept, len(refused))
		}
		t.Log(v.kind, kept, len(refused), fmt.Sprint(refused))
	}
}
