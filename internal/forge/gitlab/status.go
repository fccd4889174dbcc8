package gitlab

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"regexp"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/launch"
)

// apiPath is the path of the API below the address of a GitLab.
const apiPath = "/api/v4"

// codeRepoName is the name of the CodeRepo of a project with a number.
var codeRepoName = regexp.MustCompile(`^repo-([0-9]+)$`)

// statuses reports commit statuses by GitLab's API of that name.
type statuses struct{}

// state returns GitLab's name of a result, or "" if it has none.
func state(result string) string {
	return map[string]string{
		launch.RunPending: "pending", launch.RunRunning: "running", launch.RunSucceeded: "success",
		launch.RunFailed: "failed", launch.RunTimeout: "failed", launch.RunCancelled: "canceled",
	}[result]
}

// Request implements forge.Statuses. The address may end in /api/v4. The project
// is a number, a path, or repo-<number>.
func (statuses) Request(api, project string, status forge.Status) (forge.Request, error) {
	base, ok := forge.Address(api, apiPath)
	if !ok {
		return forge.Request{}, &forge.ArgumentError{Argument: "api", Problem: "is not the address of GitLab: write it as https://gitlab.example.com"}
	}
	if match := codeRepoName.FindStringSubmatch(project); match != nil {
		project = match[1]
	}
	if project == "" || project == "." || project == ".." {
		return forge.Request{}, &forge.ArgumentError{Argument: "project", Problem: "is missing: write the number or the path of the project"}
	}
	body, err := forge.StatusBody(status, "name", state(status.Result))
	if err != nil {
		return forge.Request{}, err
	}
	return forge.Request{
		URL:         base + apiPath + "/projects/" + url.PathEscape(project) + "/statuses/" + url.PathEscape(status.Commit),
		TokenHeader: "PRIVATE-TOKEN", Body: body,
	}, nil
}

// Check implements forge.Statuses.
func (statuses) Check(status forge.Status, code int, body []byte) error {
	switch {
	case code >= 200 && code < 300:
		return nil
	case code == 400 && bytes.Contains(body, []byte("Cannot transition status")) && bytes.Contains(body, []byte("from :"+state(status.Result))):
		// GitLab refuses to set the state that the commit already has.
		return nil
	case code >= 300 && code < 400:
		return errors.New("GitLab redirects, which is not followed: use its final address")
	case code == 401 || code == 403:
		return fmt.Errorf("GitLab answers %d: the token is not valid, or may not report statuses of the project; it needs the scope api", code)
	case code == 404:
		return errors.New("GitLab answers 404: there is no such project or commit, or the token may not see it")
	case code == 429 || code >= 500:
		return fmt.Errorf("GitLab answers %d: %w", code, forge.ErrRetry)
	}
	return fmt.Errorf("GitLab answers %d and does not take the status", code)
}
