package body

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"nautes.io/nautes/api/v1alpha1"
)

func TestDecode(t *testing.T) {
	echoes := Echoes{"product": "labs", "name": "dr"}
	for name, tc := range map[string]struct {
		body string
		into any
		want any
		// wantAt are locations of problems, wantMessage a part of the first message.
		wantAt      []string
		wantMessage string
	}{
		"snake_case": {
			body: `{"projects_ref": ["a"], "manifest_source": {"code_repo": "r", "path": "p"}, "destination": {"environment": "e"}}`,
			into: &DeploymentRuntime{},
			want: &DeploymentRuntime{ProjectsRef: []string{"a"}, ManifestSource: &ManifestSource{CodeRepo: "r", Path: "p"}, Destination: &DeploymentDestination{Environment: "e"}},
		},
		"spelling of the files": {
			body: `{"projectsRef": ["a"], "manifestSource": {"codeRepo": "r", "path": "p"}, "destination": {"environment": "e"}}`,
			into: &DeploymentRuntime{},
			want: &DeploymentRuntime{ProjectsRef: []string{"a"}, ManifestSource: &ManifestSource{CodeRepo: "r", Path: "p"}, Destination: &DeploymentDestination{Environment: "e"}},
		},
		"values that count as unset": {
			body: `{"language": "", "name": null, "status": {"any": 1}, "product": ""}`,
			into: &Project{}, want: &Project{},
		},
		"empty objects and zero count as unset": {
			body: `{"api_server": "a", "cluster_kind": "kubernetes", "cluster_type": "physical", "usage": "host", "traefik": {"http_node_port": 0}, "vcluster": {}}`,
			into: &Cluster{},
			want: &Cluster{APIServer: "a", ClusterKind: "kubernetes", ClusterType: "physical", Usage: "host"},
		},
		"a port as number": {
			body: `{"api_server": "a", "cluster_kind": "kubernetes", "cluster_type": "physical", "usage": "host", "vcluster": {"https_node_port": 31457}}`,
			into: &Cluster{},
			want: &Cluster{APIServer: "a", ClusterKind: "kubernetes", ClusterType: "physical", Usage: "host", VCluster: &VCluster{HTTPSNodePort: "31457"}},
		},
		"echoes that agree": {body: `{"product_name": "labs", "name": "dr", "language": "go"}`, into: &Project{}, want: &Project{Language: "go"}},
		"echoes that differ": {
			body: `{"product": "other", "name": "x"}`, into: &Project{}, wantAt: []string{"body.product", "body.name"},
		},
		"unknown key": {
			body: `{"langauge": "go"}`, into: &Project{}, wantAt: []string{"body.langauge"}, wantMessage: "the key langauge is unknown: did you mean language?",
		},
		"wrong types": {
			body:   `{"projects_ref": "a", "manifest_source": [1], "destination": {"environment": 7, "namespaces": [null]}}`,
			into:   &DeploymentRuntime{},
			wantAt: []string{"body.projects_ref", "body.manifest_source", "body.destination.environment", "body.destination.namespaces[0]"},
		},
		"missing": {
			body: `{"manifest_source": {}}`, into: &DeploymentRuntime{},
			wantAt: []string{"body.manifest_source.code_repo", "body.manifest_source.path", "body.destination"},
		},
		"two spellings that differ": {
			body: `{"env_type": "a", "cluster": "c", "envType": "b"}`, into: &Environment{}, wantAt: []string{"body.envType"},
		},
		"two spellings that agree": {
			body: `{"env_type": "a", "cluster": "c", "envType": "a"}`, into: &Environment{}, want: &Environment{Cluster: "c", EnvType: "a"},
		},
		"enum": {body: `{"coderepo": "r", "permissions": "admin"}`, into: &CodeRepoBinding{}, wantAt: []string{"body.permissions"}},
		"list": {body: `[]`, into: &Project{}, wantAt: []string{"body"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := Decode([]byte(tc.body), tc.into, echoes)
			if err != nil {
				t.Fatal(err)
			}
			var at []string
			for _, p := range d.Problems {
				at = append(at, p.Location)
			}
			if diff := cmp.Diff(tc.wantAt, at, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
				t.Fatalf("problems (-want +got):\n%s\n%v", diff, d.Problems)
			}
			if tc.wantMessage != "" && d.Problems[0].Message != tc.wantMessage {
				t.Errorf("message %q, want %q", d.Problems[0].Message, tc.wantMessage)
			}
			if tc.want != nil {
				if diff := cmp.Diff(tc.want, tc.into); diff != "" {
					t.Errorf("body (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestCheckHooks(t *testing.T) {
	for name, tc := range map[string]struct {
		hooks  Hooks
		wantAt []string
	}{
		"one on each side":    {hooks: Hooks{PreHooks: []Hook{{Name: "ls", Alias: "a"}}, PostHooks: []Hook{{Name: "ls", Alias: "b"}}}},
		"twice on a side":     {Hooks{PreHooks: []Hook{{Name: "ls", Alias: "a"}, {Name: "ls", Alias: "b"}}}, []string{"body.hooks.pre_hooks[1].name"}},
		"one alias":           {Hooks{PreHooks: []Hook{{Name: "ls", Alias: "a"}}, PostHooks: []Hook{{Name: "cat", Alias: "a"}}}, []string{"body.hooks.post_hooks[0].alias"}},
		"both without alias":  {Hooks{PreHooks: []Hook{{Name: "ls"}}, PostHooks: []Hook{{Name: "ls"}}}, []string{"body.hooks.post_hooks[0].alias"}},
		"one alias on a side": {Hooks{PreHooks: []Hook{{Name: "ls", Alias: "a"}, {Name: "cat", Alias: "a"}}}, []string{"body.hooks.pre_hooks[1].alias"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Decoded{}
			d.Check(&ProjectPipelineRuntime{Hooks: &tc.hooks}, "n")
			var at []string
			for _, p := range d.Problems {
				at = append(at, p.Location)
			}
			if diff := cmp.Diff(tc.wantAt, at); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSyntax(t *testing.T) {
	for name, tc := range map[string]struct {
		body     string
		wantLine int
	}{
		"comment":       {"{\n  # note\n  \"a\": 1}", 2},
		"missing comma": {"{\"a\": [\n\"x\"\n\"y\"]}", 3},
		"YAML":          {"projects_ref: [a]\n", 1},
		"empty":         {"", 1},
		"unfinished":    {"{\"a\":\n", 2},
		"more":          {"{}\n{}", 2},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Decode([]byte(tc.body), &Project{}, nil)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Line != tc.wantLine {
				t.Errorf("error %v, want one in line %d", err, tc.wantLine)
			}
		})
	}
}

// resources returns a body and a spec of each kind.
func resources() map[string][2]any {
	return map[string][2]any{
		"Project":                {&Project{}, &v1alpha1.ProjectSpec{}},
		"Environment":            {&Environment{}, &v1alpha1.EnvironmentSpec{}},
		"CodeRepo":               {&CodeRepo{}, &v1alpha1.CodeRepoSpec{}},
		"CodeRepoBinding":        {&CodeRepoBinding{}, &v1alpha1.CodeRepoBindingSpec{}},
		"DeploymentRuntime":      {&DeploymentRuntime{}, &v1alpha1.DeploymentRuntimeSpec{}},
		"ProjectPipelineRuntime": {&ProjectPipelineRuntime{}, &v1alpha1.ProjectPipelineRuntimeSpec{}},
		"Cluster":                {&Cluster{}, &v1alpha1.ClusterSpec{}},
	}
}

// kept are the keys of specs that bodies do not have. A save keeps their values.
func kept() []string {
	return []string{"product", "codeRepoProvider", "repoName", "url", "branch", "secretRef", "kubeconfigSecretRef"}
}

// TestKeys holds bodies and specs together: a new key of a spec needs a key of the body.
func TestKeys(t *testing.T) {
	for kind, pair := range resources() {
		t.Run(kind, func(t *testing.T) {
			sameKeys(t, reflect.TypeOf(pair[0]).Elem(), reflect.TypeOf(pair[1]).Elem(), "spec")
		})
	}
}

func sameKeys(t *testing.T, body, spec reflect.Type, at string) {
	for _, s := range properties(spec) {
		p, found := fileKey(body, s.key)
		if !found {
			if at != "spec" || !slices.Contains(kept(), s.key) {
				t.Errorf("%s.%s has no key in the body", at, s.key)
			}
			continue
		}
		inBody, inSpec := element(body.FieldByIndex(p.index).Type), element(spec.FieldByIndex(s.index).Type)
		if (inBody.Kind() == reflect.Struct) != (inSpec.Kind() == reflect.Struct) {
			t.Errorf("%s.%s is %s in the body and %s in the spec", at, s.key, inBody, inSpec)
		} else if inBody.Kind() == reflect.Struct {
			sameKeys(t, inBody, inSpec, at+"."+s.key)
		}
	}
	for _, p := range properties(body) {
		if p.file == "" {
			continue
		}
		if !slices.ContainsFunc(properties(spec), func(s property) bool { return s.key == p.file }) {
			t.Errorf("%s.%s is in the body only", at, p.file)
		}
	}
}

func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

// filled returns a value of a type in which every field is set.
func filled(t reflect.Type) reflect.Value {
	v := reflect.New(t).Elem()
	switch t.Kind() {
	case reflect.Pointer:
		v.Set(filled(t.Elem()).Addr())
	case reflect.Struct:
		for _, p := range properties(t) {
			if p.file != "" {
				v.FieldByIndex(p.index).Set(filled(t.FieldByIndex(p.index).Type))
				if len(p.enum) > 0 {
					v.FieldByIndex(p.index).SetString(p.enum[0])
				}
			}
		}
	case reflect.Slice:
		v.Set(reflect.Append(v, filled(t.Elem())))
	case reflect.Map:
		v.Set(reflect.MakeMap(t))
		v.SetMapIndex(reflect.ValueOf("some.key_a"), filled(t.Elem()))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("x")
	}
	return v
}

// TestRoundTrip converts a body with every key to a spec and back, and sends the reply
// as a request.
func TestRoundTrip(t *testing.T) {
	there := func(ref, name string) string { return ref + "-" + name }
	back := func(ref, name string) string { return name[len(ref)+1:] }
	for kind, pair := range resources() {
		t.Run(kind, func(t *testing.T) {
			full := filled(reflect.TypeOf(pair[0]).Elem()).Addr().Interface()
			if err := Spec(full, pair[1], there); err != nil {
				t.Fatal(err)
			}
			replied := reflect.New(reflect.TypeOf(full).Elem()).Interface()
			if err := Reply(pair[1], replied, back); err != nil {
				t.Fatal(err)
			}
			sent, err := json.Marshal(replied)
			if err != nil {
				t.Fatal(err)
			}
			again := reflect.New(reflect.TypeOf(full).Elem()).Interface()
			d, err := Decode(sent, again, nil)
			if err != nil {
				t.Fatal(err)
			}
			d.Problems = slices.DeleteFunc(d.Problems, func(p Fault) bool { return p.Location == "body.git" })
			if len(d.Problems) > 0 {
				t.Errorf("the reply has problems as a request: %v\n%s", d.Problems, sent)
			}
			if diff := cmp.Diff(full, again); diff != "" {
				t.Errorf("round trip (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpecKeeps(t *testing.T) {
	spec := &v1alpha1.CodeRepoSpec{URL: "https://a/b", Project: "gone", PipelineRuntime: true, RepoName: "r"}
	if err := Spec(&CodeRepo{DeploymentRuntime: true}, spec, nil); err != nil {
		t.Fatal(err)
	}
	want := &v1alpha1.CodeRepoSpec{URL: "https://a/b", RepoName: "r", DeploymentRuntime: true}
	if diff := cmp.Diff(want, spec); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestLocate(t *testing.T) {
	body := `{"additionalResources": {"git": {"codeRepo": "r", "path": "p"}}, "event_sources": [{"name": "a", "gitlab": {"repo_name": "r", "events": ["e"]}}],
		"hooks": {"pre_hooks": [{"name": "ls", "vars": {"a.b": "c"}}]}}`
	r := &ProjectPipelineRuntime{}
	d, err := Decode([]byte(body), r, nil)
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"spec.additionalResources.git.codeRepo":  "body.additionalResources.git.codeRepo",
		"spec.additionalResources.git.url":       "body.additionalResources.git.url",
		"spec.eventSources[0].gitlab.repoName":   "body.event_sources[0].gitlab.repo_name",
		"spec.eventSources[1].calendar.schedule": "body.event_sources[1].calendar.schedule",
		"spec.hooks.preHooks[0].vars[a.b]":       "body.hooks.pre_hooks[0].vars.a.b",
		"spec.pipelineTriggers":                  "body.pipeline_triggers",
		"spec.nothing.x":                         "body",
		"spec":                                   "body",
	} {
		if got := d.Locate(r, field); got != want {
			t.Errorf("Locate(%s) = %s, want %s", field, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	got := Words(&ProjectPipelineRuntime{}, "pipelineSource: Project demo may not use it; eventSources and path stay")
	if want := "pipeline_source: Project demo may not use it; event_sources and path stay"; got != want {
		t.Errorf("Words = %q, want %q", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(`{"projects_ref": ["a"], "manifest_source": {"code_repo": "r"}}`)
	f.Add(`{"event_sources": [{"calendar": "0 17 * * 1-5"}], "hooks": {"pre_hooks": [{"vars": {"a": 1}}]}}`)
	f.Add(`{"reserved_namespaces_allowed_products": {"a": null, "b": ["c"]}, "traefik": {"http_node_port": 1e400}}`)
	f.Add("{\"a\xff\": [[[[]]]]}")
	f.Fuzz(func(t *testing.T, body string) {
		for _, pair := range resources() {
			into := reflect.New(reflect.TypeOf(pair[0]).Elem()).Interface()
			d, err := Decode([]byte(body), into, nil)
			if err != nil {
				continue
			}
			d.Check(into, "n")
			spec := reflect.New(reflect.TypeOf(pair[1]).Elem()).Interface()
			if err := Spec(into, spec, nil); err != nil && len(d.Problems) == 0 {
				t.Errorf("a body without problems has no spec: %v", err)
			}
		}
	})
}
