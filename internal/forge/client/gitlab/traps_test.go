package gitlab_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
)

func number(id int64) string { return strconv.FormatInt(id, 10) }

// post sends a request as the owner.
func post(t testing.TB, w *world, path, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.API+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		t.Fatalf("POST %s: %d", path, response.StatusCode)
	}
}

func wantClass(t testing.TB, action string, err, want error) {
	t.Helper()
	if want == nil && err != nil || !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", action, err, want)
	}
}

func TestCallers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expiry := w.Now().Add(30 * 24 * time.Hour)
	personal := w.AddToken(gitlab.Token{User: "owner", ExpiresAt: expiry})
	caller, err := connect(t, w.URL, personal.Value).WhoAmI(t.Context())
	if err != nil || caller.Username != "owner" || caller.TokenExpiresAt.Format(time.DateOnly) != expiry.Format(time.DateOnly) {
		t.Errorf("WhoAmI = %+v, %v, want an end at %v", caller, err, expiry)
	}
	oauth := connect(t, w.URL, w.AddToken(gitlab.Token{User: "owner", Kind: gitlab.OAuthToken}).Value)
	if caller, err = oauth.WhoAmI(t.Context()); err != nil || caller.Username != "owner" || !caller.TokenExpiresAt.IsZero() {
		t.Errorf("WhoAmI of an OAuth token = %+v, %v", caller, err)
	}
	_, err = connect(t, w.URL, w.Token("owner", "read_repository")).WhoAmI(t.Context())
	wantClass(t, "a token without the scope", err, client.ErrForbidden)
	w.Advance(31 * 24 * time.Hour)
	_, err = connect(t, w.URL, personal.Value).WhoAmI(t.Context())
	wantClass(t, "an expired token", err, client.ErrUnauthorized)
}

// TestFirstPush checks each protection of default branches against real rights.
func TestFirstPush(t *testing.T) {
	t.Parallel()
	for level, wantDeveloper := range map[int]bool{0: true, 1: true, 2: false, 3: false, 4: true} {
		w := newWorld(t)
		w.SetDefaultProtection("labs", level)
		empty := w.AddProject("labs/empty", gitlab.ProjectSettings{})
		for user, want := range map[string]bool{"owner": true, "developer": wantDeveloper, "root": true} {
			can, err := w.as(t, user).CanPush(t.Context(), empty.ID, "main")
			if err != nil || can != want {
				t.Errorf("protection %d: CanPush of %s = %t, %v, want %t", level, user, can, err, want)
			}
		}
		_, err := w.as(t, "guest").CanPush(t.Context(), empty.ID, "main")
		wantClass(t, "a guest in an empty repository", err, client.ErrNotFound)
	}
}

func TestLeaving(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	for range 2 {
		// A second removal is none.
		wantClass(t, "remove", w.caller.RemoveRepository(ctx, w.project.ID), nil)
	}
	left, err := w.caller.RepositoryByID(ctx, w.project.ID)
	if err != nil || !left.Leaving || left.Path == "labs/app" {
		t.Errorf("the repository is %+v, %v, want it renamed and leaving", left, err)
	}
	_, err = w.caller.Repository(ctx, "labs/app")
	wantClass(t, "its path before", err, client.ErrNotFound)
	again, err := w.caller.EnsureRepository(ctx, client.RepositorySpec{GroupID: w.group.ID, Path: "app"})
	if err != nil || again.ID == w.project.ID {
		t.Errorf("made again it is %+v, %v", again, err)
	}
	w.Advance(7 * 24 * time.Hour)
	_, err = w.caller.RepositoryByID(ctx, w.project.ID)
	wantClass(t, "after the delay", err, client.ErrNotFound)

	wantClass(t, "remove a group with a repository", w.caller.RemoveGroup(ctx, w.group.ID), client.ErrConflict)
	wantClass(t, "remove", w.caller.RemoveRepository(ctx, again.ID), nil)
	for range 2 {
		wantClass(t, "remove the group", w.caller.RemoveGroup(ctx, w.group.ID), nil)
	}
	group, err := w.caller.GroupByID(ctx, w.group.ID)
	if err != nil || !group.Leaving {
		t.Errorf("the group is %+v, %v", group, err)
	}
}

func TestTakenBefore18(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *gitlab.Options) { o.Version = "17.11.0" })
	wantClass(t, "remove", w.caller.RemoveRepository(t.Context(), w.project.ID), nil)
	// The path is not free yet, and a project that leaves is no new one.
	_, err := w.caller.EnsureRepository(t.Context(), client.RepositorySpec{GroupID: w.group.ID, Path: "app"})
	wantClass(t, "create it again", err, client.ErrConflict)
	r, err := w.caller.Repository(t.Context(), "labs/app")
	if err != nil || !r.Leaving {
		t.Errorf("the repository is %+v, %v", r, err)
	}
}

func TestHiddenPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	outsider := w.as(t, "outsider")
	_, err := outsider.EnsureGroup(t.Context(), client.GroupSpec{Path: "labs"})
	wantClass(t, "a group of others", err, client.ErrConflict)
	_, err = outsider.EnsureRepository(t.Context(), client.RepositorySpec{GroupID: w.group.ID, Path: "app"})
	wantClass(t, "a repository in a group of others", err, client.ErrNotFound)
	_, err = w.as(t, "guest").EnsureRepository(t.Context(), client.RepositorySpec{GroupID: w.group.ID, Path: "new"})
	wantClass(t, "a repository of a guest", err, client.ErrForbidden)
	w.ChangeUser("outsider", func(u *gitlab.User) { u.CannotCreateGroups = true })
	_, err = outsider.EnsureGroup(t.Context(), client.GroupSpec{Path: "new"})
	wantClass(t, "a group without the right", err, client.ErrForbidden)
	_, err = w.caller.EnsureRepository(t.Context(), client.RepositorySpec{GroupID: w.group.ID, Path: "open", Visibility: client.VisibilityPublic})
	wantClass(t, "a public repository in a private group", err, client.ErrInvalid)
}

// TestRenamed checks that a path before a renaming is not found, and writes go by number.
func TestRenamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, err := w.caller.Repository(t.Context(), "labs/app")
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.API+"/projects/"+number(before.ID), strings.NewReader(`{"path":"renamed"}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+w.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("rename: %v, %v", response, err)
	}
	_ = response.Body.Close()
	_, err = w.caller.Repository(t.Context(), "labs/app")
	wantClass(t, "the path before", err, client.ErrNotFound)
	for _, request := range w.Requests() {
		if strings.Contains(request.Path, "%2F") && request.Method != http.MethodGet {
			t.Errorf("%s %s names a path", request.Method, request.Path)
		}
	}
}

func TestForeignKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.AddGroup("other", gitlab.Private, "outsider")
	others := w.AddProject("other/app", gitlab.ProjectSettings{Owner: "outsider"})
	if _, err := w.as(t, "outsider").EnsureKey(t.Context(), others.ID, client.Key{Title: "theirs", Public: key}); err != nil {
		t.Fatal(err)
	}
	_, err := w.caller.EnsureKey(t.Context(), w.project.ID, client.Key{Title: "ours", Public: key})
	wantClass(t, "a key of another user", err, client.ErrConflict)
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	commit, err := w.Push(ctx, "labs/app", githost.Commit{Files: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	set := func(c client.Client, result, description string) error {
		return c.SetStatus(ctx, w.project.ID, forge.Status{Commit: commit, Result: result, Name: "build", Description: description, TargetURL: "https://ci.example.com/1"})
	}
	for _, step := range []struct{ result, description string }{
		{launch.RunPending, "waits"}, {launch.RunPending, "still waits"}, {launch.RunRunning, "runs"}, {launch.RunRunning, "runs on"},
		{launch.RunSucceeded, "good"}, {launch.RunSucceeded, "good"},
	} {
		wantClass(t, step.description, set(w.caller, step.result, step.description), nil)
	}
	if found := w.Statuses("labs/app", commit); len(found) != 1 || found[0].State != "success" || found[0].Description != "good" {
		t.Errorf("the statuses are %+v, want one", found)
	}
	wantClass(t, "a developer on the protected branch", set(w.as(t, "developer"), launch.RunFailed, "bad"), client.ErrForbidden)
	heal := w.Fail(gitlab.Calls("POST", "/projects/:id/statuses/:sha"), 0, gitlab.Answer(http.StatusConflict, `{"message":"Another update to this commit status is in progress"}`))
	wantClass(t, "another update", set(w.caller, launch.RunFailed, "bad"), forge.ErrRetry)
	heal()
	w.SetBuilds("labs/app", false)
	wantClass(t, "without CI/CD", set(w.caller, launch.RunFailed, "bad"), client.ErrForbidden)
}

// TestMembersLate checks that a new member has its role only after GitLab has spread it.
func TestMembersLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *gitlab.Options) { o.MembershipDelay = time.Minute })
	u, err := w.as(t, "outsider").WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	post(t, w, "/groups/"+number(w.group.ID)+"/members", `{"user_id":`+number(u.ID)+`,"access_level":30}`)
	for _, want := range []client.Role{client.RoleNone, client.RoleWrite} {
		if role, err := w.caller.Role(t.Context(), w.project.ID, u.ID); err != nil || role != want {
			t.Errorf("Role = %d, %v, want %d", role, err, want)
		}
		w.Advance(time.Minute)
	}
}

// TestNewLevels checks the levels that GitLab has added between the roles.
func TestNewLevels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u, err := w.as(t, "outsider").WhoAmI(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for level, want := range map[int]client.Role{5: client.RoleNone, 15: client.RoleGuest, 25: client.RoleRead, 35: client.RoleWrite, 45: client.RoleMaintain, 60: client.RoleOwner} {
		w.SetMember("labs", "outsider", level)
		if role, err := w.caller.Role(t.Context(), w.project.ID, u.ID); err != nil || role != want {
			t.Errorf("the role of level %d is %d, %v, want %d", level, role, err, want)
		}
	}
}

// TestPages checks that lists of several pages are whole.
func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 205 {
		w.AddGroup("labs/g"+number(int64(i)), gitlab.Private, "")
	}
	groups, err := w.caller.Groups(t.Context())
	if err != nil || len(groups) != 206 || groups[0].Path != "labs" || groups[205].Path != "labs/g99" {
		t.Errorf("%d groups, %v", len(groups), err)
	}
}
