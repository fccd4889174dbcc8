package body

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// Locate returns the location of a field of the spec in the request, in the spelling of
// the request. body is a struct of this package; field is a path such as
// spec.destination.namespaces[0] or spec.vars[key]. It returns the location of the
// nearest object above a field that bodies do not have.
func (d *Decoded) Locate(body any, field string) string {
	if precise, ok := body.(interface{ narrow(field string) string }); ok {
		field = precise.narrow(field)
	}
	t := reflect.TypeOf(body)
	canonical := "body"
	spelled := "body"
	for _, step := range steps(strings.TrimPrefix(field, "spec")) {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		at := ""
		switch {
		case t.Kind() == reflect.Struct:
			p, found := fileKey(t, step.text)
			if !found {
				return spelled
			}
			at, t = "."+p.key, t.FieldByIndex(p.index).Type
		case t.Kind() == reflect.Slice && step.bracket:
			at, t = "["+step.text+"]", t.Elem()
		case t.Kind() == reflect.Map:
			at, t = "."+printable(step.text), t.Elem()
		default:
			return spelled
		}
		canonical += at
		spelled = d.locate(canonical, spelled+at)
	}
	return spelled
}

// At returns a location in the spelling of the request. The argument is one in the
// spelling of replies.
func (d *Decoded) At(canonical string) string {
	at, rest := canonical, ""
	for {
		if spelled, noted := d.spelled[at]; noted {
			return spelled + rest
		}
		cut := strings.LastIndexAny(at, ".[")
		if cut < 0 {
			return canonical
		}
		at, rest = at[:cut], at[cut:]+rest
	}
}

// Reference is a name of a repository in a body. Location is in the spelling of replies.
type Reference struct{ Location, Name string }

// References returns the names of repositories in a body.
func References(body any) []Reference { return references(reflect.ValueOf(body).Elem(), "body") }

func references(v reflect.Value, at string) []Reference {
	var all []Reference
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return references(v.Elem(), at)
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, references(v.Index(i), at+"["+strconv.Itoa(i)+"]")...)
		}
	case reflect.Struct:
		for _, p := range properties(v.Type()) {
			field := v.FieldByIndex(p.index)
			switch {
			case p.ref == "repo" && field.String() != "":
				all = append(all, Reference{at + "." + p.key, field.String()})
			case p.ref == "" && !p.replyOnly && !p.readonly:
				all = append(all, references(field, at+"."+p.key)...)
			}
		}
	}
	return all
}

func fileKey(t reflect.Type, key string) (property, bool) {
	for _, p := range properties(t) {
		if p.file == key && key != "" {
			return p, true
		}
	}
	return property{}, false
}

type step struct {
	text    string
	bracket bool
}

// steps splits the path of a field. Keys in brackets may hold dots.
func steps(path string) []step {
	var all []step
	for path != "" {
		if rest, bracket := strings.CutPrefix(path, "["); bracket {
			key, after, _ := strings.Cut(rest, "]")
			all = append(all, step{key, true})
			path = after
			continue
		}
		path = strings.TrimPrefix(path, ".")
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		if end > 0 {
			all = append(all, step{path[:end], false})
		}
		path = path[end:]
	}
	return all
}

var word = regexp.MustCompile(`[A-Za-z]+`)

// Words returns a message about a spec in the keys of bodies: pipelineSource becomes
// pipeline_source.
func Words(body any, message string) string {
	keys := map[string]string{}
	collect(reflect.TypeOf(body).Elem(), keys)
	return word.ReplaceAllStringFunc(message, func(w string) string {
		if key, found := keys[w]; found {
			return key
		}
		return w
	})
}

// collect adds the keys of files that are not spelled like the keys of bodies.
func collect(t reflect.Type, keys map[string]string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return
	}
	for _, p := range properties(t) {
		if p.file == "" || p.replyOnly {
			continue
		}
		if p.file != p.key {
			keys[p.file] = p.key
		}
		collect(t.FieldByIndex(p.index).Type, keys)
	}
}
