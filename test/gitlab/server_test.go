package gitlab_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/gitlab"
)

// newClient returns the official client with a token, without retries.
func newClient(t testing.TB, s *gitlab.Server, token string) *api.Client {
	t.Helper()
	client, err := api.NewClient(token, api.WithBaseURL(s.URL), api.WithoutRetries())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// world is a server with a private group, a project and a user for each role.
type world struct {
	*gitlab.Server
	group   gitlab.Group
	project gitlab.Project
}

func newWorld(t testing.TB, change ...func(*gitlab.Options)) *world {
	t.Helper()
	s := gitlab.New(t, change...)
	for _, name := range []string{"owner", "maintainer", "developer", "reporter", "guest", "outsider"} {
		s.AddUser(gitlab.User{Username: name})
	}
	w := &world{Server: s, group: s.AddGroup("labs", gitlab.Private, "owner")}
	for name, level := range map[string]int{"maintainer": gitlab.Maintainer, "developer": gitlab.Developer, "reporter": gitlab.Reporter, "guest": gitlab.Guest} {
		s.SetMember("labs", name, level)
	}
	w.project = s.AddProject("labs/app", gitlab.ProjectSettings{Readme: true})
	return w
}

// as returns the official client with a new token of a user.
func (w *world) as(t testing.TB, username string, scopes ...string) *api.Client {
	t.Helper()
	return newClient(t, w.Server, w.Token(username, scopes...))
}

// problem returns the status and the message of an error of the client.
func problem(err error) (int, string) {
	var response *api.ErrorResponse
	if errors.As(err, &response) {
		return response.StatusCode, response.Message
	}
	if errors.Is(err, api.ErrNotFound) {
		return http.StatusNotFound, ""
	}
	return 0, ""
}

// clone makes a clone of a repository, with a token.
func clone(t testing.TB, url, token string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	if out, err := runGit(t.Context(), t.TempDir(), token, "clone", "--quiet", url, dir); err != nil {
		t.Fatalf("clone: %v: %s", err, out)
	}
	return dir
}

func runGit(ctx context.Context, dir, token string, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = dir
	command.Env = append(githost.Environ(dir), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader",
		"GIT_CONFIG_VALUE_0=Authorization: Basic "+base64.StdEncoding.EncodeToString([]byte("anybody:"+token)))
	out, err := command.CombinedOutput()
	return string(out), err
}

// commitAndPush commits a file and pushes it to a branch with git.
func commitAndPush(t testing.TB, dir, token, branch string, args ...string) (string, error) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte(branch), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range [][]string{{"add", "file"}, {"commit", "--quiet", "--allow-empty", "--message", "change"}} {
		if out, err := runGit(t.Context(), dir, token, line...); err != nil {
			t.Fatalf("git %s: %v: %s", line[0], err, out)
		}
	}
	return runGit(t.Context(), dir, token, append(append([]string{"push"}, args...), "origin", "HEAD:refs/heads/"+branch)...)
}

func TestPush(t *testing.T) {
	t.Parallel()
	const protected = "remote: GitLab: You are not allowed to push code to protected branches on this project."
	for name, test := range map[string]struct {
		user, branch string
		scopes       []string
		prepare      func(*world)
		want         string
	}{
		"maintainer to main":               {user: "maintainer", branch: "main"},
		"developer to a branch":            {user: "developer", branch: "feature"},
		"developer to main":                {user: "developer", branch: "main", want: protected},
		"developer to main that lets them": {user: "developer", branch: "main", prepare: func(w *world) { w.Protect("labs/app", "main", gitlab.Developer) }},
		"developer to main, unprotected":   {user: "developer", branch: "main", prepare: func(w *world) { w.Unprotect("labs/app", "main") }},
		"nobody may push to main":          {user: "owner", branch: "main", prepare: func(w *world) { w.Protect("labs/app", "main", gitlab.NoAccess) }, want: protected},
		"a pattern protects":               {user: "developer", branch: "release/1", prepare: func(w *world) { w.Protect("labs/app", "release/*", gitlab.Maintainer) }, want: protected},
		"reporter":                         {user: "reporter", branch: "feature", want: "error: 403"},
		"a token that only reads":          {user: "maintainer", branch: "main", scopes: []string{"read_repository"}, want: "error: 403"},
		"a token for repositories":         {user: "maintainer", branch: "main", scopes: []string{"write_repository"}},
		"archived":                         {user: "maintainer", branch: "main", prepare: func(w *world) { w.SetArchived("labs/app", true) }, want: "error: 403"},
		"a security manager":               {user: "guest", branch: "feature", prepare: func(w *world) { w.SetMember("labs", "guest", gitlab.SecurityManager) }, want: "error: 403"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if test.prepare != nil {
				test.prepare(w)
			}
			before := w.Revision(t.Context(), "labs/app", test.branch)
			token := w.Token(test.user, test.scopes...)
			dir := clone(t, w.project.HTTPURL, token)
			out, err := commitAndPush(t, dir, token, test.branch)
			after := w.Revision(t.Context(), "labs/app", test.branch)
			if test.want == "" {
				if err != nil || after == before {
					t.Errorf("push: %v: %s", err, out)
				}
				return
			}
			if err == nil || after != before || !strings.Contains(out, test.want) {
				t.Errorf("push: %v, the branch has changed: %v; got %s, want %q", err, after != before, out, test.want)
			}
			if test.want == protected && !strings.Contains(out, "pre-receive hook declined") {
				t.Errorf("no hook has declined: %s", out)
			}
		})
	}
}

func TestCloneRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expired := w.Token("maintainer")
	w.RevokeToken(expired)
	for name, test := range map[string]struct{ token, want string }{
		"outsider":      {w.Token("outsider"), "not found"},
		"guest":         {w.Token("guest"), "error: 403"},
		"revoked token": {expired, "could not read Username"},
		"scope":         {w.Token("maintainer", "read_user"), "error: 403"},
	} {
		out, err := runGit(t.Context(), t.TempDir(), test.token, "ls-remote", w.project.HTTPURL)
		if err == nil || !strings.Contains(out, test.want) {
			t.Errorf("%s: %v: got %s, want %q", name, err, out, test.want)
		}
	}
}

func TestCanPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := map[string]bool{}
	for _, user := range []string{"owner", "maintainer", "developer", "reporter"} {
		branch, _, err := w.as(t, user).Branches.GetBranch(w.project.ID, "main")
		if err != nil {
			t.Fatal(err)
		}
		got[user] = branch.CanPush
		if !branch.Protected || !branch.Default || branch.Commit.ID != w.Revision(t.Context(), "labs/app", "main") {
			t.Errorf("branch of %s: %+v", user, branch)
		}
	}
	if diff := cmp.Diff(map[string]bool{"owner": true, "maintainer": true, "developer": false, "reporter": false}, got); diff != "" {
		t.Error(diff)
	}
	for user, want := range map[string]int{"outsider": http.StatusNotFound, "guest": http.StatusForbidden} {
		_, _, err := w.as(t, user).Branches.GetBranch(w.project.ID, "main")
		if status, _ := problem(err); status != want {
			t.Errorf("branch for %s: %v, want %d", user, err, want)
		}
	}
}

func TestStrictness(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.Token("owner")
	for name, test := range map[string]struct{ method, path, body string }{
		"route":                   {"GET", "/projects/1/pipelines", ""},
		"method":                  {"PATCH", "/groups", ""},
		"parameter":               {"GET", "/groups?shiny=true", ""},
		"field":                   {"POST", "/groups", `{"name":"a","path":"a","shiny":1}`},
		"path with a slash":       {"GET", "/projects/labs/app", ""},
		"token in the URL":        {"GET", "/groups?private_token=x", ""},
		"form in place of a body": {"POST", "/groups?name=a", "path=a"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, w.API+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("PRIVATE-TOKEN", token)
		if strings.HasPrefix(test.body, "{") {
			request.Header.Set("Content-Type", "application/json")
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if failures := w.TakeFailures(); response.StatusCode != http.StatusNotImplemented || len(failures) != 1 {
			t.Errorf("%s: status %d, failures %q", name, response.StatusCode, failures)
		}
	}
}
