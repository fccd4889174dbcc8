package gitlab

import (
	"context"
	"net/http"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/internal/forge/client"
)

// WhoAmI implements client.AccessClient. The end of an OAuth token is not read: such
// tokens live for hours.
func (c *Client) WhoAmI(ctx context.Context) (client.Caller, error) {
	const action = "read the owner of the access token"
	user, response, err := c.api.Users.CurrentUser(api.WithContext(ctx))
	if err == nil && (user.ID == 0 || user.Username == "") {
		err = errNonsense
	}
	if err != nil {
		return client.Caller{}, c.failure(action, response, err)
	}
	caller := client.Caller{ID: user.ID, Username: user.Username, Name: user.Name, Email: user.Email, Administrator: user.IsAdmin}
	token, response, err := c.api.PersonalAccessTokens.GetSinglePersonalAccessToken(api.WithContext(ctx))
	switch {
	case api.HasStatusCode(err, http.StatusBadRequest):
		// It is the token of OAuth or of a job.
	case err != nil:
		return client.Caller{}, c.failure(action, response, err)
	case token.ExpiresAt != nil:
		caller.TokenExpiresAt = time.Time(*token.ExpiresAt)
	}
	return caller, nil
}

// CanPush implements client.AccessClient.
func (c *Client) CanPush(ctx context.Context, repository int64, branch string) (bool, error) {
	action := numbered(quote("check the right to push to branch", branch)+" of repository", repository)
	found, response, err := c.api.Branches.GetBranch(repository, branch, api.WithContext(ctx))
	if err == nil && found.Name != branch {
		err = errNonsense
	}
	if err == nil {
		return found.CanPush, nil
	}
	failed := c.failure(action, response, err)
	switch {
	case has(failed, client.ErrForbidden) && !mentions(err, "insufficient_scope"):
		// Guests see the repository, and not its branches.
		return false, &client.Error{Action: action, Class: client.ErrNotFound, Reason: "the caller sees the repository, but not its files"}
	case !has(failed, client.ErrNotFound):
		return false, failed
	}
	project, err := c.project(ctx, action, repository)
	switch {
	case err != nil:
		return false, err
	case !project.EmptyRepo:
		return false, failed
	}
	return c.canPushFirst(ctx, action, project)
}

// canPushFirst reports whether the caller may make the first branch of an empty
// repository. The protection of default branches in the group decides.
func (c *Client) canPushFirst(ctx context.Context, action string, project *api.Project) (bool, error) {
	if project.Archived || project.MarkedForDeletionOn != nil {
		return false, nil
	}
	user, response, err := c.api.Users.CurrentUser(api.WithContext(ctx))
	if err != nil {
		return false, c.failure(action, response, err)
	}
	if user.IsAdmin {
		return true, nil
	}
	level, err := c.level(ctx, action, project.ID, user.ID)
	if err != nil || level < api.DeveloperPermissions || level >= api.MaintainerPermissions {
		return level >= api.MaintainerPermissions, err
	}
	group, response, err := c.api.Groups.GetGroup(project.Namespace.ID, nil, api.WithContext(ctx))
	if err != nil {
		return false, c.failure(action, response, err)
	}
	defaults := group.DefaultBranchProtectionDefaults
	if defaults == nil {
		// GitLab shows them to some users only, and protects default branches unless
		// it was told otherwise.
		return false, nil
	}
	if defaults.DeveloperCanInitialPush {
		return true, nil
	}
	for _, allowed := range defaults.AllowedToPush {
		if allowed.AccessLevel != nil && *allowed.AccessLevel != api.NoPermissions && *allowed.AccessLevel <= level {
			return true, nil
		}
	}
	return false, nil
}

// level returns the level of a user in a repository, inherited levels included.
func (c *Client) level(ctx context.Context, action string, repository, user int64) (api.AccessLevelValue, error) {
	member, response, err := c.api.ProjectMembers.GetInheritedProjectMember(repository, user, api.WithContext(ctx))
	if err == nil && member.ID != user {
		err = errNonsense
	}
	failed := c.failure(action, response, err)
	if has(failed, client.ErrNotFound) {
		return api.NoPermissions, nil
	}
	if failed != nil {
		return api.NoPermissions, failed
	}
	return member.AccessLevel, nil
}

// Role implements client.AccessClient.
func (c *Client) Role(ctx context.Context, repository, user int64) (client.Role, error) {
	action := numbered(numbered("read the role of user", user)+" in repository", repository)
	level, err := c.level(ctx, action, repository, user)
	if err != nil {
		return client.RoleNone, err
	}
	if level == api.NoPermissions {
		// The answer for a user without a role is the same as for a hidden repository.
		if _, err := c.project(ctx, action, repository); err != nil {
			return client.RoleNone, err
		}
	}
	return roleOf(level), nil
}

// roleOf returns the role of a level. GitLab adds levels between these, so they are
// compared and not listed.
func roleOf(level api.AccessLevelValue) client.Role {
	switch {
	case level >= api.OwnerPermissions:
		return client.RoleOwner
	case level >= api.MaintainerPermissions:
		return client.RoleMaintain
	case level >= api.DeveloperPermissions:
		return client.RoleWrite
	case level >= api.ReporterPermissions:
		return client.RoleRead
	case level >= api.GuestPermissions:
		return client.RoleGuest
	}
	return client.RoleNone
}
