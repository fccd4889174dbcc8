package validate

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/hooks"
	"nautes.io/nautes/internal/snapshot"
)

func (c *checker) pipelineHook(h *v1alpha1.PipelineHook) {
	c.ofTenant(h)
	_, errs := c.s.ParsedHook(h)
	c.take(RuleHookDefinition, v1alpha1.ReasonInvalid, errs)
}

func (c *checker) hooks(r *v1alpha1.ProjectPipelineRuntime) {
	if r.Spec.Hooks == nil {
		return
	}
	names := map[string]bool{}
	for _, side := range []struct {
		side  v1alpha1.HookSide
		field string
		hooks []v1alpha1.Hook
	}{
		{v1alpha1.HookPre, "preHooks", r.Spec.Hooks.PreHooks},
		{v1alpha1.HookPost, "postHooks", r.Spec.Hooks.PostHooks},
	} {
		used := map[string]bool{}
		for i, use := range side.hooks {
			at := field.NewPath("spec", "hooks", side.field).Index(i)
			name := cmp.Or(use.Alias, use.Name)
			switch {
			case used[use.Name]:
				c.fail(RuleHookNames, v1alpha1.ReasonInvalid, at.Child("name"), use.Name, "hook %s is used twice on this side: remove one of the two", use.Name)
			case names[name]:
				c.fail(RuleHookNames, v1alpha1.ReasonInvalid, at.Child("alias"), name, "another hook of the runtime is called %s: give this one another alias", name)
			case strings.HasPrefix(name, hooks.ReservedPrefix):
				c.fail(RuleHookNames, v1alpha1.ReasonInvalid, at.Child("alias"), name, "names that begin with %s are reserved for the steps of Nautes: set another alias", hooks.ReservedPrefix)
			}
			used[use.Name], names[name] = true, true
			c.hook(at, r, side.side, use)
		}
	}
}

// hook checks one use of a hook against its definition.
func (c *checker) hook(at *field.Path, r *v1alpha1.ProjectPipelineRuntime, side v1alpha1.HookSide, use v1alpha1.Hook) {
	definition := c.s.PipelineHook(use.Name)
	if definition == nil {
		c.missing(at.Child("name"), "PipelineHook", c.s.Namespace, use.Name)
		return
	}
	if !slices.Contains(definition.Spec.Sides, side) {
		c.fail(RuleHookUse, v1alpha1.ReasonInvalid, at.Child("name"), use.Name, "hook %s cannot run as a %s hook: move it to the other side or remove it", use.Name, side)
	}
	for _, kind := range sourceTypes(r) {
		if len(definition.Spec.EventSources) > 0 && !slices.Contains(definition.Spec.EventSources, kind) {
			c.fail(RuleHookUse, v1alpha1.ReasonInvalid, at.Child("name"), use.Name,
				"hook %s does not work with %s event sources, which the runtime has: remove the hook or the event sources", use.Name, kind)
		}
	}
	hook, errs := c.s.ParsedHook(definition)
	if len(errs) > 0 {
		c.fail(RuleHookUse, v1alpha1.ReasonInvalid, at.Child("name"), use.Name, "%s cannot be used until it is corrected: %s: %s",
			snapshot.RefOf(definition), errs[0].Field, errs[0].Detail)
		return
	}
	c.take(RuleHookVariables, v1alpha1.ReasonInvalid, hook.CheckVars(at.Child("vars"), use.Vars))
	c.builtIns(r, use.Name, hook.BuiltIns(side))
}

// builtIns checks the values that a hook takes from the runtime beside its variables.
// Names of objects and addresses hold nothing that Tekton would replace.
func (c *checker) builtIns(r *v1alpha1.ProjectPipelineRuntime, hook string, taken []string) {
	check := func(at *field.Path, name, value string) {
		if slices.Contains(taken, name) && !hooks.Inert(value) {
			c.fail(RuleHookBuiltIns, v1alpha1.ReasonInvalid, at, value,
				"hook %s takes this as %s, and $( begins a variable in Tekton: change it, or remove the hook", hook, name)
		}
	}
	for i, pipeline := range r.Spec.Pipelines {
		check(field.NewPath("spec", "pipelines").Index(i).Child("path"), hooks.VarPipelineFilePath, pipeline.Path)
	}
	for i, trigger := range r.Spec.PipelineTriggers {
		check(field.NewPath("spec", "pipelineTriggers").Index(i).Child("revision"), hooks.VarPipelineRevision, trigger.Revision)
	}
}

// sourceTypes returns the types of event sources that a runtime has, each once.
func sourceTypes(r *v1alpha1.ProjectPipelineRuntime) []v1alpha1.EventSourceType {
	types := map[v1alpha1.EventSourceType]bool{}
	for _, source := range r.Spec.EventSources {
		if f, _, listens := forges.SourceOf(source); listens {
			types[f.Events.Source] = true
		}
		if source.Calendar != nil {
			types[v1alpha1.EventSourceCalendar] = true
		}
	}
	return slices.Sorted(maps.Keys(types))
}
