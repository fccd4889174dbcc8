package gitlab

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"nautes.io/nautes/test/githost"
)

func branchRoutes() []route {
	const source = "docs.gitlab.com/api/branches, client-go testdata/get_branch.json"
	return []route{
		{
			method: "GET", path: "/projects/:id/repository/branches", args: "search regex" + paging, scopes: readScopes(), anonymous: true,
			serve: (*call).listBranches, source: source, unverified: "403 for Guests of a private project",
		},
		{
			method: "GET", path: "/projects/:id/repository/branches/:branch", scopes: readScopes(), anonymous: true,
			serve: (*call).getBranch, source: source, unverified: "403 for Guests of a private project",
		},
		{
			method: "GET", path: "/projects/:id/repository/commits/:sha", args: "stats:bool", scopes: readScopes(), anonymous: true,
			serve: (*call).getCommit, source: "docs.gitlab.com/api/commits",
		},
	}
}

func protectionRoutes() []route {
	const source = "lib/api/protected_branches.rb"
	const base = "/projects/:id/protected_branches"
	const fields = " push_access_level:int merge_access_level:int unprotect_access_level:int allow_force_push:bool"
	return []route{
		{
			method: "GET", path: base, args: "search" + paging, level: Maintainer, scopes: readScopes(), source: source,
			serve: func(c *call) reply { return c.page(list(c.project.protected, protectionRow)) },
		},
		{
			method: "POST", path: base, args: "name!" + fields, level: Maintainer, writes: true, scopes: writeScopes(), source: source,
			serve: (*call).protect,
		},
		{
			method: "GET", path: base + "/:name", level: Maintainer, scopes: readScopes(), source: source,
			serve: func(c *call) reply {
				if rule := c.rule(); rule != nil {
					return ok(protectionRow(rule))
				}
				return notFound("")
			},
		},
		{
			method: "PATCH", path: base + "/:name", args: "allow_force_push:bool", level: Maintainer, writes: true, scopes: writeScopes(), source: source,
			serve: func(c *call) reply {
				rule := c.rule()
				if rule == nil {
					return notFound("")
				}
				rule.force = c.flag("allow_force_push", rule.force)
				return ok(protectionRow(rule))
			},
		},
		{
			method: "DELETE", path: base + "/:name", level: Maintainer, writes: true, scopes: writeScopes(), source: source,
			serve: func(c *call) reply {
				rule := c.rule()
				if rule == nil {
					return notFound("")
				}
				c.project.protected = slices.DeleteFunc(c.project.protected, func(other *protection) bool { return other == rule })
				return noContent()
			},
		},
	}
}

func (c *call) rule() *protection {
	for _, rule := range c.project.protected {
		if rule.name == c.vars["name"] {
			return rule
		}
	}
	return nil
}

func levelName(level int) string {
	switch {
	case level == NoAccess:
		return "No one"
	case level < Maintainer:
		return "Developers + Maintainers"
	case level < Administrator:
		return "Maintainers"
	}
	return "Administrators"
}

func protectionRow(rule *protection) object {
	levels := func(level int) []object {
		return []object{{"id": rule.id, "access_level": level, "access_level_description": levelName(level), "user_id": nil, "group_id": nil}}
	}
	return object{
		"id": rule.id, "name": rule.name, "push_access_levels": levels(rule.push), "merge_access_levels": levels(rule.merge),
		"unprotect_access_levels": []object{}, "allow_force_push": rule.force, "code_owner_approval_required": false, "inherited": false,
	}
}

func (c *call) protect() reply {
	name := c.text("name")
	if slices.ContainsFunc(c.project.protected, func(rule *protection) bool { return rule.name == name }) {
		return message(http.StatusConflict, "Protected branch '"+name+"' already exists")
	}
	rule := &protection{id: c.id(), name: name, push: Maintainer, merge: Maintainer, force: c.flag("allow_force_push", false)}
	for field, level := range map[string]*int{"push_access_level": &rule.push, "merge_access_level": &rule.merge} {
		if !c.has(field) {
			continue
		}
		*level = int(c.number(field))
		if !slices.Contains([]int{NoAccess, Developer, Maintainer, Administrator}, *level) {
			return invalid(field + " does not have a valid value")
		}
	}
	c.project.protected = append(c.project.protected, rule)
	return created(protectionRow(rule))
}

// readsCode reports whether the caller may read the files of the project. Guests of a
// private project may not.
func (c *call) readsCode() bool {
	return c.project.visibility != Private || c.level(c.user, &c.project.space) >= Reporter
}

// commitOf returns the commit of a reference.
func (s *Server) commitOf(p *project, ref string) (object, bool) {
	const format = "--format=%H%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%s%x00%B"
	out, err := githost.Git(context.Background(), p.dir, "log", "-1", format, "--end-of-options", ref, "--")
	fields := strings.SplitN(out, "\x00", 10)
	if err != nil || len(fields) != 10 {
		return nil, false
	}
	return object{
		"id": fields[0], "short_id": fields[0][:8], "parent_ids": strings.Fields(fields[1]), "title": fields[8], "message": fields[9],
		"author_name": fields[2], "author_email": fields[3], "authored_date": fields[4],
		"committer_name": fields[5], "committer_email": fields[6], "committed_date": fields[7], "created_at": fields[7],
		"web_url": s.URL + "/" + p.full() + "/-/commit/" + fields[0],
	}, true
}

func (c *call) branchRow(name string, commit object) object {
	p := c.project
	rules := p.rulesFor(name)
	developers := slices.ContainsFunc(rules, func(rule *protection) bool { return rule.push != NoAccess && rule.push <= Developer })
	return object{
		"name": name, "merged": false, "protected": len(rules) > 0, "default": name == p.branch, "developers_can_push": developers,
		"developers_can_merge": developers, "can_push": c.canPush(c.user, p, name), "web_url": c.URL + "/" + p.full() + "/-/tree/" + name,
		"commit": commit,
	}
}

func (c *call) getBranch() reply {
	if !c.readsCode() {
		return forbidden()
	}
	commit, found := c.commitOf(c.project, "refs/heads/"+c.vars["branch"])
	if !found {
		return notFound("Branch")
	}
	return ok(c.branchRow(c.vars["branch"], commit))
}

func (c *call) listBranches() reply {
	if !c.readsCode() {
		return forbidden()
	}
	out, err := githost.Git(context.Background(), c.project.dir, "for-each-ref", "--format=%(refname:strip=2)", "refs/heads")
	if err != nil {
		return c.unknown("list branches: %v", err)
	}
	rows := []object{}
	for _, name := range strings.Fields(out) {
		if commit, found := c.commitOf(c.project, "refs/heads/"+name); found && strings.Contains(name, c.text("search")) {
			rows = append(rows, c.branchRow(name, commit))
		}
	}
	return c.page(rows)
}

func (c *call) getCommit() reply {
	if !c.readsCode() {
		return forbidden()
	}
	commit, found := c.commitOf(c.project, c.vars["sha"])
	if !found {
		return notFound("Commit")
	}
	return ok(commit)
}
