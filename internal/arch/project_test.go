package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// PROJECT, which tools read, lists the kinds that the CRDs declare.
func TestProjectListsTheKinds(t *testing.T) {
	root := filepath.Join("..", "..")
	var project struct {
		Domain    string `json:"domain"`
		Repo      string `json:"repo"`
		Resources []struct {
			Group   string `json:"group"`
			Domain  string `json:"domain"`
			Kind    string `json:"kind"`
			Path    string `json:"path"`
			Plural  string `json:"plural"`
			Version string `json:"version"`
		} `json:"resources"`
	}
	decode(t, filepath.Join(root, "PROJECT"), &project)
	if project.Repo+"/" != module {
		t.Errorf("PROJECT has repo %q, want the module %q", project.Repo, strings.TrimSuffix(module, "/"))
	}
	got := map[string]string{}
	for _, r := range project.Resources {
		if r.Path != module+"api/"+r.Version || r.Domain != project.Domain {
			t.Errorf("PROJECT has path %q and domain %q for %s", r.Path, r.Domain, r.Kind)
		}
		got[r.Kind] = r.Plural + "." + r.Group + "." + r.Domain
	}

	files, err := filepath.Glob(filepath.Join(root, "config", "crd", "bases", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, file := range files {
		var crd struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Spec struct {
				Names struct {
					Kind string `json:"kind"`
				} `json:"names"`
			} `json:"spec"`
		}
		decode(t, file, &crd)
		want[crd.Spec.Names.Kind] = crd.Metadata.Name
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the kinds differ (-CRDs +PROJECT):\n%s", diff)
	}
}

func decode(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// docs/operate.md explains every condition reason that there is.
func TestEveryReasonIsExplained(t *testing.T) {
	root := filepath.Join("..", "..")
	guide, err := os.ReadFile(filepath.Join(root, "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "api", "v1alpha1", "conditions.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	reasons := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
			return true
		}
		reasons++
		word, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(guide), "`"+word+"`") {
			t.Errorf("docs/operate.md does not explain the reason %s", word)
		}
		return true
	})
	if reasons == 0 {
		t.Error("no reason was found in api/v1alpha1/conditions.go")
	}
}
