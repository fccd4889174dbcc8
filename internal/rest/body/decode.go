package body

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
)

// Reasons of problems that a body has by itself. Problems of objects have the reasons
// of v1alpha1.
const (
	// UnknownKey: the resource has no such key.
	UnknownKey = "UnknownKey"
	// WrongType: the value has another type.
	WrongType = "WrongType"
	// Required: the key is missing.
	Required = "Required"
	// Conflicting: two spellings of one key have different values.
	Conflicting = "Conflicting"
	// NotSupported: the value is not one of the values that are accepted.
	NotSupported = "NotSupported"
	// Invalid: the value breaks a rule.
	Invalid = v1alpha1.ReasonInvalid
)

// Fault is a problem of a request. Location begins with body, path, query or header, in
// the spelling of the request. Message has no value of the request that could be
// secret.
type Fault struct {
	Location string `json:"location,omitempty"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`
}

// Echoes are the values that a request may repeat in its body, by the tag echo.
type Echoes map[string]string

// Decoded is a body with its problems, and the spellings of its keys.
type Decoded struct {
	Problems []Fault
	Warnings []string
	// spelled holds the location of each value, in the spelling of the request, by its
	// location in the spelling of replies.
	spelled map[string]string
	echoes  Echoes
}

// Decode reads a request into a struct of this package. Values that count as unset stay
// zero. The error is a *SyntaxError.
func Decode(data []byte, into any, echoes Echoes) (*Decoded, error) {
	n, err := parse(data)
	if err != nil {
		return nil, err
	}
	d := &Decoded{spelled: map[string]string{}, echoes: echoes}
	if !n.object {
		d.report("body", WrongType, "the body is %s: write an object", n.kind())
		return d, nil
	}
	d.object(n, reflect.ValueOf(into).Elem(), "body", "body")
	return d, nil
}

func (d *Decoded) report(location, reason, format string, args ...any) {
	d.Problems = append(d.Problems, Fault{Location: location, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// object reads the members of an object into a struct. canonical and spelled are its
// location in the spelling of replies and of the request.
func (d *Decoded) object(n *node, into reflect.Value, canonical, spelled string) {
	all := properties(into.Type())
	first := map[string]string{}
	for _, m := range n.members {
		at := spelled + "." + printable(m.key)
		p, known := find(all, m.key)
		if !known {
			if hint := nearest(all, m.key); hint != "" {
				d.report(at, UnknownKey, "the key %s is unknown: did you mean %s?", printable(m.key), hint)
			} else {
				d.report(at, UnknownKey, "the key %s is unknown: remove it", printable(m.key))
			}
			continue
		}
		where := canonical + "." + p.key
		if p.readonly || m.value.unset() {
			d.note(where, at)
			continue
		}
		if p.echo != "" {
			d.note(where, at)
			d.repeat(p, m.value, at)
			continue
		}
		field := into.FieldByIndex(p.index)
		before, again := first[p.key]
		if !again {
			first[p.key] = at
			d.note(where, at)
			d.value(p, m.value, field, where, at)
			continue
		}
		other := reflect.New(field.Type()).Elem()
		count := len(d.Problems)
		d.value(p, m.value, other, where, at)
		if len(d.Problems) == count && !reflect.DeepEqual(field.Interface(), other.Interface()) {
			d.report(at, Conflicting, "the key is there as %s too, with another value: keep one", strings.TrimPrefix(before, "body."))
		}
	}
	for _, p := range all {
		if p.required && into.FieldByIndex(p.index).IsZero() && !d.reported(canonical+"."+p.key, spelled+"."+p.key) {
			d.report(d.locate(canonical+"."+p.key, spelled+"."+p.key), Required, "%s is missing: set it", p.key)
		}
	}
}

// note records the spelling of a location, of which the first counts.
func (d *Decoded) note(canonical, spelled string) {
	if _, noted := d.spelled[canonical]; !noted {
		d.spelled[canonical] = spelled
	}
}

func (d *Decoded) locate(canonical, otherwise string) string {
	if spelled, noted := d.spelled[canonical]; noted {
		return spelled
	}
	return otherwise
}

// reported reports whether there is a problem at or below a location already.
func (d *Decoded) reported(canonical, spelled string) bool {
	at := d.locate(canonical, spelled)
	return slices.ContainsFunc(d.Problems, func(p Fault) bool {
		rest, below := strings.CutPrefix(p.Location, at)
		return below && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// repeat checks a value that must be the one of the path.
func (d *Decoded) repeat(p property, n *node, at string) {
	text, ok := n.value.(string)
	switch want := d.echoes[p.echo]; {
	case !ok:
		d.wrong(n, "a text", at)
	case text != want:
		d.report(at, Conflicting, "%s differs from the one in the path of the request: correct it, or leave it out", p.key)
	}
}

func (d *Decoded) wrong(n *node, want, at string) {
	d.report(at, WrongType, "it is %s: write %s", n.kind(), want)
}

// value reads one value into a field.
func (d *Decoded) value(p property, n *node, into reflect.Value, canonical, spelled string) {
	switch into.Kind() {
	case reflect.Pointer:
		d.pointer(p, n, into, canonical, spelled)
	case reflect.Struct:
		if !n.object {
			d.wrong(n, "an object", spelled)
			return
		}
		d.object(n, into, canonical, spelled)
	case reflect.Slice:
		if !n.list {
			d.wrong(n, "a list", spelled)
			return
		}
		into.Set(reflect.MakeSlice(into.Type(), len(n.items), len(n.items)))
		for i, item := range n.items {
			index := "[" + strconv.Itoa(i) + "]"
			d.value(property{key: p.key, enum: p.enum}, item, into.Index(i), canonical+index, spelled+index)
		}
	case reflect.Map:
		d.mapping(p, n, into, canonical, spelled)
	case reflect.Bool:
		b, ok := n.value.(bool)
		if !ok {
			d.wrong(n, "true or false", spelled)
		}
		into.SetBool(b)
	case reflect.Int64:
		number, _ := n.value.(json.Number)
		i, err := number.Int64()
		if err != nil {
			d.wrong(n, "a whole number", spelled)
		}
		into.SetInt(i)
	default:
		d.scalar(p, n, into, spelled)
	}
}

// pointer reads an object that may be left out. An object without a value that counts
// is left out, unless it is required.
func (d *Decoded) pointer(p property, n *node, into reflect.Value, canonical, spelled string) {
	target := reflect.New(into.Type().Elem())
	if schedule, isText := n.value.(string); isText {
		if c, ok := target.Interface().(*Calendar); ok {
			c.Schedule = schedule
			d.Warnings = append(d.Warnings, strings.TrimPrefix(spelled, "body.")+": a text is read as the schedule: write an object with the key schedule")
			into.Set(target)
			return
		}
	}
	if n.object && !p.required && n.empty() {
		return
	}
	d.value(property{key: p.key}, n, target.Elem(), canonical, spelled)
	into.Set(target)
}

// empty reports whether an object has no value that counts.
func (n *node) empty() bool {
	for _, m := range n.members {
		if !m.value.unset() && (!m.value.object || !m.value.empty()) {
			return false
		}
	}
	return true
}

// mapping reads an object whose keys people choose.
func (d *Decoded) mapping(p property, n *node, into reflect.Value, canonical, spelled string) {
	if !n.object {
		d.wrong(n, "an object", spelled)
		return
	}
	if len(n.members) == 0 {
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	for _, m := range n.members {
		at := "." + printable(m.key)
		key := reflect.ValueOf(m.key)
		if into.MapIndex(key).IsValid() {
			d.report(spelled+at, Conflicting, "the key is there twice: keep one")
			continue
		}
		value := reflect.New(into.Type().Elem()).Elem()
		if !m.value.unset() || m.value.value == "" {
			d.value(property{key: p.key, number: true}, m.value, value, canonical+at, spelled+at)
		}
		into.SetMapIndex(key, value)
	}
}

func (d *Decoded) scalar(p property, n *node, into reflect.Value, at string) {
	text, ok := n.value.(string)
	if number, isNumber := n.value.(json.Number); isNumber && p.number {
		text, ok = number.String(), true
	}
	switch {
	case !ok:
		d.wrong(n, "a text", at)
	case len(p.enum) > 0 && !slices.Contains(p.enum, text):
		d.report(at, NotSupported, "the value of %s is not supported: write one of %s", p.key, strings.Join(p.enum, ", "))
		into.SetString(text)
	default:
		into.SetString(text)
	}
}

// maxKey is the longest key that a location shows, in bytes.
const maxKey = 128

// printable returns a key of a request for a location.
func printable(key string) string {
	key = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(key, "?"))
	if len(key) > maxKey {
		key = strings.ToValidUTF8(key[:maxKey], "") + "…"
	}
	return key
}
