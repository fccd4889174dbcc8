package gitlab

import (
	"cmp"
	"context"
	"net/http"
	"path"
	"slices"
	"strings"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/internal/forge/client"
)

func groupOf(g *api.Group) client.Group {
	return client.Group{
		ID: g.ID, ParentID: g.ParentID, Path: g.FullPath, Name: g.Name, Description: g.Description,
		Visibility: client.Visibility(g.Visibility), WebURL: g.WebURL, Leaving: g.MarkedForDeletionOn != nil,
	}
}

// group returns the group with a number or full path.
func (c *Client) group(ctx context.Context, action string, id any) (*api.Group, error) {
	// The list of the group's projects is left out.
	options := &api.GetGroupOptions{WithProjects: api.Ptr(false)} //nolint:staticcheck // GitLab sends the list without it
	g, response, err := c.api.Groups.GetGroup(id, options, api.WithContext(ctx))
	if err == nil && (g.ID == 0 || g.FullPath == "") {
		err = errNonsense
	}
	return g, c.failure(action, response, err)
}

// Group implements client.GroupClient.
func (c *Client) Group(ctx context.Context, path string) (client.Group, error) {
	action := quote("read group", path)
	g, err := c.group(ctx, action, path)
	if err != nil {
		return client.Group{}, err
	}
	if !strings.EqualFold(g.FullPath, path) {
		return client.Group{}, missing(action)
	}
	return groupOf(g), nil
}

// GroupByID implements client.GroupClient.
func (c *Client) GroupByID(ctx context.Context, id int64) (client.Group, error) {
	g, err := c.group(ctx, numbered("read group", id), id)
	if err != nil {
		return client.Group{}, err
	}
	return groupOf(g), nil
}

// Groups implements client.GroupClient. Pages have numbers, because GitLab pages groups
// by key for anonymous callers only.
func (c *Client) Groups(ctx context.Context) ([]client.Group, error) {
	found, response, err := all(func(o api.ListOptions) ([]*api.Group, *api.Response, error) {
		return c.api.Groups.ListGroups(&api.ListGroupsOptions{
			ListOptions: o, MinAccessLevel: api.Ptr(api.GuestPermissions), OrderBy: api.Ptr("id"), Sort: api.Ptr("asc"),
		}, api.WithContext(ctx))
	})
	if err != nil {
		return nil, c.failure("list groups", response, err)
	}
	groups := make([]client.Group, 0, len(found))
	for _, g := range found {
		groups = append(groups, groupOf(g))
	}
	slices.SortFunc(groups, func(a, b client.Group) int { return cmp.Or(strings.Compare(a.Path, b.Path), cmp.Compare(a.ID, b.ID)) })
	// A group that was made meanwhile can be in two pages.
	return slices.CompactFunc(groups, func(a, b client.Group) bool { return a.ID == b.ID }), nil
}

// EnsureGroup implements client.GroupClient.
func (c *Client) EnsureGroup(ctx context.Context, spec client.GroupSpec) (client.Group, error) {
	found, err := c.Group(ctx, spec.Path)
	if has(err, client.ErrNotFound) {
		found, err = c.createGroup(ctx, spec)
	}
	if err != nil {
		return client.Group{}, err
	}
	if found.Leaving {
		return client.Group{}, leaving(quote("create group", spec.Path))
	}
	return c.changeGroup(ctx, found, spec)
}

func (c *Client) createGroup(ctx context.Context, spec client.GroupSpec) (client.Group, error) {
	action := quote("create group", spec.Path)
	part := path.Base(spec.Path)
	visibility := cmp.Or(spec.Visibility, client.VisibilityPrivate)
	options := &api.CreateGroupOptions{Name: api.Ptr(cmp.Or(spec.Name, part)), Path: api.Ptr(part), Description: api.Ptr(spec.Description)}
	if above := path.Dir(spec.Path); above != "." {
		parent, err := c.group(ctx, action, above)
		if err != nil {
			return client.Group{}, err
		}
		options.ParentID = api.Ptr(parent.ID)
		visibility = cmp.Or(spec.Visibility, client.Visibility(parent.Visibility))
	}
	options.Visibility = api.Ptr(api.VisibilityValue(visibility))
	made, response, err := c.api.Groups.CreateGroup(options, api.WithContext(ctx))
	if err == nil && (made.ID == 0 || made.FullPath != spec.Path) {
		err = errNonsense
	}
	if err == nil {
		return groupOf(made), nil
	}
	failed := c.failure(action, response, err)
	if !has(failed, client.ErrConflict) {
		return client.Group{}, failed
	}
	// Another request has made it meanwhile, or it is hidden from the caller.
	if found, err := c.Group(ctx, spec.Path); err == nil {
		return found, nil
	}
	return client.Group{}, failed
}

// changeGroup changes the fields in which a group differs.
func (c *Client) changeGroup(ctx context.Context, found client.Group, spec client.GroupSpec) (client.Group, error) {
	options := &api.UpdateGroupOptions{}
	if name := cmp.Or(spec.Name, found.Name); name != found.Name {
		options.Name = api.Ptr(name)
	}
	if spec.Description != found.Description {
		options.Description = api.Ptr(spec.Description)
	}
	if visibility := cmp.Or(spec.Visibility, found.Visibility); visibility != found.Visibility {
		options.Visibility = api.Ptr(api.VisibilityValue(visibility))
	}
	if *options == (api.UpdateGroupOptions{}) {
		return found, nil
	}
	changed, response, err := c.api.Groups.UpdateGroup(found.ID, options, api.WithContext(ctx))
	if err == nil && changed.ID != found.ID {
		err = errNonsense
	}
	if err != nil {
		return client.Group{}, c.failure(quote("change group", spec.Path), response, err)
	}
	return groupOf(changed), nil
}

// RemoveGroup implements client.GroupClient.
func (c *Client) RemoveGroup(ctx context.Context, id int64) error {
	action := numbered("remove group", id)
	g, err := c.group(ctx, action, id)
	if err != nil {
		return err
	}
	if g.MarkedForDeletionOn != nil {
		return nil
	}
	projects, response, err := c.projectsOf(ctx, id, true)
	if err != nil {
		return c.failure(action, response, err)
	}
	for _, p := range projects {
		if p.MarkedForDeletionOn == nil {
			return &client.Error{Action: action, Class: client.ErrConflict, Reason: quote("it has repository", p.PathWithNamespace)}
		}
	}
	groups, response, err := all(func(o api.ListOptions) ([]*api.Group, *api.Response, error) {
		return c.api.Groups.ListSubGroups(id, &api.ListSubGroupsOptions{ListOptions: o}, api.WithContext(ctx))
	})
	if err != nil {
		return c.failure(action, response, err)
	}
	for _, below := range groups {
		if below.MarkedForDeletionOn == nil {
			return &client.Error{Action: action, Class: client.ErrConflict, Reason: quote("it has group", below.FullPath)}
		}
	}
	response, err = c.api.Groups.DeleteGroup(id, nil, api.WithContext(ctx))
	return c.removed(action, response, err)
}

// removed returns the error of a deletion, or nil for a second one.
func (c *Client) removed(action string, response *api.Response, err error) error {
	if mentions(err, "already been marked for deletion") {
		return nil
	}
	if err == nil && response.StatusCode != http.StatusAccepted && response.StatusCode != http.StatusNoContent {
		err = errNonsense
	}
	return c.failure(action, response, err)
}
