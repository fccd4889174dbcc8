package layout

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/schema"
)

var (
	product = Scope{Namespace: "product-1"}
	tenant  = Scope{Tenant: true, Namespace: "nautes"}
)

func TestResource(t *testing.T) {
	tests := map[string]struct{ wantProduct, wantTenant bool }{
		"projects/api/api.yaml":           {wantProduct: true},
		"projects/api/main.yml":           {wantProduct: true},
		"envs/dev.yaml":                   {wantProduct: true},
		"code-repos/repo-1/repo-1.yaml":   {wantProduct: true},
		"artifact-repos/a/a.yaml":         {wantProduct: true},
		"runtimes/dr.yaml":                {wantProduct: true},
		"runtimes/deep/er/dr.yaml":        {wantProduct: true},
		"clusters/one.yaml":               {wantTenant: true},
		"providers/gitlab.yaml":           {wantTenant: true},
		"hooks/scan.yml":                  {wantTenant: true},
		"catalogue/default.yaml":          {wantTenant: true},
		"README.md":                       {},
		"envs/README.md":                  {},
		"envs/notes.txt":                  {},
		"envs/dev.json":                   {},
		"envs/dev.YAML":                   {},
		"envs/.dev.yaml":                  {},
		"envs/.hidden/dev.yaml":           {},
		".envs/dev.yaml":                  {},
		"envs/kustomization.yaml":         {},
		"envs/kustomization.yml":          {},
		"production/kustomization.yaml":   {},
		"production/app.yaml":             {},
		"templates/pipelines/build.yaml":  {},
		"envs":                            {},
		"envs.yaml":                       {},
		"Envs/dev.yaml":                   {},
		"envs//dev.yaml":                  {},
		"envs/.yaml":                      {},
		"":                                {},
		"/envs/dev.yaml":                  {},
		"envs/../runtimes/../../dev.yaml": {},
	}
	for path, tt := range tests {
		if got := product.Resource(path); got != tt.wantProduct {
			t.Errorf("product repository: Resource(%q) = %v, want %v", path, got, tt.wantProduct)
		}
		if got := tenant.Resource(path); got != tt.wantTenant {
			t.Errorf("tenant repository: Resource(%q) = %v, want %v", path, got, tt.wantTenant)
		}
	}
}

// TestHolds holds which kinds have files in the repositories of the tenant and of products.
func TestHolds(t *testing.T) {
	for kind, want := range map[string]struct{ tenant, product bool }{
		"Environment": {product: true}, "DeploymentRuntime": {product: true}, "CodeRepoBinding": {product: true}, "ArtifactRepo": {product: true},
		"Cluster": {tenant: true}, "CodeRepoProvider": {tenant: true}, "PipelineHook": {tenant: true}, "Product": {}, "Space": {}, "": {},
	} {
		if got := tenant.Holds(kind); got != want.tenant {
			t.Errorf("the tenant's repository holds %q: %t, want %t", kind, got, want.tenant)
		}
		if got := product.Holds(kind); got != want.product {
			t.Errorf("a product's repository holds %q: %t, want %t", kind, got, want.product)
		}
	}
}

func TestAdmit(t *testing.T) {
	tests := map[string]struct {
		path, mode string
		size       int64
		wantReason string
	}{
		"file":                 {"envs/dev.yaml", "100644", 100, ""},
		"executable":           {"envs/dev.yaml", "100755", 100, ""},
		"largest file":         {"envs/dev.yaml", "100644", MaxSize, ""},
		"too large":            {"envs/dev.yaml", "100644", MaxSize + 1, TooLarge},
		"large elsewhere":      {"docs/film.yaml", "100644", 1 << 30, ""},
		"large, no resource":   {"envs/film.mp4", "100644", 1 << 30, ""},
		"link":                 {"envs/dev.yaml", "120000", 10, NotAFile},
		"link to a directory":  {"projects/api", "120000", 10, NotAFile},
		"link as folder":       {"envs", "120000", 10, NotAFile},
		"link, no resource":    {"envs/README.md", "120000", 10, ""},
		"link elsewhere":       {"docs/a.yaml", "120000", 10, ""},
		"hidden link":          {"envs/.dev.yaml", "120000", 10, ""},
		"link in a hidden one": {"envs/.cache/x", "120000", 10, ""},
		"hidden submodule":     {"envs/.cache", "160000", 0, ""},
		"submodule":            {"projects/api", "160000", 0, NotAFile},
		"submodule as folder":  {"runtimes", "160000", 0, NotAFile},
		"submodule elsewhere":  {"vendor/x", "160000", 0, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := product.Admit(tt.path, tt.mode, tt.size)
			if (got == nil) != (tt.wantReason == "") || got != nil && got.Reason != tt.wantReason {
				t.Errorf("Admit = %+v, want reason %q", got, tt.wantReason)
			}
		})
	}
}

func TestPath(t *testing.T) {
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }
	binding := func(name, repo string) *v1alpha1.CodeRepoBinding {
		return &v1alpha1.CodeRepoBinding{ObjectMeta: named(name), Spec: v1alpha1.CodeRepoBindingSpec{CodeRepo: repo}}
	}
	pipeline := func(name, project string) *v1alpha1.ProjectPipelineRuntime {
		return &v1alpha1.ProjectPipelineRuntime{ObjectMeta: named(name), Spec: v1alpha1.ProjectPipelineRuntimeSpec{Project: project}}
	}
	tests := map[string]struct {
		object v1alpha1.Object
		want   string
	}{
		"project":               {&v1alpha1.Project{ObjectMeta: named("api")}, "projects/api/api.yaml"},
		"pipeline runtime":      {pipeline("main", "api"), "projects/api/main.yaml"},
		"pipeline like project": {pipeline("api", "api"), ""},
		"pipeline, no project":  {pipeline("main", ""), ""},
		"pipeline, bad project": {pipeline("main", "../x"), ""},
		"environment":           {&v1alpha1.Environment{ObjectMeta: named("dev")}, "envs/dev.yaml"},
		"code repo":             {&v1alpha1.CodeRepo{ObjectMeta: named("repo-1")}, "code-repos/repo-1/repo-1.yaml"},
		"binding":               {binding("all", "repo-1"), "code-repos/repo-1/all.yaml"},
		"binding like repo":     {binding("repo-1", "repo-1"), ""},
		"deployment runtime":    {&v1alpha1.DeploymentRuntime{ObjectMeta: named("dr")}, "runtimes/dr.yaml"},
		"cluster":               {&v1alpha1.Cluster{ObjectMeta: named("one")}, "clusters/one.yaml"},
		"code repo provider":    {&v1alpha1.CodeRepoProvider{ObjectMeta: named("gitlab")}, "providers/gitlab.yaml"},
		"product provider":      {&v1alpha1.ProductProvider{ObjectMeta: named("products")}, "providers/products.yaml"},
		"hook":                  {&v1alpha1.PipelineHook{ObjectMeta: named("scan")}, "hooks/scan.yaml"},
		"catalogue":             {&v1alpha1.ComponentCatalogue{ObjectMeta: named("default")}, "catalogue/default.yaml"},
		"another catalogue":     {&v1alpha1.ComponentCatalogue{ObjectMeta: named("second")}, ""},
		"product":               {&v1alpha1.Product{ObjectMeta: named("product-1")}, ""},
		"no name":               {&v1alpha1.Environment{}, ""},
		"traversal":             {&v1alpha1.Environment{ObjectMeta: named("../../x")}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Path(tt.object)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("Path = %q, %v; want %q", got, err, tt.want)
			}
			if got != "" && product.Resource(got) == tenant.Resource(got) {
				t.Errorf("%s belongs to none or both of the repositories", got)
			}
		})
	}
}

func TestProblemsFitIntoAStatus(t *testing.T) {
	long := "envs/" + strings.Repeat("ü", 600)
	tests := map[string]struct{ path, want string }{
		"plain":    {"envs/dev é.yaml", "envs/dev é.yaml"},
		"newline":  {"envs/a\nb.yaml", `"envs/a\nb.yaml"`},
		"escape":   {"envs/\x1b[2J.yaml", `"envs/\x1b[2J.yaml"`},
		"no UTF-8": {"envs/\xff.yaml", `"envs/\xff.yaml"`},
		"quoted":   {`"envs/\xff.yaml"`, `"\"envs/\\xff.yaml\""`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := Problem(tt.path, 1, Invalid, "x").Path; got != tt.want {
				t.Errorf("path is shown as %s, want %s", got, tt.want)
			}
		})
	}
	one, two := Problem(long+"1", 0, Invalid, "x").Path, Problem(long+"2", 0, Invalid, "x").Path
	if one == two || len(one) > maxShownPath {
		t.Errorf("long paths are shown as %q and %q", one, two)
	}
	message := Problem("a", 0, Invalid, "%s", "a\x00\nb\xff"+strings.Repeat("é", 4000)).Message
	if len(message) > maxMessage || !strings.HasPrefix(message, "a  b?é") {
		t.Errorf("message of %d bytes: %.20q", len(message), message)
	}
}

func TestLine(t *testing.T) {
	content := []byte(`# a comment
apiVersion: x
metadata:
  name: dev
  labels:
    example.com/team: a
    "quoted": b
spec:
  cluster: one
  destination:
    namespaces:
    - first
    - second
  pipelines:
    - name: a
      path: b
    -
      name: c
  flow: {a: 1, b: [1,
    2]}
  example.com: dotted
  long: a
  long.er: b
  short.er: c
  short: d
"": e
`)
	tests := map[string]int32{
		"metadata.name": 4, "metadata.labels[example.com/team]": 6, "metadata.labels.example.com/team": 6, `metadata.labels["quoted"]`: 7,
		"spec": 8, "spec.cluster": 9, "spec.destination.namespaces": 11, "spec.destination.namespaces[0]": 12, "spec.destination.namespaces[1]": 13,
		"spec.destination.namespaces[2]": 11, "spec.destination.namespaces[x]": 11, "spec.destination.absent.deeper": 10, "spec.absent": 8,
		"spec.pipelines[0].path": 16, "spec.pipelines[1].name": 18, "spec.pipelines[1].absent": 18, "spec.flow.b[1]": 20, "spec.example.com": 21,
		"spec.long.er": 23, "spec.short.er": 24, "spec.destination.namespaces[0": 11, "spec.destination.namespaces.0]": 11,
		"spec.clusters": 8, "absent": 0, "": 0, "[0]": 0, "spec.cluster.x": 9, "spec.pipelines[-1]": 14, "spec.pipelines[99999999999999999999]": 14,
	}
	for field, want := range tests {
		if got := Line(content, field); got != want {
			t.Errorf("Line(%q) = %d, want %d", field, got, want)
		}
	}
	if got := Line([]byte("a: [b"), "a"); got != 0 {
		t.Errorf("line in a broken file: %d, want 0", got)
	}
}

func TestReasonsAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, reason := range []string{
		Unparsable, UnknownField, Invalid, NotAllowed, WrongKind, WrongNamespace, WrongName, Misplaced, TooLarge, NotAFile, Duplicate, Refused,
	} {
		if seen[reason] || reason == "" {
			t.Errorf("reason %q is there twice", reason)
		}
		seen[reason] = true
	}
}

func ExampleScope_Decode() {
	kinds, err := schema.New()
	if err != nil {
		panic(err)
	}
	_, problems := Scope{Namespace: "product-1"}.Decode(kinds, "envs/dev.yaml", []byte(`apiVersion: nautes.resource.nautes.io/v1alpha1
kind: Environment
metadata:
  name: dev
spec:
  cluser: one
  envType: test
`))
	for _, problem := range problems {
		fmt.Printf("%s:%d %s: %s\n", problem.Path, problem.Line, problem.Reason, problem.Message)
	}
	// Output:
	// envs/dev.yaml:6 UnknownField: unknown field "spec.cluser": correct or remove it; known fields are cluster, envType, product
	// envs/dev.yaml:5 Invalid: spec.cluster is missing: add it
}
