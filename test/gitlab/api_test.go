package gitlab_test

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/test/gitlab"
)

// Trap 16 and 19: the visibility of a child, and the number of its parent.
func TestCreation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	id := strconv.FormatInt(w.group.ID, 10)
	for name, test := range map[string]struct {
		path, body, user string
		status           int
		want             string
	}{
		"more visible project":    {"/projects", `{"path":"new","namespace_id":` + id + `,"visibility":"public"}`, "owner", 400, `{"message":{"visibility_level":["public is not allowed in a private group."]}}`},
		"more visible group":      {"/groups", `{"name":"n","path":"n","parent_id":` + id + `,"visibility":"internal"}`, "owner", 400, `internal is not allowed since the parent group has a private visibility`},
		"taken project":           {"/projects", `{"path":"app","namespace_id":` + id + `}`, "owner", 400, `{"message":{"name":["has already been taken"],"path":["has already been taken"],"project_namespace.name":["has already been taken"]}}`},
		"taken group":             {"/groups", `{"name":"labs","path":"labs"}`, "owner", 400, `{"message":"Failed to save group {:path=\u003e[\"has already been taken\"]}"}`},
		"path for a number":       {"/projects", `{"path":"new","namespace_id":"labs"}`, "owner", 400, `{"error":"namespace_id is invalid"}`},
		"no right in the group":   {"/projects", `{"path":"new","namespace_id":` + id + `}`, "reporter", 400, `{"message":{"namespace":["is not valid"]}}`},
		"hidden parent":           {"/groups", `{"name":"n","path":"n","parent_id":` + id + `}`, "outsider", 404, `{"message":"404 Group Not Found"}`},
		"no right in the parent":  {"/groups", `{"name":"n","path":"n","parent_id":` + id + `}`, "developer", 403, `{"message":"403 Forbidden"}`},
		"missing parameters":      {"/groups", `{}`, "owner", 400, `{"error":"name is missing, path is missing"}`},
		"unknown visibility":      {"/groups", `{"name":"n","path":"n","visibility":"secret"}`, "owner", 400, `{"error":"visibility does not have a valid value"}`},
		"bad path":                {"/projects", `{"path":"a b","namespace_id":` + id + `}`, "owner", 400, `can contain only letters, digits`},
		"a user's name":           {"/groups", `{"name":"n","path":"guest"}`, "owner", 400, `has already been taken`},
		"no JSON":                 {"/groups", `{`, "owner", 400, `not valid JSON`},
		"a name with a dot in it": {"/projects", `{"path":"default.project","namespace_id":` + id + `}`, "developer", 201, `"path_with_namespace":"labs/default.project"`},
	} {
		response := w.send(t, "POST", test.path, test.body, w.Token(test.user))
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != test.status || !strings.Contains(string(body), test.want) {
			t.Errorf("%s: %d %s (%v), want %d %s", name, response.StatusCode, body, err, test.status, test.want)
		}
	}
	w.SetOptions(func(o *gitlab.Options) { o.DenyTopGroups = true })
	_, _, err := w.as(t, "owner").Groups.CreateGroup(&api.CreateGroupOptions{Name: api.Ptr("n"), Path: api.Ptr("n")})
	want(t, "a group at the top as on gitlab.com", err, 403, "403 Forbidden")
}

// Trap 17 and 18: a search misses projects, and hidden ones look absent.
func TestAbsence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.as(t, "owner")
	found, _, err := c.Projects.ListProjects(&api.ListProjectsOptions{Search: api.Ptr("labs/app")})
	if err != nil || len(found) != 0 {
		t.Errorf("the search for a path finds %d projects, %v", len(found), err)
	}
	if _, _, err := c.Projects.GetProject("labs/app", nil); err != nil {
		t.Error(err)
	}
	guest := w.as(t, "guest")
	if _, _, err := guest.Projects.GetProject(w.project.ID, nil); err != nil {
		t.Error(err)
	}
	w.SetMember("labs", "guest", gitlab.NoAccess)
	_, _, err = guest.Projects.GetProject(w.project.ID, nil)
	want(t, "after the right was taken", err, 404, "")
	if _, _, err := guest.Users.CurrentUser(); err != nil {
		t.Errorf("the token still works: %v", err)
	}
}

// Trap 20: a new member has its rights some time later.
func TestMembersLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *gitlab.Options) { o.MembershipDelay = time.Second })
	c, outsider := w.as(t, "owner"), w.as(t, "outsider")
	me, _, err := outsider.Users.CurrentUser()
	if err != nil {
		t.Fatal(err)
	}
	options := &api.AddProjectMemberOptions{UserID: me.ID, AccessLevel: api.Ptr(api.DeveloperPermissions)}
	if _, _, err := c.ProjectMembers.AddProjectMember(w.project.ID, options); err != nil {
		t.Fatal(err)
	}
	_, _, err = c.ProjectMembers.AddProjectMember(w.project.ID, options)
	want(t, "add it again", err, 409, "Member already exists")
	if _, _, err := c.ProjectMembers.GetProjectMember(w.project.ID, me.ID); err != nil {
		t.Errorf("the member is listed at once: %v", err)
	}
	_, _, err = outsider.Projects.GetProject(w.project.ID, nil)
	want(t, "its access at once", err, 404, "")
	w.Advance(time.Second)
	if _, _, err := outsider.Projects.GetProject(w.project.ID, nil); err != nil {
		t.Errorf("its access later: %v", err)
	}
}

// Trap 22: settings that were never set are null.
func TestNulls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if row := w.body(t, "GET", "/groups/labs", ""); row["emails_disabled"] != nil || row["parent_id"] != nil {
		t.Errorf("the group is %v", row)
	}
	g, _, err := w.as(t, "owner").Groups.GetGroup("labs", nil)
	if err != nil || g.AutoDevopsEnabled || g.ParentID != 0 {
		t.Errorf("decoded it is %+v, %v", g, err)
	}
}

// Trap 23: GitLab is too busy, or being upgraded.
func TestFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.as(t, "owner")
	heal := w.Fail(gitlab.Everything, 0, gitlab.RetryLater(30*time.Second))
	_, response, err := c.Groups.GetGroup("labs", nil)
	want(t, "too many", err, 429, "Retry later")
	if response.Header.Get("Retry-After") != "30" || response.Header.Get("RateLimit-ResetTime") == "" {
		t.Errorf("the headers are %v", response.Header)
	}
	heal()
	w.Fail(gitlab.Calls("GET", "/groups/:id"), 1, gitlab.BadGateway())
	_, response, err = c.Groups.GetGroup("labs", nil)
	if status, _ := problem(err); status != 502 || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
		t.Errorf("bad gateway: %v", err)
	}
	w.Fail(gitlab.Calls("POST", "/groups"), 1, gitlab.Lost())
	if _, _, err = c.Groups.CreateGroup(&api.CreateGroupOptions{Name: api.Ptr("n"), Path: api.Ptr("n")}); err == nil {
		t.Error("a lost answer has arrived")
	}
	if _, made := w.Group("n"); !made {
		t.Error("the request of a lost answer was not served")
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *gitlab.Options) { o.RateLimit = 2 })
	token := w.Token("owner")
	for i, status := range []int{200, 200, 429} {
		response := w.send(t, "GET", "/user", "", token)
		if response.StatusCode != status || response.Header.Get("RateLimit-Remaining") != strconv.Itoa(max(0, 1-i)) || response.Header.Get("RateLimit-Limit") != "2" {
			t.Errorf("request %d: %d, %v", i, response.StatusCode, response.Header)
		}
		if status == 429 && response.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	w.Advance(time.Minute)
	if response := w.send(t, "GET", "/user", "", token); response.StatusCode != 200 {
		t.Errorf("a minute later: %d", response.StatusCode)
	}
}

// Trap 24: tokens end.
func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	revoked := w.Token("owner")
	w.RevokeToken(revoked)
	oauth := w.AddToken(gitlab.Token{User: "owner", Kind: gitlab.OAuthToken}).Value
	expiring := w.AddToken(gitlab.Token{User: "owner", ExpiresAt: w.Now().Add(time.Hour)}).Value
	valid := newClient(t, w.Server, expiring)
	self, _, err := valid.PersonalAccessTokens.GetSinglePersonalAccessToken()
	if err != nil || self.ExpiresAt == nil || !slices.Equal(self.Scopes, []string{"api"}) {
		t.Errorf("the token is %+v, %v", self, err)
	}
	w.Advance(2 * time.Hour)
	for name, test := range map[string]struct {
		token, path string
		status      int
		want        string
	}{
		"none":             {"-", "/user", 401, `{"message":"401 Unauthorized"}`},
		"revoked":          {revoked, "/user", 401, `"error":"invalid_token"`},
		"expired":          {expiring, "/user", 401, "Token is expired."},
		"scope":            {w.Token("owner", "read_user"), "/groups", 403, `"error":"insufficient_scope"`},
		"read only":        {w.Token("owner", "read_api"), "/groups", 200, ""},
		"OAuth about self": {oauth, "/personal_access_tokens/self", 400, "requires token type to be a personal access token"},
		"any scope":        {w.Token("owner", "read_repository"), "/personal_access_tokens/self", 200, `"scopes":["read_repository"]`},
	} {
		response := w.send(t, "GET", test.path, "", test.token)
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != test.status || !strings.Contains(string(body), test.want) {
			t.Errorf("%s: %d %s, want %d %s", name, response.StatusCode, body, test.status, test.want)
		}
	}
	w.API = w.URL
	info := w.body(t, "GET", "/oauth/token/info", "")
	if info["error"] != "invalid_token" {
		t.Errorf("about a personal access token: %v", info)
	}
	response := w.send(t, "GET", "/oauth/token/info", "", oauth)
	if body, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(body), `"scopes":["api"]`) {
		t.Errorf("about a token of OAuth: %s, %v", body, err)
	}
	w.API += "/api/v4"
	w.ChangeUser("owner", func(u *gitlab.User) { u.Blocked = true })
	if response := w.send(t, "GET", "/user", "", oauth); response.StatusCode != 401 {
		t.Errorf("a blocked user: %d", response.StatusCode)
	}
}

// Trap 25: levels between the known ones.
func TestLevels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	guest := w.as(t, "guest")
	for level, wantStatus := range map[int]int{gitlab.MinimalAccess: 404, gitlab.Planner: 403, gitlab.SecurityManager: 0, gitlab.Developer + 5: 0} {
		w.SetMember("labs", "guest", level)
		_, _, err := guest.Branches.GetBranch(w.project.ID, "main")
		if status, _ := problem(err); status != wantStatus {
			t.Errorf("level %d: %v, want %d", level, err, wantStatus)
		}
	}
}

// Paths of renamed projects redirect readers, and refuse writers.
func TestMovedPath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.as(t, "owner")
	if _, _, err := c.Projects.EditProject(w.project.ID, &api.EditProjectOptions{Path: api.Ptr("renamed")}); err != nil {
		t.Fatal(err)
	}
	response := w.send(t, "GET", "/projects/labs%2Fapp", "", "")
	if location := response.Header.Get("Location"); response.StatusCode != 301 || location != w.API+"/projects/"+strconv.FormatInt(w.project.ID, 10) {
		t.Errorf("GET: %d to %q", response.StatusCode, location)
	}
	_, _, err := c.Projects.EditProject("labs/app", &api.EditProjectOptions{Description: api.Ptr("x")})
	want(t, "PUT", err, 405, "Non GET methods are not allowed for moved projects")
	if errors.Is(err, api.ErrNotFound) {
		t.Error("it is not found")
	}
}
