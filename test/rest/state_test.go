package rest

import (
	"os"
	"strings"
)

// states brings about the states that cases describe in words.
func states() map[string]func(*world) {
	return map[string]func(*world){
		"the PipelineHook ls of the samples is in the tenant repository": func(w *world) {
			content, err := os.ReadFile("../../config/samples/tenant/hooks/ls.yaml")
			check(w.t, err)
			w.push(tenantPath, map[string]string{"hooks/ls.yaml": string(content)})
		},
		"the cluster of env-dev is gone, or env-dev is": func(w *world) { w.absent("envs/env-dev.yaml") },
		"env-dev is gone": func(w *world) { w.absent("envs/env-dev.yaml") },
		"somebody has pushed envs/broken.yaml, which is no YAML": func(w *world) {
			w.push(defaultProject, map[string]string{"envs/broken.yaml": "kind: [Environment\n"})
		},
		"every other file of default.project is gone": func(w *world) {
			var others []string
			for _, path := range w.files(defaultProject) {
				if strings.HasSuffix(path, ".yaml") && path != "runtimes/dr-dev.yaml" {
					others = append(others, path)
				}
			}
			w.push(defaultProject, nil, others...)
		},
		"an Environment env-test on another deployment worker": func(w *world) {
			w.push(tenantPath, map[string]string{"clusters/another-worker.yaml": resource("Cluster", "another-worker",
				"apiServer: https://192.0.2.7:6443", "clusterKind: kubernetes", "clusterType: physical", "usage: worker", "workerType: deployment",
				"primaryDomain: another.example.com", "traefik: {httpNodePort: '30080', httpsNodePort: '30443'}")})
			w.push(defaultProject, map[string]string{"envs/env-test.yaml": resource("Environment", "env-test",
				"product: ${product_id}", "cluster: another-worker", "envType: test")})
		},
		"its cluster does not answer, so that nothing is deployed": func(w *world) { w.undeployed = true },
		"another runtime has the namespace taken on that cluster": func(w *world) {
			w.push(defaultProject, map[string]string{"projects/project-demo/older.yaml": resource("ProjectPipelineRuntime", "older",
				"project: project-demo", "pipelineSource: ${repo_id:coderepo-sc-demo}",
				"pipelines: [{name: p, path: p.yaml}]",
				"eventSources: [{name: nightly, calendar: {schedule: '0 17 * * *'}}]",
				"pipelineTriggers: [{eventSource: nightly, pipeline: p, revision: main}]",
				"destination: {environment: env-dev-demo, namespace: taken}", "isolation: shared")})
		},
		"a binding of api-server to project-demo, readonly": func(w *world) {
			w.bring(append(w.suite.needed(w.suite.byName["coderepo-save-api-server"]), "coderepo-save-api-server"))
			w.push(defaultProject, map[string]string{"code-repos/${repo_id:api-server}/repo-3-api-server.yaml": resource("CodeRepoBinding", "repo-3-api-server",
				"product: ${product_id}", "codeRepo: ${repo_id:api-server}", "projects: [project-demo]", "permissions: readonly")})
		},
		"a person has pushed runtimes/mine.yaml, which holds DeploymentRuntime dr-dev": func(w *world) {
			w.push(defaultProject, map[string]string{"runtimes/mine.yaml": resource("DeploymentRuntime", "dr-dev",
				"product: ${product_id}", "projectsRef: [api-server]",
				"manifestSource: {codeRepo: '${repo_id:api-server}', targetRevision: HEAD, path: manifests/other}",
				"destination: {environment: env-dev, namespaces: [dr-dev]}")})
		},
	}
}

// absent fails the test if default.project has a file.
func (w *world) absent(path string) {
	w.t.Helper()
	if _, found := w.file(defaultProject, path); found {
		w.t.Fatalf("%s is there", path)
	}
}

// resource returns a file with lines of a spec.
func resource(kind, name string, spec ...string) string {
	return "apiVersion: nautes.resource.nautes.io/v1alpha1\nkind: " + kind + "\nmetadata:\n  name: " + name + "\nspec:\n  " + strings.Join(spec, "\n  ") + "\n"
}

// providerFile is the CodeRepoProvider of the forge.
func providerFile(f forge) string {
	web, api := f.Addresses()
	return resource("CodeRepoProvider", f.Kind(), "httpAddress: "+web, "sshAddress: ssh://git@"+strings.TrimPrefix(web, "http://"), "apiServer: "+api, "providerType: "+f.Kind())
}
