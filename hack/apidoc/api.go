package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

type (
	crd    = apiextensions.CustomResourceDefinition
	schema = apiextensions.JSONSchemaProps
)

// readCRDs reads the CRDs of a directory, ordered by kind.
func readCRDs(dir string) ([]*crd, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("there are no CRDs in %s: generate them first", dir)
	}
	var crds []*crd
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		c := &crd{}
		if err := yaml.UnmarshalStrict(data, c); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(c.Spec.Versions) != 1 {
			return nil, fmt.Errorf("%s: %d versions; the page is made for one", path, len(c.Spec.Versions))
		}
		crds = append(crds, c)
	}
	slices.SortFunc(crds, func(a, b *crd) int { return cmp.Compare(a.Spec.Names.Kind, b.Spec.Names.Kind) })
	return crds, nil
}

const apiIntroduction = `<!-- Generated from config/crd/bases by hack/apidoc. Do not edit: change the comments in api/v1alpha1. -->

# The kinds

Every kind is of the group and version %s and lives in a namespace. ` + "`kubectl get nautes`" + ` lists the objects
of all kinds, ` + "`kubectl explain <kind>.spec`" + ` describes fields on the command line, and
` + "`kubectl wait --for=condition=Ready <kind>/<name>`" + ` waits until an object is as its spec says. The conditions and their
reasons are on [their own page](conditions.md).

A field that is not marked as required can be left out. ` + "`[]`" + ` stands for every item of a list, ` + "`{}`" + ` for every value of a map.

`

// renderAPI returns the page about the kinds.
func renderAPI(crds []*crd) []byte {
	out := &bytes.Buffer{}
	fmt.Fprintf(out, apiIntroduction, code(crds[0].Spec.Group+"/"+crds[0].Spec.Versions[0].Name))
	out.WriteString("| Kind | Short name | What it is |\n|---|---|---|\n")
	for _, c := range crds {
		kind := c.Spec.Names.Kind
		fmt.Fprintf(out, "| [%s](#%s) | %s | %s |\n", kind, strings.ToLower(kind),
			code(strings.Join(c.Spec.Names.ShortNames, ", ")), text(root(c).Description))
	}
	for _, c := range crds {
		renderKind(out, c)
	}
	return out.Bytes()
}

func root(c *crd) *schema { return c.Spec.Versions[0].Schema.OpenAPIV3Schema }

func renderKind(out *bytes.Buffer, c *crd) {
	fmt.Fprintf(out, "\n## %s\n\n%s\n", c.Spec.Names.Kind, text(root(c).Description))
	var usual, wide []string
	for _, column := range c.Spec.Versions[0].AdditionalPrinterColumns {
		if column.Priority == 0 {
			usual = append(usual, column.Name)
		} else {
			wide = append(wide, column.Name)
		}
	}
	fmt.Fprintf(out, "\n%s prints the name, %s; with %s also %s.\n\n",
		code("kubectl get "+c.Spec.Names.Plural), strings.Join(usual, ", "), code("-o wide"), strings.Join(wide, ", "))
	for _, rule := range root(c).XValidations {
		fmt.Fprintf(out, "- %s\n", text(rule.Message))
	}
	for _, part := range []string{"spec", "status"} {
		property := root(c).Properties[part]
		out.WriteString("\n| Field | Type | Needed | Description and rules |\n|---|---|---|---|\n")
		renderRow(out, part, &property, slices.Contains(root(c).Required, part))
	}
}

// renderRow writes the rows of a field and of the fields below it.
func renderRow(out *bytes.Buffer, path string, s *schema, required bool) {
	fmt.Fprintf(out, "| %s | %s | %s | %s |\n", code(path), typeOf(s), need(s, required), strings.Join(append([]string{text(s.Description)}, rulesOf(s)...), "<br>"))
	if strings.HasSuffix(path, ".conditions") {
		// Conditions are the same everywhere; they have a page of their own.
		return
	}
	inner := s
	for {
		if inner.Items != nil {
			inner, path = inner.Items.Schema, path+"[]"
		} else if inner.AdditionalProperties != nil {
			inner, path = inner.AdditionalProperties.Schema, path+"{}"
		} else {
			break
		}
	}
	var shown []string
	for _, name := range slices.Sorted(maps.Keys(inner.Properties)) {
		property := inner.Properties[name]
		same := slices.IndexFunc(shown, func(other string) bool {
			return len(property.Properties) > 0 && reflect.DeepEqual(inner.Properties[other].Properties, property.Properties)
		})
		if same >= 0 {
			property.Description += " Its fields are those of " + shown[same] + "."
			property.Properties = nil
		} else {
			shown = append(shown, name)
		}
		renderRow(out, path+"."+name, &property, slices.Contains(inner.Required, name))
	}
}

// typeOf names the type of a field in words.
func typeOf(s *schema) string {
	switch {
	case s.Items != nil && s.XListType != nil && *s.XListType == "set":
		return "set of " + typeOf(s.Items.Schema)
	case s.Items != nil && len(s.XListMapKeys) > 0:
		return fmt.Sprintf("list of %s, by %s", typeOf(s.Items.Schema), strings.Join(s.XListMapKeys, ", "))
	case s.Items != nil:
		return "list of " + typeOf(s.Items.Schema)
	case s.AdditionalProperties != nil:
		return "map of " + typeOf(s.AdditionalProperties.Schema)
	case s.Format == "date-time":
		return "time"
	case s.Type == "":
		return "any JSON"
	}
	return s.Type
}

func need(s *schema, required bool) string {
	switch {
	case s.Default != nil:
		return "default " + code(strings.Trim(string(s.Default.Raw), `"`))
	case required:
		return "required"
	}
	return ""
}

// rulesOf returns the rules for a value of the field, the items included.
func rulesOf(s *schema) []string {
	var rules []string
	add := func(format string, arguments ...any) {
		rules = append(rules, "• "+fmt.Sprintf(format, arguments...))
	}
	if len(s.Enum) > 0 {
		var words []string
		for _, word := range s.Enum {
			if raw := strings.Trim(string(word.Raw), `"`); raw != "" {
				words = append(words, code(raw))
			}
		}
		add("one of %s", strings.Join(words, ", "))
	}
	if s.MinItems != nil {
		add("at least %d", *s.MinItems)
	}
	if s.MaxItems != nil {
		add("at most %d", *s.MaxItems)
	}
	if s.MaxProperties != nil {
		add("at most %d", *s.MaxProperties)
	}
	if s.Minimum != nil && s.Maximum != nil {
		add("from %g to %g", *s.Minimum, *s.Maximum)
	}
	if s.MaxLength != nil {
		add("at most %d characters", *s.MaxLength)
	}
	if s.Pattern != "" {
		add("%s", patternText(s.Pattern))
	}
	for _, rule := range s.XValidations {
		add("%s", text(rule.Message))
	}
	for _, inner := range []*schema{itemsOf(s), valuesOf(s)} {
		if inner == nil {
			continue
		}
		for _, rule := range rulesOf(inner) {
			add("each: %s", strings.TrimPrefix(rule, "• "))
		}
	}
	return rules
}

// patternWords describes the usual patterns in words.
var patternWords = map[string]string{
	`^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$`:                                    "lower case letters, digits and dashes, with a letter or digit at both ends",
	`^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$`:  "lower case letters, digits, dashes and dots, with a letter or digit at both ends of each part",
	`^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$`:                         "letters, digits, dashes, underscores and dots, with a letter or digit at both ends",
	`^(\.?[A-Za-z0-9_][-A-Za-z0-9_.]*(/\.?[A-Za-z0-9_][-A-Za-z0-9_.]*)*)?$`: "letters, digits, dashes, underscores and dots, in parts joined by /",
	`^(\.?[A-Za-z0-9_][-A-Za-z0-9_.]*)?$`:                                   "letters, digits, dashes, underscores and dots",
	`^[^\x00-\x1f\x7f]*$`:                                                   "one line",
	`^[-._a-zA-Z0-9]+$`:                                                     "letters, digits, dashes, underscores and dots",
	`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`:                                    "letters, digits, dashes and underscores, in parts joined by /",
	`^[a-zA-Z][a-zA-Z0-9]*$`:                                                "letters and digits, a letter ahead",
	`^[A-Z][A-Za-z0-9]*$`:                                                   "letters and digits, a capital ahead",
	`^(/([^~/]|~[01])*)+$`:                                                  "a JSON pointer",
	`^v?[0-9]+\.[0-9]+(\.[0-9]+)?$`:                                         "two or three numbers joined by dots",
}

func patternText(pattern string) string {
	if words, ok := patternWords[pattern]; ok {
		return words
	}
	return "matches " + code(pattern)
}

func itemsOf(s *schema) *schema {
	if s.Items == nil {
		return nil
	}
	return s.Items.Schema
}

func valuesOf(s *schema) *schema {
	if s.AdditionalProperties == nil {
		return nil
	}
	return s.AdditionalProperties.Schema
}

// text makes one line of a description, for a cell of a table.
func text(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	s = strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`, "_", `\_`).Replace(s)
	return s
}

// code marks a text as code, for a cell of a table.
func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(s, "|", `\|`) + "`"
}
