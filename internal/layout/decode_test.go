package layout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
)

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
		"code-repos/repo-1/all.yaml":    {product, simple("CodeRepoBinding", "all", "{codeRepo: repo-1, product: product-1, projects: [api], permissions: readwrite}")},
		"clusters/one.yaml": {tenant, simple("Cluster", "one",
			"{apiServer: 'https://x', clusterType: physical, usage: worker, productAllowedClusterResources: {demo: [{kind: ClusterRole, group: rbac.authorization.k8s.io}]}}")},
		"providers/gitlab.yaml":   {tenant, simple("CodeRepoProvider", "gitlab", "{httpAddress: a, sshAddress: b, apiServer: c, providerType: gitlab}")},
		"providers/products.yaml": {tenant, simple("ProductProvider", "products", "{type: coderepo, name: gitlab}")},
		"catalogue/default.yaml":  {tenant, simple("ComponentCatalogue", "default", "{components: [{name: hnc, installation: External}]}")},
		"hooks/scan.yml":          {tenant, simple("PipelineHook", "scan", "{sides: [pre], varsSchema: {type: object}, task: {steps: [{name: a, image: b, script: 'a < b && c', size: 1.5, big: 1e30, none: null, all: true}]}}")},
	}
	for path, tt := range tests {
		t.Run(path, func(t *testing.T) {
			got, problem := tt.scope.Decode(path, []byte(tt.content))
			if problem != nil {
				t.Fatalf("Decode: %+v", problem)
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
	got, problem := tenant.Decode("catalogue/default.yaml", []byte(components))
	if problem != nil {
		t.Fatalf("Decode: %+v", problem)
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

func TestDecodeAcceptsWhatEarlierFilesCarry(t *testing.T) {
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
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			got, problem := product.Decode("envs/dev.yaml", []byte(content))
			if problem != nil {
				t.Fatalf("Decode: %+v", problem)
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
	content := strings.Replace(environment, "  name: dev", "  name: dev\n  labels: {team: a, example.com/x: \"1\"}\n  annotations: {note: b}", 1)
	got, problem := product.Decode("envs/dev.yaml", []byte(content))
	if problem != nil {
		t.Fatalf("labels: %+v", problem)
	}
	if got.GetLabels()["example.com/x"] != "1" || got.GetAnnotations()["note"] != "b" {
		t.Errorf("labels %v and annotations %v are not the file's", got.GetLabels(), got.GetAnnotations())
	}
}

func TestDecodeRefuses(t *testing.T) {
	replace := func(old, new string) string { return replaceOnce(t, environment, old, new) }
	checkRefusals(t, map[string]refusal{
		"empty":              {"", Unparsable, 0, "no object"},
		"comment only":       {"# nothing\n", Unparsable, 0, "no object"},
		"no YAML":            {"a: b: c\n", Unparsable, 1, "not valid YAML"},
		"broken indentation": {replace("  envType", " envType"), Unparsable, 6, "not valid YAML"},
		"NUL":                {environment + "\x00", Unparsable, 0, "NUL"},
		"NUL in a text":      {replace("one", `"o\0ne"`), Invalid, 6, "NUL"},
		"Latin-1":            {replace("one", "on\xe9"), Unparsable, 0, "UTF-8"},
		"UTF-16":             {"\xff\xfea\x00", Unparsable, 0, "UTF-8"},
		"list":               {"- a\n", Invalid, 1, "mapping"},
		"text":               {"hello\n", Invalid, 1, "mapping"},
		"two objects":        {environment + "---\n" + environment, Unparsable, 9, "file of its own"},
		"duplicate key":      {environment + "  cluster: two\n", Unparsable, 8, `"cluster" is there twice, first at line 6`},
		"duplicate top key":  {environment + "spec: {}\n", Unparsable, 8, "twice"},
		"number as key":      {environment + "  1: two\n", Unparsable, 8, "quotes"},
		"true as key":        {environment + "  true: two\n", Unparsable, 8, "quotes"},
		"list as key":        {environment + "  ? [a]\n  : two\n", Unparsable, 8, "plain text"},
		"long key":           {environment + "  " + strings.Repeat("k", 600) + ": two\n", TooLarge, 8, "key"},
		"alias":              {replace("cluster: one\n  envType: test", "cluster: &a one\n  envType: *a"), Unparsable, 7, "aliases"},
		"merge key":          {environment + "  <<: {product: x}\n", Unparsable, 8, "key"},
		"unknown anchor":     {replace("one", "*a"), Unparsable, 0, "anchor"},
		"tag":                {replace("one", "!!binary b25l"), Invalid, 6, "text"},
		"own tag":            {replace("one", "!env one"), Invalid, 6, "tag !env"},
		"unknown field":      {environment + "  clusters: two\n", UnknownField, 8, "spec.clusters is no field: correct or remove it; known are cluster, envType, product"},
		"wrong case":         {replace("cluster:", "Cluster:"), UnknownField, 6, "spec.Cluster"},
		"unknown top field":  {environment + "data: {}\n", UnknownField, 8, "data"},
		"missing field":      {replace("  cluster: one\n", ""), Invalid, 6, "spec.cluster is missing"},
		"null field":         {replace("cluster: one", "cluster:"), Invalid, 6, "spec.cluster is missing"},
		"number for text":    {replace("one", "1"), Invalid, 6, "quotes"},
		"true for text":      {replace("one", "true"), Invalid, 6, "quotes"},
		"list for text":      {replace("one", "[one]"), Invalid, 6, "a list"},
		"no spec":            {replace("spec:\n  cluster: one\n  envType: test\n", ""), Invalid, 0, "spec is missing"},
		"null spec":          {replace("spec:\n  cluster: one\n  envType: test\n", "spec:\n"), Invalid, 0, "spec is missing"},
		"text as spec":       {replace("spec:\n  cluster: one\n  envType: test\n", "spec: a\n"), Invalid, 5, "mapping"},
		"no apiVersion":      {replace("apiVersion: nautes.resource.nautes.io/v1alpha1\n", ""), WrongKind, 0, "apiVersion"},
		"other apiVersion":   {replace("v1alpha1", "v1"), WrongKind, 1, "only nautes.resource.nautes.io/v1alpha1"},
		"number apiVersion":  {replace("nautes.resource.nautes.io/v1alpha1", "1"), Invalid, 1, "text"},
		"no kind":            {replace("kind: Environment\n", ""), WrongKind, 0, "kind"},
		"kind of elsewhere":  {replace("kind: Environment", "kind: Project"), WrongKind, 2, "Environment, not Project"},
		"kind of the tenant": {replace("kind: Environment", "kind: Cluster"), WrongKind, 2, "not Cluster"},
		"unknown kind":       {replace("kind: Environment", "kind: ConfigMap"), WrongKind, 2, "not ConfigMap"},
		"a list of objects":  {replace("kind: Environment", "kind: EnvironmentList"), WrongKind, 2, "EnvironmentList"},
		"other product":      {environment + "  product: product-2\n", WrongNamespace, 8, "product-2"},
		"status":             {environment + "status: {observedGeneration: 1}\n", NotAllowed, 8, "status"},
		"text as status":     {environment + "status: ready\n", NotAllowed, 8, "status"},
	})
}

func TestDecodeRefusesMetadata(t *testing.T) {
	replace := func(old, new string) string { return replaceOnce(t, environment, old, new) }
	meta := func(line string) string { return replace("  name: dev\n", "  name: dev\n"+line+"\n") }
	checkRefusals(t, map[string]refusal{
		"no metadata":         {replace("metadata:\n  name: dev\n", ""), WrongName, 0, "metadata"},
		"null metadata":       {replace("metadata:\n  name: dev\n", "metadata:\n"), WrongName, 0, "metadata"},
		"no name":             {replace("name: dev", "labels: {}"), WrongName, 4, "metadata.name is missing"},
		"null name":           {replace("name: dev", "name:"), WrongName, 4, "metadata.name is missing"},
		"number as name":      {replace("name: dev", "name: 1"), Invalid, 4, "quotes"},
		"bad name":            {replace("name: dev", "name: Dev_1"), WrongName, 4, "lower-case"},
		"long name":           {replace("name: dev", "name: "+strings.Repeat("a", 64)), WrongName, 4, "63"},
		"name as path":        {replace("name: dev", "name: ../dev"), WrongName, 4, "lower-case"},
		"other namespace":     {meta("  namespace: product-2"), WrongNamespace, 5, "product-2"},
		"creation time":       {meta("  creationTimestamp: 2024-01-01T00:00:00Z"), NotAllowed, 5, "creationTimestamp"},
		"finalizers":          {meta("  finalizers: [a]"), NotAllowed, 5, "finalizers"},
		"null finalizers":     {meta("  finalizers:"), NotAllowed, 5, "finalizers"},
		"owner":               {meta("  ownerReferences: []"), NotAllowed, 5, "ownerReferences"},
		"uid":                 {meta("  uid: x"), NotAllowed, 5, "uid"},
		"resource version":    {meta("  resourceVersion: \"1\""), NotAllowed, 5, "resourceVersion"},
		"managed fields":      {meta("  managedFields: []"), NotAllowed, 5, "managedFields"},
		"generate name":       {meta("  generateName: x-"), NotAllowed, 5, "generateName"},
		"our label":           {meta("  labels:\n    nautes.io/product: x"), NotAllowed, 6, "nautes.io"},
		"our subdomain":       {meta("  labels:\n    resource.nautes.io/reference: x"), NotAllowed, 6, "nautes.io"},
		"managed by":          {meta("  labels:\n    app.kubernetes.io/managed-by: nautes"), NotAllowed, 6, "managed-by"},
		"hidden from pruning": {meta("  labels:\n    hnc.x-k8s.io/inherited-from: x"), NotAllowed, 6, "hnc"},
		"confirmed prune":     {meta("  annotations:\n    nautes.io/confirm-prune: x"), NotAllowed, 6, "nautes.io"},
		"number as label":     {meta("  labels: {a: 1}"), Invalid, 5, "quotes"},
		"list as labels":      {meta("  labels: [a]"), Invalid, 5, "metadata.labels must be a mapping"},
		"null label":          {meta("  labels: {a: }"), Invalid, 5, "empty"},
	})
}

// refusal is a file envs/dev.yaml and why it is refused.
type refusal struct {
	content    string
	wantReason string
	wantLine   int32
	wantText   string
}

func checkRefusals(t *testing.T, tests map[string]refusal) {
	t.Helper()
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o, got := product.Decode("envs/dev.yaml", []byte(tt.content))
			if got == nil {
				t.Fatalf("Decode = %+v, want an error", o)
			}
			if got.Reason != tt.wantReason || got.Line != tt.wantLine || !strings.Contains(got.Message, tt.wantText) || got.Path != "envs/dev.yaml" {
				t.Errorf("Decode: %+v, want %s at line %d with %q", got, tt.wantReason, tt.wantLine, tt.wantText)
			}
		})
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
func replaceOnce(t *testing.T, content, old, new string) string {
	t.Helper()
	if !strings.Contains(content, old) {
		t.Fatalf("the file has no %q", old)
	}
	return strings.Replace(content, old, new, 1)
}

func TestDecodeRefusesInOtherKinds(t *testing.T) {
	change := func(content, old, new string) string { return replaceOnce(t, content, old, new) }
	hook := head + "PipelineHook\nmetadata: {name: scan}\nspec:\n  sides: [pre]\n  task: {}\n"
	tests := map[string]struct {
		scope         Scope
		path, content string
		wantReason    string
		wantLine      int32
		wantText      string
	}{
		"text for bool":         {product, "runtimes/dr-dev.yaml", deployment + "  suspend: yes please\n", Invalid, 17, "spec.suspend must be true or false, not a text"},
		"null in a list":        {product, "runtimes/dr-dev.yaml", change(deployment, "- api-server", "-"), Invalid, 16, "spec.projectsRef[0] must be a text, not empty"},
		"mapping for list":      {product, "runtimes/dr-dev.yaml", change(deployment, "- api-server", "  a: b"), Invalid, 16, "spec.projectsRef must be a list"},
		"unknown nested field":  {product, "projects/api/x.yaml", change(pipeline, "label: main", "lable: main"), UnknownField, 19, "spec.pipelines[0].lable"},
		"missing nested field":  {product, "projects/api/x.yaml", change(pipeline, "kustomization: {path: /spec/x}", "{}"), Unparsable, 25, "plain text"},
		"missing pointer field": {product, "projects/api/x.yaml", change(pipeline, "{kustomization: {path: /spec/x}}", "{}"), Invalid, 25, "spec.pipelineTriggers[0].inputs[0].transmissionMethod.kustomization is missing"},
		"other project":         {product, "projects/web/x.yaml", pipeline, Misplaced, 8, `spec.project is "api" and the directory is "web"`},
		"project elsewhere":     {product, "projects/web/web.yaml", head + "Project\nmetadata: {name: api}\nspec: {}\n", WrongName, 3, `move the file to the directory "api"`},
		"repo elsewhere":        {product, "code-repos/repo-2/repo-2.yaml", head + "CodeRepo\nmetadata: {name: repo-1}\nspec: {}\n", WrongName, 3, "repo-2"},
		"binding elsewhere":     {product, "code-repos/repo-2/all.yaml", head + "CodeRepoBinding\nmetadata: {name: all}\nspec:\n  codeRepo: repo-1\n", Misplaced, 5, "repo-2"},
		"binding to another":    {product, "code-repos/repo-1/all.yaml", head + "CodeRepoBinding\nmetadata: {name: all}\nspec:\n  codeRepo: repo-1\n  product: product-2\n", WrongNamespace, 6, "product-2"},
		"too shallow":           {product, "projects/api.yaml", head + "Project\nmetadata: {name: api}\nspec: {}\n", Misplaced, 0, "projects/<project>/<project>.yaml"},
		"too deep":              {product, "envs/a/dev.yaml", environment, Misplaced, 0, "envs/<environment>.yaml"},
		"not a folder":          {product, "docs/dev.yaml", environment, Misplaced, 0, "code-repos, envs, projects, runtimes"},
		"product in tenant":     {tenant, "clusters/p.yaml", head + "Product\nmetadata: {name: product-1}\nspec: {}\n", WrongKind, 2, "Cluster, not Product"},
		"tenant's namespace":    {tenant, "hooks/scan.yaml", change(hook, "{name: scan}", "{name: scan, namespace: product-1}"), WrongNamespace, 3, "nautes"},
		"text as task":          {tenant, "hooks/scan.yaml", change(hook, "task: {}", "task: run"), Invalid, 6, "spec.task must be a mapping"},
		"no number in task":     {tenant, "hooks/scan.yaml", change(hook, "task: {}", "task: {a: [.nan]}"), Invalid, 6, "spec.task[a][0]"},
		"infinity in task":      {tenant, "hooks/scan.yaml", change(hook, "task: {}", "task: {a: -.inf}"), Invalid, 6, "finite"},
		"tag in task":           {tenant, "hooks/scan.yaml", change(hook, "task: {}", "task: {a: !!binary aGk=}"), Unparsable, 6, "!!binary"},
		"another catalogue":     {tenant, "catalogue/second.yaml", change(components, "{name: default}", "{name: second}"), WrongName, 3, "call it default"},
		"cluster as catalogue":  {tenant, "catalogue/one.yaml", head + "Cluster\nmetadata: {name: one}\nspec: {}\n", WrongKind, 2, "ComponentCatalogue, not Cluster"},
		"catalogue of product":  {product, "catalogue/default.yaml", components, Misplaced, 0, "code-repos, envs, projects, runtimes"},
		"text as values":        {tenant, "catalogue/default.yaml", change(components, "{ports: {web: {nodePort: $(settings.httpNodePort)}}, removed: null, hosts: [a, 1, true]}", "ports"), Invalid, 10, "spec.components[0].sources[0].values must be a mapping"},
		"no number in a patch":  {tenant, "catalogue/default.yaml", change(components, "value: 2", "value: .nan"), Invalid, 18, "spec.components[1].sources[0].patches[0].operations[0].value is no finite number"},
		"unknown field of it":   {tenant, "catalogue/default.yaml", change(components, "- kind: Deployment", "- target: Deployment"), UnknownField, 16, "spec.components[1].sources[0].patches[0].target"},
		"wrong tag in task":     {tenant, "hooks/scan.yaml", change(hook, "task: {}", "task: {a: !!int x}"), Invalid, 6, "!!int"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o, got := tt.scope.Decode(tt.path, []byte(tt.content))
			if got == nil {
				t.Fatalf("Decode = %+v, want an error", o)
			}
			if got.Reason != tt.wantReason || got.Line != tt.wantLine || !strings.Contains(got.Message, tt.wantText) {
				t.Errorf("Decode: %+v, want %s at line %d with %q", got, tt.wantReason, tt.wantLine, tt.wantText)
			}
		})
	}
}

func TestDecodeIsBounded(t *testing.T) {
	laughs := "a0: &a0 [x]\n"
	for i := 1; i < 30; i++ {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	// Room is left for what stands around it.
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
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			o, got := product.Decode("envs/dev.yaml", []byte(tt.content))
			if got == nil || tt.wantReason != "" && got.Reason != tt.wantReason {
				t.Errorf("Decode = %v, %+v; want reason %s", o, got, tt.wantReason)
			}
			// Far more than it takes: growth by squares would not fit.
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
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
		object, problem := scope.Decode(path, content)
		if (object == nil) == (problem == nil) {
			t.Fatalf("Decode = %v, %v", object, problem)
		}
		if problem != nil {
			if problem.Reason == "" || problem.Message == "" || problem.Line < 0 {
				t.Errorf("the problem says too little: %+v", problem)
			}
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
		again, problem := scope.Decode(path, encoded)
		if problem != nil {
			t.Fatalf("the object cannot be read again: %+v\n%s", problem, encoded)
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
