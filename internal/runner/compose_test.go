package runner

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/testutil/hostile"
)

const (
	testCommit   = "0123456789abcdef0123456789abcdef01234567"
	testLauncher = "launcher-1"
)

// inputFile has a place for every value of an event.
const inputFile = `apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: build
  annotations: {a/b: x}
spec:
  timeouts: {pipeline: 1h}
  params:
  - {name: ref, value: default}
  - {name: commitID}
  - {name: source_branch, value: default}
  - {name: target_branch, value: default}
  - {name: title, value: default}
  - {name: labels, value: default}
  - {name: state, value: default}
  - {name: list, value: [a, b]}
  - {name: object, value: {key: a}}
  pipelineSpec:
    tasks:
    - name: build
      retries: 1
      when: [{input: a, operator: in, values: [a]}]
      taskSpec:
        steps:
        - name: build
          image: registry.example.com/builder:1
          script: make
          when: [{input: a, operator: in, values: [a]}]
`

func testConfig(inputs ...launch.Input) *launch.Config {
	return &launch.Config{
		Product: "product-1", Runtime: "pr-demo", Namespace: "ns", Account: "acc", EventSource: "push", Pipeline: "dev", Label: "dev",
		Repository: "repo-1", URL: "https://gitlab.example.com/demo/repo.git", Path: "dev.yaml", EventRepository: "repo-1", Inputs: inputs,
	}
}

func text(s string) *string { return &s }

// at returns the value at a JSON pointer of a run.
func at(t *testing.T, run any, pointer string) any {
	t.Helper()
	var document any
	if err := convert(run, &document); err != nil {
		t.Fatal(err)
	}
	for _, token := range strings.Split(pointer[1:], "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch holder := document.(type) {
		case map[string]any:
			document = holder[token]
		case []any:
			document = holder[token[0]-'0']
		}
	}
	return document
}

func TestInputs(t *testing.T) {
	all := launch.Event{
		Event: "merge_requests_events", Ref: "refs/heads/topic", Commit: testCommit, SourceBranch: "topic", TargetBranch: "main",
		Title: "A title: with 'quotes'", Labels: "a,b", State: "opened",
	}
	tests := map[string]struct {
		input launch.Input
		event launch.Event
		// want is the value at the path of the input.
		want     any
		wantCode int
		// wantSaid is a part of the message.
		wantSaid string
	}{
		"constant":             {input: launch.Input{Path: "/spec/params/0/value", Value: text("$(context.pipelineRun.name)")}, want: "$(context.pipelineRun.name)"},
		"empty constant":       {input: launch.Input{Path: "/spec/params/0/value", Value: text("")}, want: ""},
		"revision":             {input: launch.Input{Path: "/spec/params/0/value", PipelineRevision: true}, want: testCommit},
		"ref":                  {input: launch.Input{Path: "/spec/params/0/value", FromEvent: "ref"}, event: all, want: "refs/heads/topic"},
		"commit":               {input: launch.Input{Path: "/spec/params/1/value", FromEvent: "commitID"}, event: all, want: testCommit},
		"source branch":        {input: launch.Input{Path: "/spec/params/2/value", FromEvent: "source_branch"}, event: all, want: "topic"},
		"target branch":        {input: launch.Input{Path: "/spec/params/3/value", FromEvent: "target_branch"}, event: all, want: "main"},
		"title":                {input: launch.Input{Path: "/spec/params/4/value", FromEvent: "title"}, event: all, want: "A title: with 'quotes'"},
		"labels":               {input: launch.Input{Path: "/spec/params/5/value", FromEvent: "labels"}, event: all, want: "a,b"},
		"state":                {input: launch.Input{Path: "/spec/params/6/value", FromEvent: "state"}, event: all, want: "opened"},
		"not in this event":    {input: launch.Input{Path: "/spec/params/4/value", FromEvent: "title"}, want: "default"},
		"element of a list":    {input: launch.Input{Path: "/spec/params/7/value/1", FromEvent: "ref"}, event: all, want: "refs/heads/topic"},
		"key of an object":     {input: launch.Input{Path: "/spec/params/8/value/key", FromEvent: "ref"}, event: all, want: "refs/heads/topic"},
		"new key of an object": {input: launch.Input{Path: "/spec/params/8/value/script", FromEvent: "ref"}, event: all, want: "refs/heads/topic"},
		"in place of a list":   {input: launch.Input{Path: "/spec/params/7/value", FromEvent: "ref"}, event: all, want: "refs/heads/topic"},
		"annotation":           {input: launch.Input{Path: "/metadata/annotations/a~1b", FromEvent: "title"}, event: all, want: "A title: with 'quotes'"},
		"label in a new map":   {input: launch.Input{Path: "/metadata/labels/branch-of", FromEvent: "source_branch"}, event: all, want: "topic"},
		"duration":             {input: launch.Input{Path: "/spec/timeouts/pipeline", Value: text("2h")}, want: "2h0m0s"},
		"new field":            {input: launch.Input{Path: "/spec/timeouts/tasks", Value: text("30m")}, want: "30m0s"},
		"image":                {input: launch.Input{Path: "/spec/pipelineSpec/tasks/0/taskSpec/steps/0/image", Value: text("b")}, want: "b"},
		"input of a condition": {input: launch.Input{Path: "/spec/pipelineSpec/tasks/0/when/0/input", FromEvent: "ref"}, event: all, want: "refs/heads/topic"},
		"constant as a script": {input: launch.Input{Path: "/spec/pipelineSpec/tasks/0/taskSpec/steps/0/script", Value: text("x")}, want: "x"},
		"account":              {input: launch.Input{Path: "/spec/taskRunTemplate/serviceAccountName", Value: text("admin")}, want: "acc"},

		"no pointer":              {input: launch.Input{Path: "spec/params/0/value", Value: text("")}, wantCode: launch.ExitInput, wantSaid: "not a JSON pointer"},
		"an empty pointer":        {input: launch.Input{Value: text("")}, wantCode: launch.ExitInput, wantSaid: "not a JSON pointer"},
		"a variable":              {input: launch.Input{Path: "/spec/params/0/value", FromEvent: "title"}, event: launch.Event{Title: "a $(params.x)"}, wantCode: launch.ExitInput, wantSaid: "would replace"},
		"bad escape":              {input: launch.Input{Path: "/spec/~2", Value: text("")}, wantCode: launch.ExitInput, wantSaid: "not a JSON pointer"},
		"the whole spec":          {input: launch.Input{Path: "/spec", Value: text("")}, wantCode: launch.ExitInput, wantSaid: "cannot set"},
		"the status":              {input: launch.Input{Path: "/status/x", Value: text("")}, wantCode: launch.ExitInput},
		"the name":                {input: launch.Input{Path: "/metadata/name", Value: text("x")}, wantCode: launch.ExitInput},
		"the owners":              {input: launch.Input{Path: "/metadata/ownerReferences/0/name", Value: text("x")}, wantCode: launch.ExitInput},
		"all labels":              {input: launch.Input{Path: "/metadata/labels", Value: text("x")}, wantCode: launch.ExitInput},
		"no such parameter":       {input: launch.Input{Path: "/spec/params/9/value", Value: text("x")}, wantCode: launch.ExitInput},
		"the end of a list":       {input: launch.Input{Path: "/spec/params/-", Value: text("x")}, wantCode: launch.ExitInput},
		"index with a zero":       {input: launch.Input{Path: "/spec/params/00/value", Value: text("x")}, wantCode: launch.ExitInput},
		"index with a sign":       {input: launch.Input{Path: "/spec/params/-1/value", Value: text("x")}, wantCode: launch.ExitInput},
		"huge index":              {input: launch.Input{Path: "/spec/params/99999999999999999999/value", Value: text("x")}, wantCode: launch.ExitInput},
		"below a text":            {input: launch.Input{Path: "/spec/params/0/value/x", Value: text("x")}, wantCode: launch.ExitInput},
		"below nothing":           {input: launch.Input{Path: "/spec/workspaces/0/name", Value: text("x")}, wantCode: launch.ExitInput, wantSaid: "nothing below /spec/workspaces"},
		"an unknown field":        {input: launch.Input{Path: "/spec/unknown", Value: text("x")}, wantCode: launch.ExitInput},
		"an object's place":       {input: launch.Input{Path: "/spec/pipelineSpec", Value: text("x")}, wantCode: launch.ExitInput},
		"a number's place":        {input: launch.Input{Path: "/spec/pipelineSpec/tasks/0/retries", Value: text("2")}, wantCode: launch.ExitInput},
		"no duration":             {input: launch.Input{Path: "/spec/timeouts/pipeline", FromEvent: "ref"}, event: all, wantCode: launch.ExitInput},
		"event value as a script": {input: launch.Input{Path: "/spec/pipelineSpec/tasks/0/taskSpec/steps/0/script", FromEvent: "ref"}, event: all, wantCode: launch.ExitInput, wantSaid: "a program"},
		"one in another case":     {input: launch.Input{Path: "/spec/pipelineSpec/tasks/0/taskSpec/steps/0/Script", FromEvent: "ref"}, event: all, wantCode: launch.ExitInput, wantSaid: "a program"},
		"one as a condition":      {input: launch.Input{Path: "/spec/pipelineSpec/tasks/0/when/0/cel", FromEvent: "ref"}, event: all, wantCode: launch.ExitInput, wantSaid: "a program"},
		"one as a step's":         {input: launch.Input{Path: "/spec/pipelineSpec/tasks/0/taskSpec/steps/0/when/0/CEL", FromEvent: "ref"}, event: all, wantCode: launch.ExitInput, wantSaid: "a program"},
		"no label":                {input: launch.Input{Path: "/metadata/labels/x", FromEvent: "title"}, event: all, wantCode: launch.ExitInput},
		"no source":               {input: launch.Input{Path: "/spec/params/0/value"}, wantCode: launch.ExitUsage},
		"two sources":             {input: launch.Input{Path: "/spec/params/0/value", FromEvent: "ref", Value: text("x")}, wantCode: launch.ExitUsage},
		"unknown source":          {input: launch.Input{Path: "/spec/params/0/value", FromEvent: "author"}, wantCode: launch.ExitUsage},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			// The only parameter without a value in the file gets one.
			c := testConfig(launch.Input{Path: "/spec/params/1/value", Value: text("given")}, tt.input)
			e := tt.event
			if e.Event == "" {
				e.Event = launch.EventCalendar
			}
			run, _, err := compose(c, &e, testLauncher, testCommit, []byte(inputFile))
			if tt.wantCode != 0 {
				if got := codeOf(err); got != tt.wantCode || !strings.Contains(err.Error(), tt.wantSaid) {
					t.Errorf("compose: %v, exit code %d; want %d and %q", err, got, tt.wantCode, tt.wantSaid)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, at(t, run, tt.input.Path)); diff != "" {
				t.Errorf("value at %s (-want +got):\n%s", tt.input.Path, diff)
			}
		})
	}
}

func codeOf(err error) int {
	var f *failure
	if errors.As(err, &f) {
		return f.code
	}
	return 0
}

// everywhere returns a configuration that puts every value of an event into a run, and
// an event with the value in every field that a pusher controls.
func everywhere(value string) (*launch.Config, *launch.Event) {
	c := testConfig()
	for i, name := range []string{"ref", "commitID", "source_branch", "target_branch", "title", "labels", "state"} {
		c.Inputs = append(c.Inputs, launch.Input{Path: "/spec/params/" + string(rune('0'+i)) + "/value", FromEvent: name})
	}
	c.Inputs = append(c.Inputs, launch.Input{Path: "/metadata/annotations/title", FromEvent: "title"})
	return c, &launch.Event{
		Event: "merge_requests_events", Ref: value, Commit: testCommit, SourceBranch: value, TargetBranch: value, Title: value, Labels: value, State: value,
	}
}

// replaced returns a document with a text replaced by another.
func replaced(document any, from, to string) any {
	switch value := document.(type) {
	case map[string]any:
		for key := range value {
			value[key] = replaced(value[key], from, to)
		}
	case []any:
		for i := range value {
			value[i] = replaced(value[i], from, to)
		}
	case string:
		if value == from {
			return to
		}
	}
	return document
}

// For every value of an event, the run has the same bytes as the run of a harmless
// event, except the value itself. A variable of Tekton makes no run.
func TestHostileValuesAreValues(t *testing.T) {
	const harmless = "a harmless value"
	compare := func(t *testing.T, c *launch.Config, e *launch.Event, value string, file string) {
		t.Helper()
		// The event passes through the encoding of a launcher.
		encoded, err := launch.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		var received launch.Event
		if err := launch.Decode(encoded, &received); err != nil {
			t.Fatal(err)
		}
		got, _, err := compose(c, &received, testLauncher, testCommit, []byte(file))
		if variable.MatchString(value) {
			if codeOf(err) != launch.ExitInput {
				t.Errorf("%.60q: %v; want exit code %d", value, err, launch.ExitInput)
			}
			return
		}
		if err != nil {
			t.Errorf("%.60q: %v", value, err)
			return
		}
		clean := *e
		for _, field := range []*string{&clean.Ref, &clean.SourceBranch, &clean.TargetBranch, &clean.Title, &clean.Labels, &clean.State} {
			*field = harmless
		}
		want, _, err := compose(c, &clean, testLauncher, testCommit, []byte(file))
		if err != nil {
			t.Fatal(err)
		}
		var document any
		if err := convert(want, &document); err != nil {
			t.Fatal(err)
		}
		wantBytes, err := json.Marshal(replaced(document, harmless, string([]rune(value))))
		if err != nil {
			t.Fatal(err)
		}
		if err := convert(got, &document); err != nil {
			t.Fatal(err)
		}
		gotBytes, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if string(wantBytes) != string(gotBytes) {
			t.Errorf("%.60q makes a different run (-want +got):\n%.2000s", value, cmp.Diff(string(wantBytes), string(gotBytes)))
		}
	}
	refused := 0
	for _, value := range hostile.Values() {
		if variable.MatchString(value) {
			refused++
		}
		if value == "" {
			continue
		}
		c, e := everywhere(value)
		compare(t, c, e, value, inputFile)
		first := strings.Replace(inputFile, "{name: commitID}", "{name: commitID, value: x}", 1)
		compare(t, testConfig(), &launch.Event{Event: "push_events", Ref: value, Commit: testCommit}, value, first)
	}
	if total := len(hostile.Values()); refused < 20 || refused > total/3 {
		t.Errorf("%d of %d values are refused", refused, total)
	}
}

func TestVariablesAreRecognized(t *testing.T) {
	for value, want := range map[string]bool{
		"$(params.x)": true, `$(params["x"])`: true, "a$(tasks.x.results.y)b": true, "$(workspaces.x.path)": true, "$(context.pipelineRun.name)": true,
		"$$(params.x)": true, "$(params": true, "$(HOME)": true, "$(id)": true, "$(step.results.x.path)": true, "$(finally.x)": true,
		"$(touch /x)": false, "$HOME": false, "${HOME}": false, "$( params.x)": false, "$": false, "$()": false, "(params.x)": false, "refs/heads/main": false,
	} {
		if got := variable.MatchString(value); got != want {
			t.Errorf("%q is a variable: %v, want %v", value, got, want)
		}
	}
}

// runWith returns a run of a pipeline of the cluster with some more fields.
func runWith(fields string) string {
	return `{"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "spec": {"pipelineRef": {"name": "build"}, ` + fields + `}}`
}

func TestCompose(t *testing.T) {
	const ref = "refs/heads/topic"
	value := func(texts ...string) tektonv1.ParamValue {
		return *tektonv1.NewStructuredValues(texts[0], texts[1:]...)
	}
	tests := map[string]struct {
		file   string
		inputs []launch.Input
		// noRef is an event that concerns no ref.
		noRef bool
		// want are the parameters of the run.
		want tektonv1.Params
		// wantAccounts are the accounts of the tasks that the file lists.
		wantAccounts []string
		// wantNotes are parts of the notes, in order.
		wantNotes []string
		check     func(*testing.T, *tektonv1.PipelineRun)
	}{
		"a run": {
			file: fileRun, want: tektonv1.Params{{Name: "revision", Value: value(ref)}, {Name: "platforms", Value: value("linux", "darwin")}},
			check: func(t *testing.T, run *tektonv1.PipelineRun) {
				if diff := cmp.Diff(map[string]string{"note": "kept", launch.AnnotationRef: ref}, run.Annotations); diff != "" {
					t.Errorf("annotations (-want +got):\n%s", diff)
				}
			},
		},
		"a run, no ref": {
			file: strings.Replace(fileRun, "  - name: revision\n", "  - {name: revision, value: main}\n", 1), noRef: true,
			want: tektonv1.Params{{Name: "revision", Value: value("main")}, {Name: "platforms", Value: value("linux", "darwin")}},
			check: func(t *testing.T, run *tektonv1.PipelineRun) {
				if diff := cmp.Diff(map[string]string{"note": "kept"}, run.Annotations); diff != "" {
					t.Errorf("annotations (-want +got):\n%s", diff)
				}
			},
		},
		"a run whose first parameter is a list": {
			file: runWith(`"params": [{"name": "a", "value": ["x", "y"]}]`), want: tektonv1.Params{{Name: "a", Value: value("x", "y")}},
		},
		"a pipeline": {file: filePipeline, want: tektonv1.Params{{Name: "revision", Value: value(ref)}}},
		"a pipeline with its defaults": {
			file: filePipeline, inputs: []launch.Input{{Path: "/spec/params/0/value", Value: text("r")}, {Path: "/spec/params/1/value/0", Value: text("bsd")}},
			want: tektonv1.Params{{Name: "revision", Value: value("r")}},
		},
		"a pipeline with a parameter set": {
			file: filePipeline, inputs: []launch.Input{{Path: "/spec/params/0/value", Value: text("r")}, {Path: "/spec/params/2/value", Value: text("info")}},
			want: tektonv1.Params{{Name: "revision", Value: value("r")}, {Name: "level", Value: value("info")}},
		},
		"a run with inputs keeps its first parameter": {
			file:   strings.Replace(fileRun, "  - name: revision\n", "  - {name: revision, value: main}\n", 1),
			inputs: []launch.Input{{Path: "/spec/params/1/value/0", Value: text("bsd")}},
			want:   tektonv1.Params{{Name: "revision", Value: value("main")}, {Name: "platforms", Value: value("bsd", "darwin")}},
		},
		"an old run": {
			file: fileRunOld, want: tektonv1.Params{{Name: "revision", Value: value(ref)}}, wantNotes: []string{`"admin": the run has "acc"`},
			check: func(t *testing.T, run *tektonv1.PipelineRun) {
				if run.Spec.Timeouts == nil || run.Spec.Timeouts.Pipeline.Duration.String() != "10m0s" {
					t.Errorf("timeouts are %v", run.Spec.Timeouts)
				}
			},
		},
		"an old pipeline": {file: filePipelineOld, want: tektonv1.Params{{Name: "revision", Value: value(ref)}}},
		"the accounts and the namespace of the runtime": {
			file: strings.NewReplacer("kube-system", "ns", "admin", "acc", "root", "acc").Replace(fileReference), wantAccounts: []string{"acc", ""},
		},
		"another namespace and other accounts": {
			file: fileReference, wantAccounts: []string{"acc", ""}, wantNotes: []string{`"kube-system": the run is in "ns"`, `"admin": the run has "acc"`, `"root" for the task "build"`},
		},
		"a number of 64 bits": {
			file:   runWith(`"params": [{"name": "a", "value": "x"}], "taskRunSpecs": [{"pipelineTaskName": "t", "podTemplate": {"securityContext": {"runAsUser": 9007199254740993}}}]`),
			inputs: []launch.Input{{Path: "/spec/params/0/value", Value: text("r")}}, want: tektonv1.Params{{Name: "a", Value: value("r")}}, wantAccounts: []string{""},
			check: func(t *testing.T, run *tektonv1.PipelineRun) {
				if user := *run.Spec.TaskRunSpecs[0].PodTemplate.SecurityContext.RunAsUser; user != 9007199254740993 {
					t.Errorf("the user is %d", user)
				}
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			event := &launch.Event{Event: "push_events", Ref: ref}
			if tt.noRef {
				event.Ref = ""
			}
			run, notes, err := compose(testConfig(tt.inputs...), event, testLauncher, testCommit, []byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, run.Spec.Params); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
			var accounts []string
			for _, task := range run.Spec.TaskRunSpecs {
				accounts = append(accounts, task.ServiceAccountName)
			}
			if diff := cmp.Diff(tt.wantAccounts, accounts); diff != "" || run.Spec.TaskRunTemplate.ServiceAccountName != "acc" || run.Namespace != "ns" {
				t.Errorf("the run is in %s with the account %s; accounts of tasks (-want +got):\n%s", run.Namespace, run.Spec.TaskRunTemplate.ServiceAccountName, diff)
			}
			if len(notes) != len(tt.wantNotes) {
				t.Fatalf("notes are %q, want %q", notes, tt.wantNotes)
			}
			for i, want := range tt.wantNotes {
				if !strings.Contains(notes[i], want) {
					t.Errorf("note %d is %q, want %q", i, notes[i], want)
				}
			}
			if tt.check != nil {
				tt.check(t, run)
			}
		})
	}
}

// A mark that is not valid in a label is an annotation. A file cannot set marks.
func TestMarks(t *testing.T) {
	c := testConfig(launch.Input{Path: "/spec/params/1/value", Value: text("given")}, launch.Input{Path: "/metadata/labels/nautes.io~1role", Value: text("launcher")})
	c.EventSource, c.Label = strings.Repeat("s", 64), "a b"
	file := strings.Replace(inputFile, "  name: build\n", "  name: build\n  labels: {nautes.io/event-source: x, branch: older, team: z}\n", 1)
	file = strings.Replace(file, "annotations: {", "annotations: {nautes.io/commit: x, ", 1)
	run, _, err := compose(c, &launch.Event{Event: "push_events", Ref: "refs/heads/a b"}, testLauncher, testCommit, []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	wantLabels := map[string]string{
		"team": "z", launch.LabelProduct: "product-1", launch.LabelRuntime: "pr-demo", launch.LabelPipeline: "dev", launch.LabelEvent: "push_events",
		launch.LabelCommit: testCommit, launch.LabelRole: launch.RoleRun, launch.LabelLauncher: testLauncher,
	}
	if diff := cmp.Diff(wantLabels, run.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	wantAnnotations := map[string]string{
		"a/b": "x", launch.AnnotationRef: "refs/heads/a b", launch.LabelEventSource: c.EventSource, launch.LabelLabel: "a b", launch.LabelBranch: "a b",
	}
	if diff := cmp.Diff(wantAnnotations, run.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	tests := map[string]struct {
		name, generate, wantPrefix string
		wantCode                   int
	}{
		"name":             {name: "build", wantPrefix: "build-"},
		"generated name":   {generate: "build-", wantPrefix: "build-"},
		"both":             {name: "a", generate: "b-", wantPrefix: "a-"},
		"none":             {wantPrefix: "dev-"},
		"long":             {name: strings.Repeat("x", 100), wantPrefix: strings.Repeat("x", 52) + "-"},
		"long, then a dot": {name: strings.Repeat("x", 51) + ".yz", wantPrefix: strings.Repeat("x", 51) + "-"},
		"capital":          {name: "Build", wantCode: launch.ExitPipeline},
		"dashes":           {name: "---", wantCode: launch.ExitPipeline},
		"multibyte":        {name: strings.Repeat("ü", 40), wantCode: launch.ExitPipeline},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := nameOf(metav1.ObjectMeta{Name: tt.name, GenerateName: tt.generate}, "dev", testLauncher)
			if codeOf(err) != tt.wantCode || tt.wantCode == 0 && (!strings.HasPrefix(got, tt.wantPrefix) || len(got) != len(tt.wantPrefix)+hashLength) {
				t.Errorf("nameOf = %q, %v; want %q and a hash", got, err, tt.wantPrefix)
			}
		})
	}
}

func TestMarksOfEmptyValues(t *testing.T) {
	c := testConfig()
	c.Label = ""
	run, _, err := compose(c, &launch.Event{Event: launch.EventCalendar}, testLauncher, testCommit, []byte(fileReference))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{launch.LabelLabel, launch.LabelBranch} {
		if value, there := run.Labels[key]; there {
			t.Errorf("the label %s is %q, want none", key, value)
		}
	}
	if len(run.Annotations) > 0 {
		t.Errorf("annotations are %v, want none", run.Annotations)
	}
}

func TestCommitOf(t *testing.T) {
	tests := map[string]struct {
		labels, annotations map[string]string
		want                string
	}{
		"none":       {},
		"label":      {labels: map[string]string{launch.LabelCommit: "a"}, annotations: map[string]string{launch.LabelCommit: "b"}, want: "a"},
		"annotation": {annotations: map[string]string{launch.LabelCommit: "b"}, want: "b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := commitOf(&metav1.ObjectMeta{Labels: tt.labels, Annotations: tt.annotations}); got != tt.want {
				t.Errorf("commitOf = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestInputParam(t *testing.T) {
	tests := map[string]struct {
		pointer string
		want    int
		wantOK  bool
	}{
		"first parameter":       {pointer: "/spec/params/0/value", wantOK: true},
		"tenth parameter":       {pointer: "/spec/params/10/value", want: 10, wantOK: true},
		"the parameter's name":  {pointer: "/spec/params/1/name"},
		"an element of a value": {pointer: "/spec/params/1/value/0"},
		"a parameter":           {pointer: "/spec/params/1"},
		"another list":          {pointer: "/spec/workspaces/1/value"},
		"no index":              {pointer: "/spec/params/x/value"},
		"a label":               {pointer: "/metadata/labels/value"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			split, err := tokens(tt.pointer)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := (input{tokens: split}).param(); got != tt.want && ok || ok != tt.wantOK {
				t.Errorf("param = %d, %t; want %d, %t", got, ok, tt.want, tt.wantOK)
			}
		})
	}
}

func TestForgotten(t *testing.T) {
	tests := map[string]struct {
		before, after any
		want          string
	}{
		"the same":               {before: map[string]any{"a": []any{"b", 1}}, after: map[string]any{"a": []any{"b", 1}}},
		"another value":          {before: map[string]any{"a": "b"}, after: map[string]any{"a": "c"}, want: "/spec/a"},
		"more fields":            {before: map[string]any{"a": []any{"b"}}, after: map[string]any{"a": []any{"b", "c"}, "d": "e"}},
		"a field":                {before: map[string]any{"a": "b", "c": "d"}, after: map[string]any{"a": "b"}, want: "/spec/c"},
		"the first field":        {before: map[string]any{"b": "", "a": ""}, after: map[string]any{}, want: "/spec/a"},
		"a field below":          {before: map[string]any{"a": map[string]any{"b": "c"}}, after: map[string]any{"a": map[string]any{}}, want: "/spec/a/b"},
		"an element":             {before: map[string]any{"a": []any{"b", "c"}}, after: map[string]any{"a": []any{"b"}}, want: "/spec/a/1"},
		"all elements":           {before: map[string]any{"a": []any{"b"}}, after: map[string]any{"a": []any{}}, want: "/spec/a/0"},
		"a field of an element":  {before: []any{map[string]any{}, map[string]any{"a": "b"}}, after: []any{map[string]any{}, map[string]any{}}, want: "/spec/1/a"},
		"annotations":            {before: map[string]any{"annotations": "a"}, after: map[string]any{}, want: "/spec/annotations"},
		"annotations of a task":  {before: map[string]any{"metadata": map[string]any{"annotations": "a", "labels": "b"}}, after: map[string]any{"metadata": map[string]any{"labels": "b"}}},
		"a map that is a string": {before: map[string]any{"a": map[string]any{"b": "c"}}, after: map[string]any{"a": "b"}, want: "/spec/a/b"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := forgotten(tt.before, tt.after, "/spec"); got != tt.want {
				t.Errorf("forgotten = %q, want %q", got, tt.want)
			}
		})
	}
}

// Every file makes a run or an error with an exit code.
func FuzzCompose(f *testing.F) {
	f.Add(inputFile)
	for i, value := range hostile.Values() {
		if i%20 == 0 && len(value) < 1000 {
			f.Add(value)
			f.Add(strings.ReplaceAll(inputFile, "default", value))
		}
	}
	f.Fuzz(func(t *testing.T, file string) {
		c, e := everywhere("refs/heads/main")
		run, _, err := compose(c, e, testLauncher, testCommit, []byte(file))
		switch {
		case err != nil && codeOf(err) == 0:
			t.Errorf("an error without an exit code: %v", err)
		case err == nil && (run.Namespace != "ns" || run.Spec.TaskRunTemplate.ServiceAccountName != "acc" || run.Labels[launch.LabelLauncher] != testLauncher):
			t.Errorf("the run is not ours: %v %v", run.ObjectMeta, run.Spec.TaskRunTemplate)
		}
	})
}
