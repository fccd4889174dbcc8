package body

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxDepth is the greatest depth of a body.
const maxDepth = 32

// node is a value of JSON. Objects keep the order of their keys.
type node struct {
	// value is nil, a bool, a string or a json.Number, unless it is an object or list.
	value   any
	object  bool
	list    bool
	members []member
	items   []*node
}

type member struct {
	key   string
	value *node
}

// SyntaxError explains why a body is no JSON. It has no part of the body but a character.
type SyntaxError struct {
	Line    int
	Problem string
}

// Error names the line and the problem.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("the body is no JSON: line %d: %s", e.Line, e.Problem)
}

// parse reads one JSON value.
func parse(data []byte) (*node, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	n, err := read(d, 0)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is something after the end of the object")
		}
	}
	if err == nil {
		return n, nil
	}
	offset := d.InputOffset()
	var syntax *json.SyntaxError
	problem := err.Error()
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		problem, offset = "it ends before the object does", int64(len(data))
	}
	offset = min(max(offset, 0), int64(len(data)))
	return nil, &SyntaxError{Line: 1 + bytes.Count(data[:offset], []byte("\n")), Problem: problem}
}

func read(d *json.Decoder, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is deeper than %d levels", maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return &node{value: token}, nil
	}
	n := &node{object: delim == '{', list: delim == '['}
	for d.More() {
		key := ""
		if n.object {
			token, err := d.Token()
			if err != nil {
				return nil, err
			}
			key, _ = token.(string)
		}
		value, err := read(d, depth+1)
		if err != nil {
			return nil, err
		}
		if n.object {
			n.members = append(n.members, member{key, value})
		} else {
			n.items = append(n.items, value)
		}
	}
	_, err = d.Token()
	return n, err
}

// unset reports whether a value counts as a field that is left out.
func (n *node) unset() bool {
	switch v := n.value.(type) {
	case nil:
		return !n.object && (!n.list || len(n.items) == 0)
	case string:
		return v == ""
	case json.Number:
		return v == "0"
	}
	return false
}

// kind names the type of a value in messages.
func (n *node) kind() string {
	switch n.value.(type) {
	case bool:
		return "true or false"
	case string:
		return "a text"
	case json.Number:
		return "a number"
	}
	switch {
	case n.object:
		return "an object"
	case n.list:
		return "a list"
	}
	return "null"
}
