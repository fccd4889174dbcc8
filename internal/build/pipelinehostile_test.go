package build

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
	"nautes.io/nautes/test/testutil"
	"nautes.io/nautes/test/testutil/hostile"
)

// crdRules returns the checks of the API server on a pipeline runtime: the schema and
// the rules of the CRD.
func crdRules(t *testing.T) func(r *v1alpha1.ProjectPipelineRuntime) field.ErrorList {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "crd", "bases", "nautes.resource.nautes.io_projectpipelineruntimes.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, crd); err != nil {
		t.Fatal(err)
	}
	props := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, props, nil); err != nil {
		t.Fatal(err)
	}
	structural, err := schema.NewStructural(props)
	if err != nil {
		t.Fatal(err)
	}
	values, _, err := validation.NewSchemaValidator(props)
	if err != nil {
		t.Fatal(err)
	}
	rules := cel.NewValidator(structural, true, math.MaxInt64)
	return func(r *v1alpha1.ProjectPipelineRuntime) field.ErrorList {
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var tree map[string]any
		if err := json.Unmarshal(raw, &tree); err != nil {
			t.Fatal(err)
		}
		if errs := validation.ValidateCustomResource(nil, tree, values); len(errs) > 0 {
			return errs
		}
		errs, _ := rules.Validate(context.Background(), nil, structural, tree, nil, math.MaxInt64)
		return errs
	}
}

// taskOf returns a task of a launcher.
func taskOf(t *testing.T, run *tekton.PipelineRun, at int) *tekton.PipelineTask {
	t.Helper()
	if at >= len(run.Spec.PipelineSpec.Tasks) {
		t.Fatalf("the launcher has %d tasks", len(run.Spec.PipelineSpec.Tasks))
	}
	return &run.Spec.PipelineSpec.Tasks[at]
}

// inConfig replaces a value of the runner's configuration, and returns it.
func inConfig(t *testing.T, run *tekton.PipelineRun, value string, find func(*launch.Config) *string) string {
	t.Helper()
	config, arg := configOf(t, run)
	at := find(&config)
	was := *at
	*at = value
	text, err := launch.Encode(config)
	if err != nil {
		t.Fatal(err)
	}
	*arg = "--config=" + text
	return was
}

// A text in a field of a runtime is refused, or it is the value of that field in the
// launcher and changes nothing else in it.
func TestHostileRuntimes(t *testing.T) {
	const harmless = "harmless"
	constant := "value"
	tests := map[string]struct {
		set func(r *v1alpha1.ProjectPipelineRuntime, value string)
		// swap puts another value in the place of the one that was set.
		swap func(t *testing.T, run *tekton.PipelineRun, value string) string
		// wantNone: every text is refused.
		wantNone bool
	}{
		"path": {
			set: func(r *v1alpha1.ProjectPipelineRuntime, value string) { r.Spec.Pipelines[0].Path = value },
			swap: func(t *testing.T, run *tekton.PipelineRun, value string) string {
				return inConfig(t, run, value, func(c *launch.Config) *string { return &c.Path })
			},
		},
		"label": {
			set: func(r *v1alpha1.ProjectPipelineRuntime, value string) { r.Spec.Pipelines[0].Label = value },
			swap: func(t *testing.T, run *tekton.PipelineRun, value string) string {
				run.Labels[launch.LabelLabel] = value
				return inConfig(t, run, value, func(c *launch.Config) *string { return &c.Label })
			},
		},
		"revision": {
			set: func(r *v1alpha1.ProjectPipelineRuntime, value string) { r.Spec.PipelineTriggers[0].Revision = value },
			swap: func(t *testing.T, run *tekton.PipelineRun, value string) string {
				return inConfig(t, run, value, func(c *launch.Config) *string { return &c.Revision })
			},
		},
		"path of an input": {
			set: func(r *v1alpha1.ProjectPipelineRuntime, value string) {
				r.Spec.PipelineTriggers[0].Inputs = []v1alpha1.PipelineInput{inputOf("/"+value, "", "ref")}
			},
			swap: func(t *testing.T, run *tekton.PipelineRun, value string) string {
				return strings.TrimPrefix(inConfig(t, run, "/"+value, func(c *launch.Config) *string { return &c.Inputs[0].Path }), "/")
			},
		},
		"path as an input": {
			set: func(r *v1alpha1.ProjectPipelineRuntime, value string) {
				r.Spec.Pipelines[0].Path = value
				r.Spec.PipelineTriggers[0].Inputs = []v1alpha1.PipelineInput{inputOf("/spec/params/0/value", "PipelineFilePath", "")}
			},
			swap: func(t *testing.T, run *tekton.PipelineRun, value string) string {
				was := inConfig(t, run, value, func(c *launch.Config) *string { return c.Inputs[0].Value })
				inConfig(t, run, value, func(c *launch.Config) *string { return &c.Path })
				return was
			},
		},
		"path for a hook": {
			set: func(r *v1alpha1.ProjectPipelineRuntime, value string) {
				r.Spec.Pipelines[0].Path = value
				r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: "every"}}}
			},
			swap: func(t *testing.T, run *tekton.PipelineRun, value string) string {
				inConfig(t, run, value, func(c *launch.Config) *string { return &c.Path })
				return swapParam(t, taskOf(t, run, 0), "PipelineFilePath", value)
			},
		},
		"variable of a hook": {
			set: func(r *v1alpha1.ProjectPipelineRuntime, value string) {
				r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: "every", Vars: map[string]string{"text": value}}}}
			},
			swap: func(t *testing.T, run *tekton.PipelineRun, value string) string {
				return swapParam(t, taskOf(t, run, 0), "text", value)
			},
		},
		"name of a variable": {
			set: func(r *v1alpha1.ProjectPipelineRuntime, value string) {
				r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: "ls", Vars: map[string]string{"imageName": "bash", value: constant}}}}
			},
			wantNone: true,
		},
		"alias": {
			set: func(r *v1alpha1.ProjectPipelineRuntime, value string) {
				r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: "every", Alias: value}}}
			},
			swap: func(t *testing.T, run *tekton.PipelineRun, value string) string {
				was := taskOf(t, run, 0).Name
				taskOf(t, run, 0).Name, taskOf(t, run, 1).RunAfter[0] = value, value
				return was
			},
		},
	}
	world, refused := pipelineWorld(t), crdRules(t)
	runtimeWith := func(set func(*v1alpha1.ProjectPipelineRuntime, string), value string) *v1alpha1.ProjectPipelineRuntime {
		r := testutil.PipelineRuntime("product-1", "pipe", "api", "ci", "repo-3")
		r.APIVersion, r.Kind = v1alpha1.GroupVersion.String(), "ProjectPipelineRuntime"
		set(r, value)
		return r
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var base *tekton.PipelineRun
			if !test.wantNone {
				r := runtimeWith(test.set, harmless)
				errs := refused(r)
				more, _ := validate.Run(world, validate.Request{New: r})
				if err := append(errs, more...).ToAggregate(); err != nil {
					t.Fatalf("the harmless one is refused: %v", err)
				}
				base = onlyLauncher(t, world, r)
			}
			taken := 0
			for _, value := range append(hostile.Values(), "nautes-launch", "a.b", "$", "$$(params.event)") {
				if value == "" || value == harmless || !utf8.ValidString(value) {
					// Nothing that is not UTF-8 gets into an object.
					continue
				}
				r := runtimeWith(test.set, value)
				errs := refused(r)
				if len(errs) == 0 {
					errs, _ = validate.Run(world, validate.Request{New: r})
				}
				if len(errs) > 0 {
					if errs[0].ErrorBody() == "" || strings.HasPrefix(errs[0].Field, "status") {
						t.Errorf("%.80q is refused without a reason: %v", value, errs)
					}
					continue
				}
				taken++
				run := onlyLauncher(t, world, r)
				if err := accepted(run, launch.Event{Event: "push_events"}); err != nil {
					t.Errorf("%.80q: Tekton refuses the launcher: %v", value, err)
				}
				if test.wantNone {
					t.Errorf("%.80q is not refused", value)
					continue
				}
				if _, arg := configOf(t, run); strings.ContainsFunc(*arg, func(c rune) bool { return c == '$' || c < ' ' || c > '~' }) {
					t.Errorf("%.80q: the runner is told %q", value, *arg)
				}
				if got := test.swap(t, run, harmless); got != value {
					t.Errorf("the launcher has %.80q, want %.80q", got, value)
				}
				if diff := cmp.Diff(string(manifestOf(t, base)), string(manifestOf(t, run))); diff != "" {
					t.Errorf("%.80q changes more than its place (-harmless +hostile):\n%s", value, diff)
				}
			}
			if taken == 0 && !test.wantNone {
				t.Error("every text is refused: nothing was tried")
			}
		})
	}
}

func swapParam(t *testing.T, task *tekton.PipelineTask, name, value string) string {
	t.Helper()
	for i := range task.Params {
		if task.Params[i].Name == name {
			was := task.Params[i].Value.StringVal
			task.Params[i].Value = *tekton.NewStructuredValues(value)
			return was
		}
	}
	t.Fatalf("the task %s has no parameter %s", task.Name, name)
	return ""
}

// onlyLauncher returns the launcher of a runtime with one trigger.
func onlyLauncher(t *testing.T, s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime) *tekton.PipelineRun {
	t.Helper()
	launchers, err := launchersOf(s, r)
	if err != nil || len(launchers) != 1 {
		t.Fatalf("%d launchers: %v", len(launchers), err)
	}
	return launchers["push/dev/gitlab"]
}
