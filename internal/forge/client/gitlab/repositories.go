package gitlab

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/internal/forge/client"
)

func repositoryOf(p *api.Project) client.Repository {
	made := client.Repository{
		ID: p.ID, Path: p.PathWithNamespace, Name: p.Name, Description: p.Description, Visibility: client.Visibility(p.Visibility),
		DefaultBranch: p.DefaultBranch, Empty: p.EmptyRepo, SSHURL: p.SSHURLToRepo, HTTPURL: p.HTTPURLToRepo, WebURL: p.WebURL,
		Leaving: p.MarkedForDeletionOn != nil, Archived: p.Archived,
	}
	if p.Namespace != nil && p.Namespace.Kind == "group" {
		made.GroupID = p.Namespace.ID
	}
	if made.Empty {
		made.DefaultBranch = ""
	}
	return made
}

// project returns the project with a number or full path.
func (c *Client) project(ctx context.Context, action string, id any) (*api.Project, error) {
	p, response, err := c.api.Projects.GetProject(id, nil, api.WithContext(ctx))
	if err == nil && (p.ID == 0 || p.PathWithNamespace == "" || p.Namespace == nil) {
		err = errNonsense
	}
	return p, c.failure(action, response, err)
}

// Repository implements client.RepositoryClient. A repository that was renamed is not
// found by the path before.
func (c *Client) Repository(ctx context.Context, path string) (client.Repository, error) {
	action := quote("read repository", path)
	p, err := c.project(ctx, action, path)
	if err != nil {
		return client.Repository{}, err
	}
	if !strings.EqualFold(p.PathWithNamespace, path) {
		return client.Repository{}, missing(action)
	}
	return repositoryOf(p), nil
}

// RepositoryByID implements client.RepositoryClient.
func (c *Client) RepositoryByID(ctx context.Context, id int64) (client.Repository, error) {
	p, err := c.project(ctx, numbered("read repository", id), id)
	if err != nil {
		return client.Repository{}, err
	}
	return repositoryOf(p), nil
}

func (c *Client) projectsOf(ctx context.Context, group int64, below bool) ([]*api.Project, *api.Response, error) {
	return all(func(o api.ListOptions) ([]*api.Project, *api.Response, error) {
		return c.api.Groups.ListGroupProjects(group, &api.ListGroupProjectsOptions{
			ListOptions: o, WithShared: api.Ptr(false), IncludeSubGroups: api.Ptr(below), OrderBy: api.Ptr("id"), Sort: api.Ptr("asc"),
		}, api.WithContext(ctx))
	})
}

// Repositories implements client.RepositoryClient.
func (c *Client) Repositories(ctx context.Context, group int64) ([]client.Repository, error) {
	found, response, err := c.projectsOf(ctx, group, false)
	if err != nil {
		return nil, c.failure(numbered("list the repositories of group", group), response, err)
	}
	return repositoriesOf(found), nil
}

// RepositoriesNamed implements client.RepositoryClient. A search of GitLab does not find
// every project.
func (c *Client) RepositoriesNamed(ctx context.Context, name string, maintained bool) ([]client.Repository, error) {
	var level *api.AccessLevelValue
	if maintained {
		level = api.Ptr(api.MaintainerPermissions)
	}
	found, response, err := all(func(o api.ListOptions) ([]*api.Project, *api.Response, error) {
		return c.api.Projects.ListProjects(&api.ListProjectsOptions{
			ListOptions: o, Search: api.Ptr(name), MinAccessLevel: level, OrderBy: api.Ptr("id"), Sort: api.Ptr("asc"),
		}, api.WithContext(ctx))
	})
	if err != nil {
		return nil, c.failure(quote("list the repositories named", name), response, err)
	}
	// A search finds parts of names as well.
	found = slices.DeleteFunc(found, func(p *api.Project) bool { return path.Base(p.PathWithNamespace) != name })
	return repositoriesOf(found), nil
}

// repositoriesOf returns projects as repositories, sorted by path. Lists change while
// their pages are read, so that they may have a project twice.
func repositoriesOf(found []*api.Project) []client.Repository {
	repositories := make([]client.Repository, 0, len(found))
	for _, p := range found {
		repositories = append(repositories, repositoryOf(p))
	}
	slices.SortFunc(repositories, func(a, b client.Repository) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.ID, b.ID))
	})
	return slices.CompactFunc(repositories, func(a, b client.Repository) bool { return a.ID == b.ID })
}

// EnsureRepository implements client.RepositoryClient.
func (c *Client) EnsureRepository(ctx context.Context, spec client.RepositorySpec) (client.Repository, error) {
	action := quote("create repository", spec.Path)
	g, err := c.group(ctx, action, spec.GroupID)
	if err != nil {
		return client.Repository{}, err
	}
	found, err := c.Repository(ctx, g.FullPath+"/"+spec.Path)
	if has(err, client.ErrNotFound) {
		found, err = c.createRepository(ctx, action, g, spec)
	}
	if err != nil {
		return client.Repository{}, err
	}
	if found.Leaving {
		return client.Repository{}, leaving(action)
	}
	return c.changeRepository(ctx, found, spec)
}

func (c *Client) createRepository(ctx context.Context, action string, g *api.Group, spec client.RepositorySpec) (client.Repository, error) {
	options := &api.CreateProjectOptions{
		Name: api.Ptr(cmp.Or(spec.Name, spec.Path)), Path: api.Ptr(spec.Path), NamespaceID: api.Ptr(spec.GroupID),
		Description: api.Ptr(spec.Description), InitializeWithReadme: api.Ptr(spec.Initialize),
		Visibility: api.Ptr(api.VisibilityValue(cmp.Or(spec.Visibility, client.VisibilityPrivate))),
	}
	if spec.DefaultBranch != "" {
		options.DefaultBranch = api.Ptr(spec.DefaultBranch)
	}
	made, response, err := c.api.Projects.CreateProject(options, api.WithContext(ctx))
	if err == nil && (made.ID == 0 || made.Namespace == nil || made.Namespace.ID != spec.GroupID) {
		err = errNonsense
	}
	if err == nil {
		return repositoryOf(made), nil
	}
	failed := c.failure(action, response, err)
	if !has(failed, client.ErrConflict) {
		return client.Repository{}, failed
	}
	// Another request has made it meanwhile, or it is hidden from the caller.
	if found, err := c.Repository(ctx, g.FullPath+"/"+spec.Path); err == nil {
		return found, nil
	}
	return client.Repository{}, failed
}

// changeRepository changes the fields in which a repository differs.
func (c *Client) changeRepository(ctx context.Context, found client.Repository, spec client.RepositorySpec) (client.Repository, error) {
	options := &api.EditProjectOptions{}
	changes := false
	if name := cmp.Or(spec.Name, found.Name); name != found.Name {
		options.Name, changes = api.Ptr(name), true
	}
	if spec.Description != found.Description {
		options.Description, changes = api.Ptr(spec.Description), true
	}
	if visibility := cmp.Or(spec.Visibility, found.Visibility); visibility != found.Visibility {
		options.Visibility, changes = api.Ptr(api.VisibilityValue(visibility)), true
	}
	if branch := cmp.Or(spec.DefaultBranch, found.DefaultBranch); branch != found.DefaultBranch && !found.Empty {
		options.DefaultBranch, changes = api.Ptr(branch), true
	}
	if !changes {
		return found, nil
	}
	changed, response, err := c.api.Projects.EditProject(found.ID, options, api.WithContext(ctx))
	if err == nil && changed.ID != found.ID {
		err = errNonsense
	}
	if err != nil {
		return client.Repository{}, c.failure(quote("change repository", found.Path), response, err)
	}
	return repositoryOf(changed), nil
}

// RemoveRepository implements client.RepositoryClient.
func (c *Client) RemoveRepository(ctx context.Context, id int64) error {
	response, err := c.api.Projects.DeleteProject(id, nil, api.WithContext(ctx))
	return c.removed(numbered("remove repository", id), response, err)
}
