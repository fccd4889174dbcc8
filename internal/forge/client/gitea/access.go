package gitea

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	sdk "code.gitea.io/sdk/gitea"

	"nautes.io/nautes/internal/forge/client"
)

// WhoAmI implements client.AccessClient. Gitea's tokens have no end.
func (c *Client) WhoAmI(ctx context.Context) (client.Caller, error) {
	me, response, err := c.sdk(ctx).GetMyUserInfo()
	if err != nil {
		return client.Caller{}, failure("read the owner of the access token", response, err)
	}
	name := me.FullName
	if name == "" {
		name = me.UserName
	}
	return client.Caller{ID: me.ID, Username: me.UserName, Name: name, Email: me.Email, Administrator: me.IsAdmin}, nil
}

// CanPush implements client.AccessClient. In an empty repository the role decides, because
// Gitea shows the rules of its branches to administrators only.
func (c *Client) CanPush(ctx context.Context, repository int64, branch string) (bool, error) {
	repo, err := c.byID(ctx, repository)
	if err != nil {
		return false, err
	}
	if repo.Archived || repo.Mirror {
		return false, nil
	}
	action := fmt.Sprintf("read the branch %q of %q", branch, repo.FullName)
	found, response, err := c.sdk(ctx).GetRepoBranch(repo.Owner.UserName, repo.Name, branch)
	err = failure(action, response, err)
	switch {
	case err == nil:
		return found.UserCanPush, nil
	case errors.Is(err, client.ErrForbidden):
		// The token may read repositories, so the caller may not read the files of this one.
		return false, &client.Error{Action: action, Class: client.ErrNotFound, Reason: "the caller sees the repository, but not its files"}
	case repo.Empty && errors.Is(err, client.ErrNotFound):
		return repo.Permissions != nil && repo.Permissions.Push, nil
	}
	return false, err
}

// Role implements client.AccessClient. A member of a team with the right of administration
// counts as an owner in Gitea.
func (c *Client) Role(ctx context.Context, repository, user int64) (client.Role, error) {
	repo, err := c.byID(ctx, repository)
	if err != nil {
		return client.RoleNone, err
	}
	me, err := c.WhoAmI(ctx)
	if err != nil {
		return client.RoleNone, err
	}
	name := me.Username
	if me.ID != user {
		name, err = c.userName(ctx, user)
	}
	if err != nil || name == "" {
		return client.RoleNone, err
	}
	action := fmt.Sprintf("read the role of user %d in %q", user, repo.FullName)
	permission, response, err := c.sdk(ctx).CollaboratorPermission(repo.Owner.UserName, repo.Name, name)
	if err := failure(action, response, err); err != nil {
		if errors.Is(err, client.ErrNotFound) {
			return client.RoleNone, nil
		}
		return client.RoleNone, err
	}
	role := roleOf(permission.Permission)
	switch {
	case role >= client.RoleMaintain:
		return role, nil
	case me.ID == user:
		return max(role, roleIn(repo.Permissions)), nil
	}
	return c.teamRole(ctx, repo, name, role)
}

// teamRole returns the highest of a role and the ones that the teams of an organization
// give. The permission of a user has the teams with the right of administration only.
func (c *Client) teamRole(ctx context.Context, repo *sdk.Repository, user string, role client.Role) (client.Role, error) {
	teams, response, err := c.sdk(ctx).GetRepoTeams(repo.Owner.UserName, repo.Name)
	// A repository of a user has no teams, and Gitea answers 405 for it.
	if err != nil && response != nil && response.Response != nil && response.StatusCode == http.StatusMethodNotAllowed {
		return role, nil
	}
	if err != nil {
		return client.RoleNone, failure(quote("list the teams of", repo.FullName), response, err)
	}
	for _, team := range teams {
		given := roleOf(sdk.AccessMode(team.UnitsMap[string(sdk.RepoUnitCode)]))
		if given <= role {
			continue
		}
		_, response, err := c.sdk(ctx).GetTeamMember(team.ID, user)
		err = failure(fmt.Sprintf("look for a user in the team %q of %q", team.Name, repo.Owner.UserName), response, err)
		if errors.Is(err, client.ErrNotFound) {
			continue
		}
		if err != nil {
			return client.RoleNone, err
		}
		role = given
	}
	return role, nil
}

// roleIn returns the role that the permissions of the caller are.
func roleIn(p *sdk.Permission) client.Role {
	switch {
	case p == nil:
		return client.RoleNone
	case p.Admin:
		return client.RoleMaintain
	case p.Push:
		return client.RoleWrite
	case p.Pull:
		return client.RoleRead
	}
	return client.RoleNone
}

// userName returns the name of a user, or nothing for a user that the caller does not see.
func (c *Client) userName(ctx context.Context, user int64) (string, error) {
	found, response, err := c.sdk(ctx).SearchUsers(sdk.SearchUsersOption{UID: user})
	if err != nil {
		return "", failure(fmt.Sprintf("read user %d", user), response, err)
	}
	for _, u := range found {
		if u.ID == user {
			return u.UserName, nil
		}
	}
	return "", nil
}

func roleOf(mode sdk.AccessMode) client.Role {
	switch mode {
	case sdk.AccessModeRead:
		return client.RoleRead
	case sdk.AccessModeWrite:
		return client.RoleWrite
	case sdk.AccessModeAdmin:
		return client.RoleMaintain
	case sdk.AccessModeOwner:
		return client.RoleOwner
	}
	return client.RoleNone
}
