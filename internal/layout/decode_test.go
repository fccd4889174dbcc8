package layout

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/schema"
)

var compiled = sync.OnceValues(schema.New)

// newKinds returns the schemas of our kinds, which take long to compile.
func newKinds(t testing.TB) *schema.Kinds {
	t.Helper()
	kinds, err := compiled()
	if err != nil {
		t.Fatal(err)
	}
	return kinds
}

const head = "apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: "

// environment is a valid file, with its lines numbered from 1.
const environment = head + `Environment
metadata:
  name: dev
spec:
  cluster: one
  envType: test
`

const deployment = head + `DeploymentRuntime
metadata:
  name: dr-dev
spec:
  destination:
    environment: env-dev
    namespaces:
    - dr-dev
  manifestSource:
    codeRepo: repo-1
    path: manifests/development
    targetRevision: HEAD
  product: product-1
  projectsRef:
  - api-server
`

const pipeline = head + `ProjectPipelineRuntime
metadata:
  name: pr-demo
  namespace: product-1
spec:
  account: pr-demo-account
  project: api
  destination: {environment: env-dev, namespace: pr-demo}
  additionalResources:
    git: {codeRepo: repo-3, revision: main, path: test}
  eventSources:
  - name: push
    gitlab: {events: [push_events], repoName: repo-3, revision: ^refs/heads/feature%-}
    calendar: {schedule: '0 17 * * 1-5', exclusionDates: [2024-05-01, '2024-05-02']}
  isolation: exclusive
  pipelineSource: repo-3
  pipelines:
  - {name: build, label: main, path: build.yaml}
  pipelineTriggers:
  - eventSource: push
    pipeline: build
    inputs:
    - source: {builtInVar: PipelineRevision}
      transmissionMethod: {kustomization: {path: /spec/x}}
  hooks:
    preHooks:
    - {name: scan, vars: {image: a, depth: "1"}}
`

func TestDecodeReadsEachKind(t *testing.T) {
	simple := func(kind, name, spec string) string {
		return head + kind + "\nmetadata:\n  name: " + name + "\nspec: " + spec + "\n"
	}
	tests := map[string]struct {
		scope   Scope
		content string
	}{
		"envs/dev.yaml":                 {product, environment},
		"runtimes/dr-dev.yaml":          {product, deployment},
		"projects/api/pr-demo.yaml":     {product, pipeline},
		"projects/api/api.yaml":         {product, simple("Project", "api", "{language: go}")},
		"code-repos/repo-1/repo-1.yaml": {product, simple("CodeRepo", "repo-1", "{url: 'https://example.com/a', webhook: {events: [push_events]}}")},
		"artifact-repos/i/i.yaml":       {product, simple("ArtifactRepo", "i", "{registry: registry.example.com/team, projects: [api]}")},
		"code-repos/repo-1/all.yaml":    {product, simple("CodeRepoBinding", "all", "{codeRepo: repo-1, product: product-1, projects: [api], permissions: readwrite}")},
		"clusters/one.yaml": {tenant, simple("Cluster", "one",
			"{apiServer: 'https://x', clusterType: physical, usage: worker, workerType: pipeline, productAllowedClusterResources: {demo: [{kind: ClusterRole, group: rbac.authorization.k8s.io}]}}")},
		"providers/gitlab.yaml":   {tenant, simple("CodeRepoProvider", "gitlab", "{httpAddress: 'https://a', sshAddress: git@b, apiServer: 'https://c', providerType: gitlab}")},
		"providers/products.yaml": {tenant, simple("ProductProvider", "products", "{type: coderepo, name: gitlab}")},
		"catalogue/default.yaml":  {tenant, simple("ComponentCatalogue", "default", "{components: [{name: hnc, installation: External}]}")},
		"hooks/scan.yml":          {tenant, simple("PipelineHook", "scan", "{sides: [pre], varsSchema: {type: object}, task: {steps: [{name: a, image: b, script: 'a < b && c', size: 1.5, big: 1e30, none: null, all: true}]}}")},
	}
	kinds := newKinds(t)
	for path, tt := range tests {
		t.Run(path, func(t *testing.T) {
			got, problems := tt.scope.Decode(kinds, path, []byte(tt.content))
			if len(problems) > 0 {
				t.Fatalf("Decode: %+v", problems)
			}
			// The whole object as the API machinery reads it from the same file.
			want := newObject(got.GetObjectKind().GroupVersionKind().Kind)
			if err := yaml.UnmarshalStrict([]byte(tt.content), want); err != nil {
				t.Fatal(err)
			}
			want.SetNamespace(tt.scope.Namespace)
			if hook, ok := want.(*v1alpha1.PipelineHook); ok {
				// The two write numbers in different ways.
				gotHook := got.(*v1alpha1.PipelineHook)
				if diff := cmp.Diff(decoded(t, hook.Spec.Task.Raw), decoded(t, gotHook.Spec.Task.Raw)); diff != "" {
					t.Errorf("task (-want +got):\n%s", diff)
				}
				hook.Spec.Task = gotHook.Spec.Task
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("object (-want +got):\n%s", diff)
			}
		})
	}
}

// The catalogue holds charts' values and values of patches of any shape; they
// reach the object as the file has them.
func TestDecodeKeepsAnyValue(t *testing.T) {
	got, problems := tenant.Decode(newKinds(t), "catalogue/default.yaml", []byte(components))
	if len(problems) > 0 {
		t.Fatalf("Decode: %+v", problems)
	}
	all := got.(*v1alpha1.ComponentCatalogue).Spec.Components
	want := map[string]any{"ports": map[string]any{"web": map[string]any{"nodePort": "$(settings.httpNodePort)"}}, "removed": nil, "hosts": []any{"a", 1.0, true}}
	if diff := cmp.Diff(want, decoded(t, all[0].Sources[0].Values.Raw)); diff != "" {
		t.Errorf("values of the chart (-want +got):\n%s", diff)
	}
	wantOperations := []any{2.0, "text", []any{1.0, map[string]any{"c": nil}}, map[string]any{"e": 1.5}, false, nil}
	var operations []any
	for _, operation := range all[1].Sources[0].Patches[0].Operations {
		if operation.Value == nil {
			operations = append(operations, nil)
			continue
		}
		operations = append(operations, decoded(t, operation.Value.Raw))
	}
	if diff := cmp.Diff(wantOperations, operations); diff != "" {
		t.Errorf("values of the patch (-want +got):\n%s", diff)
	}
	if required := all[1].Settings[0].Required; required == nil || *required {
		t.Errorf("required is %v, want the file's false", required)
	}
}

func decoded(t *testing.T, raw []byte) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal(raw, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestDecodeAcceptsEarlierFiles(t *testing.T) {
	tests := map[string]string{
		"creation timestamp": strings.Replace(environment, "  name: dev", "  creationTimestamp: null\n  name: dev", 1),
		"empty status":       environment + "status: {}\n",
		"null status":        environment + "status:\n",
		"document start":     "---\n" + environment,
		"document end":       environment + "...\n",
		"empty documents":    "# nothing\n---\n---\n" + environment + "---\n",
		"byte order mark":    "\ufeff" + environment,
		"Windows":            strings.ReplaceAll(environment, "\n", "\r\n"),
		"namespace":          strings.Replace(environment, "  name: dev", "  name: dev\n  namespace: product-1", 1),
		"empty namespace":    strings.Replace(environment, "  name: dev", "  name: dev\n  namespace: \"\"", 1),
		"product":            environment + "  product: product-1\n",
		"no product":         environment + "  product:\n",
		"empty product":      environment + "  product: \"\"\n",
		"an anchor":          strings.Replace(environment, "cluster: one", "cluster: &a one", 1),
		"comments":           strings.ReplaceAll(environment, "\n", " # why\n"),
	}
	kinds := newKinds(t)
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			got, problems := product.Decode(kinds, "envs/dev.yaml", []byte(content))
			if len(problems) > 0 {
				t.Fatalf("Decode: %+v", problems)
			}
			env := got.(*v1alpha1.Environment)
			want := &v1alpha1.Environment{
				TypeMeta:   metav1.TypeMeta{APIVersion: "nautes.resource.nautes.io/v1alpha1", Kind: "Environment"},
				ObjectMeta: metav1.ObjectMeta{Name: "dev", Namespace: "product-1"},
				Spec:       v1alpha1.EnvironmentSpec{Product: env.Spec.Product, Cluster: "one", EnvType: "test"},
			}
			if diff := cmp.Diff(want, env); diff != "" {
				t.Errorf("object (-want +got):\n%s", diff)
			}
		})
	}
	content := strings.Replace(environment, "  name: dev", "  name: dev\n  labels: {team: a, example.com/x: \"1\", day: 2024-05-01}\n  annotations: {note: b}", 1)
	got, problems := product.Decode(kinds, "envs/dev.yaml", []byte(content))
	if len(problems) > 0 {
		t.Fatalf("labels: %+v", problems)
	}
	if got.GetLabels()["example.com/x"] != "1" || got.GetLabels()["day"] != "2024-05-01" || got.GetAnnotations()["note"] != "b" {
		t.Errorf("labels %v and annotations %v are not the file's", got.GetLabels(), got.GetAnnotations())
	}
}

func TestDecodeRefuses(t *testing.T) {
	replace := func(from, to string) string { return replaceOnce(t, environment, from, to) }
	checkRefusals(t, map[string]refusal{
		"empty":              {"", Unparsable, 0, "no object", nil},
		"comment only":       {"# nothing\n", Unparsable, 0, "no object", nil},
		"no YAML":            {"a: b: c\n", Unparsable, 1, "not valid YAML", nil},
		"broken indentation": {replace("  envType", " envType"), Unparsable, 6, "not valid YAML", nil},
		"NUL":                {environment + "\x00", Unparsable, 0, "NUL", nil},
		"NUL in a text":      {replace("one", `"o\0ne"`), Invalid, 6, "NUL", nil},
		"Latin-1":            {replace("one", "on\xe9"), Unparsable, 0, "UTF-8", nil},
		"UTF-16":             {"\xff\xfea\x00", Unparsable, 0, "UTF-8", nil},
		"list":               {"- a\n", Invalid, 1, "mapping", nil},
		"text":               {"hello\n", Invalid, 1, "mapping", nil},
		"two objects":        {environment + "---\n" + environment, Unparsable, 9, "file of its own", nil},
		"duplicate key":      {environment + "  cluster: two\n", Unparsable, 8, `"cluster" is given twice, first at line 6`, nil},
		"duplicate top key":  {environment + "spec: {}\n", Unparsable, 8, "given twice", nil},
		"number as key":      {environment + "  1: two\n", Unparsable, 8, "quotes", nil},
		"true as key":        {environment + "  true: two\n", Unparsable, 8, "quotes", nil},
		"list as key":        {environment + "  ? [a]\n  : two\n", Unparsable, 8, "plain text", nil},
		"long key":           {environment + "  " + strings.Repeat("k", 600) + ": two\n", TooLarge, 8, "key", nil},
		"alias":              {replace("cluster: one\n  envType: test", "cluster: &a one\n  envType: *a"), Unparsable, 7, "aliases", nil},
		"merge key":          {environment + "  <<: {product: x}\n", Unparsable, 8, "plain text", nil},
		"unknown anchor":     {replace("one", "*a"), Unparsable, 0, "anchor", nil},
		"tag":                {replace("one", "!!binary b25l"), Unparsable, 6, "tag !!binary", nil},
		"own tag":            {replace("one", "!env one"), Unparsable, 6, "tag !env", nil},
		"unknown field":      {environment + "  clusters: two\n", UnknownField, 8, `unknown field "spec.clusters": correct or remove it; known fields are cluster, envType, product`, nil},
		"wrong case":         {replace("cluster:", "Cluster:"), UnknownField, 6, "spec.Cluster", []string{"spec.cluster is missing"}},
		"unknown top field":  {environment + "data: {}\n", UnknownField, 8, "data", nil},
		"missing field":      {replace("  cluster: one\n", ""), Invalid, 5, "spec.cluster is missing", nil},
		"null field":         {replace("cluster: one", "cluster:"), Invalid, 6, "spec.cluster is missing", nil},
		"number for text":    {replace("one", "1"), Invalid, 6, "quotes", nil},
		"true for text":      {replace("one", "true"), Invalid, 6, "quotes", nil},
		"list for text":      {replace("one", "[one]"), Invalid, 6, "a list", nil},
		"no spec":            {replace("spec:\n  cluster: one\n  envType: test\n", ""), Invalid, 0, "spec is missing", nil},
		"null spec":          {replace("spec:\n  cluster: one\n  envType: test\n", "spec:\n"), Invalid, 5, "spec is missing", nil},
		"text as spec":       {replace("spec:\n  cluster: one\n  envType: test\n", "spec: a\n"), Invalid, 5, "mapping", nil},
		"no apiVersion":      {replace("apiVersion: nautes.resource.nautes.io/v1alpha1\n", ""), WrongKind, 0, "apiVersion", nil},
		"other apiVersion":   {replace("v1alpha1", "v1"), WrongKind, 1, "only nautes.resource.nautes.io/v1alpha1", nil},
		"number apiVersion":  {replace("nautes.resource.nautes.io/v1alpha1", "1"), Invalid, 1, "apiVersion must be a text, not a number: put it in quotes", nil},
		"null kind":          {replace("kind: Environment", "kind:"), WrongKind, 0, "kind is missing", nil},
		"neither of both":    {"!!null {a: b}\n", WrongKind, 0, "apiVersion is missing", []string{"kind is missing"}},
		"list with text tag": {replace("kind: Environment", "kind: !!str [a]"), Invalid, 2, "kind must be a text, not a list", nil},
		"mapping, null tag":  {environment + "status: !!null {a: b}\n", NotAllowed, 8, "status", nil},
		"no kind":            {replace("kind: Environment\n", ""), WrongKind, 0, "kind", nil},
		"kind of elsewhere":  {replace("kind: Environment", "kind: Project"), WrongKind, 2, "Environment, not Project", nil},
		"kind of the tenant": {replace("kind: Environment", "kind: Cluster"), WrongKind, 2, "not Cluster", nil},
		"unknown kind":       {replace("kind: Environment", "kind: ConfigMap"), WrongKind, 2, "not ConfigMap", nil},
		"a list of objects":  {replace("kind: Environment", "kind: EnvironmentList"), WrongKind, 2, "EnvironmentList", nil},
		"other product":      {environment + "  product: product-2\n", WrongNamespace, 8, "product-2", nil},
		"status":             {environment + "status: {observedGeneration: 1}\n", NotAllowed, 8, "status", nil},
		"text as status":     {environment + "status: ready\n", NotAllowed, 8, "status", nil},
	})
}

func TestDecodeRefusesMetadata(t *testing.T) {
	replace := func(from, to string) string { return replaceOnce(t, environment, from, to) }
	meta := func(line string) string { return replace("  name: dev\n", "  name: dev\n"+line+"\n") }
	checkRefusals(t, map[string]refusal{
		"no metadata":         {replace("metadata:\n  name: dev\n", ""), WrongName, 0, "metadata", nil},
		"null metadata":       {replace("metadata:\n  name: dev\n", "metadata:\n"), WrongName, 0, "metadata", nil},
		"text as metadata":    {replace("metadata:\n  name: dev\n", "metadata: dev\n"), Invalid, 3, "metadata must be a mapping, not a text", nil},
		"list with text tag":  {replace("name: dev", "name: !!str [dev]"), Invalid, 4, "metadata.name must be a text, not a list", nil},
		"no name":             {replace("name: dev", "labels: {}"), WrongName, 4, "metadata.name is missing", nil},
		"null name":           {replace("name: dev", "name:"), WrongName, 4, "metadata.name is missing", nil},
		"number as name":      {replace("name: dev", "name: 1"), Invalid, 4, "quotes", nil},
		"bad name":            {replace("name: dev", "name: Dev_1"), WrongName, 4, "lower-case", nil},
		"long name":           {replace("name: dev", "name: "+strings.Repeat("a", 64)), WrongName, 4, "63", nil},
		"name as path":        {replace("name: dev", "name: ../dev"), WrongName, 4, "lower-case", nil},
		"other namespace":     {meta("  namespace: product-2"), WrongNamespace, 5, "product-2", nil},
		"creation time":       {meta("  creationTimestamp: 2024-01-01T00:00:00Z"), NotAllowed, 5, "creationTimestamp", nil},
		"finalizers":          {meta("  finalizers: [a]"), NotAllowed, 5, "finalizers", nil},
		"null finalizers":     {meta("  finalizers:"), NotAllowed, 5, "finalizers", nil},
		"owner":               {meta("  ownerReferences: []"), NotAllowed, 5, "ownerReferences", nil},
		"uid":                 {meta("  uid: x"), NotAllowed, 5, "uid", nil},
		"resource version":    {meta("  resourceVersion: \"1\""), NotAllowed, 5, "resourceVersion", nil},
		"managed fields":      {meta("  managedFields: []"), NotAllowed, 5, "managedFields", nil},
		"generate name":       {meta("  generateName: x-"), NotAllowed, 5, "generateName", nil},
		"our label":           {meta("  labels:\n    nautes.io/product: x"), NotAllowed, 6, "nautes.io", nil},
		"our subdomain":       {meta("  labels:\n    resource.nautes.io/reference: x"), NotAllowed, 6, "nautes.io", nil},
		"managed by":          {meta("  labels:\n    app.kubernetes.io/managed-by: nautes"), NotAllowed, 6, "managed-by", nil},
		"hidden from pruning": {meta("  labels:\n    hnc.x-k8s.io/inherited-from: x"), NotAllowed, 6, "hnc", nil},
		"confirmed prune":     {meta("  annotations:\n    nautes.io/confirm-prune: x"), NotAllowed, 6, "nautes.io", nil},
		"number as label":     {meta("  labels: {a: 1}"), Invalid, 5, "quotes", nil},
		"list of our labels":  {meta("  labels: [nautes.io/product]"), Invalid, 5, "metadata.labels must be a mapping", nil},
		"list as labels":      {meta("  labels: [a]"), Invalid, 5, "metadata.labels must be a mapping", nil},
		"null label":          {meta("  labels: {a: }"), Invalid, 5, "empty", nil},
	})
}

// refusal is a file envs/dev.yaml and its first problem; wantMore lists parts of
// the messages of the others.
type refusal struct {
	content    string
	wantReason string
	wantLine   int32
	wantText   string
	wantMore   []string
}

func checkRefusals(t *testing.T, tests map[string]refusal) {
	t.Helper()
	kinds := newKinds(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o, got := product.Decode(kinds, "envs/dev.yaml", []byte(tt.content))
			checkProblems(t, o, got, "envs/dev.yaml", tt.wantReason, tt.wantLine, append([]string{tt.wantText}, tt.wantMore...))
		})
	}
}

// checkProblems compares the first of some problems with the wanted one, and the
// messages of all.
func checkProblems(t *testing.T, o v1alpha1.Object, got []v1alpha1.FileProblem, path, wantReason string, wantLine int32, wantTexts []string) {
	t.Helper()
	if o != nil || len(got) != len(wantTexts) {
		t.Fatalf("Decode = %v, %+v; want %d problems with %q", o, got, len(wantTexts), wantTexts)
	}
	for i, want := range wantTexts {
		if !strings.Contains(got[i].Message, want) || got[i].Path != path || strings.Contains(got[i].Message, "quotes") != strings.Contains(want, "quotes") {
			t.Errorf("problem %d: %+v, want %q", i, got[i], want)
		}
	}
	if got[0].Reason != wantReason || got[0].Line != wantLine {
		t.Errorf("first problem: %+v, want %s at line %d", got[0], wantReason, wantLine)
	}
}

// components is a catalogue with a value of every shape that JSON has.
const components = head + `ComponentCatalogue
metadata: {name: default}
spec:
  minimumKubernetesVersion: "1.28"
  components:
  - name: traefik
    sources:
    - name: chart
      values: {ports: {web: {nodePort: $(settings.httpNodePort)}}, removed: null, hosts: [a, 1, true]}
  - name: tekton
    settings: [{name: host, type: host, required: false}]
    sources:
    - name: manifests
      patches:
      - kind: Deployment
        operations:
        - {op: replace, path: /spec/replicas, value: 2}
        - {op: add, path: /a, value: text}
        - {op: add, path: /b, value: [1, {c: null}]}
        - {op: add, path: /d, value: {e: 1.5}}
        - {op: add, path: /f, value: false}
        - {op: remove, path: /g}
`

// replaceOnce changes a file, and fails where there is nothing to change.
func replaceOnce(t *testing.T, content, from, to string) string {
	t.Helper()
	if !strings.Contains(content, from) {
		t.Fatalf("the file has no %q", from)
	}
	return strings.Replace(content, from, to, 1)
}

func TestDecodeRefusesInOtherKinds(t *testing.T) {
	change := func(content, from, to string) string { return replaceOnce(t, content, from, to) }
	hook := head + "PipelineHook\nmetadata: {name: scan}\nspec:\n  sides: [pre]\n  task: {}\n"
	tests := map[string]struct {
		scope         Scope
		path, content string
		wantReason    string
		wantLine      int32
		wantText      string
		wantMore      []string
	}{
		"text for bool":         {product, "runtimes/dr-dev.yaml", deployment + "  suspend: yes please\n", Invalid, 17, "spec.suspend must be true or false, not a text", nil},
		"null in a list":        {product, "runtimes/dr-dev.yaml", change(deployment, "- api-server", "-"), Invalid, 16, "spec.projectsRef[0] must be a text, not empty", nil},
		"mapping for list":      {product, "runtimes/dr-dev.yaml", change(deployment, "- api-server", "  a: b"), Invalid, 15, "spec.projectsRef must be a list", nil},
		"unknown nested field":  {product, "projects/api/x.yaml", change(pipeline, "label: main", "lable: main"), UnknownField, 19, "spec.pipelines[0].lable", nil},
		"missing nested field":  {product, "projects/api/x.yaml", change(pipeline, "kustomization: {path: /spec/x}", "{}"), Unparsable, 25, "plain text", nil},
		"missing pointer field": {product, "projects/api/x.yaml", change(pipeline, "{kustomization: {path: /spec/x}}", "{}"), Invalid, 25, "spec.pipelineTriggers[0].inputs[0].transmissionMethod.kustomization is missing", nil},
		"other project":         {product, "projects/web/x.yaml", pipeline, Misplaced, 8, `spec.project is "api" and the directory is "web"`, nil},
		"project elsewhere":     {product, "projects/web/web.yaml", head + "Project\nmetadata: {name: api}\nspec: {}\n", WrongName, 3, `move the file to the directory "api"`, nil},
		"repo elsewhere":        {product, "code-repos/repo-2/repo-2.yaml", head + "CodeRepo\nmetadata: {name: repo-1}\nspec: {}\n", WrongName, 3, `the directory is "repo-2"`, []string{"say where the repository is"}},
		"artifacts elsewhere":   {product, "artifact-repos/other/images.yaml", head + "ArtifactRepo\nmetadata: {name: images}\nspec:\n  registry: registry.example.com\n", WrongName, 3, "other", nil},
		"binding elsewhere":     {product, "code-repos/repo-2/all.yaml", head + "CodeRepoBinding\nmetadata: {name: all}\nspec:\n  codeRepo: repo-1\n", Misplaced, 5, "repo-2", nil},
		"binding to another":    {product, "code-repos/repo-1/all.yaml", head + "CodeRepoBinding\nmetadata: {name: all}\nspec:\n  codeRepo: repo-1\n  product: product-2\n", WrongNamespace, 6, "product-2", nil},
		"too shallow":           {product, "projects/api.yaml", head + "Project\nmetadata: {name: api}\nspec: {}\n", Misplaced, 0, "projects/<project>/<project>.yaml", nil},
		"too deep":              {product, "envs/a/dev.yaml", environment, Misplaced, 0, "envs/<environment>.yaml", nil},
		"not a resource file":   {product, "envs/notes.txt", environment, Misplaced, 0, "code-repos, envs, projects, runtimes", nil},
		"project without name":  {product, "projects/api/api.yaml", head + "Project\nmetadata: {labels: {a: b}}\nspec: {}\n", WrongName, 3, "metadata.name is missing", nil},
		"product of a hook":     {tenant, "hooks/scan.yaml", change(hook, "sides: [pre]", "sides: [pre]\n  product: x"), UnknownField, 6, `unknown field "spec.product"`, nil},
		"not a folder":          {product, "docs/dev.yaml", environment, Misplaced, 0, "code-repos, envs, projects, runtimes", nil},
		"product in tenant":     {tenant, "clusters/p.yaml", head + "Product\nmetadata: {name: product-1}\nspec: {}\n", WrongKind, 2, "Cluster, not Product", nil},
		"tenant's namespace":    {tenant, "hooks/scan.yaml", change(hook, "{name: scan}", "{name: scan, namespace: product-1}"), WrongNamespace, 3, "nautes", nil},
		"text as task":          {tenant, "hooks/scan.yaml", change(hook, "task: {}", "task: run"), Invalid, 6, "spec.task must be a mapping", nil},
		"too many sides":        {tenant, "hooks/scan.yaml", change(hook, "[pre]", "[pre, post, pre]"), Invalid, 5, "spec.sides: Too many: 3: must have at most 2 items", []string{"spec.sides[2]: Duplicate value"}},
		"no number in task":     {tenant, "hooks/scan.yaml", change(hook, "task: {}", "task: {a: [.nan]}"), Invalid, 6, "spec.task.a[0]", nil},
		"infinity in task":      {tenant, "hooks/scan.yaml", change(hook, "task: {}", "task: {a: -.inf}"), Invalid, 6, "finite", nil},
		"tag in task":           {tenant, "hooks/scan.yaml", change(hook, "task: {}", "task: {a: !!binary aGk=}"), Unparsable, 6, "!!binary", nil},
		"another catalogue":     {tenant, "catalogue/second.yaml", change(components, "{name: default}", "{name: second}"), WrongName, 3, "metadata.name must be default", nil},
		"cluster as catalogue":  {tenant, "catalogue/one.yaml", head + "Cluster\nmetadata: {name: one}\nspec: {}\n", WrongKind, 2, "ComponentCatalogue, not Cluster", nil},
		"catalogue of product":  {product, "catalogue/default.yaml", components, Misplaced, 0, "code-repos, envs, projects, runtimes", nil},
		"text as values":        {tenant, "catalogue/default.yaml", change(components, "{ports: {web: {nodePort: $(settings.httpNodePort)}}, removed: null, hosts: [a, 1, true]}", "ports"), Invalid, 10, "spec.components[0].sources[0].values must be a mapping", nil},
		"no number in a patch":  {tenant, "catalogue/default.yaml", change(components, "value: 2", "value: .nan"), Invalid, 18, "spec.components[1].sources[0].patches[0].operations[0].value is not a finite number", nil},
		"unknown field of it":   {tenant, "catalogue/default.yaml", change(components, "- kind: Deployment", "- target: Deployment"), UnknownField, 16, "spec.components[1].sources[0].patches[0].target", []string{"patches[0].kind is missing"}},
		"wrong tag in task":     {tenant, "hooks/scan.yaml", change(hook, "task: {}", "task: {a: !!int x}"), Invalid, 6, "!!int", nil},
	}
	kinds := newKinds(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o, got := tt.scope.Decode(kinds, tt.path, []byte(tt.content))
			checkProblems(t, o, got, tt.path, tt.wantReason, tt.wantLine, append([]string{tt.wantText}, tt.wantMore...))
		})
	}
}

// All problems of a file are reported at once, each at its line: problems of the
// YAML, of the schema, and of rules about lists at the item.
func TestDecodeReportsEveryProblem(t *testing.T) {
	kinds := newKinds(t)
	type problem struct {
		Line           int32
		Reason, Begins string
	}
	many := head + "Project\nmetadata: {name: api}\nspec:\n"
	for i := range maxFaults {
		many += fmt.Sprintf("  field-%d: x\n", i)
	}
	for name, test := range map[string]struct {
		scope         Scope
		path, content string
		want          []problem
	}{
		"of every sort": {product, "envs/dev.yaml", head + `Environment
metadata:
  name: dev
  labels: {a: 1, nautes.io/x: "y"}
  uid: x
spec:
  clutser: one
  envType: [test]
  product: product-2
status: {a: b}
data: {}
`, []problem{
			{5, Invalid, "metadata.labels[a] must be a text, not a number: put it in quotes"},
			{5, NotAllowed, "metadata.labels[nautes.io/x] is reserved"},
			{6, NotAllowed, "metadata.uid cannot be set in a file"},
			{8, UnknownField, `unknown field "spec.clutser": correct or remove it; known fields are cluster`},
			{9, Invalid, "spec.envType must be a text, not a list"},
			{10, WrongNamespace, "spec.product is product-2"},
			{11, NotAllowed, "status is written by Nautes"},
			{12, UnknownField, `unknown field "data": correct or remove it`},
			{7, Invalid, "spec.cluster is missing: add it"},
		}},
		"of rules": {product, "projects/api/ci.yaml", replaceOnce(t, pipeline, "  hooks:\n", "  - {eventSource: push, pipeline: none}\n  - {eventSource: none, pipeline: build}\n  hooks:\n"), []problem{
			{26, Invalid, "spec.pipelineTriggers[1]: a trigger names a pipeline that is not in pipelines"},
			{27, Invalid, "spec.pipelineTriggers[2]: a trigger names an event source that is not in eventSources"},
		}},
		"of values": {tenant, "clusters/one.yaml", head + `Cluster
metadata: {name: one}
spec:
  apiServer: https://admin:hunter2@a
  clusterType: physical
  clusterKind: nomad
  usage: worker
  workerType: deployment
  vcluster: {strange: a}
  primaryDomain: A b
  reservedNamespacesAllowedProducts:
    argocd:
`, []problem{
			{5, Invalid, "spec.apiServer: write an http:// or https:// URL"},
			{7, Invalid, `spec.clusterKind: Unsupported value: "nomad": supported values: "kubernetes"`},
			{10, UnknownField, `unknown field "spec.vcluster.strange": correct or remove it; known fields are httpsNodePort`},
			{11, Invalid, `spec.primaryDomain should match '^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?$': correct it`},
			{13, Invalid, "spec.reservedNamespacesAllowedProducts[argocd] is empty: write a value, or remove it"},
		}},
		"of lists": {product, "code-repos/repo-1/repo-1.yaml", head + "CodeRepo\nmetadata: {name: repo-1}\nspec:\n  url: https://a/b\n  branch: " + strings.Repeat("a", 300) + `
  webhook:
    events:
    - push_events
    - push_events
`, []problem{
			{6, Invalid, "spec.branch: Too long: may not be more than 255"},
			{10, Invalid, `spec.webhook.events[1]: Duplicate value: "push_events": remove one of them`},
		}},
		"of rules about the spec": {tenant, "clusters/one.yaml", head + "Cluster\nmetadata: {name: one}\nspec:\n  apiServer: https://a\n  clusterType: physical\n  clusterKind: kubernetes\n  usage: worker\n  vcluster:\n    strange: a\n", []problem{
			{9, Invalid, "spec.vcluster: vcluster is for virtual clusters"},
			{10, UnknownField, `unknown field "spec.vcluster.strange"`},
			{4, Invalid, "spec.workerType: a worker needs workerType: set it to pipeline or deployment"},
		}},
		"of a name": {tenant, "clusters/one.yaml", head + "Cluster\nmetadata: {name: in-cluster}\nspec: {apiServer: 'https://a', clusterType: physical, clusterKind: kubernetes, usage: host}\n", []problem{
			{3, WrongName, "metadata.name cannot be in-cluster"},
		}},
		"of a label": {product, "projects/api/api.yaml", head + "Project\nmetadata:\n  name: api\n  labels:\n    a b: c\nspec: {}\n", []problem{
			{5, Invalid, "metadata.labels: name part must consist of"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := test.scope.Decode(kinds, test.path, []byte(test.content))
			for i, p := range got {
				if strings.Contains(p.Message, "hunter2") {
					t.Errorf("the message repeats a credential: %s", p.Message)
				}
				if i < len(test.want) && (p.Line != test.want[i].Line || p.Reason != test.want[i].Reason || !strings.HasPrefix(p.Message, test.want[i].Begins)) {
					t.Errorf("problem %d: %+v\nwant %+v", i, p, test.want[i])
				}
			}
			if len(got) != len(test.want) {
				t.Errorf("%d problems, want %d: %+v", len(got), len(test.want), got)
			}
		})
	}
	_, got := product.Decode(kinds, "projects/api/api.yaml", []byte(many))
	if len(got) != maxFaults || got[maxFaults-1].Reason != UnknownField {
		t.Errorf("%d problems of as many as may be: %+v", len(got), got[len(got)-1])
	}
	_, got = product.Decode(kinds, "projects/api/api.yaml", []byte(many+"  one-more: x\n"))
	if len(got) != maxFaults || !strings.Contains(got[maxFaults-1].Message, "the file has 2 more problems") || got[maxFaults-2].Line != int32(maxFaults+3) {
		t.Errorf("%d problems, the last ones %+v", len(got), got[maxFaults-2:])
	}
}

func TestDecodeIsBounded(t *testing.T) {
	laughs := "a0: &a0 [x]\n"
	for i := 1; i < 30; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	// The files of the table stay just below the limit of the size.
	fill := func(unit string) string { return strings.Repeat(unit, (MaxSize-20)/len(unit)) }
	tests := map[string]struct{ content, wantReason string }{
		"too large":       {strings.Repeat("#", MaxSize+1), TooLarge},
		"billion laughs":  {laughs, Unparsable},
		"many values":     {"a: [" + fill("1,") + "]", TooLarge},
		"many keys":       {fill("{a,"), Unparsable},
		"deep list":       {strings.Repeat("[", 200) + strings.Repeat("]", 200), TooLarge},
		"very deep list":  {fill("["), Unparsable},
		"very deep map":   {fill("{a: "), Unparsable},
		"deep block list": {strings.Repeat("- ", 5000) + "a", TooLarge},
		"deep questions":  {strings.Repeat("? ", 5000) + "a", ""},
		"anchors":         {fill("&a "), Unparsable},
		"tags":            {fill("!a "), Unparsable},
		"quotes":          {fill("'"), ""},
		"escapes":         {`"` + fill(`\x41`), Unparsable},
		"percent":         {fill("%A\n"), Unparsable},
		"comments":        {fill("#\n"), Unparsable},
		"documents":       {fill("---\n"), Unparsable},
		"colons":          {fill(": "), ""},
		"pipes":           {fill("|\n"), ""},
		"long key":        {fill("k"), Invalid},
		"flow in block":   {"a:\n" + fill("  - [a, {b: c}]\n"), ""},
	}
	kinds := newKinds(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			o, got := product.Decode(kinds, "envs/dev.yaml", []byte(tt.content))
			if len(got) == 0 || tt.wantReason != "" && got[0].Reason != tt.wantReason {
				t.Errorf("Decode = %v, %+v; want reason %s", o, got, tt.wantReason)
			}
			// Far more than it takes: growth by squares would not fit.
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// BenchmarkDecode measures reading and checking one file of the usual sizes.
func BenchmarkDecode(b *testing.B) {
	kinds := newKinds(b)
	for path, content := range map[string]string{"envs/dev.yaml": environment, "runtimes/dr-dev.yaml": deployment, "projects/api/pr-demo.yaml": pipeline} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				if _, problems := product.Decode(kinds, path, []byte(content)); len(problems) > 0 {
					b.Fatal(problems)
				}
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	kinds := newKinds(f)
	files := []struct {
		scope         Scope
		path, content string
	}{
		{product, "envs/dev.yaml", environment},
		{product, "runtimes/dr-dev.yaml", deployment},
		{product, "projects/api/x.yaml", pipeline},
		{tenant, "catalogue/default.yaml", components},
		{tenant, "hooks/scan.yaml", head + "PipelineHook\nmetadata: {name: scan}\nspec:\n  sides: [pre]\n" +
			"  task: {a: [1, 0x1F, 1.5, -0.0, 1e300, 2024-01-01, null, ~, yes, \"\\u2028\", 18446744073709551615]}\n"},
	}
	for i, file := range files {
		f.Add(uint8(i), []byte(file.content))
	}
	f.Add(uint8(0), []byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		file := files[int(which)%len(files)]
		scope, path := file.scope, file.path
		object, problems := scope.Decode(kinds, path, content)
		if (object == nil) != (len(problems) > 0) || len(problems) > maxFaults {
			t.Fatalf("Decode = %v, %v", object, problems)
		}
		for _, problem := range problems {
			if problem.Reason == "" || problem.Message == "" || problem.Line < 0 || problem.Path != path {
				t.Errorf("the problem says too little: %+v", problem)
			}
		}
		if object == nil {
			return
		}
		if object.GetNamespace() != scope.Namespace {
			t.Errorf("namespace %q", object.GetNamespace())
		}
		encoded, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if len(encoded) > MaxSize {
			return
		}
		again, problems := scope.Decode(kinds, path, encoded)
		if len(problems) > 0 {
			t.Fatalf("the object cannot be read again: %+v\n%s", problems, encoded)
		}
		if !equality.Semantic.DeepEqual(object, again) {
			t.Errorf("read again (-first +second):\n%s", cmp.Diff(object, again))
		}
	})
}

func FuzzLine(f *testing.F) {
	for _, field := range []string{"spec.cluster", "spec.destination.namespaces[0]", "metadata.labels[a/b]", `x["y"]`, "[", "].", "..", "[99999999999999999999]"} {
		f.Add([]byte(environment), field)
	}
	f.Fuzz(func(t *testing.T, content []byte, field string) {
		line := Line(content, field)
		if lines := strings.Count(strings.ReplaceAll(string(content), "\r", "\n"), "\n") + strings.Count(string(content), "\u2028") + strings.Count(string(content), "\u2029") + strings.Count(string(content), "\u0085") + 1; line < 0 || int(line) > lines {
			t.Errorf("line %d of %d", line, lines)
		}
	})
}
