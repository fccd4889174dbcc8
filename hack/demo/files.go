package main

import (
	"context"
	"fmt"
	"strings"

	"nautes.io/nautes/test/githost"
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

// The product and its resources, with the names of the user guide.
const (
	primaryDomain   = "primaryDomain: 127.0.0.1.nip.io"
	environmentName = "env-dev"
	runtimeName     = "dr-dev"
	secondNamespace = "dr-dev-jobs"
	projectName     = "api-server"
	bindingName     = "api-server-deploys"
)

// The paths of the resources in the API.
const (
	environmentPath = "/environments/" + environmentName
	projectPath     = "/projects/" + projectName
	manifestsPath   = "/coderepos/" + manifestName
	bindingPath     = "/coderepobindings/" + bindingName
	runtimePath     = "/deploymentruntimes/" + runtimeName
)

// productCall is the request that makes the product.
func productCall() call {
	return call{body: `{"git": {"gitlab": {"path": "` + groupName + `", "visibility": "private"}}}`}
}

// productCalls are the requests that make everything in the product, with a path of
// manifests.
func productCalls(manifests string) []call {
	return []call{
		{path: environmentPath, body: `{"cluster": "` + workerName + `", "env_type": "dev"}`},
		{path: projectPath, body: `{"language": "golang"}`},
		{path: manifestsPath, body: `{"deployment_runtime": true,
      "git": {"gitlab": {"path": "` + manifestName + `", "visibility": "private"}}}`},
		{path: bindingPath, body: `{"coderepo": "` + manifestName + `", "projects": ["` + projectName + `"], "permissions": "readonly"}`},
		{path: runtimePath, body: `{"projects_ref": ["` + projectName + `"],
      "manifest_source": {"code_repo": "` + manifestName + `", "target_revision": "HEAD", "path": "` + manifests + `"},
      "destination": {"environment": "` + environmentName + `", "namespaces": ["` + runtimeName + `", "` + secondNamespace + `"]}}`},
	}
}

// edited returns the file of a resource with a text changed, as a person edits it.
func (d *demo) edited(ctx context.Context, path, from, to string) (map[string]string, error) {
	content, err := d.read(ctx, d.files[path])
	if err != nil {
		return nil, err
	}
	if !strings.Contains(content, from) {
		return nil, fmt.Errorf("the file %s does not have %q", d.files[path], from)
	}
	return map[string]string{d.files[path]: strings.Replace(content, from, to, 1)}, nil
}

// read returns a file of default.project.
func (d *demo) read(ctx context.Context, path string) (string, error) {
	return githost.ReadFrom(ctx, d.forge.url(productRepo), d.ada.token, path)
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
