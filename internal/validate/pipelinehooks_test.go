package validate_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	. "nautes.io/nautes/test/testutil"
)

func TestHooks(t *testing.T) {
	schema := func(text string) func(*v1alpha1.PipelineHook) {
		return func(h *v1alpha1.PipelineHook) { h.Spec.VarsSchema = &runtime.RawExtension{Raw: []byte(text)} }
	}
	task := func(text string) func(*v1alpha1.PipelineHook) {
		return func(h *v1alpha1.PipelineHook) { h.Spec.Task.Raw = []byte(text) }
	}
	hooks := []client.Object{
		PipelineHook("lint"), PipelineHook("notify", func(h *v1alpha1.PipelineHook) { h.Spec.Sides = []v1alpha1.HookSide{"post"} }),
		PipelineHook("clock", func(h *v1alpha1.PipelineHook) { h.Spec.EventSources = []v1alpha1.EventSourceType{"calendar"} }),
		PipelineHook("pushes", func(h *v1alpha1.PipelineHook) { h.Spec.EventSources = []v1alpha1.EventSourceType{"gitlab"} }),
		PipelineHook("vars", task(`{"params":[{"name":"image"},{"name":"path","default":"/"},{"name":"PipelineFilePath"},{"name":"PipelineRevision"}],`+
			`"steps":[{"image":"$(params.image)","args":["$(params.path)","$(params.PipelineFilePath)","$(params.PipelineRevision)"]}]}`), schema(`{"type":"object","properties":{"image":{"type":"string"},"path":{"type":"string","maxLength":20}},"required":["image"]}`)),
		PipelineHook("none", schema(`{"type":"object"}`)), PipelineHook("broken", schema(`[]`)), PipelineHook("empty", task(`{}`)),
	}
	with := func(pre, post []v1alpha1.Hook) *v1alpha1.ProjectPipelineRuntime {
		return PipelineRuntime("product-1", "pipe", "api", "ci", "repo", func(r *v1alpha1.ProjectPipelineRuntime) {
			r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: pre, PostHooks: post}
		})
	}
	type use = []v1alpha1.Hook
	calendar := with(use{{Name: "clock"}}, nil)
	calendar.Spec.EventSources = []v1alpha1.EventSource{{Name: "night", Calendar: &v1alpha1.CalendarEventSource{Interval: "24h"}}}
	timed := with(use{{Name: "pushes"}}, nil)
	timed.Spec.EventSources = calendar.Spec.EventSources
	image := func(value string) use { return use{{Name: "vars", Vars: map[string]string{"image": value}}} }
	path, revision := with(image("x"), nil), with(image("x"), nil)
	path.Spec.Pipelines[0].Path, revision.Spec.PipelineTriggers[0].Revision = "ci/$(params.event).yaml", "a$(params.event)"
	bare := with(use{{Name: "lint"}}, nil)
	bare.Spec.Pipelines[0].Path = path.Spec.Pipelines[0].Path
	tests := map[string]verdict{
		"one":                              {new: with(use{{Name: "lint"}}, nil)},
		"on both sides":                    {new: with(use{{Name: "lint"}}, use{{Name: "lint", Alias: "lint-again"}})},
		"on both sides, by one name":       {new: with(use{{Name: "lint"}}, use{{Name: "lint"}}), want: []string{"Invalid spec.hooks.postHooks[0].alias"}, wantText: "give this one another alias"},
		"twice on a side":                  {new: with(use{{Name: "lint"}, {Name: "lint", Alias: "again"}}, nil), want: []string{"Invalid spec.hooks.preHooks[1].name"}},
		"an alias that is another's":       {new: with(use{{Name: "lint"}, {Name: "none", Alias: "lint"}}, nil), want: []string{"Invalid spec.hooks.preHooks[1].alias"}},
		"absent":                           {new: with(nil, use{{Name: "absent"}}), want: []string{"ReferenceMissing spec.hooks.postHooks[0].name"}},
		"on its side":                      {new: with(nil, use{{Name: "notify"}})},
		"on the wrong side":                {new: with(use{{Name: "notify"}}, nil), want: []string{"Invalid spec.hooks.preHooks[0].name"}, wantText: "move it to the other side"},
		"with its event sources":           {new: calendar},
		"with other event sources":         {new: with(use{{Name: "clock"}}, nil), want: []string{"Invalid spec.hooks.preHooks[0].name"}, wantText: "does not work with gitlab event sources"},
		"with other event sources, timed":  {new: timed, want: []string{"Invalid spec.hooks.preHooks[0].name"}, wantText: "does not work with calendar event sources"},
		"with variables":                   {new: with(use{{Name: "vars", Vars: map[string]string{"image": "x", "path": "y"}}}, nil)},
		"without a variable that it needs": {new: with(use{{Name: "vars"}}, nil), want: []string{"Invalid spec.hooks.preHooks[0].vars"}, wantText: "needs the variable image"},
		"with a variable that it has not":  {new: with(use{{Name: "none", Vars: map[string]string{"x": "y"}}}, nil), want: []string{"Invalid spec.hooks.preHooks[0].vars[x]"}, wantText: "it has none"},
		"with a schema that is none":       {new: with(use{{Name: "broken"}}, nil), want: []string{"Invalid spec.hooks.preHooks[0].name"}, wantText: "PipelineHook nautes/broken cannot be used until it is corrected: spec.varsSchema: it is not a JSON schema"},
		"with a task that is none":         {new: with(use{{Name: "empty"}}, nil), want: []string{"Invalid spec.hooks.preHooks[0].name"}, wantText: "Tekton does not accept the task: missing field(s): steps"},
		"with a value that is too long":    {new: with(use{{Name: "vars", Vars: map[string]string{"image": "x", "path": "/a/very/long/way/home"}}}, nil), want: []string{"Invalid spec.hooks.preHooks[0].vars[path]"}, wantText: "path should be at most 20 chars long"},
		"with a variable in a variable":    {new: with(image("$(params.event)"), nil), want: []string{"Invalid spec.hooks.preHooks[0].vars[image]"}, wantText: "$( begins a variable in Tekton"},
		"with half a variable":             {new: with(image("x$(y"), nil), want: []string{"Invalid spec.hooks.preHooks[0].vars[image]"}},
		"with a dollar":                    {new: with(image("$HOME (x) ${y}"), nil)},
		"with a NUL":                       {new: with(image("x\x00y"), nil), want: []string{"Invalid spec.hooks.preHooks[0].vars[image]"}, wantText: "NUL"},
		"a variable in a path":             {new: path, want: []string{"Invalid spec.pipelines[0].path"}, wantText: "hook vars takes this as PipelineFilePath"},
		"a variable in a revision":         {new: revision, want: []string{"Invalid spec.pipelineTriggers[0].revision"}, wantText: "hook vars takes this as PipelineRevision"},
		"a variable that no hook takes":    {new: bare},
		"an alias of ours":                 {new: with(use{{Name: "lint", Alias: "nautes-launch"}}, nil), want: []string{"Invalid spec.hooks.preHooks[0].alias"}, wantText: "reserved for the steps of Nautes"},
	}
	for name, test := range tests {
		test.objects = append(test.objects, hooks...)
		tests[name] = test
	}
	run(t, tests)
}

func TestPipelineHook(t *testing.T) {
	hook := func(task, schema string) *v1alpha1.PipelineHook {
		return PipelineHook("hook", func(h *v1alpha1.PipelineHook) {
			h.Spec.Task.Raw = []byte(task)
			if schema != "" {
				h.Spec.VarsSchema = &runtime.RawExtension{Raw: []byte(schema)}
			}
		})
	}
	run(t, map[string]verdict{
		"as it is":              {new: PipelineHook("hook")},
		"a task without steps":  {new: hook(`{}`, ""), want: []string{"Invalid spec.task"}, wantText: "missing field(s): steps"},
		"an unknown field":      {new: hook(`{"steps":[{"image":"x"}],"stepz":[]}`, ""), want: []string{"Invalid spec.task"}, wantText: `unknown field "stepz"`},
		"an unknown keyword":    {new: hook(`{"params":[{"name":"a"}],"steps":[{"image":"x"}]}`, `{"type":"object","properties":{"a":{"const":"b"}}}`), want: []string{"Invalid spec.varsSchema.properties[a].const"}},
		"a variable for no one": {new: hook(`{"steps":[{"image":"x"}]}`, `{"type":"object","properties":{"a":{}}}`), want: []string{"Invalid spec.varsSchema.properties[a]"}, wantText: "the task has no parameter a"},
	})
}
