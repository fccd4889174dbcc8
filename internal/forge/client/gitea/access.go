package gitea

import (
	"context"
	"errors"
	"fmt"

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
	if err := failure(action, response, err); err != nil {
		if repo.Empty && errors.Is(err, client.ErrNotFound) {
			return repo.Permissions != nil && repo.Permissions.Push, nil
		}
		return false, err
	}
	return found.UserCanPush, nil
}

// Role implements client.AccessClient. A member of a team with the right of administration
// counts as an owner in Gitea.
func (c *Client) Role(ctx context.Context, repository, user int64) (client.Role, error) {
	repo, err := c.byID(ctx, repository)
	if err != nil {
		return client.RoleNone, err
	}
	name, err := c.userName(ctx, user)
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
	return roleOf(permission.Permission), nil
}

// userName returns the name of a user, or nothing for a user that the caller does not
// see. The caller needs no right to search for itself.
func (c *Client) userName(ctx context.Context, user int64) (string, error) {
	me, err := c.WhoAmI(ctx)
	if err != nil || me.ID == user {
		return me.Username, err
	}
	found, response, err := c.sdk(ctx).GetUserByID(user)
	if err != nil && response != nil && response.StatusCode/100 == 2 {
		return "", nil
	}
	if err != nil {
		return "", failure(fmt.Sprintf("read user %d", user), response, err)
	}
	return found.UserName, nil
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
