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

// Group implements client.GroupClient. A path with a slash is no organization.
func (c *Client) Group(ctx context.Context, path string) (client.Group, error) {
	action := quote("read group", path)
	if path == "" || strings.Contains(path, "/") {
		return client.Group{}, missing(action)
	}
	org, response, err := c.sdk(ctx).GetOrg(path)
	if err != nil {
		return client.Group{}, failure(action, response, err)
	}
	return c.groupOf(org), nil
}

// GroupByID implements client.GroupClient. Gitea has no request for an organization by
// its id: the ones of the caller are looked through first, which has the private ones.
func (c *Client) GroupByID(ctx context.Context, id int64) (client.Group, error) {
	action := fmt.Sprintf("read group %d", id)
	api := c.sdk(ctx)
	for _, list := range []func(sdk.ListOrgsOptions) ([]*sdk.Organization, *sdk.Response, error){api.ListMyOrgs, api.ListOrgs} {
		orgs, response, err := all(func(o sdk.ListOptions) ([]*sdk.Organization, *sdk.Response, error) {
			return list(sdk.ListOrgsOptions{ListOptions: o})
		})
		if err != nil {
			return client.Group{}, failure(action, response, err)
		}
		if i := slices.IndexFunc(orgs, func(o *sdk.Organization) bool { return o.ID == id }); i >= 0 {
			return c.groupOf(orgs[i]), nil
		}
	}
	return client.Group{}, missing(action)
}

// Groups implements client.GroupClient.
func (c *Client) Groups(ctx context.Context) ([]client.Group, error) {
	orgs, response, err := all(func(o sdk.ListOptions) ([]*sdk.Organization, *sdk.Response, error) {
		return c.sdk(ctx).ListMyOrgs(sdk.ListOrgsOptions{ListOptions: o})
	})
	if err != nil {
		return nil, failure("list the groups", response, err)
	}
	groups := make([]client.Group, 0, len(orgs))
	for _, org := range orgs {
		groups = append(groups, c.groupOf(org))
	}
	slices.SortFunc(groups, func(a, b client.Group) int { return cmp.Compare(a.Path, b.Path) })
	return groups, nil
}

// EnsureGroup implements client.GroupClient. The name and the visibility of a group that
// exists stay as they are where the spec leaves them empty.
func (c *Client) EnsureGroup(ctx context.Context, spec client.GroupSpec) (client.Group, error) {
	if strings.Contains(spec.Path, "/") {
		return client.Group{}, refusal(quote("create group", spec.Path), "Gitea has no groups in groups: use a name without a slash")
	}
	found, err := c.Group(ctx, spec.Path)
	switch {
	case errors.Is(err, client.ErrNotFound):
		return c.createGroup(ctx, spec)
	case err != nil:
		return client.Group{}, err
	}
	return c.changeGroup(ctx, found, spec)
}

func (c *Client) createGroup(ctx context.Context, spec client.GroupSpec) (client.Group, error) {
	action := quote("create group", spec.Path)
	visibility := spec.Visibility
	if visibility == "" {
		visibility = client.VisibilityPrivate
	}
	org, response, err := c.sdk(ctx).CreateOrg(sdk.CreateOrgOption{
		Name: spec.Path, FullName: spec.Name, Description: spec.Description, Visibility: orgVisibility(visibility),
	})
	if err == nil {
		return c.groupOf(org), nil
	}
	failed := failure(action, response, err)
	if errors.Is(failed, client.ErrInvalid) {
		// Another request may have made it, or a user has the name.
		if found, again := c.Group(ctx, spec.Path); again == nil {
			return c.changeGroup(ctx, found, spec)
		}
		if isTaken(err) {
			return client.Group{}, &client.Error{Action: action, Class: client.ErrConflict, Reason: "the name is taken"}
		}
	}
	return client.Group{}, failed
}

// isTaken reports whether Gitea refuses a name that a user or organization has. It has
// no code of its own for that.
func isTaken(err error) bool { return strings.Contains(err.Error(), "already exists") }

func (c *Client) changeGroup(ctx context.Context, found client.Group, spec client.GroupSpec) (client.Group, error) {
	wanted := found
	wanted.Name, wanted.Description, wanted.Visibility = cmp.Or(spec.Name, found.Name), spec.Description, cmp.Or(spec.Visibility, found.Visibility)
	if wanted == found {
		return found, nil
	}
	// A request for a change clears the fields that it leaves out.
	action := quote("change group", found.Path)
	org, response, err := c.sdk(ctx).GetOrg(found.Path)
	if err != nil {
		return client.Group{}, failure(action, response, err)
	}
	response, err = c.sdk(ctx).EditOrg(found.Path, sdk.EditOrgOption{
		FullName: wanted.Name, Description: wanted.Description, Visibility: orgVisibility(wanted.Visibility),
		Email: org.Email, Website: org.Website, Location: org.Location,
	})
	if err != nil {
		return client.Group{}, failure(action, response, err)
	}
	return wanted, nil
}

// RemoveGroup implements client.GroupClient. Gitea answers with an internal error for an
// organization that has repositories, so they are looked for first.
func (c *Client) RemoveGroup(ctx context.Context, id int64) error {
	group, err := c.GroupByID(ctx, id)
	if err != nil {
		return err
	}
	action := quote("remove group", group.Path)
	repositories, response, err := c.sdk(ctx).ListOrgRepos(group.Path, sdk.ListOrgReposOptions{})
	if err != nil {
		return failure(action, response, err)
	}
	if len(repositories) > 0 {
		return &client.Error{Action: action, Class: client.ErrConflict, Reason: "the group has repositories"}
	}
	response, err = c.sdk(ctx).DeleteOrg(group.Path)
	return failure(action, response, err)
}

func (c *Client) groupOf(org *sdk.Organization) client.Group {
	group := client.Group{
		ID: org.ID, Path: org.Name, Name: org.FullName, Description: org.Description,
		Visibility: client.VisibilityPrivate, WebURL: c.server + "/" + org.Name,
	}
	if group.Name == "" {
		group.Name = group.Path
	}
	switch sdk.VisibleType(org.Visibility) {
	case sdk.VisibleTypePublic:
		group.Visibility = client.VisibilityPublic
	case sdk.VisibleTypeLimited:
		group.Visibility = client.VisibilityInternal
	}
	return group
}

func orgVisibility(v client.Visibility) sdk.VisibleType {
	switch v {
	case client.VisibilityPublic:
		return sdk.VisibleTypePublic
	case client.VisibilityInternal:
		return sdk.VisibleTypeLimited
	}
	return sdk.VisibleTypePrivate
}
