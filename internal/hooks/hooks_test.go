package hooks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
)

func hookOf(task, schema string, sides ...v1alpha1.HookSide) *v1alpha1.PipelineHook {
	h := &v1alpha1.PipelineHook{}
	h.Name, h.Spec.Sides, h.Spec.Task.Raw = "hook", sides, []byte(task)
	if schema != "" {
		h.Spec.VarsSchema = &runtime.RawExtension{Raw: []byte(schema)}
	}
	return h
}

// sample reads a hook of the samples.
func sample(t *testing.T, name string) *v1alpha1.PipelineHook {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "samples", "tenant", "hooks", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	h := &v1alpha1.PipelineHook{}
	if err := yaml.UnmarshalStrict(text, h); err != nil {
		t.Fatal(err)
	}
	return h
}

// problems returns errors as "field: detail".
func problems(errs field.ErrorList) []string {
	var list []string
	for _, err := range errs {
		list = append(list, err.Field+": "+err.Detail)
	}
	return list
}

const (
	step  = `"steps":[{"image":"bash","args":["$(params.a)"]}]`
	plain = `{"params":[{"name":"a"}],` + step + `}`
	of    = `{"type":"object","properties":{"a":`
)

func TestParse(t *testing.T) {
	withParam := func(param string) string { return `{"params":[{"name":"a"},` + param + `],` + step + `}` }
	withSteps := func(steps string) string { return `{"params":[{"name":"a"}],"steps":[` + steps + `]}` }
	tests := map[string]struct {
		task, schema string
		sides        []v1alpha1.HookSide
		// want has the beginnings of the problems.
		want []string
	}{
		"a task":                           {task: plain},
		"a schema":                         {task: plain, schema: of + `{"type":"string","pattern":"^x$","enum":["x"],"format":"date"}},"required":["a"],"additionalProperties":false}`},
		"nothing":                          {task: ``, want: []string{"spec.task: it is not the spec of a Tekton task"}},
		"null":                             {task: `null`, want: []string{"spec.task: Tekton does not accept the task: missing field(s): steps"}},
		"a text":                           {task: `"steps"`, want: []string{"spec.task: it is not the spec of a Tekton task"}},
		"no steps":                         {task: `{}`, want: []string{"spec.task: Tekton does not accept the task: missing field(s): steps"}},
		"an unknown field":                 {task: `{"steps":[{"image":"x"}],"step":1}`, want: []string{`spec.task: it is not the spec of a Tekton task: unknown field "step"`}},
		"another case":                     {task: `{"Steps":[{"image":"x"}]}`, want: []string{`spec.task: it is not the spec of a Tekton task: unknown field "Steps"`}},
		"a field twice":                    {task: `{"steps":[],"steps":[{"image":"x"}]}`, want: []string{`spec.task: it is not the spec of a Tekton task: duplicate field "steps"`}},
		"a task reference":                 {task: `{"taskRef":{"name":"git-clone","kind":"ClusterTask"}}`, want: []string{`spec.task: it is not the spec of a Tekton task: unknown field "taskRef"`}},
		"a parameter that is not declared": {task: withSteps(`{"image":"$(params.b)"}`), want: []string{"spec.task: Tekton does not accept the task"}},
		"one of a volume":                  {task: `{"volumes":[{"name":"v","secret":{"secretName":"$(params.event)"}}],"steps":[{"image":"x"}]}`, want: []string{"spec.task.volumes[0].secret.secretName: the task has no parameter event"}},
		"one in brackets":                  {task: `{"volumes":[{"name":"v","secret":{"secretName":"$(params[\"event\"])"}}],"steps":[{"image":"x"}]}`, want: []string{"spec.task.volumes[0].secret.secretName: the task has no parameter event"}},
		"one in quotes":                    {task: `{"volumes":[{"name":"v","secret":{"secretName":"$(params['event'])"}}],"steps":[{"image":"x"}]}`, want: []string{"spec.task.volumes[0].secret.secretName: the task has no parameter event"}},
		"one as it was once":               {task: `{"volumes":[{"name":"v","secret":{"secretName":"$(inputs.params.event)"}}],"steps":[{"image":"x"}]}`, want: []string{"spec.task.volumes[0].secret.secretName: the task has no parameter event"}},
		"a parameter of a volume":          {task: `{"params":[{"name":"a"}],"volumes":[{"name":"v","secret":{"secretName":"$(params.a)$(params[\"a\"])$(params['a'])"}}],"steps":[{"image":"x"}]}`},
		"a script of a sidecar":            {task: `{"sidecars":[{"name":"s","image":"x","script":"$(params.b)"}],"steps":[{"image":"x"}]}`, want: []string{"spec.task.sidecars[0].script: a parameter in a script"}},
		"two parameters in a script":       {task: withSteps(`{"image":"x","script":"$(params.a) $(params.a)"}`), want: []string{"spec.task.steps[0].script: a parameter in a script"}},
		"another task's result":            {task: withSteps(`{"image":"x","args":["$(tasks.nautes-launch.results.run)"]}`), want: []string{"spec.task.steps[0].args[0]: a hook knows only its own parameters"}},
		"the run around it":                {task: withSteps(`{"image":"x","args":["a $(context.pipelineRun.name)"]}`), want: []string{"spec.task.steps[0].args[0]: a hook knows only its own parameters: remove the variable at character 3"}},
		"its own run":                      {task: withSteps(`{"image":"x","args":["$(context.taskRun.name)"]}`)},
		"a parameter in a script":          {task: withSteps(`{"image":"x","script":"echo $(params.a)"}`), want: []string{"spec.task.steps[0].script: a parameter in a script is run as part of it"}},
		"one in a command in a script":     {task: withSteps(`{"image":"x","script":"echo $(echo $(params.a))"}`), want: []string{"spec.task.steps[0].script: a parameter in a script is run as part of it"}},
		"one in a sidecar":                 {task: `{"params":[{"name":"a"}],"steps":[{"image":"x"}],"sidecars":[{"name":"s","image":"x","script":"$(params.a)"}]}`, want: []string{"spec.task.sidecars[0].script: a parameter in a script is run as part of it"}},
		"a parameter in the environment":   {task: withSteps(`{"image":"x","env":[{"name":"A","value":"$(params.a)"}],"script":"echo \"$A\" $(date)"}`)},
		"a list":                           {task: withParam(`{"name":"b","type":"array","default":[]}`), want: []string{"spec.task.params[1].type: the variables of hooks are strings"}},
		"a default with a variable":        {task: withParam(`{"name":"b","default":"$(params.a)"}`), want: []string{"spec.task.params[1].default: write a default without $("}},
		"a parameter twice":                {task: withParam(`{"name":"a"}`), want: []string{"spec.task: Tekton does not accept the task"}},
		"a workspace":                      {task: `{"workspaces":[{"name":"w"}],"steps":[{"image":"x"}]}`, want: []string{"spec.task.workspaces[0]: hooks have no workspaces"}},

		"a workspace and a parameter": {task: `{"workspaces":[{"name":"w"}],"volumes":[{"name":"v","secret":{"secretName":"$(params.event)"}}],"steps":[{"image":"x"}]}`, want: []string{"spec.task.workspaces[0]: hooks have no workspaces"}},

		"a parameter that is no variable": {task: plain, schema: `{"type":"object"}`, want: []string{"spec.task.params[0].name: nothing gives the parameter a a value"}},
		"one of both sides":               {task: plain, schema: `{"type":"object"}`, sides: []v1alpha1.HookSide{"pre", "post"}, want: []string{"spec.task.params[0].name: nothing gives the parameter a a value in a pre hook"}},
		"one with a default":              {task: `{"params":[{"name":"a","default":"b"}],` + step + `}`, schema: `{"type":"object"}`},
		"a built-in variable":             {task: withParam(`{"name":"Namespace"}`)},
		"a built-in one that is declared": {task: `{"params":[{"name":"ref"}],"steps":[{"image":"x"}]}`, schema: `{"type":"object","properties":{"ref":{}},"required":["ref"]}`},
		"one of the run, after":           {task: withParam(`{"name":"PipelineRunStatus"}`), sides: []v1alpha1.HookSide{"post"}},
		"one of the run, before":          {task: withParam(`{"name":"PipelineRunStatus"}`), sides: []v1alpha1.HookSide{"post", "pre"}, want: []string{"spec.task.params[1].name: nothing gives the parameter PipelineRunStatus a value in a pre hook"}},
		"one of the run, with a default":  {task: withParam(`{"name":"PipelineRunStatus","default":"x"}`), sides: []v1alpha1.HookSide{"post", "pre"}},

		"a list of schemas":               {task: plain, schema: `[]`, want: []string{"spec.varsSchema: it is not a JSON schema"}},
		"another type":                    {task: plain, schema: `{"type":"string"}`, want: []string{"spec.varsSchema.type: the variables are an object"}},
		"no type":                         {task: plain, schema: `{}`, want: []string{"spec.varsSchema.type: the variables are an object"}},
		"no type that there is":           {task: plain, schema: of + `{"type":"text"}}}`, want: []string{"spec.varsSchema.properties[a].type: the variables of hooks are strings"}},
		"a number":                        {task: plain, schema: of + `{"type":"integer"}}}`, want: []string{"spec.varsSchema.properties[a].type: the variables of hooks are strings"}},
		"a number with a default":         {task: plain, schema: of + `{"type":"integer","default":2}}}`, want: []string{"spec.varsSchema.properties[a].type: the variables of hooks are strings"}},
		"a property that is no schema":    {task: plain, schema: of + `true}}`, want: []string{"spec.varsSchema.properties: a is not a schema"}},
		"a pattern that is none":          {task: plain, schema: of + `{"pattern":"("}},"required":["a"]}`, want: []string{"spec.varsSchema.properties[a].pattern: it is not a regular expression"}},
		"a description like a pattern":    {task: plain, schema: of + `{"description":"(","enum":["x",{"maximum":1}]}},"required":["a"]}`},
		"one in a choice":                 {task: plain, schema: of + `{"anyOf":[{"pattern":"("}]}},"required":["a"]}`, want: []string{"spec.varsSchema.properties[a].anyOf[0].pattern: it is not a regular expression"}},
		"a length that is none":           {task: plain, schema: of + `{"maxLength":"long"}},"required":["a"]}`, want: []string{"spec.varsSchema: it is not a JSON schema"}},
		"a format that is none":           {task: plain, schema: of + `{"format":"color-of-hair"}},"required":["a"]}`, want: []string{"spec.varsSchema.properties[a].format: there is no format color-of-hair"}},
		"a reference":                     {task: plain, schema: of + `{"$ref":"#/x"}},"required":["a"]}`, want: []string{"spec.varsSchema.properties[a].$ref: $ref is not supported"}},
		"a keyword that does not count":   {task: plain, schema: of + `{"not":{"maximum":1}}},"required":["a"]}`, want: []string{"spec.varsSchema.properties[a].not.maximum: maximum is not supported"}},
		"any property":                    {task: plain, schema: `{"type":"object","additionalProperties":{"type":"string"}}`, want: []string{"spec.varsSchema.additionalProperties: a hook has the variables that properties lists"}},
		"a default that is none":          {task: plain, schema: of + `{"maxLength":2,"default":"long"}}}`, want: []string{"spec.varsSchema.properties[a].default: the default is not a value that the schema allows: a should be at most 2 chars long"}},
		"a default that is a number":      {task: plain, schema: of + `{"default":2}}}`, want: []string{"spec.varsSchema.properties[a].default: write a string"}},
		"a default that is a variable":    {task: plain, schema: of + `{"default":"$(params.a)"}}}`, want: []string{"spec.varsSchema.properties[a].default: write a string without $("}},
		"one that is required but absent": {task: plain, schema: of + `{}},"required":["a","b"]}`, want: []string{"spec.varsSchema.required[1]: properties has no b"}},
		"one that may be absent":          {task: plain, schema: of + `{}}}`, want: []string{"spec.varsSchema.properties[a]: the variable a may be left out, and then the task lacks a parameter"}},
		"one that the task does not take": {task: plain, schema: `{"type":"object","properties":{"a":{},"b":{}},"required":["a"]}`, want: []string{"spec.varsSchema.properties[b]: the task has no parameter b"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			sides := test.sides
			if sides == nil {
				sides = []v1alpha1.HookSide{"pre"}
			}
			hook, errs := Parse(hookOf(test.task, test.schema, sides...))
			got := problems(errs)
			if (hook == nil) != (len(errs) > 0) {
				t.Errorf("Parse() = %v with the problems %q", hook, got)
			}
			same := slices.EqualFunc(got, test.want, strings.HasPrefix)
			if !same {
				t.Errorf("problems (-want +got):\n%s", cmp.Diff(test.want, got))
			}
		})
	}
}

func TestCheckVars(t *testing.T) {
	const task = `{"params":[{"name":"a"},{"name":"b","default":""},{"name":"c","default":"d"}],` + step + `}`
	const schema = `{"type":"object","required":["a"],"properties":{"a":{"type":"string","enum":["x","y"]},"b":{"maxLength":3,"pattern":"^é*$","default":"é"},` +
		`"c":{"type":"string"}},"maxProperties":2,"not":{"required":["c"]}}`
	type vars = map[string]string
	tests := map[string]struct {
		schema string
		vars   vars
		want   []string
	}{
		"the needed ones":   {schema: schema, vars: vars{"a": "x"}},
		"more":              {schema: schema, vars: vars{"a": "y", "b": "ééé"}},
		"nothing":           {schema: schema, want: []string{"vars: hook hook needs the variable a: add it"}},
		"not one of some":   {schema: schema, vars: vars{"a": "z"}, want: []string{"vars[a]: hook hook does not take this value: a should be one of [x y]"}},
		"wrong twice":       {schema: schema, vars: vars{"a": "x", "b": "four"}, want: []string{"vars[b]: hook hook does not take this value: b should be at most 3 chars long"}},
		"two problems":      {schema: of + `{"maxLength":2,"format":"date"}},"required":["a"]}`, vars: vars{"a": "long"}, want: []string{"vars[a]: hook hook does not take this value: a must be of type date: \"long\"; a should be at most 2 chars long"}},
		"wrong together":    {schema: schema, vars: vars{"a": "x", "c": "y"}, want: []string{"vars: hook hook does not take these variables: "}},
		"a default counts":  {schema: `{"type":"object","required":["a"],"properties":{"a":{},"b":{"default":"é"},"c":{}},"minProperties":2}`, vars: vars{"a": "x"}},
		"a NUL":             {vars: vars{"a": "x\x00"}, want: []string{"vars[a]: the value of a contains $( or a NUL"}},
		"unknown":           {schema: schema, vars: vars{"a": "x", "d": ""}, want: []string{"vars[d]: hook hook has no variable d: remove it; it has a, b, c"}},
		"a variable":        {schema: schema, vars: vars{"a": "$(params.b)"}, want: []string{"vars[a]: the value of a contains $( or a NUL"}},
		"without a schema":  {vars: vars{"a": "anything\nat all: \x01 \"'`\\", "c": ""}},
		"less than that":    {want: []string{"vars: hook hook needs the variable a: add it"}},
		"more than that":    {vars: vars{"a": "", "event": ""}, want: []string{"vars[event]: hook hook has no variable event: remove it; it has a, b, c"}},
		"that, but special": {vars: vars{"a": "$(context.taskRun.name)"}, want: []string{"vars[a]: the value of a contains $( or a NUL"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			hook, errs := Parse(hookOf(task, test.schema, "pre"))
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			got := problems(hook.CheckVars(field.NewPath("vars"), test.vars))
			if !slices.EqualFunc(got, test.want, strings.HasPrefix) {
				t.Errorf("problems (-want +got):\n%s", cmp.Diff(test.want, got))
			}
		})
	}
}

func TestCheckVarsOfAHookWithoutVariables(t *testing.T) {
	hook, errs := Parse(hookOf(`{"steps":[{"image":"x"}]}`, "", "pre"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	want := []string{"vars[a]: hook hook has no variable a: remove it; it has none"}
	if diff := cmp.Diff(want, problems(hook.CheckVars(field.NewPath("vars"), map[string]string{"a": ""}))); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// A variable of the schema with the name of a built-in one is the runtime's to set.
func TestBuiltInsLeaveOutVariables(t *testing.T) {
	hook, errs := Parse(hookOf(`{"params":[{"name":"ref"},{"name":"commitID"}],"steps":[{"image":"x"}]}`, `{"type":"object","properties":{"ref":{}},"required":["ref"]}`, "pre"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	if diff := cmp.Diff([]string{"commitID"}, hook.BuiltIns("pre")); diff != "" {
		t.Errorf("built-in variables (-want +got):\n%s", diff)
	}
}

func TestTask(t *testing.T) {
	const task = `{"params":[{"name":"a"},{"name":"b","default":"of the task"},{"name":"c","default":"of the task"},{"name":"ref","default":"of the task"},` +
		`{"name":"PipelineRunName","default":"of the task"}],` + step + `}`
	const schema = `{"type":"object","required":["a"],"properties":{"a":{},"b":{"default":"of the schema"}}}`
	hook, errs := Parse(hookOf(task, schema, "pre", "post"))
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	tests := map[string]struct {
		vars         map[string]string
		side         v1alpha1.HookSide
		wantBuiltIns []string
		want         map[string]string
	}{
		"before":      {vars: map[string]string{"a": "x"}, side: "pre", wantBuiltIns: []string{"ref"}, want: map[string]string{"a": "x", "b": "of the schema", "c": "of the task", "ref": "ours", "PipelineRunName": "of the task"}},
		"after":       {vars: map[string]string{"a": "x", "b": ""}, side: "post", wantBuiltIns: []string{"PipelineRunName", "ref"}, want: map[string]string{"a": "x", "b": "", "c": "of the task", "ref": "ours", "PipelineRunName": "ours"}},
		"less":        {side: "pre", wantBuiltIns: []string{"ref"}, want: map[string]string{"b": "of the schema", "c": "of the task", "ref": "ours", "PipelineRunName": "of the task"}},
		"of the task": {vars: map[string]string{"a": "$x"}, side: "pre", wantBuiltIns: []string{"ref"}, want: map[string]string{"a": "$x", "b": "of the schema", "c": "of the task", "ref": "ours", "PipelineRunName": "of the task"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			builtIns := hook.BuiltIns(test.side)
			if diff := cmp.Diff(test.wantBuiltIns, builtIns); diff != "" {
				t.Errorf("built-in variables (-want +got):\n%s", diff)
			}
			values := map[string]string{}
			for _, name := range builtIns {
				values[name] = "ours"
			}
			made := hook.Task("alias", test.vars, values)
			got := map[string]string{}
			for _, param := range made.Params {
				got[param.Name] = param.Value.StringVal
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("parameters (-want +got):\n%s", diff)
			}
			if made.Name != "alias" || made.TaskSpec == nil || made.TaskRef != nil {
				t.Errorf("the task is %+v", made)
			}
			made.TaskSpec.Steps[0].Image = "another"
			if hook.task.Steps[0].Image == "another" {
				t.Error("the task shares the hook's memory")
			}
		})
	}
}

func TestSamples(t *testing.T) {
	tests := map[string]struct {
		vars map[string]string
		want []string
	}{
		"ls":                   {vars: map[string]string{"imageName": "bash", "printPath": "/var"}},
		"gitlab-commit-status": {vars: map[string]string{"tokenSecret": "gitlab-token"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			hook, errs := Parse(sample(t, name))
			if len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
			if errs := hook.CheckVars(field.NewPath("vars"), test.vars); len(errs) > 0 {
				t.Error(errs.ToAggregate())
			}
			for _, step := range hook.task.Steps {
				if step.Script != "" {
					t.Errorf("step %s has a script", step.Name)
				}
			}
		})
	}
	hook, _ := Parse(sample(t, "ls"))
	want := []string{"vars[printPath]: hook ls does not take this value: printPath should be at most 20 chars long"}
	long := map[string]string{"imageName": "bash", "printPath": "/usr/local/share/info"}
	if diff := cmp.Diff(want, problems(hook.CheckVars(field.NewPath("vars"), long))); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

// The built-in variables are the ones that the API allows in inputs.
func TestRunVars(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "nautes.resource.nautes.io_projectpipelineruntimes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "builtInVar:")
	_, rest, ok := strings.Cut(rest, "enum:\n")
	list, _, more := strings.Cut(rest, "type:")
	if !found || !ok || !more {
		t.Fatal("the CRD has no list of built-in variables")
	}
	var want []string
	for _, line := range strings.Split(list, "\n") {
		if name := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "- ")); name != "" {
			want = append(want, name)
		}
	}
	if diff := cmp.Diff(want, RunVars()); diff != "" {
		t.Errorf("built-in variables (-CRD +ours):\n%s", diff)
	}
}

// Parse returns errors for every invalid hook, and never panics. An accepted hook
// takes accepted values only.
func FuzzParse(f *testing.F) {
	f.Add([]byte(plain), []byte(`{"type":"object","properties":{"a":{"maxLength":3}},"required":["a"]}`), "x")
	f.Add([]byte(`{"params":[{"name":"a"}],"steps":[{"image":"x","script":"$(params.a)"}]}`), []byte(`{"type":"object"}`), "$(x)")
	f.Add([]byte(`{"steps":[null]}`), []byte(`{"type":"object","properties":{"a":{"not":{"pattern":"("},"enum":[1,{}]}}}`), "")
	f.Add([]byte(`{"params":[{"name":"a","default":{"b":"c"}}],"stepTemplate":{},"steps":[{"ref":{"name":"x"}}]}`), []byte(`null`), "\x00")
	f.Add([]byte(`{"steps":[{"image":"$($(params.a)","env":[{"name":"x","value":"$(params[\"a\"])"}]}]}`), []byte(`{"type":["object","null"]}`), "\xff")
	f.Fuzz(func(t *testing.T, task, schema []byte, value string) {
		h := hookOf(string(task), string(schema), "pre", "post")
		hook, errs := Parse(h)
		if (hook == nil) != (len(errs) > 0) {
			t.Fatalf("Parse() = %v, %v", hook, errs)
		}
		if hook == nil {
			return
		}
		vars := map[string]string{}
		for _, name := range hook.vars.names() {
			vars[name] = value
		}
		if len(hook.CheckVars(field.NewPath("vars"), vars)) > 0 {
			return
		}
		for _, param := range hook.Task("hook", vars, nil).Params {
			if !Inert(param.Value.StringVal) {
				t.Errorf("the parameter %s is %q", param.Name, param.Value.StringVal)
			}
		}
	})
}
