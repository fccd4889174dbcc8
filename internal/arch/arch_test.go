package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "nautes.io/nautes/"

// may lists which packages of ours each package may import. A package that is
// not listed may not exist: it needs a place in the house first.
var may = map[string][]string{
	"api/v1alpha1":     {},
	"config/crd":       {},
	"internal/arch":    {},
	"internal/config":  {},
	"internal/foreign": {"api/v1alpha1"},

	"internal/foreign/externalsecrets": {},
	"internal/foreign/traefik":         {},

	"internal/remote/kubeconfig": {},
	"internal/observed":          {"api/v1alpha1", "internal/launch", "internal/plan"},

	"internal/launch":     {},
	"internal/names":      {},
	"internal/record":     {"api/v1alpha1"},
	"internal/luapattern": {},
	"internal/schedule":   {},
	"internal/schema":     {"config/crd"},
	"internal/sensorlua":  {"internal/forge/forges"},
	"internal/catalogue":  {"api/v1alpha1", "internal/schema"},
	"internal/hooks":      {"api/v1alpha1", "internal/launch"},
	"internal/plan":       {"api/v1alpha1"},
	"internal/secrets":    {"api/v1alpha1", "internal/plan"},
	"internal/references": {"api/v1alpha1", "internal/plan"},
	"internal/snapshot":   {"api/v1alpha1", "internal/catalogue", "internal/forge/forges", "internal/plan", "internal/references"},
	"internal/validate":   {"api/v1alpha1", "internal/catalogue", "internal/forge/forges", "internal/hooks", "internal/luapattern", "internal/plan", "internal/references", "internal/schedule", "internal/secrets", "internal/snapshot"},
	"internal/build":      {"api/v1alpha1", "internal/catalogue", "internal/foreign/externalsecrets", "internal/foreign/traefik", "internal/forge", "internal/forge/forges", "internal/hooks", "internal/launch", "internal/names", "internal/plan", "internal/record", "internal/schedule", "internal/secrets", "internal/sensorlua", "internal/snapshot", "internal/validate"},

	"internal/forge":        {"api/v1alpha1"},
	"internal/forge/gitlab": {"api/v1alpha1", "internal/forge", "internal/launch"},
	"internal/forge/forges": {"api/v1alpha1", "internal/forge", "internal/forge/gitlab"},

	"internal/apply":         {"api/v1alpha1", "internal/plan", "internal/secrets"},
	"internal/remote":        {"api/v1alpha1", "internal/launch", "internal/observed", "internal/plan", "internal/remote/kubeconfig", "internal/secrets"},
	"internal/git":           {"api/v1alpha1", "internal/forge", "internal/plan", "internal/secrets"},
	"internal/layout":        {"api/v1alpha1", "internal/plan", "internal/schema"},
	"internal/secrets/kube":  {"api/v1alpha1", "internal/plan", "internal/secrets"},
	"internal/secrets/vault": {"api/v1alpha1", "internal/config", "internal/plan", "internal/secrets"},
	"internal/mirror":        {"api/v1alpha1", "internal/plan", "internal/git", "internal/layout", "internal/schema"},
	"internal/receiver":      {"api/v1alpha1", "internal/forge", "internal/forge/forges", "internal/secrets"},
	"internal/telemetry":     {},
	"internal/runner":        {"internal/forge", "internal/forge/forges", "internal/git", "internal/launch", "internal/secrets"},

	"internal/engine":      {"api/v1alpha1", "internal/apply", "internal/plan", "internal/snapshot", "internal/validate"},
	"internal/summary":     {"api/v1alpha1", "internal/apply", "internal/build", "internal/engine", "internal/launch", "internal/observed", "internal/plan", "internal/snapshot"},
	"internal/unregister":  {"api/v1alpha1", "internal/apply", "internal/build", "internal/engine", "internal/plan", "internal/secrets", "internal/snapshot"},
	"internal/sensorfiles": {"internal/build", "internal/observed", "internal/plan"},
	"internal/reconcile":   {"api/v1alpha1", "internal/apply", "internal/build", "internal/engine", "internal/git", "internal/launch", "internal/observed", "internal/plan", "internal/references", "internal/remote", "internal/secrets", "internal/secrets/kube", "internal/schema", "internal/snapshot", "internal/telemetry", "internal/validate"},
	"internal/operator":    {"api/v1alpha1", "internal/apply", "internal/build", "internal/config", "internal/foreign", "internal/git", "internal/plan", "internal/receiver", "internal/reconcile", "internal/remote", "internal/remote/kubeconfig", "internal/secrets", "internal/secrets/kube", "internal/secrets/vault", "internal/schema", "internal/snapshot", "internal/telemetry"},
	"controllers":          {"controllers", "internal/reconcile"},
	"cmd/nautes-operator":  {"controllers", "internal/config", "internal/operator", "internal/telemetry"},
	"cmd/nautes-runner":    {"internal/launch", "internal/runner"},
}

// testOnly reports whether only tests and hack may import a package. Such a
// package may import every room.
func testOnly(pkg string) bool { return strings.HasPrefix(pkg, "test/") }

// pure lists the packages that do no I/O and read no clock and no random numbers.
// impure lists the prefixes of packages that they must not import. net/url and
// net/netip only parse.
var (
	pure   = []string{"internal/names", "internal/record", "internal/foreign/externalsecrets", "internal/foreign/traefik", "internal/forge", "internal/forge/forges", "internal/forge/gitlab", "internal/launch", "internal/luapattern", "internal/sensorlua", "internal/hooks", "internal/catalogue", "internal/plan", "internal/references", "internal/schema", "internal/observed", "internal/snapshot", "internal/validate", "internal/build"}
	impure = []string{
		"context", "time", "math/rand", "crypto/rand", "net", "os", "syscall",
		"k8s.io/client-go", "k8s.io/apiserver", "sigs.k8s.io/controller-runtime",
	}
	parsers = []string{"net/url", "net/netip", clientPackage}
)

// exempt lists the exceptions. Tekton's checks take
// a context, and look in it for their settings only. The API server's rules take
// a context to end early, and read neither clock nor network. Tekton reports times
// as text, which must be parsed.
var exempt = map[string][]string{
	"internal/hooks/task.go":    {"context"},
	"internal/observed/run.go":  {"time"},
	"internal/schema/check.go":  {"context", "k8s.io/apiserver/pkg/apis/cel", "k8s.io/apiserver/pkg/cel/common"},
	"internal/schema/rules.go":  {"context", "k8s.io/apiserver/pkg/apis/cel"},
	"internal/schema/schema.go": {"k8s.io/apiserver/pkg/apis/cel"},
}

// clientPackage is where client.Object is declared, next to the clients
// themselves: pure packages may use no more of it than dataOnly.
const clientPackage = "sigs.k8s.io/controller-runtime/pkg/client"

var dataOnly = []string{"Object", "ObjectKey", "ObjectKeyFromObject", "ObjectList"}

// loader is where the pure packages end: the files that fill a snapshot from a
// reader. They hold no decision.
var loader = []string{"internal/snapshot/loader.go", "internal/snapshot/index.go"}

// rooms lists where the types of other projects may be used, by prefix.
var rooms = map[string][]string{
	"github.com/argoproj/argo-cd/":        {"internal/build", "internal/foreign", "hack"},
	"sigs.k8s.io/hierarchical-namespaces": {"internal/build", "internal/foreign", "hack"},
	"github.com/argoproj/argo-events/":    {"internal/build", "internal/foreign", "internal/forge", "internal/forge/gitlab", "hack"},
	"github.com/tektoncd/pipeline/":       {"internal/build", "internal/foreign", "internal/hooks", "internal/runner", "hack"},
	"github.com/hashicorp/vault/":         {"internal/foreign", "internal/secrets/vault", "hack"},
}

func TestHouse(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return skip(root, file, entry.Name())
		}
		if filepath.Ext(file) != ".go" {
			return nil
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		seen[path.Dir(filepath.ToSlash(name))] = true
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, breach := range check(filepath.ToSlash(name), parsed) {
			t.Error(breach)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, must := range []string{"api/v1alpha1", "internal/plan", "internal/arch"} {
		if !seen[must] {
			t.Errorf("%s was not looked at: the walk is broken", must)
		}
	}
}

// skip leaves out hidden folders, built programs and the modules of the tools.
func skip(root, dir, name string) error {
	if dir == root || dir == filepath.Join(root, "api") {
		return nil
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	if err == nil || strings.HasPrefix(name, ".") || name == "bin" || name == "testdata" {
		return filepath.SkipDir
	}
	return nil
}

// check returns how a file breaks the rules. Its name is relative to the root
// of the module.
func check(name string, file *ast.File) []string {
	if strings.HasSuffix(name, "_test.go") {
		return nil
	}
	pkg := path.Dir(name)
	if strings.HasPrefix(pkg, "hack/") {
		return nil
	}
	allowed, known := may[pkg]
	if strings.HasPrefix(pkg, "controllers/") {
		// One folder per kind: it knows every room, and no other kind.
		allowed, known = []string{"api", "internal"}, true
	}
	if testOnly(pkg) {
		allowed, known = []string{"api", "internal", "test"}, true
	}
	if !known {
		return []string{fmt.Sprintf("%s: the package %s has no place in the house plan: give it one in internal/arch", name, pkg)}
	}
	isPure := slices.Contains(pure, pkg) && !slices.Contains(loader, name)
	var breaches []string
	deny := func(imported, why string) {
		breaches = append(breaches, fmt.Sprintf("%s: imports %s: %s", name, imported, why))
	}
	for _, spec := range file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		if own, ours := strings.CutPrefix(imported, module); ours {
			switch {
			case testOnly(own) && !testOnly(pkg):
				deny(imported, "it is for tests and hack only")
			case !below(own, allowed):
				deny(imported, "the house plan points the other way")
			}
		}
		for prefix, in := range rooms {
			if strings.HasPrefix(imported, prefix) && !below(pkg, in) {
				deny(imported, "its types belong to "+strings.Join(in, ", "))
			}
		}
		if isPure && below(imported, impure) && !slices.Contains(parsers, imported) && !slices.Contains(exempt[name], imported) {
			deny(imported, "the package is pure")
		}
	}
	if isPure {
		for _, used := range selected(file, clientPackage) {
			if !slices.Contains(dataOnly, used) {
				deny(clientPackage+"."+used, "the package is pure, it may use "+strings.Join(dataOnly, ", "))
			}
		}
	}
	slices.Sort(breaches)
	return breaches
}

// below reports whether a package is one of some packages or a part of one. The
// entry math/rand covers math/rand/v2, and secrets does not cover secrets/kube.
func below(pkg string, of []string) bool {
	return slices.ContainsFunc(of, func(one string) bool {
		if pkg == one {
			return true
		}
		whole := !strings.HasPrefix(one, "internal/")
		return whole && strings.HasPrefix(pkg, one+"/")
	})
}

// selected returns the names that a file takes from an imported package.
func selected(file *ast.File, imported string) []string {
	local := ""
	for _, spec := range file.Imports {
		if spec.Path.Value == strconv.Quote(imported) {
			local = path.Base(imported)
			if spec.Name != nil {
				local = spec.Name.Name
			}
		}
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && local != "" && x.Name == local {
				names = append(names, s.Sel.Name)
			}
		}
		return true
	})
	slices.Sort(names)
	return slices.Compact(names)
}

func TestCheck(t *testing.T) {
	tests := map[string]struct {
		file, imports, body string
		// want is a part of the one breach; empty when there is none.
		want string
	}{
		"down the house":                {file: "internal/build/a.go", imports: `"nautes.io/nautes/internal/snapshot"`},
		"up the house":                  {file: "internal/snapshot/a.go", imports: `"nautes.io/nautes/internal/build"`, want: "points the other way"},
		"across the house":              {file: "internal/apply/a.go", imports: `"nautes.io/nautes/internal/remote"`, want: "points the other way"},
		"the kinds import nothing":      {file: "api/v1alpha1/a.go", imports: `"nautes.io/nautes/internal/plan"`, want: "points the other way"},
		"controllers import rooms":      {file: "controllers/space/a.go", imports: `"nautes.io/nautes/internal/secrets/kube"`},
		"a package does not bring its":  {file: "internal/build/a.go", imports: `"nautes.io/nautes/internal/secrets/kube"`, want: "points the other way"},
		"a part of a tree":              {file: "controllers/space/a.go", imports: `"nautes.io/nautes/api/v1alpha1"`},
		"a kind imports another kind":   {file: "controllers/space/a.go", imports: `"nautes.io/nautes/controllers/product"`, want: "points the other way"},
		"test help in the product":      {file: "controllers/a.go", imports: `"nautes.io/nautes/test/devstack"`, want: "tests and hack only"},
		"test help in a test":           {file: "controllers/a_test.go", imports: `"nautes.io/nautes/test/devstack"`},
		"test help in hack":             {file: "hack/demo/a.go", imports: `"nautes.io/nautes/test/devstack"`},
		"test help in test help":        {file: "test/devstack/a.go", imports: `"nautes.io/nautes/test/testutil"`},
		"test help beside its room":     {file: "test/githost/a.go", imports: `"nautes.io/nautes/internal/git"`},
		"its test help in a room":       {file: "internal/mirror/a.go", imports: `"nautes.io/nautes/test/githost"`, want: "tests and hack only"},
		"the program in a room":         {file: "test/testutil/a.go", imports: `"nautes.io/nautes/cmd/nautes-operator"`, want: "points the other way"},
		"a package without a place":     {file: "internal/util/a.go", imports: `"fmt"`, want: "no place in the house plan"},
		"a foreign type in its room":    {file: "internal/build/a.go", imports: `"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"`},
		"a foreign type elsewhere":      {file: "controllers/a.go", imports: `"github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"`, want: "its types belong to internal/build"},
		"HNC elsewhere":                 {file: "internal/remote/a.go", imports: `"sigs.k8s.io/hierarchical-namespaces/api/v1alpha2"`, want: "its types belong to"},
		"a clock":                       {file: "internal/build/a.go", imports: `"time"`, want: "the package is pure"},
		"dice":                          {file: "internal/validate/a.go", imports: `"math/rand/v2"`, want: "the package is pure"},
		"the network":                   {file: "internal/build/a.go", imports: `"net/http"`, want: "the package is pure"},
		"a context":                     {file: "internal/snapshot/a.go", imports: `"context"`, want: "the package is pure"},
		"a context where I/O is done":   {file: "internal/apply/a.go", imports: `"context"`},
		"parsing a URL":                 {file: "internal/build/a.go", imports: `"net/url"`},
		"a cached client":               {file: "internal/build/a.go", imports: `"k8s.io/client-go/kubernetes"`, want: "the package is pure"},
		"the interface of objects":      {file: "internal/plan/a.go", imports: `"sigs.k8s.io/controller-runtime/pkg/client"`, body: "var a client.Object"},
		"a reader":                      {file: "internal/plan/a.go", imports: `"sigs.k8s.io/controller-runtime/pkg/client"`, body: "var a client.Reader", want: "client.Reader"},
		"a reader by another name":      {file: "internal/plan/a.go", imports: `c "sigs.k8s.io/controller-runtime/pkg/client"`, body: "var a c.Reader", want: "client.Reader"},
		"another package called client": {file: "internal/plan/a.go", imports: `"example.org/client"`, body: "var a client.Reader"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			source := "package a\n\nimport " + test.imports + "\n\n" + test.body + "\n"
			file, err := parser.ParseFile(token.NewFileSet(), test.file, source, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			got := check(test.file, file)
			if test.want == "" && len(got) > 0 || test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)) {
				t.Errorf("check() = %q, want %q", got, test.want)
			}
		})
	}
}
