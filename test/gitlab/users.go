package gitlab

import (
	"net/http"
	"strings"
)

// routes returns all routes of the emulator.
func routes() []route {
	var all []route
	for _, some := range [][]route{
		userRoutes(), groupRoutes(), projectRoutes(), memberRoutes(), branchRoutes(), protectionRoutes(), keyRoutes(), hookRoutes(), statusRoutes(),
	} {
		all = append(all, some...)
	}
	return all
}

func userRoutes() []route {
	return []route{
		{
			method: "GET", path: "/version", scopes: userScopes(), serve: (*call).version,
			source: "docs.gitlab.com/api/version", unverified: "the scopes",
		},
		{
			method: "GET", path: "/metadata", scopes: userScopes(), serve: (*call).version,
			source: "docs.gitlab.com/api/metadata", unverified: "the scopes",
		},
		{
			method: "GET", path: "/user", scopes: userScopes(), serve: func(c *call) reply { return ok(c.fullUser(c.user)) },
			source: "docs.gitlab.com/api/users",
		},
		{
			method: "GET", path: "/users", args: "username search" + paging, scopes: userScopes(), serve: (*call).listUsers,
			source: "docs.gitlab.com/api/users",
		},
		{
			method: "GET", path: "/users/:user_id", scopes: userScopes(), serve: (*call).getUser,
			source: "docs.gitlab.com/api/users",
		},
		{
			method: "GET", path: "/personal_access_tokens/self", serve: (*call).tokenSelf,
			source: "lib/api/personal_access_tokens/self_information.rb",
		},
		{
			method: "GET", path: "/oauth/token/info", serve: (*call).oauthInfo,
			source: "docs.gitlab.com/api/oauth2", unverified: "the reply to a personal access token",
		},
	}
}

func (c *call) version() reply {
	return ok(object{"version": c.options.Version, "revision": "0123456789a", "kas": object{"enabled": false}, "enterprise": false})
}

// shortUser is a user as other users see it.
func (s *Server) shortUser(u *user) object {
	state := "active"
	if u.Blocked {
		state = "blocked"
	}
	return object{
		"id": u.ID, "username": u.Username, "name": u.Name, "state": state, "locked": false,
		"avatar_url": nil, "web_url": s.URL + "/" + u.Username,
	}
}

// fullUser is a user as the user itself sees it. is_admin is there for administrators
// only.
func (s *Server) fullUser(u *user) object {
	row := s.shortUser(u)
	row["email"], row["commit_email"], row["public_email"] = u.Email, u.Email, ""
	row["created_at"], row["bot"], row["external"] = "2026-01-01T00:00:00.000Z", false, false
	row["can_create_group"], row["can_create_project"] = u.Admin || !u.CannotCreateGroups, true
	row["two_factor_enabled"], row["projects_limit"] = false, 100000
	if u.Admin {
		row["is_admin"] = true
	}
	return row
}

func (c *call) listUsers() reply {
	var found []*user
	for _, u := range c.users {
		if name := c.text("username"); name != "" && !strings.EqualFold(u.Username, name) {
			continue
		}
		if search := c.text("search"); search != "" && !strings.Contains(u.Username+" "+u.Name+" "+u.Email, search) {
			continue
		}
		found = append(found, u)
	}
	return c.page(list(found, c.shortUser))
}

func (c *call) getUser() reply {
	id, _ := c.variable("user_id")
	if u := c.userID(id); u != nil {
		return ok(c.shortUser(u))
	}
	return notFound("User")
}

func (c *call) tokenSelf() reply {
	if c.token.Kind != PersonalToken {
		return message(http.StatusBadRequest, "400 Bad request - This endpoint requires token type to be a personal access token")
	}
	return ok(object{
		"id": c.token.id, "name": "token", "description": nil, "revoked": false, "active": true, "created_at": stamp(c.token.created),
		"scopes": c.token.Scopes, "user_id": c.user.ID, "last_used_at": stamp(c.token.lastUsed), "expires_at": day(c.token.ExpiresAt),
	})
}

func (c *call) oauthInfo() reply {
	if c.token.Kind != OAuthToken {
		return tokenError(http.StatusUnauthorized, "invalid_token", "The access token is invalid")
	}
	seconds := int64(c.token.ExpiresAt.Sub(c.now()).Seconds())
	return ok(object{
		"resource_owner_id": c.user.ID, "scope": c.token.Scopes, "expires_in": seconds, "expires_in_seconds": seconds,
		"scopes": c.token.Scopes, "application": object{"uid": nil}, "created_at": c.token.created.Unix(),
	})
}
