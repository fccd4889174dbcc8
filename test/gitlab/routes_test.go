package gitlab

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	api "gitlab.com/gitlab-org/api/client-go/v2"
)

// TestRoutes checks that each route names its source, is known to the official client,
// and has parameters of known kinds.
func TestRoutes(t *testing.T) {
	seen := map[string]bool{}
	for _, route := range routes() {
		name := route.method + " " + route.path
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
		if route.source == "" || route.serve == nil {
			t.Errorf("%s has no source or does nothing", name)
		}
		if route.scopes == nil && route.path != "/personal_access_tokens/self" && route.path != "/oauth/token/info" {
			t.Errorf("%s needs no scope", name)
		}
		if route.method != http.MethodGet && !route.writes && route.level == 0 && route.path != "/groups" && route.path != "/projects" {
			t.Errorf("%s changes something and needs no level", name)
		}
		for _, p := range parameters(route.args) {
			if _, problem := p.convert("1"); p.kind != "string" && p.kind != "int" && p.kind != "bool" || p.name == "" || strings.ContainsAny(p.name, ":!=") {
				t.Errorf("%s has parameter %+v (%s)", name, p, problem)
			}
		}
	}
	// The client has no calls for the log of a hook, and OAuth is outside of the API.
	unknown := map[string]bool{
		"/projects/:id/hooks/:hook_id/events": true, "/projects/:id/hooks/:hook_id/events/:event_id/resend": true, "/oauth/token/info": true,
	}
	for _, route := range routes() {
		if _, known := api.MatchRoute(strings.ReplaceAll(route.path, ":", "x")); known == unknown[route.path] {
			t.Errorf("%s is known to the client: %t", route.path, known)
		}
	}
}

func TestPage(t *testing.T) {
	many := make([]object, countedRows+1)
	for name, test := range map[string]struct {
		rows       int
		page, size int64
		wantRows   int
		wantHeader map[string]string
		wantLinks  []string
		wantStatus int
	}{
		"the first of three": {rows: 45, wantRows: 20, wantStatus: 200, wantLinks: []string{"first", "next", "last"}, wantHeader: map[string]string{"X-Next-Page": "2", "X-Prev-Page": "", "X-Total": "45", "X-Total-Pages": "3"}},
		"the last":           {rows: 45, page: 3, wantRows: 5, wantStatus: 200, wantLinks: []string{"first", "prev", "last"}, wantHeader: map[string]string{"X-Next-Page": "", "X-Prev-Page": "2"}},
		"beyond the end":     {rows: 45, page: 9, wantRows: 0, wantStatus: 200, wantLinks: []string{"first", "prev", "last"}},
		"empty":              {wantStatus: 200, wantLinks: []string{"first", "last"}, wantHeader: map[string]string{"X-Total-Pages": "1"}},
		"too large":          {rows: 450, size: 1000, wantRows: 100, wantStatus: 200, wantLinks: []string{"first", "next", "last"}, wantHeader: map[string]string{"X-Per-Page": "100"}},
		"not counted":        {rows: len(many), wantRows: 20, wantStatus: 200, wantLinks: []string{"first", "next"}, wantHeader: map[string]string{"X-Total": "", "X-Next-Page": "2"}},
		"too far":            {rows: 1, page: 501, size: 100, wantStatus: 405},
	} {
		c := &call{Server: &Server{URL: "http://gitlab"}, r: httptest.NewRequest(http.MethodGet, "/api/v4/groups?owned=true", nil), args: map[string]any{}}
		if test.page > 0 {
			c.args["page"] = test.page
		}
		if test.size > 0 {
			c.args["per_page"] = test.size
		}
		got := c.page(many[:test.rows])
		rows, _ := got.body.([]object)
		if got.status != test.wantStatus || len(rows) != test.wantRows {
			t.Errorf("%s: %d with %d rows", name, got.status, len(rows))
		}
		for header, value := range test.wantHeader {
			if got.header.Get(header) != value {
				t.Errorf("%s: %s is %q, want %q", name, header, got.header.Get(header), value)
			}
		}
		link := got.header.Get("Link")
		if strings.Count(link, "rel=") != len(test.wantLinks) || len(test.wantLinks) > 0 && !strings.Contains(link, "owned=true") {
			t.Errorf("%s: Link is %s", name, link)
		}
		for _, relation := range test.wantLinks {
			if !strings.Contains(link, `rel="`+relation+`"`) {
				t.Errorf("%s: Link has no %s", name, relation)
			}
		}
	}
}

func TestMatches(t *testing.T) {
	for pattern, branches := range map[string]map[string]bool{
		"main":      {"main": true, "main2": false},
		"release/*": {"release/1": true, "release/1/2": true, "release": false, "my-release/1": false},
		"*-stable":  {"1-stable": true, "1-stable-2": false},
		"a*b*c":     {"abc": true, "a1b2c": true, "acb": false, "ab": false},
		"*":         {"anything": true},
	} {
		for branch, want := range branches {
			if matches(pattern, branch) != want {
				t.Errorf("matches(%q, %q) = %t", pattern, branch, !want)
			}
		}
	}
}
