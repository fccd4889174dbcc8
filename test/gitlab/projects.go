package gitlab

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"nautes.io/nautes/test/githost"
)

const projectFields = " description visibility=private|internal|public default_branch builds_access_level=disabled|private|enabled" +
	" lfs_enabled:bool request_access_enabled:bool issues_access_level wiki_access_level merge_requests_access_level auto_devops_enabled:bool"

const projectFilters = " search owned:bool membership:bool min_access_level:int archived:bool simple:bool visibility=private|internal|public" +
	" order_by=id|name|path|created_at|updated_at|last_activity_at|similarity sort=asc|desc search_namespaces:bool statistics:bool" +
	" with_custom_attributes:bool include_pending_delete:bool active:bool id_after:int pagination=keyset|legacy"

func projectRoutes() []route {
	const source = "lib/api/projects.rb, docs.gitlab.com/api/projects"
	return []route{
		{
			method: "GET", path: "/projects", args: projectFilters + paging, scopes: readScopes(), anonymous: true, source: source,
			serve: func(c *call) reply { return c.listProjects(func(*project) bool { return true }) },
		},
		{
			method: "POST", path: "/projects", args: "name path namespace_id:int initialize_with_readme:bool" + projectFields, scopes: writeScopes(),
			serve: (*call).createProject, source: source + "; github.com/gickup issue 337",
		},
		{
			method: "GET", path: "/projects/:id", args: "license:bool statistics:bool with_custom_attributes:bool", scopes: readScopes(), anonymous: true,
			serve: func(c *call) reply { return ok(c.projectRow(c.project)) }, source: source,
		},
		{
			method: "PUT", path: "/projects/:id", args: "name path" + projectFields, level: Maintainer, writes: true, scopes: writeScopes(),
			serve: (*call).updateProject, source: source,
		},
		{
			method: "DELETE", path: "/projects/:id", args: "permanently_remove:bool full_path", level: Owner, scopes: writeScopes(),
			serve: (*call).deleteProject, source: "namespaces/mark_for_deletion_base_service.rb",
		},
		{
			method: "POST", path: "/projects/:id/restore", level: Owner, scopes: writeScopes(), serve: (*call).restoreProject, source: source,
		},
	}
}

func (s *Server) httpURL(p *project) string { return s.URL + "/" + p.full() + ".git" }

func (s *Server) sshURL(p *project) string {
	if s.ssh != nil {
		return s.ssh.URL + "/" + p.full() + ".git"
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return ""
	}
	return "git@" + u.Hostname() + ":" + p.full() + ".git"
}

func (c *call) projectRow(p *project) object {
	row := object{
		"id": p.id, "name": p.name, "path": p.path, "path_with_namespace": p.full(), "name_with_namespace": p.fullName(),
		"description": p.description, "visibility": p.visibility, "default_branch": nil, "empty_repo": !p.pushed,
		"archived": p.archived, "marked_for_deletion_on": day(p.marked), "marked_for_deletion_at": day(p.marked),
		"ssh_url_to_repo": c.sshURL(p), "http_url_to_repo": c.httpURL(p), "web_url": c.URL + "/" + p.full(),
		"created_at": stamp(p.created), "last_activity_at": stamp(p.activity), "creator_id": p.creator,
		"repository_access_level": "enabled", "builds_access_level": "disabled",
		"namespace": object{
			"id": p.parent.id, "name": p.parent.name, "path": p.parent.path, "kind": "group", "full_path": p.parent.full(),
			"parent_id": nil, "avatar_url": nil, "web_url": c.URL + "/groups/" + p.parent.full(),
		},
		// GitLab gives null for settings that were never set.
		"emails_disabled": nil, "lfs_enabled": true, "auto_devops_enabled": nil, "open_issues_count": 0, "forks_count": 0, "star_count": 0,
	}
	if p.pushed {
		row["default_branch"] = p.branch
	}
	if p.buildsEnabled {
		row["builds_access_level"] = "enabled"
	}
	if p.parent.parent != nil {
		row["namespace"].(object)["parent_id"] = p.parent.parent.id
	}
	if c.user != nil {
		permissions := object{"project_access": nil, "group_access": nil}
		if m := p.member(c.user.ID); m != nil {
			permissions["project_access"] = object{"access_level": m.level, "notification_level": 3}
		}
		if m := c.memberOfAll(c.user.ID, &p.parent.space); m != nil {
			permissions["group_access"] = object{"access_level": m.level, "notification_level": 3}
		}
		row["permissions"] = permissions
	}
	return row
}

func (c *call) listProjects(among func(*project) bool) reply {
	var found []*project
	for _, p := range c.projects {
		level := c.level(c.user, &p.space)
		member := c.user != nil && c.memberOfAll(c.user.ID, &p.space) != nil
		switch {
		case !among(p), !c.sees(c.user, &p.space),
			c.has("archived") && p.archived != c.flag("archived", false),
			c.has("visibility") && p.visibility != c.text("visibility"),
			c.flag("owned", false) && (!member || level < Owner),
			c.flag("membership", false) && !member,
			c.has("min_access_level") && (!member || int64(level) < c.number("min_access_level")),
			c.has("id_after") && p.id <= c.number("id_after"),
			// A search knows names only, and never a part of a path.
			c.has("search") && (c.text("search") == "" || !strings.Contains(strings.ToLower(p.path+" "+p.name), strings.ToLower(c.text("search")))):
			continue
		}
		found = append(found, p)
	}
	slices.SortFunc(found, func(a, b *project) int {
		order := 0
		switch c.text("order_by") {
		case "name":
			order = cmp.Compare(a.name, b.name)
		case "path":
			order = cmp.Compare(a.path, b.path)
		case "id":
			order = cmp.Compare(a.id, b.id)
		default:
			order = cmp.Or(a.created.Compare(b.created), cmp.Compare(a.id, b.id))
		}
		if c.text("sort") != "asc" {
			order = -order
		}
		return order
	})
	return c.page(list(found, c.projectRow))
}

// checkProject checks the values of a project that is created or changed.
func (c *call) checkProject(parent *group, self int64, name, part, visibility string) (reply, bool) {
	const taken = "has already been taken"
	fields := []string{}
	if c.taken(parent, self, sameName(name)) {
		fields = append(fields, "project_namespace.name", "name")
	}
	if c.taken(parent, self, samePath(part)) {
		fields = append(fields, "path")
	}
	switch {
	case !validPath(part, false):
		return problems(pathRule, "path", "project_namespace.path"), true
	case len(fields) > 0:
		return problems(taken, fields...), true
	case visibilityRank(visibility) > visibilityRank(parent.visibility):
		return problems(fmt.Sprintf("%s is not allowed in a %s group.", visibility, parent.visibility), "visibility_level"), true
	}
	return reply{}, false
}

// mayCreate reports whether the caller may create projects in a group.
func (c *call) mayCreate(g *group) bool {
	needed := map[string]int{"developer": Developer, "maintainer": Maintainer, "administrator": Administrator, "noone": Administrator + 1}[g.projectLevel]
	return c.level(c.user, &g.space) >= needed && !g.readOnly()
}

func (c *call) createProject() reply {
	if !c.has("name") && !c.has("path") {
		return invalid("name, path are missing, at least one parameter must be provided")
	}
	if !c.has("namespace_id") {
		return c.unknown("the emulator has no namespaces of users: namespace_id is missing")
	}
	parent := c.groupBy(func(g *group) bool { return g.id == c.number("namespace_id") })
	if parent == nil || !c.mayCreate(parent) {
		return problems("is not valid", "namespace")
	}
	part := cmp.Or(c.text("path"), strings.ToLower(strings.ReplaceAll(c.text("name"), " ", "-")))
	name, visibility := cmp.Or(c.text("name"), part), cmp.Or(c.text("visibility"), Private)
	if failed, stop := c.checkProject(parent, 0, name, part, visibility); stop {
		return failed
	}
	p, err := c.newProject(c.user, parent, part, visibility)
	if err != nil {
		return c.unknown("create the repository: %v", err)
	}
	p.name = name
	p.branch = cmp.Or(c.text("default_branch"), githost.DefaultBranch)
	c.setProject(p)
	if c.flag("initialize_with_readme", false) {
		if err := c.initialize(p, c.user); err != nil {
			return c.unknown("initialize the repository: %v", err)
		}
	}
	return created(c.projectRow(p))
}

func (c *call) setProject(p *project) {
	if c.has("description") {
		p.description = c.text("description")
	}
	if c.has("builds_access_level") {
		p.buildsEnabled = c.text("builds_access_level") != "disabled"
	}
}

func (c *call) updateProject() reply {
	p := c.project
	name, part := cmp.Or(c.text("name"), p.name), cmp.Or(c.text("path"), p.path)
	visibility := cmp.Or(c.text("visibility"), p.visibility)
	if (visibility != p.visibility || part != p.path) && c.level(c.user, &p.space) < Owner {
		return forbidden()
	}
	if failed, stop := c.checkProject(p.parent, p.id, name, part, visibility); stop {
		return failed
	}
	if branch := c.text("default_branch"); branch != "" && branch != p.branch {
		if _, found := c.commitOf(p, "refs/heads/"+branch); !found {
			return problems("Could not change HEAD: branch '"+branch+"' does not exist", "base")
		}
		p.branch = branch
	}
	c.setProject(p)
	p.name, p.visibility = name, visibility
	c.rename(&p.space, part)
	return ok(c.projectRow(p))
}

func (c *call) deleteProject() reply {
	atOnce, failed, stop := c.checkDeletion(&c.project.space, "Project")
	if stop {
		return failed
	}
	if atOnce {
		c.dropProject(c.project)
	} else {
		c.mark(&c.project.space)
	}
	return accepted(object{"message": "202 Accepted"})
}

func (c *call) restoreProject() reply {
	if failed, stop := c.restoreSpace(&c.project.space, "Project"); stop {
		return failed
	}
	return created(c.projectRow(c.project))
}
