package edit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/layout"
	. "nautes.io/nautes/test/testutil"
)

// TestEncode holds that a file keeps everything but the values that change.
func TestEncode(t *testing.T) {
	const head = "apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: DeploymentRuntime\n"
	const before = `# Our app.
apiVersion: nautes.resource.nautes.io/v1alpha1
kind: DeploymentRuntime
metadata:
  labels: {team: "a"} # of the team
  name: app

spec: # all of it
  projectsRef:
  # the API
  - api
  - web   # the site
  manifestSource:
    path: deploy # the folder
    codeRepo: "repo"
    # follows the branch
    targetRevision: main

  destination:
    namespaces:
      - one
      # the second
      - two
    environment: dev
# the end
`
	scope := layout.Scope{Namespace: product}
	for name, tt := range map[string]struct {
		before string
		change func(*v1alpha1.DeploymentRuntime)
		// wantChange lists texts and what they become; in order.
		wantChange [][2]string
		want       string
	}{
		"nothing": {before: before, change: func(*v1alpha1.DeploymentRuntime) {}},
		"a text": {before: before, change: func(r *v1alpha1.DeploymentRuntime) { r.Spec.ManifestSource.Path = "other" },
			wantChange: [][2]string{{"path: deploy #", "path: other #"}}},
		"a text that looks like a number": {before: before, change: func(r *v1alpha1.DeploymentRuntime) { r.Spec.ManifestSource.TargetRevision = "1.0" },
			wantChange: [][2]string{{"targetRevision: main", `targetRevision: "1.0"`}}},
		"a removed field": {before: before, change: func(r *v1alpha1.DeploymentRuntime) { r.Spec.ManifestSource.TargetRevision = "" },
			wantChange: [][2]string{{"    targetRevision: main\n", ""}}},
		"a new field": {before: before, change: func(r *v1alpha1.DeploymentRuntime) { r.Spec.Account = "bot" },
			wantChange: [][2]string{{"    environment: dev\n", "    environment: dev\n  account: bot\n"}}},
		"an item": {before: before, change: func(r *v1alpha1.DeploymentRuntime) { r.Spec.ProjectsRef = []string{"api", "site"} },
			wantChange: [][2]string{{"  - web   # the site\n", "  - site\n"}}},
		"one more item": {before: before, change: func(r *v1alpha1.DeploymentRuntime) { r.Spec.Destination.Namespaces = []string{"one", "two", "three"} },
			wantChange: [][2]string{{"      - two\n", "      - two\n      - three\n"}}},
		"one item less": {before: before, change: func(r *v1alpha1.DeploymentRuntime) { r.Spec.ProjectsRef = []string{"web"} },
			wantChange: [][2]string{{"  - api\n", ""}}},
		"no items": {before: before, change: func(r *v1alpha1.DeploymentRuntime) { r.Spec.ProjectsRef = nil },
			wantChange: [][2]string{{"  projectsRef:\n  # the API\n  - api\n  - web   # the site\n", ""}}},
		"a label": {before: before, change: func(r *v1alpha1.DeploymentRuntime) { r.Labels = map[string]string{"team": "b"} },
			wantChange: [][2]string{{"  labels: {team: \"a\"} # of the team\n", "  labels:\n    team: b\n"}}},
		"line ends": {before: strings.ReplaceAll(before, "\n", "\r\n"), change: func(r *v1alpha1.DeploymentRuntime) { r.Spec.Account = "bot" },
			wantChange: [][2]string{{"    environment: dev\r\n", "    environment: dev\r\n  account: bot\r\n"}}},
		"flow style": {before: `{"apiVersion": "nautes.resource.nautes.io/v1alpha1", "kind": "DeploymentRuntime", "metadata": {"name": "app"}}`,
			change: func(r *v1alpha1.DeploymentRuntime) { r.Labels = nil },
			want:   head + "metadata:\n  name: app\nspec:\n  destination:\n    environment: dev\n    namespaces:\n    - one\n    - two\n  manifestSource:\n    codeRepo: repo\n    path: deploy\n    targetRevision: main\n  projectsRef:\n  - api\n  - web\n"},
		"a list in a list of another place": {before: head + "metadata:\n  name: app\nspec:\n  destination: {environment: x}\n  manifestSource:\n      codeRepo: repo\n      path: x\n", change: func(r *v1alpha1.DeploymentRuntime) { r.Labels = nil },
			want: head + "metadata:\n  name: app\nspec:\n  destination:\n    environment: dev\n    namespaces:\n    - one\n    - two\n  manifestSource:\n      codeRepo: repo\n      path: deploy\n      targetRevision: main\n  projectsRef:\n  - api\n  - web\n"},
	} {
		t.Run(name, func(t *testing.T) {
			object := DeploymentRuntime(product, "app", "dev", "repo", For("api", "web"), Into("one", "two"), func(r *v1alpha1.DeploymentRuntime) {
				r.Labels, r.Spec.Product = map[string]string{"team": "a"}, ""
				r.Spec.ManifestSource.Path, r.Spec.ManifestSource.TargetRevision = "deploy", "main"
			}, tt.change)
			got, problems, err := encoder{newKinds(t), scope}.encode("runtimes/app.yaml", []byte(tt.before), declared(object, nil, product))
			if err != nil || len(problems) > 0 {
				t.Fatal(err, problems)
			}
			want := tt.want
			if want == "" {
				want = tt.before
				for _, c := range tt.wantChange {
					if strings.Count(want, c[0]) != 1 {
						t.Fatalf("%q is there %d times", c[0], strings.Count(want, c[0]))
					}
					want = strings.Replace(want, c[0], c[1], 1)
				}
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// FuzzEncode holds that a file is read as the object that it was written for, whatever
// the file was before.
func FuzzEncode(f *testing.F) {
	f.Add("envs/x.yaml", "", "dev", "a: b", "key", "value")
	f.Add("x", environment("x"), "test", "on", "team", "1_000")
	f.Add("x", "# c\n"+environment("x"), "  leading\nlines\n\n", "\u2028", "a/b", "null")
	f.Add("x", strings.ReplaceAll(environment("x"), "\n", "\r\n"), "~", "0x1f", "c", "2001-01-01")
	f.Add("x", "---\n"+environment("x")+"...\n", "- a", "a #b", "c", "'\"")
	f.Add("x", "apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: Environment\nmetadata:\n  annotations:\n    a: |+\n      x\n\n  name: x\nspec:\n  cluster: worker\n", "y", "1e3", "a", "b\n\n")
	k, err := kinds()
	if err != nil {
		f.Fatal(err)
	}
	scope := layout.Scope{Namespace: product}
	f.Fuzz(func(t *testing.T, _, before, envType, cluster, key, value string) {
		o := declared(Environment(product, "x", cluster, func(e *v1alpha1.Environment) {
			e.Spec.EnvType = envType
			e.Annotations = map[string]string{key: value}
		}), nil, product)
		content, problems, err := encoder{k, scope}.encode("envs/x.yaml", []byte(before), o)
		if err != nil {
			t.Fatal(err)
		}
		if len(problems) > 0 {
			return
		}
		read, problems := scope.Decode(k, "envs/x.yaml", content)
		if len(problems) > 0 || !same(declared(read, nil, product), o) {
			t.Errorf("%q is read as %+v, %v; want %+v", content, read, problems, o)
		}
		again, _, err := encoder{k, scope}.encode("envs/x.yaml", content, o)
		if err != nil || string(again) != string(content) {
			t.Errorf("%q becomes %q, %v", content, again, err)
		}
	})
}

// FuzzDecoded holds that every object of a file can be written to a file again.
func FuzzDecoded(f *testing.F) {
	for _, seed := range []string{
		environment("x"), strings.Replace(environment("x"), "name: x", "name: x\n  labels:\n    a: \"yes\"\n    b: '012'", 1),
		strings.Replace(environment("x"), "test", "\"a\\tb\\n\\u00e9\\u0007\"", 1), "{" + `"apiVersion": "nautes.resource.nautes.io/v1alpha1", "kind": "Environment", "metadata": {"name": "x"}, "spec": {"cluster": "c", "envType": "t"}}`,
	} {
		f.Add(seed)
	}
	k, err := kinds()
	if err != nil {
		f.Fatal(err)
	}
	scope := layout.Scope{Namespace: product}
	f.Fuzz(func(t *testing.T, content string) {
		o, problems := scope.Decode(k, "envs/x.yaml", []byte(content))
		if len(problems) > 0 {
			return
		}
		o = declared(o, nil, product)
		for _, before := range []string{"", content} {
			written, problems, err := encoder{k, scope}.encode("envs/x.yaml", []byte(before), o)
			if err != nil || len(problems) > 0 {
				t.Errorf("%q cannot be written: %v, %v", content, err, problems)
			}
			if before != "" && string(written) != content {
				t.Errorf("%q becomes %q", content, written)
			}
		}
	})
}
