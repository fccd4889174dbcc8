package edit

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	goyaml "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// spliced returns a YAML text in which only the lines of values that differ from an
// object are replaced. It reports false for a text that cannot be changed line by line,
// for example one in the flow style. The caller must check the result.
func spliced(content []byte, object map[string]any) ([]byte, bool) {
	var document goyaml.Node
	if len(content) == 0 || goyaml.Unmarshal(content, &document) != nil || len(document.Content) != 1 {
		return nil, false
	}
	end := lineEnd(content)
	p := &patch{lines: strings.Split(string(content), end)}
	root := document.Content[0]
	if !block(root, goyaml.MappingNode) {
		return nil, false
	}
	if metadata := child(root, "metadata"); metadata != nil {
		if namespace := child(metadata, "namespace"); namespace != nil && namespace.Kind == goyaml.ScalarNode {
			object = maps.Clone(object)
			kept, _ := object["metadata"].(map[string]any)
			kept = maps.Clone(kept)
			kept["namespace"] = plain(namespace)
			object["metadata"] = kept
		}
	}
	if !p.mapping(root, object, len(p.lines)) {
		return nil, false
	}
	return []byte(strings.Join(p.apply(), end)), true
}

// patch collects changes of lines, which are counted from 0.
type patch struct {
	lines   []string
	changes []change
}

// change replaces the lines from one to another, which stays.
type change struct {
	from, to int
	with     []string
}

func (p *patch) replace(from, to int, with []string) {
	p.changes = append(p.changes, change{from, to, with})
}

// apply returns the lines after all changes, which do not overlap.
func (p *patch) apply() []string {
	slices.SortStableFunc(p.changes, func(a, b change) int { return a.from - b.from })
	var lines []string
	next := 0
	for _, c := range p.changes {
		lines = append(lines, p.lines[next:c.from]...)
		lines = append(lines, c.with...)
		next = c.to
	}
	return append(lines, p.lines[next:]...)
}

// block reports whether a node is of a kind, has content, and is written in lines of its
// own.
func block(node *goyaml.Node, kind goyaml.Kind) bool {
	return node.Kind == kind && node.Style&goyaml.FlowStyle == 0 && len(node.Content) > 0
}

func child(node *goyaml.Node, name string) *goyaml.Node {
	for i := 0; node.Kind == goyaml.MappingNode && i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1]
		}
	}
	return nil
}

// stop returns the end of a part that begins at a line and a column: the comments and
// blank lines at its end belong to the next part.
func (p *patch) stop(start, end, column int) int {
	for end > start+1 {
		line := p.lines[end-1]
		text := strings.TrimLeft(line, " ")
		comment := strings.HasPrefix(text, "#") && len(line)-len(text) < column
		if !comment && strings.TrimSpace(text) != "" && line != "..." {
			break
		}
		end--
	}
	return end
}

// mapping makes the lines of a mapping hold an object. It reports false if it cannot.
func (p *patch) mapping(node *goyaml.Node, object map[string]any, end int) bool {
	column := node.Content[0].Column
	last := 0
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		next := end
		if i+2 < len(node.Content) {
			next = node.Content[i+2].Line - 1
		}
		start := key.Line - 1
		if key.Column != column || start >= next || len(p.lines[start]) < column {
			return false
		}
		last = p.stop(start, next, column)
		wanted, stays := object[key.Value]
		switch {
		case !stays && value.ShortTag() == "!!null":
		case !stays:
			if strings.TrimSpace(p.lines[start][:column-1]) != "" {
				// The line also begins the item of a list.
				return false
			}
			p.replace(start, last, nil)
		case !reflect.DeepEqual(plain(value), wanted) && !p.inside(value, wanted, key.Line, last):
			with, ok := p.entry(key.Value, wanted, value, start, column)
			if !ok {
				return false
			}
			p.replace(start, last, with)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if child(node, name) == nil {
			with, ok := encoded(map[string]any{name: object[name]}, strings.Repeat(" ", column-1))
			if !ok {
				return false
			}
			p.replace(last, last, with)
		}
	}
	return true
}

// inside makes the lines of a value hold another one, and reports whether it did.
func (p *patch) inside(value *goyaml.Node, wanted any, keyLine, end int) bool {
	before := len(p.changes)
	done := false
	switch wanted := wanted.(type) {
	case map[string]any:
		done = len(wanted) > 0 && block(value, goyaml.MappingNode) && value.Line > keyLine && p.mapping(value, wanted, end)
	case []any:
		done = len(wanted) > 0 && block(value, goyaml.SequenceNode) && value.Line > keyLine && p.sequence(value, wanted, end)
	}
	if !done {
		p.changes = p.changes[:before]
	}
	return done
}

// sequence makes the lines of a list hold other items. Equal items at both ends stay.
func (p *patch) sequence(node *goyaml.Node, items []any, end int) bool {
	column := node.Column
	starts := make([]int, 0, len(node.Content)+1)
	for _, item := range node.Content {
		start := item.Line - 1
		if len(p.lines[start]) < column || p.lines[start][column-1] != '-' || strings.TrimSpace(p.lines[start][:column-1]) != "" {
			return false
		}
		starts = append(starts, start)
	}
	starts = append(starts, end)
	equal := func(i, j int) bool { return reflect.DeepEqual(plain(node.Content[i]), items[j]) }
	head := 0
	for head < min(len(node.Content), len(items)) && equal(head, head) {
		head++
	}
	tail := 0
	for tail < min(len(node.Content), len(items))-head && equal(len(node.Content)-1-tail, len(items)-1-tail) {
		tail++
	}
	indent := strings.Repeat(" ", column-1)
	if len(node.Content) == len(items) {
		for i := head; i < len(items)-tail; i++ {
			item, stop := node.Content[i], p.stop(starts[i], starts[i+1], column)
			if p.inside(item, items[i], 0, stop) {
				continue
			}
			with, ok := encoded([]any{items[i]}, indent)
			if !ok {
				return false
			}
			p.replace(starts[i], stop, with)
		}
		return true
	}
	from, to := starts[head], starts[head]
	if head > 0 {
		from = p.stop(starts[head-1], starts[head], column)
		to = from
	}
	if last := len(node.Content) - tail; last > head {
		from, to = starts[head], p.stop(starts[last-1], starts[last], column)
	}
	var with []string
	if middle := items[head : len(items)-tail]; len(middle) > 0 {
		var ok bool
		if with, ok = encoded(middle, indent); !ok {
			return false
		}
	}
	p.replace(from, to, with)
	return true
}

// entry returns the lines of a key and its new value. The first one begins as the line
// before, and a comment after a value on the same line stays.
func (p *patch) entry(name string, wanted any, before *goyaml.Node, start, column int) ([]string, bool) {
	with, ok := encoded(map[string]any{name: wanted}, strings.Repeat(" ", column-1))
	if !ok {
		return nil, false
	}
	with[0] = p.lines[start][:column-1] + with[0][column-1:]
	if before.Kind == goyaml.ScalarNode && before.LineComment != "" && len(with) == 1 {
		with[0] += " " + before.LineComment
	}
	return with, true
}

// encoded returns the lines of a value in YAML.
func encoded(value any, indent string) ([]string, bool) {
	content, err := yaml.Marshal(value)
	if err != nil {
		return nil, false
	}
	lines := strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = indent + line
		}
	}
	return lines, true
}

// plain returns the value of a node as JSON has it.
func plain(node *goyaml.Node) any {
	switch node.Kind {
	case goyaml.MappingNode:
		value := map[string]any{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			value[node.Content[i].Value] = plain(node.Content[i+1])
		}
		return value
	case goyaml.SequenceNode:
		value := []any{}
		for _, item := range node.Content {
			value = append(value, plain(item))
		}
		return value
	}
	var value any
	switch node.ShortTag() {
	case "!!bool", "!!int", "!!float":
		if err := node.Decode(&value); err != nil {
			return node.Value
		}
		if number, ok := value.(int); ok {
			return int64(number)
		}
		return value
	case "!!null":
		return nil
	}
	return node.Value
}
