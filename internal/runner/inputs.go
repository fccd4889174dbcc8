package runner

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"nautes.io/nautes/internal/launch"
)

// variable matches the variables that Tekton replaces in a run, and the ones that
// Kubernetes replaces in the arguments of a container.
var variable = regexp.MustCompile(`\$\((params|tasks|context|workspaces|results|finally|steps|step|credentials|outputs|inputs)|\$\([A-Za-z_.-][A-Za-z0-9_.-]*\)`)

// input is a value to set in a run.
type input struct {
	pointer string
	tokens  []string
	value   string
	// foreign is true for a value that the sender of the event chose.
	foreign bool
}

// apply sets the inputs in the draft. Without inputs it sets the ref as the first
// parameter. It returns the indexes of the parameters that it set.
func (d *draft) apply(c *launch.Config, e *launch.Event, commit string) (set map[int]bool, err error) {
	inputs, err := inputsOf(c, e, commit)
	if err != nil {
		return nil, err
	}
	params := d.run.Spec.Params
	if len(c.Inputs) == 0 && e.Ref != "" && len(params) > 0 && params[0].Value.Type == tektonv1.ParamTypeString {
		inputs = append(inputs, input{pointer: "/spec/params/0/value", tokens: []string{"spec", "params", "0", "value"}, value: e.Ref, foreign: true})
	}
	if len(inputs) == 0 {
		return nil, nil
	}
	content, err := json.Marshal(d.run)
	if err != nil {
		return nil, fail(launch.ExitPipeline, "the file is not valid: %w", err)
	}
	var document any
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		return nil, fail(launch.ExitPipeline, "the file is not valid: %w", err)
	}
	set = map[int]bool{}
	for _, in := range inputs {
		if err := in.check(); err != nil {
			return nil, err
		}
		if err := in.put(document); err != nil {
			return nil, err
		}
		if index, found := in.param(); found {
			set[index] = true
		}
	}
	return set, d.decode(document)
}

// decode reads the run from a document. Every value must fit its field.
func (d *draft) decode(document any) error {
	content, err := json.Marshal(document)
	if err != nil {
		return fail(launch.ExitInput, "the run with the inputs is not valid: %w", err)
	}
	run := &tektonv1.PipelineRun{}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(run); err != nil {
		return fail(launch.ExitInput, "an input does not fit its field: %w", err)
	}
	d.run = run
	return nil
}

// inputsOf returns the inputs that have a value. If the event lacks a value, the value
// in the file stays; for example, a calendar has no title.
func inputsOf(c *launch.Config, e *launch.Event, commit string) ([]input, error) {
	var inputs []input
	for _, declared := range c.Inputs {
		in := input{pointer: declared.Path}
		sources := 0
		if declared.Value != nil {
			in.value = *declared.Value
			sources++
		}
		if declared.PipelineRevision {
			in.value = commit
			sources++
		}
		if declared.FromEvent != "" {
			value, known := eventValue(e, declared.FromEvent)
			if !known {
				return nil, fail(launch.ExitUsage, "events have no value %q", declared.FromEvent)
			}
			in.value, in.foreign = value, true
			sources++
		}
		if sources != 1 {
			return nil, fail(launch.ExitUsage, "the input at %q has %d sources and needs one", declared.Path, sources)
		}
		var err error
		if in.tokens, err = tokens(declared.Path); err != nil {
			return nil, err
		}
		if !in.foreign || in.value != "" {
			inputs = append(inputs, in)
		}
	}
	return inputs, nil
}

func eventValue(e *launch.Event, name string) (value string, known bool) {
	value, known = map[string]string{
		"ref": e.Ref, "commitID": e.Commit, "source_branch": e.SourceBranch, "target_branch": e.TargetBranch,
		"title": e.Title, "labels": e.Labels, "state": e.State,
	}[name]
	return value, known
}

var pointerForm = regexp.MustCompile(`^(/([^/~]|~[01])*)+$`)

// tokens splits a JSON pointer. It returns an error for a field that an input must
// not set.
func tokens(pointer string) ([]string, error) {
	if !pointerForm.MatchString(pointer) {
		return nil, fail(launch.ExitInput, "the path %q of an input is not a JSON pointer: write one such as /spec/params/0/value", pointer)
	}
	split := strings.Split(pointer[1:], "/")
	for i := range split {
		split[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(split[i])
	}
	metadata := len(split) == 3 && split[0] == "metadata" && (split[1] == "labels" || split[1] == "annotations")
	if !metadata && (split[0] != "spec" || len(split) < 2) {
		return nil, fail(launch.ExitInput, "an input cannot set %q: it can set fields below /spec, a label below /metadata/labels or an annotation below /metadata/annotations", pointer)
	}
	return split, nil
}

// check returns an error for a value that would be interpreted at its place.
func (in input) check() error {
	isLabel := in.tokens[0] == "metadata" && in.tokens[1] == "labels"
	switch {
	case in.foreign && in.isProgram():
		return fail(launch.ExitInput, "a value of an event cannot be put into a program, at %q: make it a parameter; "+
			"give that to a script as an environment variable, and to a condition as its input", in.pointer)
	case in.foreign && variable.MatchString(in.value):
		return fail(launch.ExitInput, "the value of the event for %q holds %q, which Tekton or Kubernetes would replace: rename the branch, or change the text", in.pointer, variable.FindString(in.value))
	case isLabel && len(validation.IsValidLabelValue(in.value)) > 0:
		return fail(launch.ExitInput, "the value for %q is not valid in a label: put it into an annotation or a parameter", in.pointer)
	}
	return nil
}

// isProgram reports whether the field of the input is executed, or evaluated as the
// condition of a task or step. Decoding ignores the case of field names, so it does
// too.
func (in input) isProgram() bool {
	return in.tokens[1] == "pipelineSpec" && slices.ContainsFunc(in.tokens, func(token string) bool {
		return strings.EqualFold(token, "script") || strings.EqualFold(token, "cel")
	})
}

// param returns the index of the parameter whose value the input sets.
func (in input) param() (index int, found bool) {
	t := in.tokens
	if len(t) != 4 || t[0] != "spec" || t[1] != "params" || t[3] != "value" {
		return 0, false
	}
	index, err := strconv.Atoi(t[2])
	return index, err == nil
}

// put sets the value in a document. The path must exist, but for its last token and
// the map of labels or annotations.
func (in input) put(document any) error {
	at := document
	for i, token := range in.tokens {
		last := i == len(in.tokens)-1
		switch holder := at.(type) {
		case map[string]any:
			if last {
				holder[token] = in.value
				return nil
			}
			if holder[token] == nil && in.tokens[0] == "metadata" {
				holder[token] = map[string]any{}
			}
			at = holder[token]
		case []any:
			index, err := strconv.Atoi(token)
			if err != nil || index < 0 || index >= len(holder) || strconv.Itoa(index) != token {
				return fail(launch.ExitInput, "the run has no %q: the list at /%s has %d elements, of which the first is 0",
					in.pointer, strings.Join(in.tokens[:i], "/"), len(holder))
			}
			if last {
				holder[index] = in.value
				return nil
			}
			at = holder[index]
		default:
			return fail(launch.ExitInput, "the run has no %q: there is nothing below /%s", in.pointer, strings.Join(in.tokens[:i], "/"))
		}
	}
	return nil
}
