package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
)

// Programs rely on the words of conditions, so the published page lists every
// one of them, in the table of its section.
func TestEveryReasonIsPublished(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/reference/conditions.md"))
	if err != nil {
		t.Fatalf("%v: run `make generate`", err)
	}
	sections := map[string]string{"Condition": "## Types", "Reason": "## Reasons", "Label": "## Labels", "Annotation": "## Annotations"}
	found := map[string]int{}
	published := map[string]string{}
	for _, name := range []string{"conditions.go", "labels.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "api/v1alpha1", name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(published, textConstants(file))
	}
	for name, value := range published {
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
			t.Errorf("no constants begin with %s", prefix)
		}
	}
}

// The guide's description of the catalogue holds: its example fits the built-in
// components, and it names every component and every reference.
func TestGuideKnowsTheCatalogue(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/concepts.md"))
	if err != nil {
		t.Fatal(err)
	}
	guide := string(page)
	_, example, found := strings.Cut(guide, "```yaml\n")
	example, _, closed := strings.Cut(example, "```")
	if !found || !closed {
		t.Fatal("docs/concepts.md has no example of a catalogue")
	}
	overlay := &v1alpha1.ComponentCatalogue{}
	if err := yaml.UnmarshalStrict([]byte(example), overlay); err != nil {
		t.Fatal(err)
	}
	if _, errs := catalogue.Effective(&overlay.Spec); len(errs) > 0 || overlay.Kind != "ComponentCatalogue" {
		t.Errorf("the example of docs/concepts.md is no catalogue: %v", errs.ToAggregate())
	}
	names := catalogue.Builtin().Names()
	if len(names) == 0 {
		t.Error("the built-in catalogue has no components")
	}
	for _, name := range names {
		if !strings.Contains(guide, "`"+name+"`") {
			t.Errorf("docs/concepts.md does not name the component %s", name)
		}
	}
	explained := definitionsFor(t)["ComponentCatalogue"]
	described := schemaOf(explained).Properties["spec"].Properties["components"].Description
	references := regexp.MustCompile(`\$\([a-zA-Z.<>]+\)`).FindAllString(described, -1)
	if len(references) < 13 {
		t.Errorf("kubectl explain tells of the references %v only", references)
	}
	for _, reference := range references {
		if !strings.Contains(guide, "`"+reference+"`") {
			t.Errorf("docs/concepts.md does not explain %s", reference)
		}
		if strings.Contains(reference, "<") {
			continue
		}
		try := &v1alpha1.ComponentCatalogueSpec{Components: []v1alpha1.CatalogueComponent{{
			Name: "traefik", Sources: []v1alpha1.ComponentSource{{Name: "chart", Values: &runtime.RawExtension{Raw: []byte(`{"a":"` + reference + `"}`)}}},
		}}}
		if _, errs := catalogue.Effective(try); len(errs) > 0 {
			t.Errorf("the catalogue does not know %s: %v", reference, errs.ToAggregate())
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
