package scenario

import (
	"strings"

	"nautes.io/nautes/api/v1alpha1"
)

// Declaration returns the declaration of a resource for a repository, from the lines
// of its spec.
func Declaration(kind, name string, spec ...string) string {
	return "apiVersion: " + v1alpha1.GroupVersion.String() + "\nkind: " + kind + "\nmetadata:\n  name: " + name +
		"\nspec:\n  " + strings.Join(spec, "\n  ") + "\n"
}

// InNamespace puts a declaration into a namespace, for kubectl apply.
func InNamespace(namespace, declaration string) string {
	return strings.Replace(declaration, "metadata:\n", "metadata:\n  namespace: "+namespace+"\n", 1) + "---\n"
}

// EnvironmentPath is the path of an Environment.
func EnvironmentPath(name string) string { return "envs/" + name + ".yaml" }

// ProjectPath is the path of a Project.
func ProjectPath(name string) string { return "projects/" + name + "/" + name + ".yaml" }

// CodeRepoPath is the path of a CodeRepo.
func CodeRepoPath(name string) string { return "code-repos/" + name + "/" + name + ".yaml" }

// BindingPath is the path of a CodeRepoBinding for a repository.
func BindingPath(repo, name string) string { return "code-repos/" + repo + "/" + name + ".yaml" }

// RuntimePath is the path of a DeploymentRuntime.
func RuntimePath(name string) string { return "runtimes/" + name + ".yaml" }

// Environment returns the file of an Environment of the product on a cluster.
func (p Product) Environment(name, cluster string) string {
	return Declaration("Environment", name, "product: "+p.Name, "cluster: "+cluster, "envType: dev")
}

// Project returns the file of a Project of the product.
func (p Product) Project(name, language string) string {
	return Declaration("Project", name, "product: "+p.Name, "language: "+language)
}

// CodeRepo returns the file of a CodeRepo of the product, with more lines of its spec.
func (p Product) CodeRepo(name, repoName string, spec ...string) string {
	return Declaration("CodeRepo", name, append([]string{"product: " + p.Name, "repoName: " + repoName}, spec...)...)
}

// Binding returns the file of a CodeRepoBinding, by which a project of the product has
// permissions on one of its repositories.
func (p Product) Binding(name, repo, project, permissions string) string {
	return Declaration("CodeRepoBinding", name,
		"product: "+p.Name, "codeRepo: "+repo, "projects:", "- "+project, "permissions: "+permissions)
}

// Deployment is a DeploymentRuntime in namespaces of its own.
type Deployment struct {
	Name, Environment, Namespace string
	// More namespaces of the runtime.
	More []string
	// Project and Account of the runtime. It names neither if they are empty.
	Project, Account string
	// Repo and Path of the manifests, and their Revision, which may be empty.
	Repo, Path, Revision string
}

// DeploymentRuntime returns the file of a DeploymentRuntime of the product.
func (p Product) DeploymentRuntime(d Deployment) string {
	spec := []string{"product: " + p.Name}
	if d.Account != "" {
		spec = append(spec, "account: "+d.Account)
	}
	if d.Project != "" {
		spec = append(spec, "projectsRef:", "- "+d.Project)
	}
	spec = append(spec, "manifestSource:", "  codeRepo: "+d.Repo, "  path: "+d.Path)
	if d.Revision != "" {
		spec = append(spec, "  targetRevision: "+d.Revision)
	}
	spec = append(spec, "destination:", "  environment: "+d.Environment, "  namespaces:", "  - "+d.Namespace)
	for _, namespace := range d.More {
		spec = append(spec, "  - "+namespace)
	}
	return Declaration("DeploymentRuntime", d.Name, spec...)
}
