package runner

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"nautes.io/nautes/internal/launch"
)

const fileOfValues = `apiVersion: tekton.dev/v1
kind: Pipeline
metadata:
  name: build
  labels: {team: blue}
spec:
  params:
  - {name: version, default: VALUE}
  tasks:
  - name: t
    timeout: 1h
    params: [{name: v, value: $(params.version)}]
    taskSpec:
      params: [{name: v}]
      steps:
      - {name: s, image: bash, computeResources: {limits: {cpu: 0.50}}, env: [{name: GO, value: $(params.v)}]}
`

// A value that YAML changes is refused where Tekton wants a text, and every other
// one arrives as it is written.
func TestValuesThatYAMLChanges(t *testing.T) {
	const old = "default: VALUE"
	tests := map[string]struct {
		old, new string
		// want is a part of the run's parameter, or of the error.
		want, wantError string
	}{
		"a version":            {old, "default: 1.20", "", "1.20 without quotes is read as 1.2: put it in quotes"},
		"a country":            {old, "default: NO", "", "read as false"},
		"a word":               {old, "default: on", "", "read as true"},
		"an octal number":      {old, "default: 0123", "", "read as 83"},
		"an exponent":          {old, "default: 1e3", "", "read as 1000"},
		"an underscore":        {old, "default: 1_000", "", "read as 1000"},
		"a hash of digits":     {old, "default: 1234567890123456789012345678901234567890", "", "put it in quotes"},
		"nothing":              {old, "default: null", "", "read as nothing"},
		"a list of numbers":    {old, "default: [1, 2]", "", "must be a text: put it in quotes"},
		"a mapping of words":   {old, "default: {a: yes}", "", "read as true"},
		"a time":               {old, "default: 12:30", "12:30", ""},
		"a date":               {old, "default: 2024-12-24", "2024-12-24", ""},
		"a number":             {old, "default: 5", "5", ""},
		"true":                 {old, "default: true", "true", ""},
		"in quotes":            {old, `default: "1.20"`, "1.20", ""},
		"in single quotes":     {old, "default: 'NO'", "NO", ""},
		"a list":               {old, `default: ["1.20", x]`, "1.20", ""},
		"a label":              {"team: blue", "version: 1.20", "", "line 5: /metadata/labels/version: 1.20"},
		"a key":                {"team: blue", "on: push", "", "line 5: the key /metadata/labels/on: on without quotes is read as true"},
		"a key that is number": {"team: blue", "1: push", "", "the key /metadata/labels/1"},
		"an environment value": {"value: $(params.v)}]}", "value: 1.20}]}", "", "/spec/tasks/0/taskSpec/steps/0/env/0/value"},
		"another case":         {"  params:\n  - {name: version", "  Params:\n  - {name: version", "", "unknown field /spec/Params: write params"},
		"by an alias":          {"  params:\n  - {name: version, default: VALUE}", "  description: &v 1.20\n  params:\n  - {name: version, default: *v}", "", "/spec/description"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(fileOfValues, tt.old) {
				t.Fatalf("the file has no %q", tt.old)
			}
			c := testConfig(launch.Input{Path: "/metadata/annotations/x", Value: text("y")})
			d, err := parse([]byte(strings.Replace(fileOfValues, tt.old, tt.new, 1)))
			if tt.wantError != "" {
				if codeOf(err) != launch.ExitPipeline || !strings.Contains(err.Error(), tt.wantError) {
					t.Fatalf("parse = %v, want %q", err, tt.wantError)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			value := d.run.Spec.Params[0].Value
			if got := value.StringVal + strings.Join(value.ArrayVal, ","); !strings.HasPrefix(got, tt.want) {
				t.Errorf("the default is %q, want %q", got, tt.want)
			}
			if len(value.ArrayVal) > 0 {
				return
			}
			if _, _, err := compose(c, &launch.Event{Event: "push_events"}, testLauncher, testCommit, []byte(strings.Replace(fileOfValues, tt.old, tt.new, 1))); err != nil {
				t.Error(err)
			}
		})
	}
}

// Content that is no YAML is named.
func TestForeignFiles(t *testing.T) {
	tests := map[string]struct{ file, want string }{
		"Git LFS":      {"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 12345\n", "Git LFS pointer"},
		"a conflict":   {strings.Replace(fileOfValues, "spec:\n", "spec:\n<<<<<<< HEAD\n  description: a\n=======\n  description: b\n>>>>>>> x\n", 1), "line 7: the file contains the markers of a merge conflict"},
		"a tab":        {strings.Replace(fileOfValues, "spec:\n  params", "spec:\n\tparams", 1), "line 7: the line is indented with a tab"},
		"a template":   {strings.Replace(fileOfValues, "VALUE", "{{ .Values.version }}", 1), "the template {{ .Values.version }}"},
		"a directive":  {"%YAML 1.2\n---\n" + fileOfValues, "the directive %YAML 1.2 is not supported"},
		"a loop":       {"{{- range .x }}\n" + fileOfValues + "{{- end }}\n", "the template {{- range .x }}"},
		"a long error": {strings.Replace(fileOfValues, "name: build", "name: bu\u200bild", 1), "cannot begin the name"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := compose(testConfig(), &launch.Event{Event: "push_events"}, testLauncher, testCommit, []byte(tt.file))
			if codeOf(err) != launch.ExitPipeline || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("compose = %v, want %q", err, tt.want)
			}
		})
	}
}

// The log names invisible characters, also when the file is refused because of them.
func TestInvisibleCharacters(t *testing.T) {
	tests := map[string]struct {
		old, new, want string
		wantCode       int
	}{
		"in a value":        {"default: VALUE", "default: \"a\u200bb\"", "line 8: /spec/params/0/default contains the invisible character U+200B (zero width space) at character 2", 0},
		"in a name":         {"name: build", "name: bui\u2060ld", "U+2060 (word joiner)", launch.ExitPipeline},
		"in an image":       {"image: bash", "image: bash\u00a0", "U+00A0 (no-break space)", 0},
		"in an unknown key": {"  params:\n  - {name: version", "  param\u200bs: []\n  params:\n  - {name: version", "U+200B", launch.ExitPipeline},
		"none":              {"VALUE", "Größe", "", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := strings.Replace(fileOfValues, tt.old, tt.new, 1)
			_, notes, err := compose(testConfig(), &launch.Event{Event: "push_events"}, testLauncher, testCommit, []byte(file))
			said := strings.Join(notes, "\n")
			if err != nil {
				said += err.Error()
			}
			if codeOf(err) != tt.wantCode || !strings.Contains(said, tt.want) || tt.want == "" && said != "" {
				t.Errorf("compose = %v, notes %q; want %q", err, notes, tt.want)
			}
		})
	}
}

// strayKey finds the first key that is no text, and does not look too deep.
func TestStrayKey(t *testing.T) {
	const template = "spec:\n  tasks:\n  - {name: a}\n  - name: b\n  when:\n    x: {{y}}\n"
	for name, test := range map[string]struct {
		text  string
		depth int
		want  int
	}{
		"none":                  {text: "a: {b: [c, {d: e}]}", depth: maxKeyDepth},
		"a template":            {text: template, depth: maxKeyDepth, want: 6},
		"at the top":            {text: "a: b\n? [c]\n: d\n", want: 2},
		"an alias":              {text: "a: &a b\n*a : c\n", depth: maxKeyDepth},
		"as deep as allowed":    {text: "a:\n  ? {b: c}\n  : d\n", depth: 1, want: 2},
		"deeper than allowed":   {text: "a:\n  ? {b: c}\n  : d\n"},
		"the value of a key":    {text: "a: {b: c}\n", depth: maxKeyDepth},
		"the first of two keys": {text: "a:\n  ? [b]\n  : c\n? [d]\n: e\n", depth: maxKeyDepth, want: 2},
	} {
		var document yaml.Node
		if err := yaml.Unmarshal([]byte(test.text), &document); err != nil {
			t.Fatal(name, err)
		}
		if got := strayKey(document.Content[0], test.depth); got != test.want {
			t.Errorf("%s: line %d, want %d", name, got, test.want)
		}
	}
}
