package schema_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/internal/schema"
)

func newKinds(t testing.TB) *schema.Kinds {
	t.Helper()
	kinds, err := schema.New()
	if err != nil {
		t.Fatal(err)
	}
	return kinds
}

// read returns the object in a YAML document.
func read(t testing.TB, document string) map[string]any {
	t.Helper()
	content, err := yaml.YAMLToJSON([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	object, errs := schema.Read(content)
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	return object
}

// filled returns the document in which a kind has every field set.
func filled(t testing.TB, kind string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../test/api/testdata/filled", strings.ToLower(kind)+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

const head = "apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: "

const environment = head + `Environment
metadata: {name: dev}
spec: {cluster: one, envType: test}
`

const pipeline = head + `ProjectPipelineRuntime
metadata: {name: ci}
spec:
  project: api
  pipelineSource: repo-1
  isolation: shared
  destination: {environment: dev}
  pipelines:
  - {name: main, path: main.yaml}
  - {name: other, path: other.yaml}
  eventSources:
  - {name: push, gitlab: {repoName: repo-1, events: [push_events]}}
  - {name: night, calendar: {schedule: "@daily"}}
  pipelineTriggers:
  - {eventSource: push, pipeline: main}
  - {eventSource: night, pipeline: main}
  - {eventSource: night, pipeline: other}
`

const cluster = head + `Cluster
metadata: {name: one}
spec:
  apiServer: https://10.0.0.1:6443
  clusterKind: kubernetes
  clusterType: physical
  usage: worker
  workerType: deployment
`

func TestNames(t *testing.T) {
	files, err := filepath.Glob("../../config/crd/bases/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names := newKinds(t).Names()
	if len(names) != len(files) || !slices.IsSorted(names) || !slices.Contains(names, "Environment") {
		t.Errorf("Names() = %v for %d files", names, len(files))
	}
}

func TestCheck(t *testing.T) {
	kinds := newKinds(t)
	change := func(document, from, to string) string {
		if !strings.Contains(document, from) {
			t.Fatalf("the document has no %q", from)
		}
		return strings.Replace(document, from, to, 1)
	}
	const (
		noSource   = "a trigger names an event source that is not in eventSources"
		noPipeline = "a trigger names a pipeline that is not in pipelines"
		twice      = "two triggers have the same eventSource, pipeline and revision"
	)
	for name, test := range map[string]struct {
		object, old string
		// want maps fields to a part of their error.
		want map[string]string
	}{
		"valid":            {object: environment},
		"valid pipeline":   {object: pipeline},
		"valid cluster":    {object: cluster},
		"another version":  {object: change(environment, "v1alpha1", "v1"), want: map[string]string{"apiVersion": "must be nautes.resource.nautes.io/v1alpha1"}},
		"another kind":     {object: change(environment, "Environment", "ConfigMap"), want: map[string]string{"kind": `supported values: "ArtifactRepo", "Cluster"`}},
		"no kind":          {object: "metadata: {name: dev}\n", want: map[string]string{"kind": "Unsupported value"}},
		"no metadata":      {object: change(environment, "metadata: {name: dev}\n", ""), want: map[string]string{"metadata.name": "Required value"}},
		"a list as labels": {object: change(environment, "{name: dev}", "{name: dev, labels: []}"), want: map[string]string{"metadata.labels": "must not be a array"}},
		"a bad label":      {object: change(environment, "{name: dev}", "{name: dev, labels: {a b: c}}"), want: map[string]string{"metadata.labels": "name part must consist of"}},
		"text as metadata": {object: change(environment, "{name: dev}", "dev"), want: map[string]string{"metadata": "Invalid value"}},
		"unknown fields": {
			object: change(change(environment, "cluster: one", "cluster: one, clusters: two"), "name: dev", "name: dev, nmae: x"),
			want: map[string]string{
				"spec.clusters": `unknown field "spec.clusters": correct or remove it; known fields are cluster, envType, product`,
				"metadata.nmae": `unknown field "metadata.nmae"`,
			},
		},
		"an unknown field in an item": {
			object: change(pipeline, "{name: other, path: other.yaml}", "{name: other, path: other.yaml, lable: x}"),
			want:   map[string]string{"spec.pipelines[1].lable": `unknown field "spec.pipelines[1].lable": correct or remove it; known fields are`},
		},
		"an unknown field of the object": {object: environment + "data: {}\n", want: map[string]string{"data": `unknown field "data": correct or remove it; known fields are apiVersion, kind, metadata, spec, status`}},
		"every error at once": {
			object: change(change(cluster, "clusterKind: kubernetes", "clusterKind: nomad"), "apiServer: https://10.0.0.1:6443", "apiServer: 7"),
			want:   map[string]string{"spec.clusterKind": "Unsupported value", "spec.apiServer": "must be of type string"},
		},
		"an unknown field in a value of the wrong type": {
			object: change(environment, "cluster: one", "cluster: [[{x: 1}]]"),
			want:   map[string]string{"spec.cluster": "must be of type string", "spec.cluster[0][0].x": `unknown field "spec.cluster[0][0].x"`},
		},
		"an unknown field in a text": {
			object: change(environment, "cluster: one", "cluster: {x: 1}"),
			want:   map[string]string{"spec.cluster": "must be of type string", "spec.cluster.x": `unknown field "spec.cluster.x"`},
		},
		"a missing field": {object: change(environment, "cluster: one, ", ""), want: map[string]string{"spec.cluster": "Required value"}},
		"a null field":    {object: change(environment, "cluster: one", "cluster: null"), want: map[string]string{"spec.cluster": "Required value"}},

		"a rule at its field": {object: change(cluster, "workerType: deployment", "workerType: deployment\n  hostCluster: two"), want: map[string]string{"spec.hostCluster": "hostCluster is for virtual clusters"}},
		"a rule of the spec":  {object: head + "CodeRepo\nmetadata: {name: a}\nspec: {}\n", want: map[string]string{"spec": "say where the repository is"}},
		"rules beside an error elsewhere": {
			object: change(change(pipeline, "path: main.yaml", "path: /main.yaml"), "  project: api\n", ""),
			want:   map[string]string{"spec.project": "Required value", "spec.pipelines[0].path": "write a path from the root"},
		},
		"no rule over a value with an error": {
			object: change(pipeline, "pipeline: main}", "pipeline: 7}"),
			want:   map[string]string{"spec.pipelineTriggers[0].pipeline": "must be of type string"},
		},
		"rules of the items beside an error in one": {
			object: change(change(pipeline, "{name: main, path: main.yaml}", "{path: main.yaml}"), "path: other.yaml", "path: ../other.yaml"),
			want:   map[string]string{"spec.pipelines[0].name": "Required value", "spec.pipelines[1].path": "write a path from the root"},
		},
		"no rule over an item with an error": {
			object: pipeline + "  hooks: {preHooks: [{name: a}, {vars: {}}]}\n",
			want:   map[string]string{"spec.hooks.preHooks[1].name": "Required value"},
		},
		"a rule of a map beside an error": {
			object: change(cluster, "clusterKind: kubernetes", "clusterKind: nomad\n  reservedNamespacesAllowedProducts: {argocd: [a], Tekton: [b]}"),
			want:   map[string]string{"spec.clusterKind": "Unsupported value", "spec.reservedNamespacesAllowedProducts[Tekton]": "the keys are names of components"},
		},

		"the first trigger":  {object: change(pipeline, "{eventSource: push, pipeline: main}", "{eventSource: none, pipeline: main}"), want: map[string]string{"spec.pipelineTriggers[0]": noSource}},
		"the last trigger":   {object: change(pipeline, "pipeline: other}", "pipeline: none}"), want: map[string]string{"spec.pipelineTriggers[2]": noPipeline}},
		"triggers and rules": {object: strings.ReplaceAll(change(pipeline, "{eventSource: push,", "{eventSource: none,"), "pipeline: main}", "pipeline: none}"), want: map[string]string{"spec.pipelineTriggers[0]": noSource + "|" + noPipeline, "spec.pipelineTriggers[1]": noPipeline}},
		"a trigger twice":    {object: pipeline + "  - {eventSource: push, pipeline: main}\n", want: map[string]string{"spec.pipelineTriggers[3]": twice}},
		"a trigger thrice": {
			object: pipeline + "  - {eventSource: push, pipeline: main}\n  - {eventSource: push, pipeline: main, revision: x}\n  - {eventSource: push, pipeline: main}\n",
			want:   map[string]string{"spec.pipelineTriggers[3]": twice, "spec.pipelineTriggers[5]": twice},
		},
		"keys of a map": {
			object: cluster + "  reservedNamespacesAllowedProducts: {argocd: [a], Tekton: [b], UPPER: []}\n",
			want:   map[string]string{"spec.reservedNamespacesAllowedProducts[Tekton]": "the keys are names", "spec.reservedNamespacesAllowedProducts[UPPER]": "the keys are names"},
		},
		"an item of a set twice": {
			object: head + "CodeRepo\nmetadata: {name: a}\nspec: {url: \"https://a/b.git\", webhook: {events: [push_events, push_events]}}\n",
			want:   map[string]string{"spec.webhook.events[1]": "Duplicate value"},
		},

		"fields of the server": {
			old:    change(environment, "{name: dev}", `{name: dev, uid: a, generation: 3, resourceVersion: "7", creationTimestamp: "2024-01-01T00:00:00Z", deletionTimestamp: "2024-01-01T00:00:00Z", deletionGracePeriodSeconds: 5}`),
			object: environment,
		},
		"a later version of it": {old: change(environment, "{name: dev}", `{name: dev, resourceVersion: "7"}`), object: change(environment, "{name: dev}", `{name: dev, resourceVersion: "8"}`)},
		"an allowed change":     {old: environment, object: change(environment, "cluster: one", "cluster: two")},
		"a forbidden change":    {old: change(environment, "cluster: one", "product: product-a, cluster: one"), object: change(environment, "cluster: one", "product: product-b, cluster: one"), want: map[string]string{"spec.product": "product cannot change"}},
		"a new field":           {old: environment, object: change(environment, "cluster: one", "product: product-b, cluster: one")},
		"another name":          {old: environment, object: change(environment, "name: dev", "name: test"), want: map[string]string{"metadata.name": "field is immutable"}},
		"a bad value, as it was": {
			old: change(cluster, "10.0.0.1:6443", "10.0.0.1/?x"), object: change(change(cluster, "10.0.0.1:6443", "10.0.0.1/?x"), "workerType: deployment", "workerType: pipeline"),
		},
		"another bad value": {
			old: change(cluster, "10.0.0.1:6443", "10.0.0.1/?x"), object: change(cluster, "10.0.0.1:6443", "10.0.0.1/?y"),
			want: map[string]string{"spec.apiServer": "write an http:// or https:// URL"},
		},
		"a duplicate that was there": {
			old:    head + "CodeRepo\nmetadata: {name: a}\nspec: {url: \"https://a/b.git\", webhook: {events: [push_events, push_events]}}\n",
			object: head + "CodeRepo\nmetadata: {name: a}\nspec: {url: \"https://a/c.git\", webhook: {events: [push_events, push_events]}}\n",
		},
		"a new duplicate": {
			old:    head + "CodeRepo\nmetadata: {name: a}\nspec: {url: \"https://a/b.git\"}\n",
			object: head + "CodeRepo\nmetadata: {name: a}\nspec: {url: \"https://a/b.git\", webhook: {events: [push_events, push_events]}}\n",
			want:   map[string]string{"spec.webhook.events[1]": "Duplicate value"},
		},
		"a forbidden change beside an error": {
			old:    head + "CodeRepoBinding\nmetadata: {name: a}\nspec: {codeRepo: repo-1, permissions: readonly}\n",
			object: head + "CodeRepoBinding\nmetadata: {name: a}\nspec: {codeRepo: repo-2, permissions: all}\n",
			want:   map[string]string{"spec.permissions": "Unsupported value", "spec.codeRepo": "codeRepo cannot change"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			object := read(t, test.object)
			var old map[string]any
			if test.old != "" {
				old = read(t, test.old)
			}
			before := runtime.DeepCopyJSON(object)
			_, errs := kinds.Check(object, old)
			if diff := cmp.Diff(before, object); diff != "" {
				t.Errorf("Check changed its input:\n%s", diff)
			}
			got := map[string]string{}
			for _, err := range errs {
				if got[err.Field] != "" {
					got[err.Field] += "|"
				}
				got[err.Field] += err.Error()
				if strings.HasSuffix(err.Detail, "known fields are ") {
					t.Errorf("no fields are known: %v", err)
				}
			}
			for at, want := range test.want {
				for _, part := range strings.Split(want, "|") {
					if !strings.Contains(got[at], part) {
						t.Errorf("error at %q: %q, want %q in it", at, got[at], part)
					}
				}
				if n := strings.Count(want, "|"); strings.Count(got[at], "|") != n {
					t.Errorf("errors at %q: %q, want %d", at, got[at], n+1)
				}
				delete(got, at)
			}
			if len(got) > 0 {
				t.Errorf("more errors: %v", got)
			}
		})
	}
}

// An object that was read, checked and completed has its defaults, and no field
// that is null or unknown.
func TestCheckCompletes(t *testing.T) {
	kinds := newKinds(t)
	got, errs := kinds.Check(read(t, head+`Product
metadata: {name: product-1, labels: {a: b}}
spec: {name: a, metaDataPath: "https://a.example.com/b/c.git", secretRef: null, strange: 1}
`), nil)
	if len(errs) != 1 || errs[0].Origin != schema.OriginUnknownField {
		t.Errorf("errors %v, want one about the unknown field", errs.ToAggregate())
	}
	spec, _ := got["spec"].(map[string]any)
	if diff := cmp.Diff(map[string]any{"name": "a", "metaDataPath": "https://a.example.com/b/c.git", "branch": "main"}, spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
	if labels := fmt.Sprint(got["metadata"]); !strings.Contains(labels, "a:b") {
		t.Errorf("metadata is %s", labels)
	}
}

// Every kind accepts the object that has every field, and completes it to itself.
func TestFilledObjects(t *testing.T) {
	kinds := newKinds(t)
	for _, kind := range kinds.Names() {
		object := read(t, filled(t, kind))
		got, errs := kinds.Check(object, nil)
		if len(errs) > 0 {
			t.Errorf("%s: %v", kind, errs.ToAggregate())
		}
		if diff := cmp.Diff(object["spec"], got["spec"]); diff != "" {
			t.Errorf("%s: spec (-want +got):\n%s", kind, diff)
		}
	}
}

func TestEmptyEntries(t *testing.T) {
	kinds := newKinds(t)
	for name, test := range map[string]struct {
		object string
		want   []string
	}{
		"a map of lists":       {cluster + "  reservedNamespacesAllowedProducts: {argocd: null, tekton: [], b: null}\n", []string{"spec.reservedNamespacesAllowedProducts[argocd]", "spec.reservedNamespacesAllowedProducts[b]"}},
		"a map in an item":     {pipeline + "  hooks: {preHooks: [{name: a}, {name: b, vars: {x: null, y: z}}]}\n", []string{"spec.hooks.preHooks[1].vars[x]"}},
		"a map of lists, full": {cluster + "  productAllowedClusterResources: {a: [{kind: null}]}\n", nil},
		"a null field":         {cluster + "  primaryDomain: null\n", nil},
		"an unknown field":     {cluster + "  strange: {a: null}\n", nil},
		"a value of any shape": {head + "PipelineHook\nmetadata: {name: a}\nspec: {sides: [pre], task: {a: null, b: [null]}}\n", nil},
		"a list for a map":     {cluster + "  reservedNamespacesAllowedProducts: [null]\n", nil},
		"another kind":         {"kind: ConfigMap\ndata: {a: null}\n", nil},
	} {
		if diff := cmp.Diff(test.want, kinds.EmptyEntries(read(t, test.object))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRead(t *testing.T) {
	for name, test := range map[string]struct {
		document  string
		want      map[string]any
		wantErr   string
		wantField string
	}{
		"an object":       {document: `{"a": {"b": 1, "c": 1.5}}`, want: map[string]any{"a": map[string]any{"b": int64(1), "c": 1.5}}},
		"a field twice":   {document: `{"spec": {"a": 1, "a": 2}}`, want: map[string]any{"spec": map[string]any{"a": int64(2)}}, wantErr: `duplicate field "spec.a"`, wantField: "spec.a"},
		"a list":          {document: `[]`, wantErr: "not a JSON object"},
		"half a document": {document: `{"a": `, wantErr: "not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			got, errs := schema.Read([]byte(test.document))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("object (-want +got):\n%s", diff)
			}
			switch {
			case test.wantErr == "" && len(errs) == 0:
			case len(errs) != 1 || test.wantErr == "" || !strings.Contains(errs[0].Detail, test.wantErr) || errs[0].Field != test.wantField && test.wantField != "":
				t.Errorf("errors %v, want %q at %q", errs.ToAggregate(), test.wantErr, test.wantField)
			case test.wantField != "" && errs[0].Origin != schema.OriginDuplicateField:
				t.Errorf("origin %q", errs[0].Origin)
			}
		})
	}
}

// A rule over a long list that breaks everywhere is still searched within bounds.
func TestManyCulprits(t *testing.T) {
	document := pipeline
	for i := range 97 {
		document += fmt.Sprintf("  - {eventSource: none-%d, pipeline: main}\n", i%7)
	}
	_, errs := newKinds(t).Check(read(t, document), nil)
	found := 0
	for _, err := range errs {
		if strings.HasPrefix(err.Field, "spec.pipelineTriggers[") && strings.Contains(err.Detail, "event source") {
			found++
		}
	}
	if found != 97 {
		t.Errorf("%d triggers are refused, want 97: %v", found, errs.ToAggregate())
	}
}

// Whatever a document holds, Check ends, answers the same twice, and accepts an
// object that it has accepted and completed.
func FuzzCheck(f *testing.F) {
	kinds := newKinds(f)
	for _, kind := range kinds.Names() {
		object := read(f, filled(f, kind))
		content, err := json.Marshal(object)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content, []byte("{}"))
		f.Add(content, content)
	}
	f.Add([]byte(`{"apiVersion":"nautes.resource.nautes.io/v1alpha1","kind":"Cluster","metadata":{"name":7},"spec":null}`), []byte(`{"metadata":[]}`))
	f.Add([]byte(`{"apiVersion":"nautes.resource.nautes.io/v1alpha1","kind":"Cluster","spec":[{"a":null}]}`), []byte(`{"spec":7}`))
	f.Fuzz(func(t *testing.T, document, oldDocument []byte) {
		object, errs := schema.Read(document)
		if object == nil && len(errs) == 0 {
			t.Fatal("no object and no error")
		}
		old, _ := schema.Read(oldDocument)
		if len(old) == 0 {
			old = nil
		}
		got, errs := kinds.Check(object, old)
		again, errsAgain := kinds.Check(object, old)
		if diff := cmp.Diff(got, again); diff != "" || messages(errs) != messages(errsAgain) {
			t.Fatalf("two answers: %s\n%s\n%s", diff, messages(errs), messages(errsAgain))
		}
		if len(errs) > 0 {
			return
		}
		completed, errs := kinds.Check(got, old)
		if diff := cmp.Diff(got, completed); diff != "" || len(errs) > 0 {
			t.Fatalf("an accepted object is not accepted again: %v\n%s", errs.ToAggregate(), diff)
		}
	})
}

func messages(errs field.ErrorList) string {
	var all []string
	for _, err := range errs {
		all = append(all, err.Error())
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}
