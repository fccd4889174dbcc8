package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"nautes.io/nautes/internal/rest/body"
	"nautes.io/nautes/test/devstack"
)

// The pipeline runtime of the user guide, and what it needs.
const (
	pipelineRuntime   = "pr-demo"
	pipelineNamespace = "pr-demo-namespace"
	pipelineAccount   = "pr-demo-account"
	pipelineName      = "sources"
	pipelineRepo      = groupName + "/" + pipelineName
	hookName          = "ls"
	hookPath          = "hooks/" + hookName + ".yaml"

	pipelineEnvironment = "env-dev-demo"
	pipelineProject     = "project-demo"
	pipelineBinding     = "project-demo-runs"

	pipelineRuntimePath = "/projectpipelineruntimes/" + pipelineRuntime
)

// pipelineCalls are the requests that make the runtime, after everything that it needs.
func (d *demo) pipelineCalls() ([]call, error) {
	runtime, err := json.MarshalIndent(d.pipelineBody(), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the pipeline runtime: %w", err)
	}
	return []call{
		{path: "/environments/" + pipelineEnvironment, body: `{"cluster": "` + virtualName + `", "env_type": "dev"}`},
		{path: "/projects/" + pipelineProject, body: `{"language": "golang"}`},
		{path: "/coderepos/" + pipelineName, body: `{"project": "` + pipelineProject + `", "pipeline_runtime": true,
      "webhook": {"events": ["push_events", "tag_push_events"]},
      "git": {"gitlab": {"path": "` + pipelineName + `", "visibility": "private"}}}`},
		{path: "/coderepobindings/" + pipelineBinding, body: `{"coderepo": "` + pipelineName + `", "projects": ["` + pipelineProject + `"], "permissions": "readonly"}`},
		{path: pipelineRuntimePath, body: string(runtime), file: pipelineRuntime + ".json"},
	}, nil
}

// pipelineBody is the pipeline runtime as the guide has it, with the events of the forge.
func (d *demo) pipelineBody() *body.ProjectPipelineRuntime {
	source := func(name, pushes, revision string) body.EventSource {
		if d.kind == kindGitea {
			// Gitea reports pushes of tags as pushes.
			return body.EventSource{Name: name, Gitea: &body.GiteaEventSource{RepoName: pipelineName, Events: []string{"push"}, Revision: revision}}
		}
		return body.EventSource{Name: name, GitLab: &body.GitLabEventSource{RepoName: pipelineName, Events: []string{pushes}, Revision: revision}}
	}
	daily := source("webhook-main-push", "push_events", "refs/heads/main")
	daily.Calendar = &body.Calendar{Schedule: "0 17 * * 1-5"}
	trigger := func(source, pipeline string) body.PipelineTrigger {
		return body.PipelineTrigger{EventSource: source, Pipeline: pipeline}
	}
	list := func(alias string) []body.Hook {
		return []body.Hook{{Name: hookName, Alias: alias, Vars: map[string]string{"imageName": "bash", "printPath": "/var"}}}
	}
	return &body.ProjectPipelineRuntime{
		Project: pipelineProject, PipelineSource: pipelineName, Account: pipelineAccount, Isolation: "exclusive",
		Destination:         &body.PipelineDestination{Environment: pipelineEnvironment, Namespace: pipelineNamespace},
		AdditionalResources: &body.AdditionalResources{Git: &body.ResourcesGit{CodeRepo: pipelineName, Revision: "main", Path: "test"}},
		EventSources: []body.EventSource{
			source(featureSource, "push_events", "^refs/heads/feature%-"), source("webhook-fix-push", "push_events", "^refs/heads/fix%-"),
			daily, source("webhook-main-tag", "tag_push_events", "^refs/tags/"),
		},
		Pipelines: []body.Pipeline{
			{Name: "pipeline-dev", Label: "dev", Path: "pipelines/dev.yaml"}, {Name: "pipeline-main", Label: "main", Path: "pipelines/main.yaml"},
			{Name: "pipeline-release", Label: "release", Path: "pipelines/release.yaml"},
		},
		PipelineTriggers: []body.PipelineTrigger{
			trigger(featureSource, "pipeline-dev"), trigger("webhook-fix-push", "pipeline-dev"),
			trigger("webhook-main-push", "pipeline-main"), trigger("webhook-main-tag", "pipeline-release"),
		},
		Hooks: &body.Hooks{PreHooks: list("pre-ls"), PostHooks: list("post-ls")},
	}
}

// hookFile is the sample of a hook that the guide uses.
func hookFile() (string, error) {
	root, err := devstack.ModuleRoot()
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(filepath.Join(root, "config", "samples", "tenant", "hooks", hookName+".yaml"))
	if err != nil {
		return "", fmt.Errorf("read the sample of a hook: %w", err)
	}
	return string(content), nil
}

// userPipelines are the files of the product's repository: a PipelineRun, a
// Pipeline, one of Tekton's older version, and the additional resources.
func userPipelines() map[string]string {
	const spec = `
  params:
  - {name: revision, type: string}
  tasks:
  - name: build
    params:
    - {name: revision, value: $(params.revision)}
    taskSpec:
      params:
      - {name: revision, type: string}
      steps:
      - {name: build, image: registry.example/build:1.0, command: [build], args: [$(params.revision)]}
`
	run := "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata:\n  generateName: dev-\nspec:\n" +
		"  params:\n  - {name: revision, value: main}\n  pipelineSpec:" + strings.ReplaceAll(spec, "\n  ", "\n    ")
	return map[string]string{
		"pipelines/dev.yaml":     run,
		"pipelines/main.yaml":    "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata:\n  name: main\nspec:" + spec,
		"pipelines/release.yaml": "apiVersion: tekton.dev/v1beta1\nkind: Pipeline\nmetadata:\n  name: release\nspec:" + spec,
		"test/settings.yaml":     "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: pipeline-settings\ndata:\n  stage: development\n",
	}
}
