package catalogue

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// template is a text that holds references. It is read once, when the catalogue
// is, so that what a reference stands for is never read for references again.
type template []part

// part is a piece of literal text, or a reference by its name.
type part struct {
	text      string
	reference bool
}

// lookup returns what a reference stands for: a string, an int64 or a bool; nil
// when it is not set.
type lookup func(name string) any

// parseText splits a text into its parts. The marks that begin a reference are
// written as $$( when they are meant themselves.
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

// literal tells whether a text holds no reference; it is one part then.
func (t template) literal() bool { return len(t) == 1 && !t[0].reference }

// value returns what the text stands for. A text that is one reference takes the
// type of its value, and is nil when that is not set; in a longer text it is
// empty then.
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

// compiler turns the texts of a JSON value into templates, and collects the
// references that do not exist.
type compiler struct {
	// known tells what is wrong with a reference; empty when it exists.
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
// Members of objects that are null are left out.
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
// Where one stands alone and is not set, the member or the element is left out;
// set is false when that is the whole value.
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
