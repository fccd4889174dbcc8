package gitlab

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"nautes.io/nautes/test/githost"
)

// status is an entry of a commit's statuses. Its key is name, ref, user and commit.
type status struct {
	id, project                   int64
	commit, ref, name             string
	user                          int64
	state, description, targetURL string
	created, started, finished    time.Time
}

func statusRoutes() []route {
	const source = "app/services/ci/create_commit_status_service.rb, docs.gitlab.com/api/commits"
	return []route{
		{
			method: "POST", path: "/projects/:id/statuses/:sha", level: Developer, writes: true, scopes: writeScopes(),
			args:  "state!=pending|running|success|failed|canceled|skipped ref name context target_url description coverage pipeline_id:int",
			serve: (*call).setStatus, source: source, unverified: "code 201; 403 without CI/CD",
		},
		{
			method: "GET", path: "/projects/:id/repository/commits/:sha/statuses", scopes: readScopes(),
			args:  "ref stage name pipeline_id:int all:bool order_by=id|pipeline_id sort=asc|desc" + paging,
			serve: (*call).listStatuses, source: source,
		},
	}
}

func (st *status) running() bool {
	return st.state == "pending" || st.state == "running" || st.state == "created"
}

// refOf returns the branch or tag of a status: the given one, or a branch that has the
// commit.
func (c *call) refOf(commit string) string {
	if c.has("ref") {
		return c.text("ref")
	}
	out, err := githost.Git(context.Background(), c.project.dir, "for-each-ref", "--contains", commit, "--format=%(refname:strip=2)", "refs/heads", "refs/tags")
	if err != nil {
		return ""
	}
	refs := strings.Fields(out)
	if slices.Contains(refs, c.project.branch) {
		return c.project.branch
	}
	return cmp.Or(append(refs, "")...)
}

func (c *call) setStatus() reply {
	commit, found := c.commitOf(c.project, c.vars["sha"])
	if !found {
		return notFound("Commit")
	}
	sha := fmt.Sprint(commit["id"])
	ref := c.refOf(sha)
	if ref == "" {
		return notFound("References for commit")
	}
	// On a protected branch the right to change pipelines is the right to push.
	if !c.project.buildsEnabled || len(c.project.rulesFor(ref)) > 0 && !c.canPush(c.user, c.project, ref) {
		return forbidden()
	}
	if len(c.text("target_url")) > 255 || c.has("target_url") && !strings.HasPrefix(c.text("target_url"), "http") {
		return problems("is blocked: Only allowed schemes are http, https", "target_url")
	}
	name := cmp.Or(c.text("name"), c.text("context"), "default")
	var entry *status
	for _, st := range c.statuses {
		if st.project == c.project.id && st.commit == sha && st.ref == ref && st.name == name && st.user == c.user.ID && st.running() {
			entry = st
		}
	}
	if entry == nil {
		entry = &status{
			id: c.id(), project: c.project.id, commit: sha, ref: ref, name: name, user: c.user.ID, state: "created", created: c.now(),
		}
	}
	if failed, stop := c.transition(entry); stop {
		return failed
	}
	if !slices.Contains(c.statuses, entry) {
		c.statuses = append(c.statuses, entry)
	}
	return created(c.statusRow(entry))
}

// transition moves a status to another state. Nothing else of it changes without that.
func (c *call) transition(entry *status) (reply, bool) {
	state := c.text("state")
	event := map[string]string{"pending": "enqueue", "running": "run", "success": "success", "failed": "drop", "canceled": "cancel", "skipped": "skip"}[state]
	allowed := entry.state == "created" || entry.state == "pending" && state != "pending" || entry.state == "running" && state != "pending" && state != "running"
	if !allowed {
		return message(http.StatusBadRequest, fmt.Sprintf("Cannot transition status via :%s from :%s (Reason(s): Status cannot transition via %q)", event, entry.state, event)), true
	}
	entry.state = state
	entry.description, entry.targetURL = cmp.Or(c.text("description"), entry.description), cmp.Or(c.text("target_url"), entry.targetURL)
	if state == "running" {
		entry.started = c.now()
	} else if !entry.running() {
		entry.finished = c.now()
	}
	return reply{}, false
}

func (c *call) statusRow(st *status) object {
	text := func(value string) any {
		if value == "" {
			return nil
		}
		return value
	}
	return object{
		"id": st.id, "sha": st.commit, "ref": st.ref, "status": st.state, "name": st.name, "description": text(st.description),
		"target_url": text(st.targetURL), "created_at": stamp(st.created), "started_at": stamp(st.started), "finished_at": stamp(st.finished),
		"allow_failure": false, "coverage": nil, "pipeline_id": st.project, "author": c.shortUser(c.userID(st.user)),
	}
}

func (c *call) listStatuses() reply {
	if !c.readsCode() {
		return forbidden()
	}
	commit, found := c.commitOf(c.project, c.vars["sha"])
	if !found {
		return notFound("Commit")
	}
	var entries []*status
	for _, st := range c.statuses {
		if st.project != c.project.id || st.commit != commit["id"] || c.has("ref") && st.ref != c.text("ref") || c.has("name") && st.name != c.text("name") {
			continue
		}
		if !c.flag("all", false) {
			// A later entry of the same name hides the earlier ones.
			entries = slices.DeleteFunc(entries, func(other *status) bool { return other.name == st.name && other.ref == st.ref })
		}
		entries = append(entries, st)
	}
	if c.text("sort") == "desc" {
		slices.Reverse(entries)
	}
	return c.page(list(entries, c.statusRow))
}
