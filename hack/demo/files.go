package main

import (
	"fmt"
	"strings"
)

// The files of the tenant repository.

func (d *demo) providerFile() string {
	return fmt.Sprintf(`apiVersion: nautes.resource.nautes.io/v1alpha1
kind: CodeRepoProvider
metadata:
  name: gitlab
spec:
  httpAddress: %[1]s
  sshAddress: ssh://git@127.0.0.1:22
  apiServer: %[1]s/api/v4
  providerType: gitlab
`, d.stack.Git.URL)
}

// clusterFile declares a physical cluster, with more lines of its spec.
func (d *demo) clusterFile(name string, more ...string) string {
	return clusterYAML(name, d.stack.Runtimes[name].URL, append([]string{"clusterType: physical"}, more...)...)
}

// virtualFile declares the virtual cluster, with its node port on the host.
func (d *demo) virtualFile(port string) string {
	return clusterYAML(virtualName, d.stack.Runtimes[innerName].URL, "clusterType: virtual", "hostCluster: "+hostName,
		"usage: worker", "workerType: pipeline", fmt.Sprintf("vcluster: {httpsNodePort: %q}", port))
}

func clusterYAML(name, apiServer string, more ...string) string {
	return fmt.Sprintf(`apiVersion: nautes.resource.nautes.io/v1alpha1
kind: Cluster
metadata:
  name: %s
spec:
  apiServer: %s
  primaryDomain: 127.0.0.1.nip.io
  %s
`, name, apiServer, strings.Join(more, "\n  "))
}

// The files of default.project, as the user guide has them.

const runtimeFile = "runtimes/dr-dev.yaml"

func runtimeYAML(path string) string {
	return fmt.Sprintf(`apiVersion: nautes.resource.nautes.io/v1alpha1
kind: DeploymentRuntime
metadata:
  name: dr-dev
spec:
  destination:
    environment: env-dev
    namespaces:
    - dr-dev
  manifestSource:
    codeRepo: repo-api-server
    path: %s
    targetRevision: HEAD
  product: %s
  projectsRef:
  - api-server
`, path, productName)
}

const environmentFile = "envs/env-dev.yaml"

func environmentYAML(envTypeLine string) string {
	return fmt.Sprintf(`apiVersion: nautes.resource.nautes.io/v1alpha1
kind: Environment
metadata:
  name: env-dev
spec:
  product: %s
  cluster: %s
  %s
`, productName, workerName, envTypeLine)
}

func (d *demo) productFiles() map[string]string {
	return map[string]string{
		environmentFile: environmentYAML("envType: dev"),
		"projects/api-server/api-server.yaml": fmt.Sprintf(`apiVersion: nautes.resource.nautes.io/v1alpha1
kind: Project
metadata:
  name: api-server
spec:
  product: %s
  language: golang
`, productName),
		"code-repos/repo-api-server/repo-api-server.yaml": fmt.Sprintf(`apiVersion: nautes.resource.nautes.io/v1alpha1
kind: CodeRepo
metadata:
  name: repo-api-server
spec:
  codeRepoProvider: gitlab
  product: %s
  repoName: api-server
  url: %s/%s.git
  deploymentRuntime: true
`, productName, d.stack.Git.URL, manifestRepo),
		"code-repos/repo-api-server/binding.yaml": fmt.Sprintf(`apiVersion: nautes.resource.nautes.io/v1alpha1
kind: CodeRepoBinding
metadata:
  name: api-server-deploys
spec:
  codeRepo: repo-api-server
  product: %s
  projects:
  - api-server
  permissions: readonly
`, productName),
		runtimeFile: runtimeYAML("manifests/development"),
		"README.md": "# nautes-labs\n\nThe declarations of the product.\n",
	}
}

// manifestFiles are the Kubernetes manifests that the product deploys.
func manifestFiles(greeting string) map[string]string {
	files := map[string]string{}
	for _, stage := range []string{"development", "staging"} {
		files["manifests/"+stage+"/configmap.yaml"] = fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  name: api-server
data:
  stage: %s
  greeting: %s
`, stage, greeting)
		files["manifests/"+stage+"/deployment.yaml"] = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: api-server
spec:
  replicas: 2
  selector:
    matchLabels: {app: api-server}
  template:
    metadata:
      labels: {app: api-server}
    spec:
      containers:
      - name: api-server
        image: registry.example/api-server:1.0
`
	}
	return files
}
