package body

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ProjectPipelineRuntime runs pipelines of a project on events.
type ProjectPipelineRuntime struct {
	Head
	Project             string               `json:"project,omitempty" required:"true"`
	PipelineSource      string               `json:"pipeline_source,omitempty" required:"true" alias:"pipeline-source" ref:"repo" doc:"Name of the repository with the pipeline files."`
	Pipelines           []Pipeline           `json:"pipelines,omitempty" required:"true"`
	EventSources        []EventSource        `json:"event_sources,omitempty" required:"true"`
	PipelineTriggers    []PipelineTrigger    `json:"pipeline_triggers,omitempty" required:"true"`
	Destination         *PipelineDestination `json:"destination,omitempty" required:"true"`
	Isolation           string               `json:"isolation,omitempty" enum:"shared,exclusive" doc:"Whether event sources share resources; shared if empty."`
	AdditionalResources *AdditionalResources `json:"additional_resources,omitempty"`
	Hooks               *Hooks               `json:"hooks,omitempty"`
	Account             string               `json:"account,omitempty" doc:"ServiceAccount of the pipelines; the name of the runtime if empty."`
	Suspend             bool                 `json:"suspend,omitempty" doc:"Stops the reconciliation. Deployed objects stay."`
	// Clients read additional_resources in two spellings, so replies have both.
	AdditionalResourcesPrinted *PrintedResources `json:"additionalResources,omitempty" reply:"only" doc:"The same as additional_resources, in the spelling of the files."`
	Tail
}

// Pipeline is a pipeline file.
type Pipeline struct {
	Name  string `json:"name,omitempty" required:"true"`
	Label string `json:"label,omitempty"`
	Path  string `json:"path,omitempty" required:"true"`
}

// EventSource is a source of events: a repository, the clock or both.
type EventSource struct {
	Name     string             `json:"name,omitempty" required:"true"`
	GitLab   *GitLabEventSource `json:"gitlab,omitempty"`
	Gitea    *GiteaEventSource  `json:"gitea,omitempty"`
	Calendar *Calendar          `json:"calendar,omitempty"`
}

// GitLabEventSource are the events of a repository.
type GitLabEventSource struct {
	RepoName            string   `json:"repo_name,omitempty" required:"true" ref:"repo" doc:"Name of the repository."`
	Revision            string   `json:"revision,omitempty" doc:"Lua pattern that the ref must match."`
	Events              []string `json:"events,omitempty" required:"true"`
	MergeRequestActions []string `json:"merge_request_actions,omitempty"`
	DeploymentStatuses  []string `json:"deployment_statuses,omitempty"`
}

// GiteaEventSource are the events of a repository in Gitea.
type GiteaEventSource struct {
	RepoName           string   `json:"repo_name,omitempty" required:"true" ref:"repo" doc:"Name of the repository."`
	Revision           string   `json:"revision,omitempty" doc:"Lua pattern that the ref must match."`
	Events             []string `json:"events,omitempty" required:"true"`
	PullRequestActions []string `json:"pull_request_actions,omitempty"`
}

// Calendar are events of the clock.
type Calendar struct {
	Schedule       string   `json:"schedule,omitempty" text:"true" doc:"Cron expression of five fields. It has precedence over interval."`
	Interval       string   `json:"interval,omitempty"`
	ExclusionDates []string `json:"exclusion_dates,omitempty"`
	Timezone       string   `json:"timezone,omitempty"`
}

// PipelineTrigger relates an event source to a pipeline.
type PipelineTrigger struct {
	EventSource string  `json:"event_source,omitempty" required:"true"`
	Pipeline    string  `json:"pipeline,omitempty" required:"true"`
	Revision    string  `json:"revision,omitempty"`
	Inputs      []Input `json:"inputs,omitempty"`
}

// Input is a value that is set in a run.
type Input struct {
	Source             *InputSource        `json:"source,omitempty" required:"true"`
	TransmissionMethod *TransmissionMethod `json:"transmission_method,omitempty" required:"true"`
}

// InputSource is where the value of an input comes from.
type InputSource struct {
	BuiltInVar string `json:"built_in_var,omitempty"`
	FromEvent  string `json:"from_event,omitempty"`
}

// TransmissionMethod is how an input reaches a run.
type TransmissionMethod struct {
	Kustomization *Kustomization `json:"kustomization,omitempty" required:"true"`
}

// Kustomization sets a value at a path of the run.
type Kustomization struct {
	Path string `json:"path,omitempty" required:"true"`
}

// PipelineDestination is the place that pipelines run in.
type PipelineDestination struct {
	Environment string `json:"environment,omitempty" required:"true"`
	Namespace   string `json:"namespace,omitempty" doc:"Namespace; the name of the runtime if empty."`
}

// AdditionalResources are manifests that pipelines need.
type AdditionalResources struct {
	Git *ResourcesGit `json:"git,omitempty" required:"true"`
}

// ResourcesGit is the place of additional resources.
type ResourcesGit struct {
	CodeRepo string `json:"coderepo,omitempty" alias:"code_repo" file:"codeRepo" ref:"repo" doc:"Name of the repository."`
	URL      string `json:"url,omitempty"`
	Revision string `json:"revision,omitempty"`
	Path     string `json:"path,omitempty"`
}

// PrintedResources are AdditionalResources in the spelling of the files.
type PrintedResources struct {
	Git *PrintedResourcesGit `json:"git,omitempty"`
}

// PrintedResourcesGit is ResourcesGit in the spelling of the files.
type PrintedResourcesGit struct {
	CodeRepo string `json:"codeRepo,omitempty"`
	URL      string `json:"url,omitempty"`
	Revision string `json:"revision,omitempty"`
	Path     string `json:"path,omitempty"`
}

// Hooks are steps before and after each pipeline.
type Hooks struct {
	PreHooks  []Hook `json:"pre_hooks,omitempty"`
	PostHooks []Hook `json:"post_hooks,omitempty"`
}

// Hook is a step.
type Hook struct {
	Name  string            `json:"name,omitempty" required:"true"`
	Alias string            `json:"alias,omitempty"`
	Vars  map[string]string `json:"vars,omitempty"`
}

// narrow returns the path of the value at fault, for a rule that names only the list or
// object around it.
func (r *ProjectPipelineRuntime) narrow(field string) string {
	if r.Hooks == nil {
		return field
	}
	switch {
	case field == "spec.hooks":
		for i, after := range r.Hooks.PostHooks {
			if slices.ContainsFunc(r.Hooks.PreHooks, func(before Hook) bool { return before.called() == after.called() }) {
				return fmt.Sprintf("%s.postHooks[%d].alias", field, i)
			}
		}
	case strings.HasPrefix(field, "spec.hooks.preHooks["):
		return twin(field, r.Hooks.PreHooks)
	case strings.HasPrefix(field, "spec.hooks.postHooks["):
		return twin(field, r.Hooks.PostHooks)
	}
	return field
}

// called returns the name of a step among the others.
func (h Hook) called() string { return cmp.Or(h.Alias, h.Name) }

// twin returns the path of the name or alias that a hook shares with an earlier one.
func twin(field string, hooks []Hook) string {
	at := steps(field)
	last := at[len(at)-1]
	i, err := strconv.Atoi(last.text)
	if err != nil || !last.bracket || i >= len(hooks) {
		return field
	}
	for _, earlier := range hooks[:i] {
		switch {
		case earlier.Name == hooks[i].Name:
			return field + ".name"
		case earlier.called() == hooks[i].called():
			return field + ".alias"
		}
	}
	return field
}
