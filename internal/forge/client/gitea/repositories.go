package gitea

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	sdk "code.gitea.io/sdk/gitea"

	"nautes.io/nautes/internal/forge/client"
)

// Repository implements client.RepositoryClient. The group is a user or an organization.
func (c *Client) Repository(ctx context.Context, path string) (client.Repository, error) {
	action := quote("read repository", path)
	owner, name, ok := strings.Cut(path, "/")
	if !ok || owner == "" || name == "" || strings.Contains(name, "/") {
		return client.Repository{}, missing(action)
	}
	repo, response, err := c.sdk(ctx).GetRepo(owner, name)
	if err != nil {
		return client.Repository{}, failure(action, response, err)
	}
	return repositoryOf(repo), nil
}

// RepositoryByID implements client.RepositoryClient.
func (c *Client) RepositoryByID(ctx context.Context, id int64) (client.Repository, error) {
	repo, err := c.byID(ctx, id)
	if err != nil {
		return client.Repository{}, err
	}
	return repositoryOf(repo), nil
}

func (c *Client) byID(ctx context.Context, id int64) (*sdk.Repository, error) {
	action := fmt.Sprintf("read repository %d", id)
	repo, response, err := c.sdk(ctx).GetRepoByID(id)
	if err != nil {
		return nil, failure(action, response, err)
	}
	if repo.Owner == nil {
		return nil, &client.Error{Action: action, Class: client.ErrUnavailable, Reason: "Gitea answers without an owner"}
	}
	return repo, nil
}

// Repositories implements client.RepositoryClient.
func (c *Client) Repositories(ctx context.Context, group int64) ([]client.Repository, error) {
	owner, err := c.GroupByID(ctx, group)
	if err != nil {
		return nil, err
	}
	found, response, err := all(func(o sdk.ListOptions) ([]*sdk.Repository, *sdk.Response, error) {
		return c.sdk(ctx).ListOrgRepos(owner.Path, sdk.ListOrgReposOptions{ListOptions: o})
	})
	if err != nil {
		return nil, failure(quote("list the repositories of group", owner.Path), response, err)
	}
	return repositoriesOf(found), nil
}

// RepositoriesNamed implements client.RepositoryClient. The rights of administrators count
// as theirs in all repositories.
func (c *Client) RepositoriesNamed(ctx context.Context, name string, maintained bool) ([]client.Repository, error) {
	found, response, err := all(func(o sdk.ListOptions) ([]*sdk.Repository, *sdk.Response, error) {
		return c.sdk(ctx).SearchRepos(sdk.SearchRepoOptions{ListOptions: o, Keyword: name, Sort: "created", Order: "asc"})
	})
	if err != nil {
		return nil, failure(quote("list the repositories named", name), response, err)
	}
	// A search finds parts of names as well.
	return repositoriesOf(slices.DeleteFunc(found, func(r *sdk.Repository) bool {
		return r.Name != name || r.Owner == nil || maintained && (r.Permissions == nil || !r.Permissions.Admin)
	})), nil
}

// repositoriesOf returns repositories sorted by path. Lists change while their pages are
// read, so that they may have a repository twice.
func repositoriesOf(found []*sdk.Repository) []client.Repository {
	repositories := make([]client.Repository, 0, len(found))
	for _, repo := range found {
		repositories = append(repositories, repositoryOf(repo))
	}
	slices.SortFunc(repositories, func(a, b client.Repository) int { return cmp.Compare(a.Path, b.Path) })
	return slices.CompactFunc(repositories, func(a, b client.Repository) bool { return a.ID == b.ID })
}

// EnsureRepository implements client.RepositoryClient. The visibility of a repository that
// exists stays as it is where the spec leaves it empty. Its name is its path.
func (c *Client) EnsureRepository(ctx context.Context, spec client.RepositorySpec) (client.Repository, error) {
	if spec.Visibility == client.VisibilityInternal {
		return client.Repository{}, refusal(quote("create repository", spec.Path), "Gitea has private and public repositories only")
	}
	group, err := c.GroupByID(ctx, spec.GroupID)
	if err != nil {
		return client.Repository{}, err
	}
	path := group.Path + "/" + spec.Path
	found, err := c.Repository(ctx, path)
	if errors.Is(err, client.ErrNotFound) {
		repo, response, failed := c.sdk(ctx).CreateOrgRepo(group.Path, sdk.CreateRepoOption{
			Name: spec.Path, Description: spec.Description, Private: spec.Visibility != client.VisibilityPublic,
			AutoInit: spec.Initialize, DefaultBranch: spec.DefaultBranch,
		})
		if failed == nil {
			return repositoryOf(repo), nil
		}
		err = failure(quote("create repository", path), response, failed)
		if errors.Is(err, client.ErrConflict) {
			// Another request may have made it.
			if again, reread := c.Repository(ctx, path); reread == nil {
				found, err = again, nil
			}
		}
	}
	if err != nil {
		return client.Repository{}, err
	}
	return c.changeRepository(ctx, group.Path, found, spec)
}

func (c *Client) changeRepository(ctx context.Context, group string, found client.Repository, spec client.RepositorySpec) (client.Repository, error) {
	var change sdk.EditRepoOption
	changed := false
	if spec.Description != found.Description {
		change.Description, changed = &spec.Description, true
	}
	private := spec.Visibility == client.VisibilityPrivate
	if spec.Visibility != "" && private != (found.Visibility == client.VisibilityPrivate) {
		change.Private, changed = &private, true
	}
	if !changed {
		return found, nil
	}
	repo, response, err := c.sdk(ctx).EditRepo(group, spec.Path, change)
	if err != nil {
		return client.Repository{}, failure(quote("change repository", found.Path), response, err)
	}
	return repositoryOf(repo), nil
}

// RemoveRepository implements client.RepositoryClient.
func (c *Client) RemoveRepository(ctx context.Context, id int64) error {
	repo, err := c.byID(ctx, id)
	if err != nil {
		return err
	}
	response, err := c.sdk(ctx).DeleteRepo(repo.Owner.UserName, repo.Name)
	return failure(quote("remove repository", repo.FullName), response, err)
}

func repositoryOf(repo *sdk.Repository) client.Repository {
	found := client.Repository{
		ID: repo.ID, Path: repo.FullName, Name: repo.Name, Description: repo.Description,
		Visibility: client.VisibilityPublic, DefaultBranch: repo.DefaultBranch, Empty: repo.Empty,
		SSHURL: repo.SSHURL, HTTPURL: repo.CloneURL, WebURL: repo.HTMLURL, Archived: repo.Archived,
	}
	if repo.Owner != nil {
		found.GroupID = repo.Owner.ID
	}
	switch {
	case repo.Private:
		found.Visibility = client.VisibilityPrivate
	case repo.Internal:
		found.Visibility = client.VisibilityInternal
	}
	if found.Empty {
		found.DefaultBranch = ""
	}
	return found
}
