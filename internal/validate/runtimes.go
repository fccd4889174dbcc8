package validate

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
)

func (c *checker) deploymentRuntime(r *v1alpha1.DeploymentRuntime) {
	c.ofProduct(r, r.Spec.Product)
	at := field.NewPath("spec", "destination")
	listed := r.Spec.Destination.Namespaces
	wanted := snapshot.SpecNamespaces(r)
	c.checkDestination(destination{
		runtime: r, environment: r.Spec.Destination.Environment, namespaces: wanted,
		worker: v1alpha1.WorkerTypeDeployment, account: cmp.Or(r.Spec.Account, r.Name), at: at,
		namespaceAt: func(i int) *field.Path {
			if i < 0 || len(listed) == 0 {
				return at.Child("namespaces")
			}
			return at.Child("namespaces").Index(slices.Index(listed, wanted[i]))
		},
	})
	c.projects(field.NewPath("spec", "projectsRef"), r.Namespace, r.Spec.ProjectsRef)
	c.permission(field.NewPath("spec", "manifestSource", "codeRepo"), r.Namespace, r.Spec.ManifestSource.CodeRepo, snapshot.ProjectsOf(r))
	if folder := r.Spec.ManifestSource.Path; strings.HasPrefix(folder, "/") || slices.Contains(strings.Split(folder, "/"), "..") {
		c.fail(v1alpha1.ReasonInvalid, field.NewPath("spec", "manifestSource", "path"), folder,
			"the path is outside of the repository: write it relative to the repository's root, without '..'")
	}
	c.sameDeployment(r)
}

// sameDeployment refuses to deploy the same manifests to an environment twice:
// the two would fight over every object. What is deployed already stays.
func (c *checker) sameDeployment(r *v1alpha1.DeploymentRuntime) {
	for _, other := range c.s.DeploymentRuntimes(r.Namespace) {
		same := other.Name != r.Name && other.Spec.Destination.Environment == r.Spec.Destination.Environment &&
			other.Spec.ManifestSource.CodeRepo == r.Spec.ManifestSource.CodeRepo && plainSource(other.Spec.ManifestSource) == plainSource(r.Spec.ManifestSource)
		if same && comesFirst(other, r) {
			c.fail(v1alpha1.ReasonInvalid, field.NewPath("spec", "manifestSource"), r.Spec.ManifestSource.Path,
				"%s deploys the same manifests to the same environment: change the source or the environment, or delete one of the two", snapshot.RefOf(other))
			return
		}
	}
}

// plainSource is a source in the one form that equal ones share.
func plainSource(m v1alpha1.ManifestSource) v1alpha1.ManifestSource {
	m.TargetRevision = cmp.Or(m.TargetRevision, "HEAD")
	m.Path = path.Clean(m.Path)
	return m
}

// comesFirst tells whether a has precedence over b, as with claims: what is
// deployed, then what is older.
func comesFirst(a, b v1alpha1.Object) bool {
	if deployed := snapshot.RecordedTarget(a) != nil; deployed != (snapshot.RecordedTarget(b) != nil) {
		return deployed
	}
	return snapshot.Older(a, b)
}

func (c *checker) pipelineRuntime(r *v1alpha1.ProjectPipelineRuntime) {
	c.ofProduct(r, "")
	spec := field.NewPath("spec")
	if c.s.Project(r.Namespace, r.Spec.Project) == nil {
		c.missing(spec.Child("project"), "Project", r.Namespace, r.Spec.Project)
	}
	c.checkDestination(destination{
		runtime: r, environment: r.Spec.Destination.Environment, namespaces: snapshot.SpecNamespaces(r),
		worker: v1alpha1.WorkerTypePipeline, account: cmp.Or(r.Spec.Account, r.Name), at: spec.Child("destination"),
		namespaceAt: func(int) *field.Path { return spec.Child("destination", "namespace") },
	})
	project := []string{r.Spec.Project}
	c.permission(spec.Child("pipelineSource"), r.Namespace, r.Spec.PipelineSource, project)
	for i, source := range r.Spec.EventSources {
		if source.GitLab != nil {
			c.permission(spec.Child("eventSources").Index(i).Child("gitlab", "repoName"), r.Namespace, source.GitLab.RepoName, project)
		}
	}
	if more := r.Spec.AdditionalResources; more != nil && more.Git != nil && more.Git.CodeRepo != "" {
		c.permission(spec.Child("additionalResources", "git", "codeRepo"), r.Namespace, more.Git.CodeRepo, project)
	}
	c.hooks(r)
}
