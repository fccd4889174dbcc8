package gitlab

import (
	"net/http"
	"slices"
	"time"
)

func memberRoutes() []route {
	const source = "docs.gitlab.com/api/members"
	var all []route
	for _, kind := range []string{"projects", "groups"} {
		base := "/" + kind + "/:id/members"
		manage := Owner
		if kind == "projects" {
			manage = Maintainer
		}
		all = append(all,
			route{
				method: "GET", path: base, args: "query" + paging, scopes: readScopes(), source: source,
				serve: func(c *call) reply { return c.page(list(c.space().members, c.memberRow)) },
			},
			route{
				method: "GET", path: base + "/all", args: "query" + paging, scopes: readScopes(), source: source,
				serve: (*call).allMembers,
			},
			route{
				method: "GET", path: base + "/:user_id", scopes: readScopes(), source: source,
				serve: func(c *call) reply {
					id, _ := c.variable("user_id")
					return c.oneMember(c.space().member(id))
				},
			},
			route{
				method: "GET", path: base + "/all/:user_id", scopes: readScopes(), source: source,
				serve: func(c *call) reply {
					id, _ := c.variable("user_id")
					return c.oneMember(c.memberOfAll(id, c.space()))
				},
			},
			route{
				method: "POST", path: base, args: "user_id!:int access_level!:int expires_at", level: manage, writes: true, scopes: writeScopes(),
				serve: (*call).addMember, source: source, unverified: "the codes",
			},
			route{
				method: "PUT", path: base + "/:user_id", args: "access_level!:int expires_at", level: manage, writes: true, scopes: writeScopes(),
				serve: (*call).changeMember, source: source, unverified: "the codes",
			},
			route{
				method: "DELETE", path: base + "/:user_id", args: "skip_subresources:bool unassign_issuables:bool", level: manage, writes: true, scopes: writeScopes(),
				serve: (*call).removeMember, source: source, unverified: "the codes",
			},
		)
	}
	return all
}

// space is the project or group of the path.
func (c *call) space() *space {
	if c.project != nil {
		return &c.project.space
	}
	return &c.group.space
}

func (c *call) memberRow(m *membership) object {
	row := c.shortUser(c.userID(m.user))
	row["access_level"], row["membership_state"] = m.level, "active"
	row["created_at"], row["expires_at"] = stamp(m.created), day(m.expires)
	return row
}

func (c *call) oneMember(m *membership) reply {
	if m == nil {
		return notFound("")
	}
	return ok(c.memberRow(m))
}

func (c *call) allMembers() reply {
	var rows []object
	for _, u := range c.users {
		if m := c.memberOfAll(u.ID, c.space()); m != nil {
			rows = append(rows, c.memberRow(m))
		}
	}
	return c.page(rows)
}

// expiry returns the day at which a membership ends.
func (c *call) expiry() (time.Time, bool) {
	if c.text("expires_at") == "" {
		return time.Time{}, true
	}
	day, err := time.Parse(time.DateOnly, c.text("expires_at"))
	return day, err == nil
}

func (c *call) addMember() reply {
	expires, valid := c.expiry()
	if !valid {
		return invalid("expires_at is invalid")
	}
	u := c.userID(c.number("user_id"))
	if u == nil {
		return notFound("User")
	}
	if c.space().member(u.ID) != nil {
		return message(http.StatusConflict, "Member already exists")
	}
	if c.level(c.user, c.space()) < int(c.number("access_level")) {
		return forbidden()
	}
	m := &membership{user: u.ID, level: int(c.number("access_level")), created: c.now(), expires: expires}
	// The rights spread through a queue: the member is there at once, its access is not.
	m.from = c.now().Add(c.options.MembershipDelay)
	c.space().members = append(c.space().members, m)
	return created(c.memberRow(m))
}

func (c *call) changeMember() reply {
	id, _ := c.variable("user_id")
	m := c.space().member(id)
	expires, valid := c.expiry()
	switch {
	case m == nil:
		return notFound("")
	case !valid:
		return invalid("expires_at is invalid")
	case c.level(c.user, c.space()) < max(m.level, int(c.number("access_level"))):
		return forbidden()
	}
	m.level, m.expires = int(c.number("access_level")), expires
	return ok(c.memberRow(m))
}

func (c *call) removeMember() reply {
	id, _ := c.variable("user_id")
	m := c.space().member(id)
	if m == nil {
		return notFound("")
	}
	if c.level(c.user, c.space()) < m.level {
		return forbidden()
	}
	c.space().members = slices.DeleteFunc(c.space().members, func(other *membership) bool { return other == m })
	return noContent()
}
