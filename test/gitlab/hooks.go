package gitlab

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// hookEvents are the events of project hooks.
func hookEvents() []string {
	return []string{
		"push_events", "tag_push_events", "issues_events", "confidential_issues_events", "merge_requests_events", "note_events",
		"confidential_note_events", "job_events", "pipeline_events", "wiki_page_events", "deployment_events", "feature_flag_events",
		"releases_events", "milestone_events", "emoji_events", "vulnerability_events", "resource_access_token_events",
		"resource_deploy_token_events", "repository_update_events",
	}
}

// hook is a webhook of a project. Hooks are not unique.
type hook struct {
	id                  int64
	uuid                string
	url, name           string
	description         string
	token, signingToken string
	events              map[string]bool
	filter, strategy    string
	verify              bool
	created             time.Time

	// failing counts the failures in a row. The hook rests until resumes, or for ever.
	failing int
	resumes time.Time
	calls   []hookCall
	tried   []time.Time
}

// hookCall is an entry of the log of deliveries, which GitLab keeps for 7 days.
type hookCall struct {
	id       int64
	at       time.Time
	trigger  string
	delivery Delivery
}

func hookRoutes() []route {
	const source = "docs.gitlab.com/api/project_webhooks, lib/api/helpers/web_hooks_helpers.rb"
	const base = "/projects/:id/hooks"
	fields := " name description token signing_token enable_ssl_verification:bool push_events_branch_filter branch_filter_strategy=wildcard|regex|all_branches"
	for _, event := range hookEvents() {
		fields += " " + event + ":bool"
	}
	return []route{
		{
			method: "GET", path: base, args: strings.TrimSpace(paging), level: Maintainer, scopes: readScopes(), source: source,
			serve: func(c *call) reply { return c.page(list(c.project.hooks, c.hookRow)) },
		},
		{
			method: "POST", path: base, args: "url!" + fields, level: Maintainer, writes: true, scopes: writeScopes(), source: source,
			serve: (*call).addHook,
		},
		{
			method: "GET", path: base + "/:hook_id", level: Maintainer, scopes: readScopes(), source: source,
			serve: func(c *call) reply {
				if h := c.hook(); h != nil {
					return ok(c.hookRow(h))
				}
				return notFound("")
			},
		},
		{
			method: "PUT", path: base + "/:hook_id", args: "url" + fields, level: Maintainer, writes: true, scopes: writeScopes(),
			source: source + ", terraform-provider-gitlab changelog !1794", unverified: "that a new URL drops the signing token too",
			serve: (*call).updateHook,
		},
		{
			method: "DELETE", path: base + "/:hook_id", level: Maintainer, writes: true, scopes: writeScopes(), source: source,
			serve: func(c *call) reply {
				h := c.hook()
				if h == nil {
					return notFound("")
				}
				c.project.hooks = slices.DeleteFunc(c.project.hooks, func(other *hook) bool { return other == h })
				return noContent()
			},
		},
		{
			method: "POST", path: base + "/:hook_id/test/:trigger", level: Maintainer, writes: true, scopes: writeScopes(), source: source,
			unverified: "the reply to a failed delivery", serve: (*call).testHook,
		},
		{
			method: "GET", path: base + "/:hook_id/events", args: "status" + paging, level: Maintainer, scopes: readScopes(), source: source,
			serve: (*call).hookCalls,
		},
		{
			method: "POST", path: base + "/:hook_id/events/:event_id/resend", level: Maintainer, writes: true, scopes: writeScopes(), source: source,
			serve: (*call).resend,
		},
	}
}

// names returns the events that are switched on.
func (h *hook) names() []string {
	names := []string{}
	for event, on := range h.events {
		if on {
			names = append(names, event)
		}
	}
	slices.Sort(names)
	return names
}

// The failures in a row after which a hook rests, and after which it rests for ever.
const (
	restAfter    = 4
	disableAfter = 40
	longestRest  = 24 * time.Hour
)

func (h *hook) alert(now time.Time) string {
	switch {
	case h.failing >= disableAfter:
		return "disabled"
	case now.Before(h.resumes):
		return "temporarily_disabled"
	}
	return "executable"
}

// count counts a delivery for the automatic disabling.
func (h *hook) count(now time.Time, succeeded bool) {
	if succeeded {
		h.failing, h.resumes = 0, time.Time{}
		return
	}
	h.failing++
	if h.failing >= restAfter {
		rest := time.Minute << min(h.failing-restAfter, 20)
		h.resumes = now.Add(min(rest, longestRest))
	}
}

func (c *call) hook() *hook {
	id, _ := c.variable("hook_id")
	for _, h := range c.project.hooks {
		if h.id == id {
			return h
		}
	}
	return nil
}

func (c *call) hookRow(h *hook) object {
	row := object{
		"id": h.id, "url": h.url, "name": h.name, "description": h.description, "project_id": c.project.id, "created_at": stamp(h.created),
		"push_events_branch_filter": h.filter, "branch_filter_strategy": h.strategy, "enable_ssl_verification": h.verify,
		"alert_status": h.alert(c.now()), "disabled_until": nil, "url_variables": []object{}, "custom_headers": []object{}, "custom_webhook_template": nil,
	}
	if c.now().Before(h.resumes) {
		row["disabled_until"] = stamp(h.resumes)
	}
	for _, event := range hookEvents() {
		row[event] = h.events[event]
	}
	if c.major() >= 19 {
		row["token_present"], row["signing_token_present"] = h.token != "", h.signingToken != ""
	}
	return row
}

// localURL reports whether a URL leads to the network of the instance.
func localURL(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	if address, err := netip.ParseAddr(host); err == nil {
		return address.IsLoopback() || address.IsPrivate() || address.IsLinkLocalUnicast() || address.IsUnspecified()
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".svc") || strings.HasSuffix(host, ".local") || strings.HasSuffix(host, ".localhost")
}

// setHook sets the given values.
func (c *call) setHook(h *hook) (reply, bool) {
	refused := func(text string) (reply, bool) {
		return reply{status: http.StatusUnprocessableEntity, body: object{"error": text}}, true
	}
	if c.has("url") {
		u, err := url.Parse(c.text("url"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || c.options.DenyLocalHooks && localURL(u) {
			return refused("Invalid url given")
		}
		if h.url != c.text("url") {
			// The secrets are for the receiver, so a new one does not get them.
			h.url, h.token, h.signingToken = c.text("url"), "", ""
		}
	}
	if strings.ContainsAny(c.text("push_events_branch_filter"), " ~^:?[\\") {
		return refused("Invalid branch filter given")
	}
	for name, field := range map[string]*string{
		"token": &h.token, "name": &h.name, "description": &h.description, "push_events_branch_filter": &h.filter, "branch_filter_strategy": &h.strategy,
	} {
		if c.has(name) {
			*field = c.text(name)
		}
	}
	// Versions before 19 ignore it.
	if c.has("signing_token") && c.major() >= 19 {
		key, found := strings.CutPrefix(c.text("signing_token"), "whsec_")
		if decoded, err := base64.StdEncoding.DecodeString(key); !found || err != nil || len(decoded) != 32 {
			return problems("is invalid", "signing_token"), true
		}
		h.signingToken = c.text("signing_token")
	}
	h.verify = c.flag("enable_ssl_verification", h.verify)
	for _, event := range hookEvents() {
		h.events[event] = c.flag(event, h.events[event])
	}
	return reply{}, false
}

func (c *call) addHook() reply {
	// push_events is on unless the request says otherwise.
	h := &hook{id: c.id(), uuid: newUUID(), events: map[string]bool{"push_events": true}, strategy: "wildcard", verify: true, created: c.now()}
	if failed, stop := c.setHook(h); stop {
		return failed
	}
	c.project.hooks = append(c.project.hooks, h)
	return created(c.hookRow(h))
}

func (c *call) updateHook() reply {
	h := c.hook()
	if h == nil {
		return notFound("")
	}
	changed := *h
	changed.events = map[string]bool{}
	for event, on := range h.events {
		changed.events[event] = on
	}
	if failed, stop := c.setHook(&changed); stop {
		return failed
	}
	*h = changed
	return ok(c.hookRow(h))
}

const triesInMinute = 5

// tooOften reports whether a hook was tried too often in the last minute.
func (c *call) tooOften(h *hook) bool {
	h.tried = slices.DeleteFunc(h.tried, func(at time.Time) bool { return c.now().Sub(at) >= time.Minute })
	if len(h.tried) >= triesInMinute {
		return true
	}
	h.tried = append(h.tried, c.now())
	return false
}

func tooOftenReply() reply {
	return message(http.StatusTooManyRequests, object{"error": "This endpoint has been requested too many times. Try again later."})
}

func (c *call) testHook() reply {
	h := c.hook()
	switch {
	case h == nil:
		return notFound("")
	case !slices.Contains(hookEvents(), c.vars["trigger"]):
		return invalid("trigger does not have a valid value")
	case c.tooOften(h):
		return tooOftenReply()
	case c.vars["trigger"] != "push_events":
		return c.unknown("the emulator tests hooks with push_events only")
	}
	body, found := c.sampleEvent(c.project)
	if !found {
		return message(http.StatusUnprocessableEntity, "Ensure the project has at least one commit.")
	}
	d := c.unlocked(func() Delivery { return c.call(h.copied(), newDelivery(h, "Push Hook", body)) })
	c.finish(c.project, h, d)
	if !d.succeeded() {
		return message(http.StatusUnprocessableEntity, "Hook executed but returned an error")
	}
	return created(object{"message": "201 Created"})
}

func (c *call) hookCalls() reply {
	h := c.hook()
	if h == nil {
		return notFound("")
	}
	rows := []object{}
	for _, logged := range slices.Backward(h.calls) {
		if c.now().Sub(logged.at) < 7*24*time.Hour {
			rows = append(rows, object{
				"id": logged.id, "url": h.url, "trigger": logged.trigger, "request_headers": logged.delivery.loggedHeader(),
				"request_data": string(logged.delivery.Body), "response_headers": object{}, "response_body": "", "execution_duration": 0.1,
				"response_status": logged.delivery.loggedStatus(), "created_at": stamp(logged.at),
			})
		}
	}
	return c.page(rows)
}

func (c *call) resend() reply {
	h := c.hook()
	id, _ := c.variable("event_id")
	if h == nil {
		return notFound("")
	}
	for _, logged := range h.calls {
		if logged.id != id {
			continue
		}
		if c.tooOften(h) {
			return tooOftenReply()
		}
		d := c.unlocked(func() Delivery { return c.call(h.copied(), logged.delivery) })
		c.finish(c.project, h, d)
		return created(object{"response_status": d.loggedStatus()})
	}
	return notFound("")
}
