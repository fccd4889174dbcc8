package body

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// property describes a field of a body.
type property struct {
	index []int
	// key is the key of replies, file the key of the spec or empty.
	key, file string
	// spellings are the keys of requests.
	spellings              []string
	required, number, text bool
	readonly               bool
	echo, ref              string
	enum                   []string
	replyOnly              bool
}

// properties returns the fields of a struct, with the ones of embedded structs, in
// their order.
func properties(t reflect.Type) []property {
	var all []property
	for _, f := range reflect.VisibleFields(t) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || key == "" {
			continue
		}
		p := property{
			index: f.Index, key: key, file: f.Tag.Get("file"), echo: f.Tag.Get("echo"), ref: f.Tag.Get("ref"),
			required: f.Tag.Get("required") == "true", number: f.Tag.Get("number") == "true", text: f.Tag.Get("text") == "true",
			readonly: f.Tag.Get("readonly") == "true", replyOnly: f.Tag.Get("reply") == "only",
		}
		switch p.file {
		case "":
			p.file = camel(key)
		case "-":
			p.file = ""
		}
		if p.replyOnly {
			p.file = ""
		}
		p.spellings = append(p.spellings, key, camel(key))
		if p.file != "" {
			p.spellings = append(p.spellings, p.file)
		}
		if alias := f.Tag.Get("alias"); alias != "" {
			for a := range strings.SplitSeq(alias, ",") {
				p.spellings = append(p.spellings, a, camel(a))
			}
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			p.enum = strings.Split(enum, ",")
		}
		slices.Sort(p.spellings)
		p.spellings = slices.Compact(p.spellings)
		all = append(all, p)
	}
	return all
}

// find returns the property with a spelling of requests.
func find(all []property, spelling string) (property, bool) {
	for _, p := range all {
		if !p.replyOnly && slices.Contains(p.spellings, spelling) {
			return p, true
		}
	}
	return property{}, false
}

// camel returns a key in snake_case in camelCase.
func camel(key string) string {
	first, rest, found := strings.Cut(key, "_")
	if !found {
		return key
	}
	var b strings.Builder
	b.WriteString(first)
	for word := range strings.SplitSeq(rest, "_") {
		for i, r := range word {
			if i == 0 {
				r = unicode.ToUpper(r)
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// nearest returns the key that is most like an unknown one, or an empty string if none
// is like it.
func nearest(all []property, unknown string) string {
	best, distance := "", max(2, len(unknown)/2)
	for _, p := range all {
		if p.replyOnly {
			continue
		}
		for _, spelling := range p.spellings {
			if d := edits(strings.ToLower(unknown), strings.ToLower(spelling)); d < distance {
				best, distance = p.key, d
			}
		}
	}
	return best
}

// edits returns the number of insertions, removals and replacements of bytes that turn
// a into b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
