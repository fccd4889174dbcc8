package layout

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"nautes.io/nautes/internal/yamltext"
)

// Limits of a resource file.
const (
	// MaxSize is the size of the largest file, in bytes.
	MaxSize = 256 << 10
	// maxNodes is the number of values in a file, and maxDepth how deep they are nested.
	maxNodes = 20_000
	maxDepth = 64
	// maxKey is the length of the longest key, in bytes.
	maxKey = 512
)

// fault is a problem at a line of a file; line 0 stands for the whole file.
type fault struct {
	line    int32
	reason  string
	message string
	// explained faults need no hint on their line.
	explained bool
}

func at(node *yaml.Node, reason, message string) *fault {
	return &fault{line: lineOf(node), reason: reason, message: message}
}

func lineOf(node *yaml.Node) int32 {
	// A file within MaxSize has no more lines than an int32 can count.
	return int32(max(node.Line, 0))
}

// parse returns the one document of a file as its root node.
func parse(content []byte) (*yaml.Node, *fault) {
	if found := yamltext.Foreign(content); found != nil {
		return nil, foreign(found)
	}
	switch {
	case len(content) > MaxSize:
		return nil, &fault{line: 0, reason: TooLarge, message: "the file has " + strconv.Itoa(len(content)) + " bytes and may have " + strconv.Itoa(MaxSize) + ": make it smaller"}
	case !utf8.Valid(content):
		return nil, &fault{line: 0, reason: Unparsable, message: "the file is not in UTF-8: convert it"}
	case bytes.IndexByte(content, 0) >= 0:
		return nil, &fault{line: 0, reason: Unparsable, message: "the file contains a NUL byte: write a text file"}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var root *yaml.Node
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			f := syntax(err)
			if found := yamltext.Unparsable(content, int(f.line)); found != nil {
				return nil, foreign(found)
			}
			return nil, f
		}
		switch {
		case empty(&document):
		case root != nil:
			return nil, at(document.Content[0], Unparsable, "the file contains a second object: put each object into a file of its own")
		default:
			root = document.Content[0]
		}
	}
	if root == nil {
		return nil, &fault{line: 0, reason: Unparsable, message: "the file contains no object: write one, or remove the file"}
	}
	nodes := maxNodes
	if f := bounded(root, maxDepth, &nodes); f != nil {
		return nil, f
	}
	return root, nil
}

func foreign(found *yamltext.Finding) *fault {
	return &fault{line: int32(found.Line), reason: Unparsable, message: found.Message, explained: true}
}

func empty(document *yaml.Node) bool {
	return null(document.Content[0])
}

var linePattern = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)

// syntax turns an error of the YAML parser into a fault.
func syntax(err error) *fault {
	f := &fault{reason: Unparsable, message: "the file is not valid YAML: correct it"}
	if match := linePattern.FindStringSubmatch(err.Error()); match != nil {
		line, err := strconv.ParseInt(match[1], 10, 32)
		if err != nil && !strings.Contains(match[2], "anchor") {
			// The parser leaves out the number of the first line.
			line = 1
		}
		f.line, f.message = int32(line), "the file is not valid YAML ("+match[2]+"): correct it"
	}
	return f
}

// bounded refuses documents with too many or too deeply nested values, and
// aliases, by which a short text becomes a large value.
func bounded(node *yaml.Node, depth int, nodes *int) *fault {
	*nodes--
	switch {
	case depth == 0:
		return at(node, TooLarge, "values are nested more than "+strconv.Itoa(maxDepth)+" deep: flatten them")
	case *nodes < 0:
		return at(node, TooLarge, "the file contains more than "+strconv.Itoa(maxNodes)+" values: make it smaller")
	case node.Kind == yaml.AliasNode:
		return at(node, Unparsable, "YAML aliases (*"+node.Value+") are not supported: write the value out")
	}
	for _, child := range node.Content {
		if f := bounded(child, depth-1, nodes); f != nil {
			return f
		}
	}
	if node.Kind == yaml.MappingNode {
		return distinctKeys(node)
	}
	return nil
}

// distinctKeys refuses mappings that have a key twice or a key that is not a text.
func distinctKeys(node *yaml.Node) *fault {
	first := make(map[string]int, len(node.Content)/2)
	for i := 0; i < len(node.Content); i += 2 {
		key := node.Content[i]
		switch {
		case key.Kind != yaml.ScalarNode || key.ShortTag() == "!!merge":
			return at(key, Unparsable, "a key that is not a plain text is not supported: write the fields out")
		case key.ShortTag() != "!!str":
			return at(key, Unparsable, "the key "+strconv.Quote(key.Value)+" is not a text: put it in quotes")
		case yamltext.Hidden(key.Value) != "":
			return at(key, Unparsable, "the key "+strconv.Quote(key.Value)+" "+yamltext.Hidden(key.Value))
		case len(key.Value) > maxKey:
			return at(key, TooLarge, "a key is longer than "+strconv.Itoa(maxKey)+" bytes: shorten it")
		case first[key.Value] != 0:
			return at(key, Unparsable, "the key "+strconv.Quote(key.Value)+" is given twice, first at line "+strconv.Itoa(first[key.Value])+": keep one of them")
		}
		first[key.Value] = key.Line
	}
	return nil
}

// pair returns key and value of a field of a mapping, or nil if it is absent.
func pair(node *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; i < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i], node.Content[i+1]
		}
	}
	return nil, nil
}

// Line returns the line, from 1, of a field of the object in a file. The path is
// in the API server's form, such as spec.destination.namespaces[0] or
// metadata.labels[a/b]. If the file has no such field, it is the line of the
// nearest field above it, or 0 if there is none.
func Line(content []byte, field string) int32 {
	root, f := parse(content)
	if f != nil {
		return 0
	}
	return find(root, field, 0)
}

// find returns the line of a field, or of the nearest field above it.
func find(node *yaml.Node, field string, nearest int32) int32 {
	line, _ := follow(node, field, nearest)
	return line
}

// nodeAt returns the value of a field, or nil if the file does not have it.
func nodeAt(root *yaml.Node, field string) *yaml.Node {
	_, node := follow(root, field, 0)
	return node
}

// follow goes down the path as far as the nodes do, and returns the line that it
// reached. The node is nil if it did not reach the end. Keys can hold dots, so it
// takes the longest key that the path begins with.
func follow(node *yaml.Node, field string, nearest int32) (int32, *yaml.Node) {
	field = strings.TrimPrefix(field, ".")
	if field == "" {
		return nearest, node
	}
	switch node.Kind {
	case yaml.MappingNode:
		var key, value *yaml.Node
		rest := ""
		for i := 0; i < len(node.Content); i += 2 {
			candidate := node.Content[i]
			if left, found := cutKey(field, candidate.Value); found && (key == nil || len(candidate.Value) > len(key.Value)) {
				key, value, rest = candidate, node.Content[i+1], left
			}
		}
		if key != nil {
			return follow(value, rest, lineOf(key))
		}
	case yaml.SequenceNode:
		index, rest, found := cutIndex(field)
		if found && index < len(node.Content) {
			item := node.Content[index]
			return follow(item, rest, lineOf(item))
		}
	}
	return nearest, nil
}

// cutKey cuts a key off the beginning of a path: key, [key] or ["key"].
func cutKey(field, key string) (rest string, found bool) {
	if key == "" {
		return "", false
	}
	for _, form := range []string{"[" + key + "]", "[" + strconv.Quote(key) + "]"} {
		if rest, found := strings.CutPrefix(field, form); found {
			return rest, true
		}
	}
	rest, found = strings.CutPrefix(field, key)
	return rest, found && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// cutIndex cuts [number] off the beginning of a path.
func cutIndex(field string) (index int, rest string, found bool) {
	inside, rest, closed := strings.Cut(strings.TrimPrefix(field, "["), "]")
	index, err := strconv.Atoi(inside)
	return index, rest, closed && strings.HasPrefix(field, "[") && err == nil && index >= 0
}
