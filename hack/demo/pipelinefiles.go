package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
)

// The pipeline runtime of the user guide, and the files in default.project that it needs.
const (
	pipelineRuntime   = "pr-demo"
	pipelineNamespace = "pr-demo-namespace"
	pipelineAccount   = "pr-demo-account"
	pipelineCodeRepo  = "repo-3"
	pipelineRepo      = groupName + "/" + pipelineCodeRepo
	pipelineFile      = "projects/project-demo/pr-demo.yaml"
	hookName          = "ls"
	hookPath          = "hooks/" + hookName + ".yaml"

	pipelineEnvironment = "env-dev-demo"
	pipelineProject     = "project-demo"
)

// pipelineYAML is the resource file as the guide prints it.
const pipelineYAML = `apiVersion: nautes.resource.nautes.io/v1alpha1
kind: ProjectPipelineRuntime
metadata:
    name: pr-demo
    namespace: product-xxxx
spec:
    account: pr-demo-account
    destination:
      environment: env-dev-demo
      namespace: pr-demo-namespace
    additionalResources:
      git:
        codeRepo: repo-3
        revision: main
        path: test
    eventSources:
    - gitlab:
        events:
        - push_events
        repoName: repo-3
        revision: ^refs/heads/feature%-
      name: webhook-feature-push
    - gitlab:
        events:
        - push_events
        repoName: repo-3
        revision: ^refs/heads/fix%-
      name: webhook-fix-push
    - calendar:
        schedule: '0 17 * * 1-5'
      gitlab:
        events:
        - push_events
        repoName: repo-3
        revision: refs/heads/main
      name: webhook-main-push
    - gitlab:
        events:
        - tag_push_events
        repoName: repo-3
        revision: .*
      name: webhook-main-tag
    isolation: exclusive
    pipelineSource: repo-3
    pipelineTriggers:
    - eventSource: webhook-feature-push
      pipeline: pipeline-dev
    - eventSource: webhook-fix-push
      pipeline: pipeline-dev
    - eventSource: webhook-main-push
      pipeline: pipeline-main
    - eventSource: webhook-main-tag
      pipeline: pipeline-release
    pipelines:
    - label: dev
      name: pipeline-dev
      path: pipelines/dev.yaml
    - label: main
      name: pipeline-main
      path: pipelines/main.yaml
    - label: release
      name: pipeline-release
      path: pipelines/release.yaml
    project: project-demo
    hooks:
        preHooks:
        - name: ls
          alias: pre-ls
          vars:
            imageName: bash
            printPath: /var
        postHooks:
        - name: ls
          alias: post-ls
          vars:
            imageName: bash
            printPath: /var
`

// pipelineDeclarations are the files of default.project.
func (d *demo) pipelineDeclarations() map[string]string {
	const environment, project = pipelineEnvironment, pipelineProject
	p := demoProduct()
	return map[string]string{
		scenario.EnvironmentPath(environment): p.Environment(environment, virtualName),
		scenario.ProjectPath(project):         p.Project(project, "golang"),
		scenario.CodeRepoPath(pipelineCodeRepo): p.CodeRepo(pipelineCodeRepo, pipelineCodeRepo, "codeRepoProvider: gitlab",
			"url: "+d.Git.URL+"/"+pipelineRepo+".git", "project: "+project, "pipelineRuntime: true", "webhook: {events: [push_events, tag_push_events]}"),
		scenario.BindingPath(pipelineCodeRepo, "binding"): p.Binding("project-demo-runs", pipelineCodeRepo, project, "readonly"),
		pipelineFile: strings.Replace(pipelineYAML, "product-xxxx", productName, 1),
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
