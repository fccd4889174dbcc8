package main

import (
	"fmt"

	"nautes.io/nautes/test/scenario"
)

// clusterFile declares a physical cluster, with more lines of its spec.
func (d *demo) clusterFile(name string, more ...string) string {
	return scenario.ClusterFile(name, d.Runtimes[name].URL, append([]string{primaryDomain, "clusterType: physical"}, more...)...)
}

// virtualFile declares the virtual cluster, with its node port on the host.
func (d *demo) virtualFile(port string) string {
	return scenario.ClusterFile(virtualName, d.Runtimes[innerName].URL, primaryDomain, "clusterType: virtual", "hostCluster: "+hostName,
		"usage: worker", "workerType: pipeline", fmt.Sprintf("vcluster: {httpsNodePort: %q}", port))
}

// The product and its declarations, as the user guide has them.
const (
	primaryDomain   = "primaryDomain: 127.0.0.1.nip.io"
	environmentName = "env-dev"
	runtimeName     = "dr-dev"
	secondNamespace = "dr-dev-jobs"
	projectName     = "api-server"
	codeRepoName    = "repo-api-server"
)

func demoProduct() scenario.Product { return scenario.Product{Name: productName, Group: groupName} }

func runtimeYAML(path string) string {
	return demoProduct().DeploymentRuntime(scenario.Deployment{
		Name: runtimeName, Project: projectName, Environment: environmentName, Namespace: runtimeName,
		More: []string{secondNamespace}, Repo: codeRepoName, Path: path, Revision: "HEAD",
	})
}

func environmentFile() string { return demoProduct().Environment(environmentName, workerName) }

func (d *demo) productFiles() map[string]string {
	p := demoProduct()
	return map[string]string{
		scenario.EnvironmentPath(environmentName): environmentFile(),
		scenario.ProjectPath(projectName):         p.Project(projectName, "golang"),
		scenario.CodeRepoPath(codeRepoName): p.CodeRepo(codeRepoName, "api-server", "codeRepoProvider: gitlab",
			"url: "+d.Git.URL+"/"+manifestRepo+".git", "deploymentRuntime: true"),
		scenario.BindingPath(codeRepoName, "binding"): p.Binding("api-server-deploys", codeRepoName, projectName, "readonly"),
		scenario.RuntimePath(runtimeName):             runtimeYAML("manifests/development"),
		"README.md":                                   "# nautes-labs\n\nThe declarations of the product.\n",
	}
}

// manifestFiles are the Kubernetes manifests that the product deploys: most of them to
// the first namespace of the runtime, and one that names the second.
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
		files["manifests/"+stage+"/jobs.yaml"] = fmt.Sprintf(`apiVersion: v1
kind: ConfigMap
metadata:
  name: jobs
  namespace: %s
data:
  stage: %s
`, secondNamespace, stage)
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
