package main

import (
	"fmt"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/scenario"
)

const (
	pipelinePath = "pipelines/dev.yaml"
)

// pipelineRepo is the repository with a product's pipelines, whose name no other
// product's has, and pipelineRepository its path.
func pipelineRepo(i int) string { return fmt.Sprintf("repo-%d", i+3) }

func pipelineRepository(i int) string { return fmt.Sprintf("group-%d/%s", i, pipelineRepo(i)) }

// hookManifest is the hook of the guide's runtime.
const hookManifest = `apiVersion: nautes.resource.nautes.io/v1alpha1
kind: PipelineHook
metadata: {name: ls, namespace: nautes}
spec:
  sides: [pre, post]
  eventSources: [gitlab, calendar]
  varsSchema: {type: object, required: [imageName, printPath], properties: {imageName: {type: string}, printPath: {type: string}}}
  task:
    params: [{name: imageName, type: string}, {name: printPath, type: string}]
    steps: [{name: ls, image: $(params.imageName), command: [ls], args: [$(params.printPath)]}]
`

// pipelineManifest is the file that each of the pipelines reads.
const pipelineManifest = `apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: dev}
spec:
  params: [{name: revision, type: string}]
  tasks:
  - name: build
    taskSpec: {steps: [{name: build, image: registry.example/build:1.0, command: [build]}]}
`

// runtimeName is the name of a pipeline runtime of a product.
func runtimeName(n int) string { return fmt.Sprintf("pr-%d", n) }

// pipelineFiles declare a product with runtimes like the guide's: four event
// sources, one of them with a calendar too, four triggers and two hooks.
func (b *bench) pipelineFiles(i, runtimes int, isolation v1alpha1.Isolation) map[string]string {
	p, repo := product(i), pipelineRepo(i)
	files := map[string]string{
		scenario.EnvironmentPath("dev"): p.Environment("dev", cluster),
		scenario.ProjectPath("demo"):    p.Project("demo", "go"),
		scenario.BindingPath(repo, "b"): p.Binding("demo-runs", repo, "demo", "readonly"),
		scenario.CodeRepoPath(repo): p.CodeRepo(repo, repo, "codeRepoProvider: gitlab", "project: demo", "pipelineRuntime: true",
			"url: "+b.Git.URL+"/"+pipelineRepository(i)+".git"),
	}
	for n := range runtimes {
		files["projects/demo/"+runtimeName(n)+".yaml"] = pipelineRuntime(i, n, isolation)
	}
	return files
}

func pipelineRuntime(i, n int, isolation v1alpha1.Isolation) string {
	var sources, triggers strings.Builder
	for _, source := range [][3]string{
		{"webhook-feature-push", "push_events", "^refs/heads/feature%-"}, {"webhook-fix-push", "push_events", "^refs/heads/fix%-"},
		{"webhook-main-push", "push_events", "refs/heads/main"}, {"webhook-main-tag", "tag_push_events", ".*"},
	} {
		calendar := ""
		if source[0] == "webhook-main-push" {
			calendar = ", calendar: {schedule: '0 17 * * 1-5'}"
		}
		fmt.Fprintf(&sources, "  - {name: %s, gitlab: {repoName: %s, events: [%s], revision: %q}%s}\n", source[0], pipelineRepo(i), source[1], source[2], calendar)
		fmt.Fprintf(&triggers, "  - {eventSource: %s, pipeline: dev}\n", source[0])
	}
	return fmt.Sprintf(`apiVersion: nautes.resource.nautes.io/v1alpha1
kind: ProjectPipelineRuntime
metadata: {name: %[1]s}
spec:
  project: demo
  pipelineSource: %[8]s
  destination: {environment: dev, namespace: runs-%[2]d-%[3]d}
  isolation: %[4]s
  pipelines: [{name: dev, path: %[5]s}]
  additionalResources: {git: {codeRepo: %[8]s, revision: main, path: test}}
  hooks:
    preHooks: [{name: ls, alias: pre-ls, vars: {imageName: bash, printPath: /var}}]
    postHooks: [{name: ls, alias: post-ls, vars: {imageName: bash, printPath: /var}}]
  eventSources:
%[6]s  pipelineTriggers:
%[7]s`, runtimeName(n), i, n, isolation, pipelinePath, sources.String(), triggers.String(), pipelineRepo(i))
}
