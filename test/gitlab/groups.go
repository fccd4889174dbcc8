package gitlab

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const groupFields = " description visibility=private|internal|public project_creation_level=noone|maintainer|developer|administrator" +
	" subgroup_creation_level=owner|maintainer default_branch_protection:int lfs_enabled:bool request_access_enabled:bool auto_devops_enabled:bool emails_enabled:bool"

const groupFilters = " search owned:bool min_access_level:int all_available:bool top_level_only:bool statistics:bool with_custom_attributes:bool" +
	" order_by=name|path|id|similarity sort=asc|desc visibility=private|internal|public"

func groupRoutes() []route {
	const source = "lib/api/groups.rb, docs.gitlab.com/api/groups"
	return []route{
		{
			method: "GET", path: "/groups", args: groupFilters + paging, scopes: readScopes(), anonymous: true,
			serve: func(c *call) reply { return c.listGroups(c.groups) }, source: source,
		},
		{
			method: "POST", path: "/groups", args: "name! path! parent_id:int" + groupFields, scopes: writeScopes(),
			serve: (*call).createGroup, source: source, unverified: "codes of a missing right",
		},
		{
			method: "GET", path: "/groups/:id", args: "with_projects:bool with_custom_attributes:bool", scopes: readScopes(), anonymous: true,
			serve: func(c *call) reply { return ok(c.groupRow(c.group)) }, source: source,
		},
		{
			method: "PUT", path: "/groups/:id", args: "name path" + groupFields, level: Owner, writes: true, scopes: writeScopes(),
			serve: (*call).updateGroup, source: source,
		},
		{
			method: "DELETE", path: "/groups/:id", args: "permanently_remove:bool full_path", level: Owner, scopes: writeScopes(),
			serve: (*call).deleteGroup, source: source + ", namespaces/mark_for_deletion_base_service.rb",
		},
		{
			method: "POST", path: "/groups/:id/restore", level: Owner, scopes: writeScopes(), serve: (*call).restoreGroup, source: source,
		},
		{
			method: "GET", path: "/groups/:id/subgroups", args: groupFilters + paging, scopes: readScopes(), anonymous: true,
			serve: func(c *call) reply {
				return c.listGroups(slices.DeleteFunc(slices.Clone(c.groups), func(g *group) bool { return g.parent != c.group }))
			}, source: source,
		},
		{
			method: "GET", path: "/groups/:id/projects", args: "include_subgroups:bool with_shared:bool" + projectFilters + paging,
			scopes: readScopes(), anonymous: true, source: source,
			serve: func(c *call) reply {
				return c.listProjects(func(p *project) bool {
					return p.parent == c.group || c.flag("include_subgroups", false) && p.within(c.group)
				})
			},
		},
	}
}

func (c *call) groupRow(g *group) object {
	row := object{
		"id": g.id, "name": g.name, "path": g.path, "full_path": g.full(), "full_name": g.fullName(), "parent_id": nil,
		"description": g.description, "visibility": g.visibility, "web_url": c.URL + "/groups/" + g.full(), "created_at": stamp(g.created),
		"marked_for_deletion_on": day(g.marked), "archived": g.archived, "default_branch": nil,
		"project_creation_level": g.projectLevel, "subgroup_creation_level": g.subgroupLevel,
		"default_branch_protection":          g.protection,
		"default_branch_protection_defaults": protectionDefaults(g.protection),
		// GitLab gives null for settings that were never set.
		"emails_disabled": nil, "lfs_enabled": true, "request_access_enabled": true, "auto_devops_enabled": nil,
	}
	if g.parent != nil {
		row["parent_id"] = g.parent.id
	}
	return row
}

func protectionDefaults(level int) object {
	push := Maintainer
	if level == protectionNone || level == protectionPartial {
		push = Developer
	}
	return object{
		"allowed_to_push":  []object{{"access_level": push}},
		"allowed_to_merge": []object{{"access_level": push}},
		"allow_force_push": level == protectionNone, "developer_can_initial_push": level == protectionAfterInitialPush,
	}
}

func (c *call) listGroups(from []*group) reply {
	var found []*group
	for _, g := range from {
		level := c.level(c.user, &g.space)
		member := level >= MinimalAccess && !(c.user != nil && c.user.Admin) || c.user != nil && c.memberOfAll(c.user.ID, &g.space) != nil
		switch {
		case !c.seesGroup(c.user, g),
			c.flag("owned", false) && (!member || level < Owner),
			c.has("min_access_level") && (!member || int64(level) < c.number("min_access_level")),
			c.has("visibility") && g.visibility != c.text("visibility"),
			c.flag("top_level_only", false) && g.parent != nil,
			// all_available=false lists the groups of the caller only.
			!c.flag("all_available", true) && !member,
			c.has("search") && !strings.Contains(strings.ToLower(g.full()+" "+g.name), strings.ToLower(c.text("search"))):
			continue
		}
		found = append(found, g)
	}
	slices.SortFunc(found, func(a, b *group) int {
		order := 0
		switch c.text("order_by") {
		case "id":
			order = cmp.Compare(a.id, b.id)
		case "path":
			order = cmp.Compare(a.path, b.path)
		default:
			order = cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id))
		}
		if c.text("sort") == "desc" {
			order = -order
		}
		return order
	})
	return c.page(list(found, c.groupRow))
}

var groupPath = regexp.MustCompile(`^[a-zA-Z0-9_.][a-zA-Z0-9_.-]*$`)

const pathRule = "can contain only letters, digits, '_', '-' and '.'. Cannot start with '-', end in '.git' or end in '.atom'"

// reservedTop are some of the names that GitLab's own pages have.
var reservedTop = []string{"-", "admin", "api", "dashboard", "explore", "groups", "hashed", "health_check", "help", "import", "oauth", "profile", "projects", "public", "s", "search", "uploads", "users", "v2"}

func validPath(part string, top bool) bool {
	return groupPath.MatchString(part) && !strings.HasSuffix(part, ".git") && !strings.HasSuffix(part, ".atom") &&
		!strings.HasSuffix(part, ".") && !(top && slices.Contains(reservedTop, strings.ToLower(part)))
}

// groupError is the error of a group: a text that looks like a hash of Ruby.
func groupError(field, text string) reply {
	return message(http.StatusBadRequest, fmt.Sprintf("Failed to save group {:%s=>[%q]}", field, text))
}

// checkGroup checks the values of a group that is created or changed.
func (c *call) checkGroup(parent *group, self int64, name, part, visibility string) (reply, bool) {
	switch {
	case !validPath(part, parent == nil):
		return groupError("path", pathRule), true
	// The name of a user is the path of its own namespace.
	case c.taken(parent, self, samePath(part)), parent == nil && c.userNamed(part) != nil:
		return groupError("path", "has already been taken"), true
	case strings.TrimSpace(name) == "":
		return groupError("name", "can't be blank"), true
	case parent != nil && c.taken(parent, self, sameName(name)):
		return groupError("name", "has already been taken"), true
	case parent != nil && visibilityRank(visibility) > visibilityRank(parent.visibility):
		return groupError("visibility_level", fmt.Sprintf("%s is not allowed since the parent group has a %s visibility.", visibility, parent.visibility)), true
	}
	return reply{}, false
}

func (c *call) createGroup() reply {
	var parent *group
	if c.has("parent_id") {
		parent = c.groupBy(func(g *group) bool { return g.id == c.number("parent_id") })
		if parent == nil || !c.seesGroup(c.user, parent) {
			return notFound("Group")
		}
		needed := Maintainer
		if parent.subgroupLevel == "owner" {
			needed = Owner
		}
		if c.level(c.user, &parent.space) < needed || parent.readOnly() {
			return forbidden()
		}
	} else if c.user.CannotCreateGroups && !c.user.Admin || c.options.DenyTopGroups {
		return forbidden()
	}
	visibility := cmp.Or(c.text("visibility"), Private)
	if failed, stop := c.checkGroup(parent, 0, c.text("name"), c.text("path"), visibility); stop {
		return failed
	}
	g := c.newGroup(parent, c.text("path"), c.text("name"), visibility)
	c.setGroup(g)
	// The maker becomes the owner, an administrator too.
	g.members = append(g.members, &membership{user: c.user.ID, level: Owner, created: c.now()})
	return created(c.groupRow(g))
}

func (c *call) setGroup(g *group) {
	if c.has("description") {
		g.description = c.text("description")
	}
	g.projectLevel = cmp.Or(c.text("project_creation_level"), g.projectLevel)
	g.subgroupLevel = cmp.Or(c.text("subgroup_creation_level"), g.subgroupLevel)
	if c.has("default_branch_protection") {
		g.protection = int(c.number("default_branch_protection"))
	}
}

func (c *call) updateGroup() reply {
	g := c.group
	name, part := cmp.Or(c.text("name"), g.name), cmp.Or(c.text("path"), g.path)
	visibility := cmp.Or(c.text("visibility"), g.visibility)
	if failed, stop := c.checkGroup(g.parent, g.id, name, part, visibility); stop {
		return failed
	}
	rank := visibilityRank(visibility)
	if slices.ContainsFunc(c.projects, func(p *project) bool { return p.parent == g && visibilityRank(p.visibility) > rank }) {
		return groupError("visibility_level", visibility+" is not allowed since this group contains projects with higher visibility.")
	}
	if slices.ContainsFunc(c.groups, func(sub *group) bool { return sub.parent == g && visibilityRank(sub.visibility) > rank }) {
		return groupError("visibility_level", visibility+" is not allowed since there are sub-groups with higher visibility.")
	}
	c.setGroup(g)
	g.name, g.visibility = name, visibility
	c.rename(&g.space, part)
	return ok(c.groupRow(g))
}

// rename changes the path of a space. The old paths of projects redirect.
func (s *Server) rename(in *space, part string) {
	if part == in.path {
		return
	}
	for _, p := range s.projects {
		if &p.space == in || in.parent != p.parent && p.within(s.groupBy(func(g *group) bool { return &g.space == in })) {
			s.moved[strings.ToLower(p.full())] = p.id
		}
	}
	in.path = part
}

const deletionDelay = 7 * 24 * time.Hour

// mark marks a space for deletion. From GitLab 18 on it gets another name and path, so
// that both are free at once.
func (s *Server) mark(in *space) {
	in.marked, in.restorePath, in.restoreName = s.now(), in.path, in.name
	if s.major() >= 18 {
		suffix := "-deletion_scheduled-" + strconv.FormatInt(in.id, 10)
		in.path += suffix
		in.name += suffix
	}
}

func (s *Server) restore(in *space) {
	in.path, in.name, in.marked = in.restorePath, in.restoreName, time.Time{}
}

// removeMarked removes the spaces that were marked long enough ago.
func (s *Server) removeMarked(now time.Time) {
	due := func(in *space) bool { return !in.marked.IsZero() && now.Sub(in.marked) >= deletionDelay }
	for _, g := range slices.Clone(s.groups) {
		if due(&g.space) {
			s.dropGroup(g)
		}
	}
	for _, p := range slices.Clone(s.projects) {
		if due(&p.space) {
			s.dropProject(p)
		}
	}
}

func badRequest(text string) reply { return message(http.StatusBadRequest, "400 Bad request - "+text) }

// checkDeletion checks a request to delete a space, and reports whether it is one to
// remove it at once.
func (c *call) checkDeletion(in *space, kind string) (atOnce bool, failed reply, stop bool) {
	permanently := c.flag("permanently_remove", false)
	switch {
	case in.marked.IsZero() && permanently:
		return false, badRequest(kind + " must be marked for deletion first."), true
	case !in.marked.IsZero() && !permanently:
		return false, badRequest(kind + " has already been marked for deletion"), true
	case permanently && c.text("full_path") != in.full():
		return false, badRequest("`full_path` is incorrect. You must enter the complete path for the " + strings.ToLower(kind) + "."), true
	}
	return permanently, reply{}, false
}

func (c *call) deleteGroup() reply {
	atOnce, failed, stop := c.checkDeletion(&c.group.space, "Group")
	if stop {
		return failed
	}
	if atOnce && c.group.parent == nil {
		return badRequest("`permanently_remove` option is only available for subgroups.")
	}
	if atOnce {
		c.dropGroup(c.group)
	} else {
		c.mark(&c.group.space)
	}
	return accepted(object{"message": "202 Accepted"})
}

func (c *call) restoreGroup() reply {
	if failed, stop := c.restoreSpace(&c.group.space, "Group"); stop {
		return failed
	}
	return created(c.groupRow(c.group))
}

// restoreSpace takes back that a group or project is marked for deletion.
func (c *call) restoreSpace(in *space, kind string) (failed reply, stop bool) {
	if in.marked.IsZero() {
		return badRequest(kind + " has not been marked for deletion"), true
	}
	if c.taken(in.parent, in.id, samePath(in.restorePath)) {
		return badRequest("Failed to restore " + strings.ToLower(kind) + ": path has already been taken"), true
	}
	c.restore(in)
	return reply{}, false
}
