package gitea

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/launch"
)

// apiPath is the path of the API below the address of a Gitea.
const apiPath = "/api/v1"

// State returns Gitea's name of a result, or "" if it has none. Gitea does not distinguish
// a run that waits from one that has begun.
func State(result string) string {
	return map[string]string{
		launch.RunPending: "pending", launch.RunRunning: "pending", launch.RunSucceeded: "success",
		launch.RunFailed: "failure", launch.RunTimeout: "failure", launch.RunCancelled: "error",
	}[result]
}

// statuses reports commit statuses by Gitea's API of that name.
type statuses struct{}

// Request implements forge.Statuses. The address may end in /api/v1. The project is a
// path, because Gitea takes no number here.
func (statuses) Request(api, project string, status forge.Status) (forge.Request, error) {
	base, ok := forge.Address(api, apiPath)
	if !ok {
		return forge.Request{}, &forge.ArgumentError{Argument: "api", Problem: "is not the address of Gitea: write it as https://gitea.example.com"}
	}
	owner, name, _ := strings.Cut(project, "/")
	if strings.Trim(owner, ".") == "" || strings.Trim(name, ".") == "" || strings.Contains(name, "/") {
		return forge.Request{}, &forge.ArgumentError{Argument: "project", Problem: "is no path: write the owner and the name of the repository, as labs/app"}
	}
	body, err := forge.StatusBody(status, "context", State(status.Result))
	if err != nil {
		return forge.Request{}, err
	}
	return forge.Request{
		URL:         base + apiPath + "/repos/" + url.PathEscape(owner) + "/" + url.PathEscape(name) + "/statuses/" + url.PathEscape(status.Commit),
		TokenHeader: "Authorization", TokenPrefix: "token ", Body: body,
	}, nil
}

// Check implements forge.Statuses. Gitea answers 500 for a missing commit.
func (statuses) Check(_ forge.Status, code int, _ []byte) error {
	switch {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return errors.New("the Gitea server redirects, which is not followed: use its final address and the present path of the repository")
	case code == 401 || code == 403:
		return fmt.Errorf("the Gitea server answers %d: the token is not valid, or may not report statuses of the repository; it needs the scope write:repository", code)
	case code == 404:
		return errors.New("the Gitea server answers 404: there is no such repository, or the token may not see it")
	case code == 429 || code >= 500:
		return fmt.Errorf("the Gitea server answers %d: %w", code, forge.ErrRetry)
	}
	return fmt.Errorf("the Gitea server answers %d and does not take the status", code)
}
