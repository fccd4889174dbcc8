package hooks

import (
	// Tekton's checks take a context, and read only Tekton's settings from it.
	"context"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// parseTask reads the spec of a task strictly, sets Tekton's defaults, and applies
// Tekton's checks.
func parseTask(at *field.Path, raw []byte) (task tekton.TaskSpec, errs field.ErrorList) {
	unknown, err := kjson.UnmarshalStrict(raw, &task)
	if err != nil {
		return task, field.ErrorList{field.Invalid(at, field.OmitValueType{}, "it is not the spec of a Tekton task: "+err.Error())}
	}
	for _, err := range unknown {
		errs = append(errs, field.Invalid(at, field.OmitValueType{}, "it is not the spec of a Tekton task: "+err.Error()))
	}
	if len(errs) > 0 {
		return task, errs
	}
	ctx := context.Background()
	task.SetDefaults(ctx)
	if err := task.Validate(ctx).Also(tekton.ValidateUsageOfDeclaredParameters(ctx, task.Steps, task.Params)); err != nil {
		return task, field.ErrorList{field.Invalid(at, field.OmitValueType{}, "Tekton does not accept the task: "+err.Error())}
	}
	for i, param := range task.Params {
		if param.Type != tekton.ParamTypeString {
			errs = append(errs, field.Invalid(at.Child("params").Index(i).Child("type"), string(param.Type),
				"the variables of hooks are strings: make "+param.Name+" a string"))
		} else if param.Default != nil && !Inert(param.Default.StringVal) {
			errs = append(errs, field.Invalid(at.Child("params").Index(i).Child("default"), param.Default.StringVal, "write a default without $("))
		}
	}
	for i, workspace := range task.Workspaces {
		errs = append(errs, field.Invalid(at.Child("workspaces").Index(i), workspace.Name, "hooks have no workspaces: use a volume of the task"))
	}
	if len(errs) > 0 {
		return task, errs
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return task, field.ErrorList{field.Invalid(at, field.OmitValueType{}, "it is not JSON: "+err.Error())}
	}
	return task, checkReferences(at, tree, task.Params)
}

var (
	// ofParam matches a reference to a parameter, in all forms of Tekton.
	ofParam = regexp.MustCompile(`^\$\((?:inputs\.)?params(?:\.([-\w.]+)|\["([^"]*)"\]|\['([^']*)'\])`)
	// ofOthers matches a reference to something outside of the task.
	ofOthers = regexp.MustCompile(`^\$\((?:tasks|finally|workspaces|context\.pipeline|context\.pipelineRun|context\.pipelineTask)[.\[]`)
)

// checkReferences checks the variables that Tekton would replace in the task. An
// undeclared one would come from the launcher, and a parameter in a script would
// become a part of the program.
func checkReferences(at *field.Path, node any, params tekton.ParamSpecs) (errs field.ErrorList) {
	switch node := node.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(node)) {
			if text, _ := node[key].(string); key == "script" && hasParam(text) {
				errs = append(errs, field.Invalid(at.Child(key), field.OmitValueType{},
					"a parameter in a script is run as part of it: pass it in args or env, and read it from there"))
				continue
			}
			errs = append(errs, checkReferences(at.Child(key), node[key], params)...)
		}
	case []any:
		for i, item := range node {
			errs = append(errs, checkReferences(at.Index(i), item, params)...)
		}
	case string:
		declared := params.GetNames()
		for i := range references(node) {
			match := ofParam.FindStringSubmatch(node[i:])
			switch {
			case ofOthers.MatchString(node[i:]):
				errs = append(errs, field.Invalid(at, node, "a hook knows only its own parameters: remove the variable at character "+strconv.Itoa(i+1)))
			case match != nil && !slices.Contains(declared, match[1]+match[2]+match[3]):
				errs = append(errs, field.Invalid(at, node, "the task has no parameter "+match[1]+match[2]+match[3]+": add it to its params"))
			}
		}
	}
	return errs
}

func hasParam(text string) bool {
	for i := range references(text) {
		if ofParam.MatchString(text[i:]) {
			return true
		}
	}
	return false
}

// references yields the positions in a text at which variables may begin.
func references(text string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for i := range text {
			if strings.HasPrefix(text[i:], "$(") && !yield(i) {
				return
			}
		}
	}
}
