package gitlab_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
)

// want checks the status of an error, and that its message has a text.
func want(t testing.TB, action string, err error, status int, text string) {
	t.Helper()
	got, message := problem(err)
	if got != status || !strings.Contains(message, text) {
		t.Errorf("%s: status %d, %q (%v), want %d, %q", action, got, message, err, status, text)
	}
}

// Trap 1 and 3: a deleted project is marked, renamed and read-only, and goes later. It
// has no path of before, while its group lives.
func TestProjectDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c, id := w.as(t, "owner"), w.project.ID
	remove := func(permanently bool, path string) error {
		_, err := c.Projects.DeleteProject(id, &api.DeleteProjectOptions{PermanentlyRemove: &permanently, FullPath: &path})
		return err
	}
	want(t, "remove at once", remove(true, "labs/app"), 400, "Project must be marked for deletion first.")
	if response, err := c.Projects.DeleteProject(id, nil); err != nil || response.StatusCode != http.StatusAccepted {
		t.Fatalf("delete: %v", err)
	}
	_, err := c.Projects.DeleteProject(id, nil)
	want(t, "delete again", err, 400, "Project has already been marked for deletion")
	marked, _, err := c.Projects.GetProject(id, nil)
	wanted := "labs/app-deletion_scheduled-" + strconv.FormatInt(id, 10)
	if err != nil || marked.PathWithNamespace != wanted || marked.MarkedForDeletionOn == nil || marked.Name != strings.TrimPrefix(wanted, "labs/") {
		t.Fatalf("the project is %+v, %v, want the path %s", marked, err, wanted)
	}
	_, _, err = c.Projects.GetProject("labs/app", nil)
	want(t, "the path of before", err, 404, "")
	_, _, err = c.Projects.EditProject(id, &api.EditProjectOptions{Description: api.Ptr("x")})
	want(t, "change", err, 403, "403 Forbidden")
	token := w.Token("owner")
	dir := clone(t, w.URL+"/"+wanted+".git", token)
	if out, err := commitAndPush(t, dir, token, "feature"); err == nil {
		t.Errorf("push to a marked project: %s", out)
	}
	want(t, "remove at once with the path of before", remove(true, "labs/app"), 400, "`full_path` is incorrect")
	// Trap 4: the path is free.
	if _, _, err := c.Projects.CreateProject(&api.CreateProjectOptions{Path: api.Ptr("app"), NamespaceID: &w.group.ID}); err != nil {
		t.Errorf("create it again: %v", err)
	}
	_, _, err = c.Projects.RestoreProject(id)
	want(t, "restore over another", err, 400, "has already been taken")
	w.Advance(7 * 24 * time.Hour)
	_, _, err = c.Projects.GetProject(id, nil)
	want(t, "a week later", err, 404, "")
	if _, live := w.Group("labs"); !live {
		t.Error("the group went too")
	}
}

func TestProjectRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.as(t, "owner")
	if _, err := c.Projects.DeleteProject(w.project.ID, nil); err != nil {
		t.Fatal(err)
	}
	restored, _, err := c.Projects.RestoreProject(w.project.ID)
	if err != nil || restored.PathWithNamespace != "labs/app" || restored.MarkedForDeletionOn != nil {
		t.Errorf("restored it is %+v, %v", restored, err)
	}
}

// Trap 4: before GitLab 18 a marked project keeps its path.
func TestDeletionBefore18(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *gitlab.Options) { o.Version = "17.11.0" })
	c := w.as(t, "owner")
	if _, err := c.Projects.DeleteProject(w.project.ID, nil); err != nil {
		t.Fatal(err)
	}
	marked, _, err := c.Projects.GetProject("labs/app", nil)
	if err != nil || marked.MarkedForDeletionOn == nil {
		t.Errorf("the project is %+v, %v", marked, err)
	}
	_, _, err = c.Projects.CreateProject(&api.CreateProjectOptions{Path: api.Ptr("app"), NamespaceID: &w.group.ID})
	want(t, "create it again", err, 400, "{path: [has already been taken]}")
}

// Trap 2: groups the same, and only subgroups can be removed at once.
func TestGroupDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.as(t, "owner")
	sub := w.AddGroup("labs/team", gitlab.Private, "")
	for _, id := range []int64{sub.ID, w.group.ID} {
		if response, err := c.Groups.DeleteGroup(id, nil); err != nil || response.StatusCode != http.StatusAccepted {
			t.Fatalf("delete: %v", err)
		}
		_, err := c.Groups.DeleteGroup(id, nil)
		want(t, "delete again", err, 400, "Group has already been marked for deletion")
	}
	top, _, err := c.Groups.GetGroup(w.group.ID, nil)
	if err != nil || top.FullPath != "labs-deletion_scheduled-"+strconv.FormatInt(w.group.ID, 10) || top.MarkedForDeletionOn == nil {
		t.Fatalf("the group is %+v, %v", top, err)
	}
	inside, _, err := c.Projects.GetProject(w.project.ID, nil)
	if err != nil || inside.PathWithNamespace != top.FullPath+"/app" {
		t.Errorf("the project inside is %+v, %v", inside, err)
	}
	_, err = c.Groups.DeleteGroup(w.group.ID, &api.DeleteGroupOptions{PermanentlyRemove: api.Ptr(true), FullPath: &top.FullPath})
	want(t, "remove a group at the top", err, 400, "only available for subgroups")
	below, _, err := c.Groups.GetGroup(sub.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Groups.DeleteGroup(sub.ID, &api.DeleteGroupOptions{PermanentlyRemove: api.Ptr(true), FullPath: &below.FullPath}); err != nil {
		t.Errorf("remove a subgroup: %v", err)
	}
	_, _, err = c.Groups.GetGroup(sub.ID, nil)
	want(t, "the subgroup", err, 404, "")
	w.Advance(7 * 24 * time.Hour)
	_, _, err = c.Projects.GetProject(w.project.ID, nil)
	want(t, "the project a week later", err, 404, "")
}

// Trap 5: the default branch is protected some time after it was made.
func TestProtectionLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *gitlab.Options) { o.ProtectionDelay = time.Minute })
	c, options := w.as(t, "owner"), &api.ProtectRepositoryBranchesOptions{Name: api.Ptr("main")}
	branch, _, err := c.Branches.GetBranch(w.project.ID, "main")
	if err != nil || branch.Protected {
		t.Fatalf("at first the branch is %+v, %v", branch, err)
	}
	w.Advance(time.Minute)
	_, _, err = c.ProtectedBranches.ProtectRepositoryBranches(w.project.ID, options)
	want(t, "protect it", err, 409, "Protected branch 'main' already exists")
	rule, _, err := c.ProtectedBranches.GetProtectedBranch(w.project.ID, "main")
	if err != nil || rule.PushAccessLevels[0].AccessLevel != api.MaintainerPermissions {
		t.Fatalf("the rule is %+v, %v", rule, err)
	}
	// Taking over is to delete and to create.
	if _, err := c.ProtectedBranches.UnprotectRepositoryBranches(w.project.ID, "main"); err != nil {
		t.Fatal(err)
	}
	options.PushAccessLevel = api.Ptr(api.DeveloperPermissions)
	if _, _, err = c.ProtectedBranches.ProtectRepositoryBranches(w.project.ID, options); err != nil {
		t.Fatal(err)
	}
	branch, _, err = w.as(t, "developer").Branches.GetBranch(w.project.ID, "main")
	if err != nil || !branch.CanPush || !branch.DevelopersCanPush {
		t.Errorf("taken over, the branch is %+v, %v", branch, err)
	}
}

// Trap 6: an empty repository has no branch, and the protection of the group decides who
// makes it.
func TestEmptyRepository(t *testing.T) {
	t.Parallel()
	for level, wantPush := range map[int]bool{2: false, 4: true} {
		w := newWorld(t)
		w.SetDefaultProtection("labs", level)
		empty := w.AddProject("labs/empty", gitlab.ProjectSettings{})
		c := w.as(t, "developer")
		p, _, err := c.Projects.GetProject(empty.ID, nil)
		if err != nil || p.DefaultBranch != "" || !p.EmptyRepo {
			t.Errorf("the project is %+v, %v", p, err)
		}
		_, _, err = c.Branches.GetBranch(empty.ID, "main")
		want(t, "its branch", err, 404, "")
		token := w.Token("developer")
		dir := clone(t, empty.HTTPURL, token)
		for i, allowed := range []bool{wantPush, false} {
			// The second push meets the rule that the first one has brought.
			if out, err := commitAndPush(t, dir, token, "main"); (err == nil) != allowed {
				t.Errorf("level %d, push %d: %v: %s", level, i+1, err, out)
			}
		}
	}
}

const firstKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBbuzbVQ8LLfqPRfYgTBkUDfKSjUvO2vW9IEbTLLYcRd"

// Trap 7 and 8: a known key is joined with its old title, a key of others is taken, and a
// key that no project has any more is gone.
func TestDeployKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second := w.AddProject("labs/second", gitlab.ProjectSettings{})
	c := w.as(t, "maintainer")
	add := func(c *api.Client, project int64, title, key string, push bool) (*api.ProjectDeployKey, error) {
		made, _, err := c.DeployKeys.AddDeployKey(project, &api.AddDeployKeyOptions{Title: &title, Key: &key, CanPush: &push})
		return made, err
	}
	made, err := add(c, w.project.ID, "first", firstKey+" two words", true)
	if err != nil || made.Key != firstKey+" two" || !made.CanPush {
		t.Fatalf("the key is %+v, %v, want the comment cut", made, err)
	}
	_, err = add(c, w.project.ID, "again", firstKey+" two words", false)
	want(t, "the same text", err, 400, "deploy_key.fingerprint_sha256: [has already been taken]")
	same, err := add(c, w.project.ID, "again", firstKey+" two", false)
	if err != nil || same.ID != made.ID || same.Title != "first" || !same.CanPush {
		t.Errorf("the stored text gives %+v, %v, want the old key", same, err)
	}
	joined, err := add(c, second.ID, "other", firstKey+" two", false)
	if err != nil || joined.ID != made.ID || joined.Title != "first" || joined.CanPush {
		t.Errorf("in another project it is %+v, %v", joined, err)
	}
	w.AddGroup("other", gitlab.Private, "outsider")
	foreign := w.AddProject("other/app", gitlab.ProjectSettings{})
	outsider := w.as(t, "outsider")
	_, err = add(outsider, foreign.ID, "mine", firstKey+" two", false)
	want(t, "a key of others", err, 400, "has already been taken")
	_, _, err = outsider.DeployKeys.EnableDeployKey(foreign.ID, made.ID)
	want(t, "enable a key of others", err, 404, "")
	_, err = add(c, w.project.ID, "bad", "ssh-ed25519 nonsense", false)
	want(t, "no key", err, 400, "deploy_key.key: [is invalid]")

	for _, project := range []int64{w.project.ID, second.ID} {
		if _, err := c.DeployKeys.DeleteDeployKey(project, made.ID); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err = c.DeployKeys.EnableDeployKey(second.ID, made.ID)
	want(t, "enable a key that is gone", err, 404, "")
	if again, err := add(outsider, foreign.ID, "mine", firstKey, false); err != nil || again.ID == made.ID {
		t.Errorf("the key that was free is %+v, %v", again, err)
	}
	if keys := w.Keys("other/app"); len(keys) != 1 || keys[0].Owner != "outsider" {
		t.Errorf("the keys are %+v", keys)
	}
}

func TestEnabledKeyHasNoRight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second := w.AddProject("labs/second", gitlab.ProjectSettings{})
	c := w.as(t, "maintainer")
	made, _, err := c.DeployKeys.AddDeployKey(w.project.ID, &api.AddDeployKeyOptions{Title: api.Ptr("a"), Key: api.Ptr(firstKey), CanPush: api.Ptr(true)})
	if err != nil {
		t.Fatal(err)
	}
	body := w.body(t, "POST", "/projects/"+strconv.FormatInt(second.ID, 10)+"/deploy_keys/"+strconv.FormatInt(made.ID, 10)+"/enable", "")
	if _, has := body["can_push"]; has || body["title"] != "a" {
		t.Errorf("the reply is %v, want it without can_push", body)
	}
}

// body sends a request as the owner and returns the object of the reply.
func (w *world) body(t testing.TB, method, path, content string) map[string]any {
	t.Helper()
	response := w.send(t, method, path, content, "")
	found := map[string]any{}
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	return found
}

// send sends a request with a token, the owner's if it is empty.
func (w *world) send(t testing.TB, method, path, content, token string) *http.Response {
	t.Helper()
	if token == "" {
		token = w.Token("owner")
	}
	request, err := http.NewRequestWithContext(t.Context(), method, w.API+path, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("PRIVATE-TOKEN", token)
	if content != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// Trap 13 to 15: statuses move from state to state, belong to a user, and need the right
// to push where the branch is protected.
func TestCommitStatuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	commit, err := w.Push(t.Context(), "labs/app", githost.Commit{Files: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	set := func(c *api.Client, state api.BuildStateValue, description string) error {
		_, _, err := c.Commits.SetCommitStatus(w.project.ID, commit, &api.SetCommitStatusOptions{State: state, Name: api.Ptr("build"), Description: &description})
		return err
	}
	c := w.as(t, "maintainer")
	for _, step := range []struct {
		state api.BuildStateValue
		want  string
	}{
		{api.Pending, ""}, {api.Pending, "via :enqueue from :pending (Reason(s): "}, {api.Running, ""}, {api.Pending, "via :enqueue from :running"},
		{api.Running, "via :run from :running"}, {api.Success, ""}, {api.Success, ""}, {api.Failed, ""},
	} {
		err := set(c, step.state, "d")
		if step.want == "" && err != nil {
			t.Errorf("%s: %v", step.state, err)
		} else if step.want != "" {
			want(t, string(step.state), err, 400, "Cannot transition status "+step.want)
		}
	}
	if err := set(w.as(t, "owner"), api.Running, "of another user"); err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, status := range w.Statuses("labs/app", commit) {
		states = append(states, status.User+" "+status.State)
	}
	if diff := cmp.Diff([]string{"maintainer success", "maintainer success", "maintainer failed", "owner running"}, states); diff != "" {
		t.Error(diff)
	}
	shown, _, err := c.Commits.GetCommitStatuses(w.project.ID, commit, nil)
	if err != nil || len(shown) != 1 || shown[0].Status != "running" {
		t.Errorf("the list has %+v, %v, want the last of the name only", shown, err)
	}
	want(t, "a developer on a protected branch", set(w.as(t, "developer"), api.Success, "d"), 403, "403 Forbidden")
	w.Protect("labs/app", "main", gitlab.Developer)
	if err := set(w.as(t, "developer"), api.Success, "d"); err != nil {
		t.Errorf("a developer who may push: %v", err)
	}
	w.SetBuilds("labs/app", false)
	want(t, "without CI/CD", set(c, api.Success, "d"), 403, "403 Forbidden")
	_, _, err = c.Commits.SetCommitStatus(w.project.ID, strings.Repeat("1", 40), &api.SetCommitStatusOptions{State: api.Success})
	want(t, "a missing commit", err, 404, "")
}

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
