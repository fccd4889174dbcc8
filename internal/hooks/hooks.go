// Package hooks reads the steps before and after a pipeline. It guarantees that an
// accepted PipelineHook is a task that Tekton runs, that each variable of the hook is
// a parameter of that task, and that a value reaches the task only as the value of a
// parameter.
package hooks

import (
	"maps"
	"slices"
	"strings"

	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
)

// ReservedPrefix begins the names of the tasks that are not hooks.
const ReservedPrefix = "nautes-"

// Hook is a valid PipelineHook.
type Hook struct {
	name string
	task tekton.TaskSpec
	vars schema
}

// Parse reads a PipelineHook. The paths of its errors begin at spec.
func Parse(h *v1alpha1.PipelineHook) (*Hook, field.ErrorList) {
	hook := &Hook{name: h.Name}
	task, errs := parseTask(field.NewPath("spec", "task"), h.Spec.Task.Raw)
	if len(errs) > 0 {
		return nil, errs
	}
	hook.task = task
	at := field.NewPath("spec", "varsSchema")
	if h.Spec.VarsSchema == nil {
		hook.vars = schemaOf(task)
	} else if hook.vars, errs = parseSchema(at, h.Spec.VarsSchema.Raw); len(errs) > 0 {
		return nil, errs
	}
	if errs := hook.checkParams(at, h.Spec.Sides); len(errs) > 0 {
		return nil, errs
	}
	return hook, nil
}

// checkParams checks that every variable is a parameter of the task, and that every
// parameter has a value.
func (h *Hook) checkParams(at *field.Path, sides []v1alpha1.HookSide) (errs field.ErrorList) {
	params := map[string]tekton.ParamSpec{}
	for _, param := range h.task.Params {
		params[param.Name] = param
	}
	for _, name := range h.vars.names() {
		param, ok := params[name]
		switch {
		case !ok:
			errs = append(errs, field.Invalid(at.Child("properties").Key(name), name,
				"the task has no parameter "+name+", so the variable would have no effect: add the parameter, or remove the variable"))
		case !h.vars.required(name) && h.vars.fallback(name) == nil && param.Default == nil:
			errs = append(errs, field.Invalid(at.Child("properties").Key(name), name,
				"the variable "+name+" may be left out, and then the task lacks a parameter: list it in required, or give it a default"))
		}
	}
	for i, param := range h.task.Params {
		if h.vars.has(param.Name) || param.Default != nil {
			continue
		}
		for _, side := range sides {
			if !isBuiltIn(param.Name, side) {
				errs = append(errs, field.Invalid(field.NewPath("spec", "task", "params").Index(i).Child("name"), param.Name,
					"nothing gives the parameter "+param.Name+" a value in a "+string(side)+
						" hook: add it to the properties of varsSchema, or give it a default"))
				break
			}
		}
	}
	return errs
}

// BuiltIns returns the sorted names of the built-in variables that the hook's task has
// as parameters on a side.
func (h *Hook) BuiltIns(side v1alpha1.HookSide) (names []string) {
	for _, param := range h.task.Params {
		if isBuiltIn(param.Name, side) && !h.vars.has(param.Name) {
			names = append(names, param.Name)
		}
	}
	slices.Sort(names)
	return names
}

// CheckVars returns the errors in the variables that a runtime gives to the hook.
func (h *Hook) CheckVars(at *field.Path, vars map[string]string) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		switch value := vars[name]; {
		case !h.vars.has(name):
			known := strings.Join(h.vars.names(), ", ")
			if known == "" {
				known = "none"
			}
			errs = append(errs, field.Invalid(at.Key(name), name, "hook "+h.name+" has no variable "+name+": remove it; it has "+known))
		case !Inert(value):
			errs = append(errs, field.Invalid(at.Key(name), value,
				"the value of "+name+" contains $( or a NUL, and $( begins a variable in Tekton: write it without"))
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return h.vars.check(at, h.name, vars)
}

// Task returns a use of the hook as a task of a pipeline. A parameter gets the value
// of the runtime's variable, or of the built-in variable, or the default of the schema
// or of the task. builtIns must have exactly the variables that BuiltIns returns.
//
// Every parameter gets a value, since Tekton would prefer the pipeline's parameter of
// the same name to the default of the task.
func (h *Hook) Task(name string, vars, builtIns map[string]string) tekton.PipelineTask {
	task := tekton.PipelineTask{Name: name, TaskSpec: &tekton.EmbeddedTask{TaskSpec: *h.task.DeepCopy()}}
	for _, param := range h.task.Params {
		value, given := vars[param.Name]
		if !given {
			value, given = builtIns[param.Name]
		}
		if fallback := h.vars.fallback(param.Name); !given && fallback != nil {
			value, given = *fallback, true
		}
		if !given && param.Default != nil {
			value, given = param.Default.StringVal, true
		}
		if given {
			task.Params = append(task.Params, tekton.Param{Name: param.Name, Value: *tekton.NewStructuredValues(value)})
		}
	}
	return task
}

// Inert reports whether Tekton takes a value literally and a program can have it as
// an argument.
func Inert(value string) bool {
	return !strings.Contains(value, "$(") && !strings.Contains(value, "\x00")
}

// ValueError is a built-in variable of a runtime whose value a hook cannot take.
type ValueError struct{ Runtime, Variable string }

func (e *ValueError) Error() string {
	return e.Runtime + ": a hook takes " + e.Variable + ", which contains $( here, and that begins a variable in Tekton: change the value, or remove the hook"
}
