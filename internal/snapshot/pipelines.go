package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/giturl"
)

// defaultEventNamespace is the namespace of Argo Events by default.
const defaultEventNamespace = "argo-events"

// EventNamespace returns the namespace in which a cluster listens to events.
func (s *Snapshot) EventNamespace(c *v1alpha1.Cluster) string {
	component, _ := s.ChoiceOf(c, v1alpha1.CategoryEventListener)
	return cmp.Or(component.Namespace, defaultEventNamespace)
}

// ProjectRepository returns the URL of a code repository that a project of a product
// may use. A refusal says why the project may not use it, and how to resolve it. The
// error is a *MissingError and means that the question cannot be decided yet.
func (s *Snapshot) ProjectRepository(product, project, repo string) (url, refusal string, err error) {
	r := s.CodeRepo(product, repo)
	if r == nil {
		return "", "CodeRepo " + repo + " does not exist: create it, or correct the name", nil
	}
	if s.Permission(product, project, repo) == "" {
		return "", fmt.Sprintf("CodeRepo %s is not granted to the project %s: add a CodeRepoBinding for it, or use a repository of the project", repo, project), nil
	}
	url, err = s.RepositoryURL(r)
	var wrong *RepositoryError
	if errors.As(err, &wrong) {
		return "", wrong.Error(), nil
	}
	return url, "", err
}

// EventSourceRefusal returns the reason why a pipeline runtime may not use an event
// source, and how to resolve it, or "" if it may. The error is the same as for
// ProjectRepository.
func (s *Snapshot) EventSourceRefusal(r *v1alpha1.ProjectPipelineRuntime, e v1alpha1.EventSource) (string, error) {
	f, source, listens := forges.SourceOf(e)
	if !listens {
		return "", nil
	}
	_, refusal, err := s.ProjectRepository(r.Namespace, r.Spec.Project, source.Repository)
	if err != nil || refusal != "" {
		return refusal, err
	}
	repo := s.CodeRepo(r.Namespace, source.Repository)
	provider := s.CodeRepoProvider(repo.Spec.CodeRepoProvider)
	if provider == nil || provider.Spec.ProviderType != f.Type {
		return fmt.Sprintf("CodeRepo %s is on no %s that is registered: set its spec.codeRepoProvider to one, or remove the event source", repo.Name, f.Name), nil
	}
	return "", nil
}

// IllegalEventSources lists the event sources that a pipeline runtime may not use, in
// the order of its spec; none of their triggers is armed. An event source that cannot
// be decided yet is skipped.
func (s *Snapshot) IllegalEventSources(r *v1alpha1.ProjectPipelineRuntime) []v1alpha1.IllegalEventSource {
	var illegal []v1alpha1.IllegalEventSource
	for _, e := range r.Spec.EventSources {
		if refusal, _ := s.EventSourceRefusal(r, e); refusal != "" {
			illegal = append(illegal, v1alpha1.IllegalEventSource{EventSource: e.Name, Reason: refusal})
		}
	}
	return illegal
}

// AdditionalResources returns the URL of the repository with the additional resources
// of a pipeline runtime, or "" if it has none. Refusal and error are the same as for
// ProjectRepository.
func (s *Snapshot) AdditionalResources(r *v1alpha1.ProjectPipelineRuntime) (url, refusal string, err error) {
	if r.Spec.AdditionalResources == nil || r.Spec.AdditionalResources.Git == nil {
		return "", "", nil
	}
	git := r.Spec.AdditionalResources.Git
	if git.CodeRepo != "" {
		return s.ProjectRepository(r.Namespace, r.Spec.Project, git.CodeRepo)
	}
	if git.URL == "" {
		return "", "", nil
	}
	refusal, err = s.checkPlainURL(r, git.URL)
	if err != nil || refusal != "" {
		return "", refusal, err
	}
	return giturl.Plain(git.URL), "", nil
}

// checkPlainURL returns the reason why a pipeline runtime may not read a URL that is
// no CodeRepo. The URL is checked like the URL of a CodeRepo without a provider, and
// grants no more than a CodeRepo of the same repository.
func (s *Snapshot) checkPlainURL(r *v1alpha1.ProjectPipelineRuntime, url string) (refusal string, err error) {
	plain := &v1alpha1.CodeRepo{}
	plain.Namespace, plain.Spec.URL = r.Namespace, url
	var wrong *RepositoryError
	switch _, err := s.RepositoryURL(plain); {
	case errors.As(err, &wrong):
		return "the URL of the additional resources cannot be used: " + wrong.Problem, nil
	case err != nil:
		return "", err
	}
	known := slices.IndexFunc(s.repos.byNamespace[r.Namespace], func(repo *v1alpha1.CodeRepo) bool {
		other, _ := s.RepositoryURL(repo)
		return giturl.Repository(other) == giturl.Repository(url) && s.Permission(r.Namespace, r.Spec.Project, repo.Name) == ""
	})
	if known >= 0 {
		name := s.repos.byNamespace[r.Namespace][known].Name
		return fmt.Sprintf("the URL belongs to CodeRepo %s, which is not granted to the project %s: add a CodeRepoBinding for it, and name it in codeRepo", name, r.Spec.Project), nil
	}
	return "", nil
}
