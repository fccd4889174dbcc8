package gitlab_test

import (
	"encoding/json"
	"net/http"
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
