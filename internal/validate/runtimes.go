package validate

import (
	"cmp"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
)

func (c *checker) deploymentRuntime(r *v1alpha1.DeploymentRuntime) {
	c.ofProduct(r, r.Spec.Product)
	at := field.NewPath("spec", "destination")
	listed := r.Spec.Destination.Namespaces
	wanted := snapshot.SpecNamespaces(r)
	c.checkDestination(destination{
		runtime: r, environment: r.Spec.Destination.Environment, namespaces: wanted,
		worker: v1alpha1.WorkerTypeDeployment, account: cmp.Or(r.Spec.Account, r.Name), at: at,
		namespaceAt: func(i int) *field.Path {
			if i < 0 || len(listed) == 0 {
				return at.Child("namespaces")
			}
			return at.Child("namespaces").Index(slices.Index(listed, wanted[i]))
		},
	})
	c.projects(field.NewPath("spec", "projectsRef"), r.Namespace, r.Spec.ProjectsRef)
	c.permission(field.NewPath("spec", "manifestSource", "codeRepo"), r.Namespace, r.Spec.ManifestSource.CodeRepo, snapshot.ProjectsOf(r))
	if folder := r.Spec.ManifestSource.Path; strings.HasPrefix(folder, "/") || slices.Contains(strings.Split(folder, "/"), "..") {
		c.fail(v1alpha1.ReasonInvalid, field.NewPath("spec", "manifestSource", "path"), folder,
			"the path is outside of the repository: write it relative to the repository's root, without '..'")
	}
	c.sameDeployment(r)
}

// sameDeployment refuses to deploy the same manifests to an environment twice:
// the two would fight over every object. What is deployed already stays.
func (c *checker) sameDeployment(r *v1alpha1.DeploymentRuntime) {
	for _, other := range c.s.DeploymentRuntimes(r.Namespace) {
		same := other.Name != r.Name && other.Spec.Destination.Environment == r.Spec.Destination.Environment &&
			other.Spec.ManifestSource.CodeRepo == r.Spec.ManifestSource.CodeRepo && plainSource(other.Spec.ManifestSource) == plainSource(r.Spec.ManifestSource)
		if same && comesFirst(other, r) {
			c.fail(v1alpha1.ReasonInvalid, field.NewPath("spec", "manifestSource"), r.Spec.ManifestSource.Path,
				"%s deploys the same manifests to the same environment: change the source or the environment, or delete one of the two", snapshot.RefOf(other))
			return
		}
	}
}

// plainSource is a source in the one form that equal ones share.
func plainSource(m v1alpha1.ManifestSource) v1alpha1.ManifestSource {
	m.TargetRevision = cmp.Or(m.TargetRevision, "HEAD")
	m.Path = path.Clean(m.Path)
	return m
}

// comesFirst tells whether a has precedence over b, as with claims: what is
// deployed, then what is older.
func comesFirst(a, b v1alpha1.Object) bool {
	if deployed := snapshot.RecordedTarget(a) != nil; deployed != (snapshot.RecordedTarget(b) != nil) {
		return deployed
	}
	return snapshot.Older(a, b)
}

func (c *checker) pipelineRuntime(r *v1alpha1.ProjectPipelineRuntime) {
	c.ofProduct(r, "")
	spec := field.NewPath("spec")
	if c.s.Project(r.Namespace, r.Spec.Project) == nil {
		c.missing(spec.Child("project"), "Project", r.Namespace, r.Spec.Project)
	}
	c.checkDestination(destination{
		runtime: r, environment: r.Spec.Destination.Environment, namespaces: snapshot.SpecNamespaces(r),
		worker: v1alpha1.WorkerTypePipeline, account: cmp.Or(r.Spec.Account, r.Name), at: spec.Child("destination"),
		namespaceAt: func(int) *field.Path { return spec.Child("destination", "namespace") },
	})
	project := []string{r.Spec.Project}
	c.permission(spec.Child("pipelineSource"), r.Namespace, r.Spec.PipelineSource, project)
	for i, source := range r.Spec.EventSources {
		if source.GitLab != nil {
			c.permission(spec.Child("eventSources").Index(i).Child("gitlab", "repoName"), r.Namespace, source.GitLab.RepoName, project)
		}
	}
	if more := r.Spec.AdditionalResources; more != nil && more.Git != nil && more.Git.CodeRepo != "" {
		c.permission(spec.Child("additionalResources", "git", "codeRepo"), r.Namespace, more.Git.CodeRepo, project)
	}
	c.hooks(r)
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
		{"pre", "preHooks", r.Spec.Hooks.PreHooks},
		{"post", "postHooks", r.Spec.Hooks.PostHooks},
	} {
		used := map[string]bool{}
		for i, use := range side.hooks {
			at := field.NewPath("spec", "hooks", side.field).Index(i)
			name := cmp.Or(use.Alias, use.Name)
			switch {
			case used[use.Name]:
				c.fail(v1alpha1.ReasonInvalid, at.Child("name"), use.Name, "hook %s is used twice on this side: remove one of the two", use.Name)
			case names[name]:
				c.fail(v1alpha1.ReasonInvalid, at.Child("alias"), name, "another hook of the runtime is called %s: give this one another alias", name)
			}
			used[use.Name], names[name] = true, true
			c.hook(at, r, side.side, use)
		}
	}
}

// hook checks one use of a hook against its definition.
func (c *checker) hook(at *field.Path, r *v1alpha1.ProjectPipelineRuntime, side v1alpha1.HookSide, use v1alpha1.Hook) {
	hook := c.s.PipelineHook(use.Name)
	if hook == nil {
		c.missing(at.Child("name"), "PipelineHook", c.s.Namespace, use.Name)
		return
	}
	if !slices.Contains(hook.Spec.Sides, side) {
		c.fail(v1alpha1.ReasonInvalid, at.Child("name"), use.Name, "hook %s cannot run as a %s hook: move it to the other side or remove it", use.Name, side)
	}
	for _, kind := range sourceTypes(r) {
		if len(hook.Spec.EventSources) > 0 && !slices.Contains(hook.Spec.EventSources, kind) {
			c.fail(v1alpha1.ReasonInvalid, at.Child("name"), use.Name,
				"hook %s does not work with %s event sources, which the runtime has: remove the hook or the event sources", use.Name, kind)
		}
	}
	c.hookVars(at.Child("vars"), hook, use)
}

// hookVars checks that the variables of a hook are those that it declares.
func (c *checker) hookVars(at *field.Path, hook *v1alpha1.PipelineHook, use v1alpha1.Hook) {
	if hook.Spec.VarsSchema == nil {
		return
	}
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	if err := json.Unmarshal(hook.Spec.VarsSchema.Raw, &schema); err != nil {
		c.fail(v1alpha1.ReasonInvalid, at, "", "the varsSchema of %s is not a JSON schema: correct the hook", snapshot.RefOf(hook))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(use.Vars)) {
		if _, declared := schema.Properties[name]; !declared {
			c.fail(v1alpha1.ReasonInvalid, at.Key(name), name, "hook %s has no variable %s: remove it; it has %s",
				use.Name, name, cmp.Or(strings.Join(slices.Sorted(maps.Keys(schema.Properties)), ", "), "none"))
		}
	}
	for _, name := range slices.Sorted(slices.Values(schema.Required)) {
		if _, given := use.Vars[name]; !given {
			c.fail(v1alpha1.ReasonInvalid, at, "", "hook %s needs the variable %s: add it", use.Name, name)
		}
	}
}

// sourceTypes returns the types of event sources that a runtime has, each once.
func sourceTypes(r *v1alpha1.ProjectPipelineRuntime) []v1alpha1.EventSourceType {
	types := map[v1alpha1.EventSourceType]bool{}
	for _, source := range r.Spec.EventSources {
		if source.GitLab != nil {
			types["gitlab"] = true
		}
		if source.Calendar != nil {
			types["calendar"] = true
		}
	}
	return slices.Sorted(maps.Keys(types))
}
