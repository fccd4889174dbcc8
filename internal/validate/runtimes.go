package validate

import (
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/snapshot"
)

func (c *checker) deploymentRuntime(r *v1alpha1.DeploymentRuntime) {
	c.ofProduct(r, r.Spec.Product)
	at := field.NewPath("spec", "destination")
	listed := r.Spec.Destination.Namespaces
	_, wanted := r.Destination()
	c.checkDestination(destination{
		runtime: r, at: at,
		namespaceAt: func(i int) *field.Path {
			if i < 0 || len(listed) == 0 {
				return at.Child("namespaces")
			}
			return at.Child("namespaces").Index(slices.Index(listed, wanted[i]))
		},
	})
	c.projects(field.NewPath("spec", "projectsRef"), r.Namespace, r.Spec.ProjectsRef)
	source := field.NewPath("spec", "manifestSource", "codeRepo")
	c.permission(source, r.Namespace, r.Spec.ManifestSource.CodeRepo, r.Projects())
	if repo := c.s.CodeRepo(r.Namespace, r.Spec.ManifestSource.CodeRepo); repo != nil && repo.Spec.PipelineRuntime && !repo.Spec.DeploymentRuntime {
		c.warn(source, "%s is marked for pipelines alone: set its spec.deploymentRuntime, or deploy from another repository", snapshot.RefOf(repo))
	}
	if folder := r.Spec.ManifestSource.Path; strings.HasPrefix(folder, "/") || slices.Contains(strings.Split(folder, "/"), "..") {
		c.fail(RuleManifestPath, v1alpha1.ReasonInvalid, field.NewPath("spec", "manifestSource", "path"), folder,
			"the path is outside of the repository: write it relative to the repository's root, without '..'")
	}
	c.sameDeployment(r)
}

// sameDeployment refuses to deploy the same manifests to an environment twice: the
// two would fight over every object. A runtime that is deployed already stays.
func (c *checker) sameDeployment(r *v1alpha1.DeploymentRuntime) {
	for _, other := range c.s.DeploymentRuntimes(r.Namespace) {
		same := other.Name != r.Name && references.ManifestsKey(other) == references.ManifestsKey(r)
		if same && comesFirst(other, r) {
			c.fail(RuleSameManifests, v1alpha1.ReasonInvalid, field.NewPath("spec", "manifestSource"), r.Spec.ManifestSource.Path,
				"%s deploys the same manifests to the same environment: change the source or the environment, or delete one of the two", snapshot.RefOf(other))
			return
		}
	}
}

// comesFirst reports whether a has precedence over b, as with claims: the deployed
// runtime first, then the older one.
func comesFirst(a, b v1alpha1.Runtime) bool {
	if deployed := a.DeployedTarget() != nil; deployed != (b.DeployedTarget() != nil) {
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
		runtime: r, at: spec.Child("destination"),
		namespaceAt: func(int) *field.Path { return spec.Child("destination", "namespace") },
	})
	c.permission(pipelineSourceAt(), r.Namespace, r.Spec.PipelineSource, []string{r.Spec.Project})
	if repo := c.s.CodeRepo(r.Namespace, r.Spec.PipelineSource); repo != nil && repo.Spec.DeploymentRuntime && !repo.Spec.PipelineRuntime {
		c.warn(pipelineSourceAt(), "%s is marked for deployments alone: set its spec.pipelineRuntime, or take the pipelines from another repository", snapshot.RefOf(repo))
	}
	for i, source := range r.Spec.EventSources {
		c.eventSource(eventSourcesAt().Index(i), r, source)
		c.eventFilter(eventSourcesAt().Index(i), source)
	}
	c.samePaths(r)
	c.additionalResources(r)
	c.hooks(r)
}

// samePaths warns of pipelines that are one file: two labels of one file are allowed, and
// an event that triggers both runs it twice.
func (c *checker) samePaths(r *v1alpha1.ProjectPipelineRuntime) {
	first := map[string]string{}
	for i, p := range r.Spec.Pipelines {
		file := path.Clean(p.Path)
		if other, known := first[file]; known {
			c.warn(field.NewPath("spec", "pipelines").Index(i).Child("path"),
				"pipeline %s is the same file, so an event that triggers both runs it twice: remove one of the two unless that is meant", other)
			continue
		}
		first[file] = p.Name
	}
}

func pipelineSourceAt() *field.Path { return field.NewPath("spec", "pipelineSource") }

func eventSourcesAt() *field.Path { return field.NewPath("spec", "eventSources") }

func resourcesAt() *field.Path { return field.NewPath("spec", "additionalResources", "git") }

// Disarming reports whether an error only takes a repository away from a pipeline
// runtime. The plan then lacks everything that needs the repository, and is applied
// so that its use ends at once.
func Disarming(e *field.Error) bool {
	return e.Field == pipelineSourceAt().String() || strings.HasPrefix(e.Field, resourcesAt().String()+".") ||
		strings.HasPrefix(e.Field, eventSourcesAt().String()+"[") && strings.HasSuffix(e.Field, ".repoName")
}

// eventSource checks that a runtime may listen to the repository of an event source,
// which is at a path of its spec.
func (c *checker) eventSource(at *field.Path, r *v1alpha1.ProjectPipelineRuntime, e v1alpha1.EventSource) {
	f, source, listens := forges.SourceOf(e)
	if !listens {
		return
	}
	events := at.Child(string(f.Events.Source), "events")
	at = at.Child(string(f.Events.Source), "repoName")
	before := len(c.errors)
	c.permission(at, r.Namespace, source.Repository, []string{r.Spec.Project})
	if len(c.errors) > before {
		return
	}
	if refusal, _ := c.s.EventSourceRefusal(r, e); refusal != "" {
		c.fail(RuleEventSource, v1alpha1.ReasonInvalid, at, source.Repository, "%s", refusal)
	}
	repo := c.s.CodeRepo(r.Namespace, source.Repository)
	if repo.Spec.Webhook == nil {
		return
	}
	listed := f.Events.Listed(repo)
	for _, event := range source.Events {
		if !slices.Contains(listed, event) {
			c.warn(events, "%s does not list %s in its spec.webhook.events, and its hook sends it all the same: add it there", snapshot.RefOf(repo), event)
		}
	}
}

// additionalResources checks that a runtime may read the repository of its
// additional resources.
func (c *checker) additionalResources(r *v1alpha1.ProjectPipelineRuntime) {
	more := r.Spec.AdditionalResources
	if more == nil || more.Git == nil {
		return
	}
	if more.Git.CodeRepo != "" {
		c.permission(resourcesAt().Child("codeRepo"), r.Namespace, more.Git.CodeRepo, []string{r.Spec.Project})
		return
	}
	// The URL is not quoted: it may hold a credential.
	_, refusal, err := c.s.AdditionalResources(r)
	if err != nil {
		c.fail(RuleReference, v1alpha1.ReasonReferenceMissing, resourcesAt().Child("url"), field.OmitValueType{}, "%s", err)
	} else if refusal != "" {
		c.fail(RuleRepositoryURL, v1alpha1.ReasonInvalid, resourcesAt().Child("url"), field.OmitValueType{}, "%s", refusal)
	}
}
