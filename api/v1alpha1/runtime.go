package v1alpha1

import (
	"cmp"
	"slices"
)

// Runtime is a kind that runs in namespaces of a runtime cluster: a
// DeploymentRuntime or a ProjectPipelineRuntime.
// +kubebuilder:object:generate=false
type Runtime interface {
	Object
	// Destination returns the environment that the spec names and the namespaces
	// that it asks for: each once, the default one first, or the runtime's name
	// if the spec lists none.
	Destination() (environment string, namespaces []string)
	// AccountName returns the ServiceAccount of the runtime.
	AccountName() string
	// DeployedTarget returns the target on record, or nil if nothing was written
	// for the runtime yet.
	DeployedTarget() *RuntimeTarget
	// SetDeployedTarget puts a target on record.
	SetDeployedTarget(target *RuntimeTarget)
	// Repositories returns the names of the CodeRepos that the spec names, first
	// the one that the runtime deploys or runs.
	Repositories() []string
	// Projects returns the projects that the runtime acts for; the empty name
	// stands for the product as a whole.
	Projects() []string
	// WorkerType returns the type of the worker clusters that carry the runtime.
	WorkerType() WorkerType
}

// Movable reports whether a deployed runtime may change its destination: a
// pipeline runtime can be made again elsewhere, a deployment holds state that
// cannot move. A movable runtime shares its namespaces with no other runtime.
func Movable(r Runtime) bool { return r.WorkerType() == WorkerTypePipeline }

var (
	_ Runtime = &DeploymentRuntime{}
	_ Runtime = &ProjectPipelineRuntime{}
)

// Destination implements Runtime.
func (o *DeploymentRuntime) Destination() (environment string, namespaces []string) {
	return o.Spec.Destination.Environment, distinct(o.Name, o.Spec.Destination.Namespaces...)
}

// AccountName implements Runtime.
func (o *DeploymentRuntime) AccountName() string { return cmp.Or(o.Spec.Account, o.Name) }

// DeployedTarget implements Runtime.
func (o *DeploymentRuntime) DeployedTarget() *RuntimeTarget { return written(o.Status.Target) }

// SetDeployedTarget implements Runtime.
func (o *DeploymentRuntime) SetDeployedTarget(target *RuntimeTarget) { o.Status.Target = target }

// Repositories implements Runtime.
func (o *DeploymentRuntime) Repositories() []string { return []string{o.Spec.ManifestSource.CodeRepo} }

// Projects implements Runtime.
func (o *DeploymentRuntime) Projects() []string {
	if len(o.Spec.ProjectsRef) == 0 {
		return []string{""}
	}
	return o.Spec.ProjectsRef
}

// WorkerType implements Runtime.
func (o *DeploymentRuntime) WorkerType() WorkerType { return WorkerTypeDeployment }

// Destination implements Runtime.
func (o *ProjectPipelineRuntime) Destination() (environment string, namespaces []string) {
	return o.Spec.Destination.Environment, []string{cmp.Or(o.Spec.Destination.Namespace, o.Name)}
}

// AccountName implements Runtime.
func (o *ProjectPipelineRuntime) AccountName() string { return cmp.Or(o.Spec.Account, o.Name) }

// DeployedTarget implements Runtime.
func (o *ProjectPipelineRuntime) DeployedTarget() *RuntimeTarget { return written(o.Status.Target) }

// SetDeployedTarget implements Runtime.
func (o *ProjectPipelineRuntime) SetDeployedTarget(target *RuntimeTarget) { o.Status.Target = target }

// Repositories implements Runtime: the pipeline files, the event sources and the
// additional resources.
func (o *ProjectPipelineRuntime) Repositories() []string {
	names := []string{o.Spec.PipelineSource}
	for _, source := range o.Spec.EventSources {
		if source.GitLab != nil {
			names = append(names, source.GitLab.RepoName)
		}
		if source.Gitea != nil {
			names = append(names, source.Gitea.RepoName)
		}
	}
	if more := o.Spec.AdditionalResources; more != nil && more.Git != nil && more.Git.CodeRepo != "" {
		names = append(names, more.Git.CodeRepo)
	}
	return names
}

// Projects implements Runtime.
func (o *ProjectPipelineRuntime) Projects() []string { return []string{o.Spec.Project} }

// WorkerType implements Runtime.
func (o *ProjectPipelineRuntime) WorkerType() WorkerType { return WorkerTypePipeline }

// HookNames returns the names of the PipelineHooks that the spec names.
func (o *ProjectPipelineRuntime) HookNames() []string {
	if o.Spec.Hooks == nil {
		return nil
	}
	var names []string
	for _, hook := range slices.Concat(o.Spec.Hooks.PreHooks, o.Spec.Hooks.PostHooks) {
		names = append(names, hook.Name)
	}
	return names
}

// written returns a target that may hold objects, or nil.
func written(target *RuntimeTarget) *RuntimeTarget {
	if target == nil || len(target.Namespaces) == 0 {
		return nil
	}
	return target
}

// distinct returns each of the values once, or the default if there are none.
func distinct(defaultValue string, values ...string) []string {
	if len(values) == 0 {
		return []string{defaultValue}
	}
	kept := make([]string, 0, len(values))
	for _, value := range values {
		if !slices.Contains(kept, value) {
			kept = append(kept, value)
		}
	}
	return kept
}
