package layout

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"nautes.io/nautes/internal/yamltext"
)

// value returns the value of a node as JSON has it. Each value keeps the type
// that its text has in YAML: a number is never read as a text.
func (d *document) value(node *yaml.Node, field string) any {
	switch node.Kind {
	case yaml.MappingNode:
		value := make(map[string]any, len(node.Content)/2)
		for i := 0; i < len(node.Content); i += 2 {
			key := node.Content[i].Value
			value[key] = d.value(node.Content[i+1], field+"."+key)
		}
		return value
	case yaml.SequenceNode:
		value := make([]any, 0, len(node.Content))
		for i, item := range node.Content {
			value = append(value, d.value(item, field+"["+strconv.Itoa(i)+"]"))
		}
		return value
	}
	switch tag := node.ShortTag(); tag {
	case "!!str", "!!timestamp":
		return d.text(node, field)
	case "!!null":
		return nil
	case "!!bool", "!!int", "!!float":
		var value any
		if err := node.Decode(&value); err != nil {
			d.cannotRead(node, Invalid, field+" cannot be read as its tag "+tag+" requires: correct it")
		}
		number := d.number(node, field, value)
		if becomes, is := changed(node, number); tag != "!!bool" && is && !d.unreadable[node] {
			d.cannotRead(node, Invalid, fmt.Sprintf("%s is %s, which is read as the number %s: put it in quotes if it is a text, or write %s", field, node.Value, becomes, becomes))
		}
		return number
	default:
		d.cannotRead(node, Unparsable, field+" has the tag "+tag+", which is not supported: remove the tag")
		return nil
	}
}

func (d *document) cannotRead(node *yaml.Node, reason, message string) {
	d.unreadable[node] = true
	d.refuse(node, reason, message)
}

// text returns the value of a scalar that YAML reads as a text.
func (d *document) text(node *yaml.Node, field string) any {
	if strings.ContainsRune(node.Value, 0) {
		d.cannotRead(node, Invalid, field+" contains a NUL character: remove it")
	} else if hidden := yamltext.Hidden(node.Value); hidden != "" {
		d.cannotRead(node, Invalid, field+" "+hidden)
	} else if node.Style == 0 && openField.MatchString(field) && ambiguous.MatchString(node.Value) {
		d.cannotRead(node, Invalid, field+" is "+node.Value+", which is a text here and true or false to other programs: write true or false, or put it in quotes")
	}
	return node.Value
}

var (
	// openField matches the fields that take any value, for other programs.
	openField = regexp.MustCompile(`[.](values|value|task|default|additions)([.[]|$)`)
	ambiguous = regexp.MustCompile(`^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF)$`)
)

// changed reports whether a number is written in another way than other programs
// write it: its text would not stay what it is.
func changed(node *yaml.Node, value any) (becomes string, is bool) {
	if node.Style != 0 {
		return "", false
	}
	content, err := json.Marshal(value)
	becomes = string(content)
	if f, isFloat := value.(float64); isFloat && (node.Value == strconv.FormatFloat(f, 'g', -1, 64) || strings.Contains(becomes, "e")) {
		// Other programs write such a number with an exponent too.
		return becomes, false
	}
	return becomes, err == nil && becomes != node.Value
}

// number returns a number as int64 or float64, and other values as they are.
func (d *document) number(node *yaml.Node, field string, value any) any {
	switch n := value.(type) {
	case int:
		return int64(n)
	case uint64:
		return float64(n)
	case float64:
		if math.IsNaN(n) || math.IsInf(n, 0) {
			d.cannotRead(node, Invalid, field+" is not a finite number: correct it")
			return nil
		}
		if n == 0 {
			// A negative zero would be another number when it is read again.
			return int64(0)
		}
	}
	return value
}

// mustBe returns the message about a value of the wrong type.
func mustBe(node *yaml.Node, field, want string) string {
	message := field + " must be " + want + ", not " + describe(node)
	if want == text && node.Kind == yaml.ScalarNode && !null(node) {
		message += ": put it in quotes"
	}
	return message
}

const text = "a text"

func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch node.ShortTag() {
	case "!!str", "!!timestamp":
		return text
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "empty"
	default:
		return "a value with the tag " + node.ShortTag()
	}
}

// null reports whether a field is written without a value, which counts as not
// written.
func null(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}
