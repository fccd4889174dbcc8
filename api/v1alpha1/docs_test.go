package v1alpha1_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Programs rely on the words of conditions, so the published page lists every
// one of them, in the table of its section.
func TestEveryReasonIsPublished(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/reference/conditions.md"))
	if err != nil {
		t.Fatalf("%v: run `make generate`", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), "conditions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{"Condition": "## Types", "Reason": "## Reasons", "Label": "## Labels", "Annotation": "## Annotations"}
	found := map[string]int{}
	for name, value := range textConstants(file) {
		for prefix, title := range sections {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			found[prefix]++
			_, section, _ := strings.Cut(string(page), title+"\n")
			section, _, _ = strings.Cut(section, "\n## ")
			if !strings.Contains(section, "\n| `"+value+"` | ") {
				t.Errorf("%s (%s) is not in the section %q of docs/reference/conditions.md: run `make generate`", name, value, title)
			}
		}
	}
	for prefix := range sections {
		if found[prefix] == 0 {
			t.Errorf("conditions.go has no constants that begin with %s", prefix)
		}
	}
}

func textConstants(file *ast.File) map[string]string {
	constants := map[string]string{}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, name := range spec.Names {
			if literal, ok := spec.Values[i].(*ast.BasicLit); ok {
				constants[name.Name], _ = strconv.Unquote(literal.Value)
			}
		}
		return true
	})
	return constants
}
