package catalogue

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// template is a text with references. It is parsed once, with the catalogue, so that
// the value of a reference is never searched for references.
type template []part

// part is a piece of literal text, or a reference by its name.
type part struct {
	text      string
	reference bool
}

// lookup returns the value of a reference, which is a string, an int64, a bool or an
// object, or nil if it is not set.
type lookup func(name string) any

// parseText splits a text into its parts. $$( is the escape of $(, which begins a
// reference.
func parseText(text string) (template, error) {
	var (
		parts   template
		literal strings.Builder
	)
	for {
		i := strings.Index(text, "$(")
		if i < 0 {
			literal.WriteString(text)
			break
		}
		if i > 0 && text[i-1] == '$' {
			literal.WriteString(text[:i])
			literal.WriteByte('(')
			text = text[i+len("$("):]
			continue
		}
		literal.WriteString(text[:i])
		name, rest, closed := strings.Cut(text[i+len("$("):], ")")
		if !closed {
			return nil, fmt.Errorf("a reference is not closed: add ), or write $$( for $( itself")
		}
		if literal.Len() > 0 {
			parts = append(parts, part{text: literal.String()})
			literal.Reset()
		}
		parts = append(parts, part{text: name, reference: true})
		text = rest
	}
	if literal.Len() > 0 || len(parts) == 0 {
		parts = append(parts, part{text: literal.String()})
	}
	return parts, nil
}

// literal reports whether a text has no reference, so that it is one part.
func (t template) literal() bool { return len(t) == 1 && !t[0].reference }

// value returns the text with its references replaced. A text that consists of one
// reference has the type of the value, and is nil if the value is not set. In a longer
// text, a value that is not set is empty.
func (t template) value(find lookup) any {
	if len(t) == 1 && t[0].reference {
		return find(t[0].text)
	}
	var text strings.Builder
	for _, p := range t {
		if !p.reference {
			text.WriteString(p.text)
			continue
		}
		switch value := find(p.text).(type) {
		case string:
			text.WriteString(value)
		case int64:
			text.WriteString(strconv.FormatInt(value, 10))
		case bool:
			text.WriteString(strconv.FormatBool(value))
		}
	}
	return text.String()
}

// compiler turns the texts of a JSON value into templates, and collects unknown
// references.
type compiler struct {
	// known returns the problem of a reference, or "" if the reference exists.
	known func(name string) string
	errs  field.ErrorList
}

func (c *compiler) text(text string, at *field.Path) template {
	parsed, err := parseText(text)
	if err != nil {
		c.errs = append(c.errs, field.Invalid(at, text, err.Error()))
		return nil
	}
	for _, p := range parsed {
		if !p.reference {
			continue
		}
		if wrong := c.known(p.text); wrong != "" {
			c.errs = append(c.errs, field.Invalid(at, text, wrong))
		}
	}
	return parsed
}

// tree returns a copy of a JSON value whose texts with references are templates.
// It leaves out members of objects that are null.
func (c *compiler) tree(node any, at *field.Path) any {
	switch node := node.(type) {
	case map[string]any:
		made := make(map[string]any, len(node))
		for key, value := range node {
			if value != nil {
				made[key] = c.tree(value, at.Child(key))
			}
		}
		return made
	case []any:
		made := make([]any, 0, len(node))
		for i, value := range node {
			made = append(made, c.tree(value, at.Index(i)))
		}
		return made
	case string:
		if !strings.Contains(node, "$(") {
			return node
		}
		parsed := c.text(node, at)
		if parsed.literal() {
			return parsed[0].text
		}
		return parsed
	}
	return node
}

// expand returns a copy of a compiled JSON value with the references replaced.
// It leaves out a member or an element that is one reference without a value. set is
// false if that is the whole value.
func expand(node any, find lookup) (value any, set bool) {
	switch node := node.(type) {
	case map[string]any:
		made := make(map[string]any, len(node))
		for key, value := range node {
			if value, set := expand(value, find); set {
				made[key] = value
			}
		}
		return made, true
	case []any:
		made := make([]any, 0, len(node))
		for _, value := range node {
			if value, set := expand(value, find); set {
				made = append(made, value)
			}
		}
		return made, true
	case template:
		value := node.value(find)
		return value, value != nil
	}
	return node, true
}
