package forge

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"nautes.io/nautes/internal/launch"
)

// ErrRetry marks a refusal of a status that may go away by itself.
var ErrRetry = errors.New("try again later")

// Statuses makes and judges the requests that set the status of a commit.
type Statuses interface {
	// Request returns the request that sets a status. It returns an *ArgumentError
	// for an argument that the forge cannot take.
	Request(api, project string, status Status) (Request, error)
	// Check returns nil if the forge has the status, and the reason and the remedy
	// if not. It wraps ErrRetry where a later attempt may succeed. The error holds
	// no text of the answer.
	Check(status Status, code int, body []byte) error
}

// Status is the status of a commit.
type Status struct {
	Commit string
	// Result is a result of package launch, such as launch.RunFailed.
	Result string
	// Name distinguishes the statuses of a commit. TargetURL and Description may be
	// empty.
	Name, TargetURL, Description string
}

// Request is a POST request with a JSON body. The caller sends the access token
// in the header TokenHeader, after TokenPrefix.
type Request struct {
	URL                      string
	TokenHeader, TokenPrefix string
	Body                     []byte
}

// ArgumentError is an argument of Request that the forge cannot take.
type ArgumentError struct {
	// Argument is api, project or status.
	Argument string
	// Problem is the reason and the remedy. It does not repeat the argument,
	// which may hold a password.
	Problem string
}

// Error returns the argument, the reason and the remedy.
func (e *ArgumentError) Error() string { return e.Argument + " " + e.Problem }

// Address returns the address of a forge from the one of its API, which may end in apiPath.
// It reports false for an address that is no http or https URL, or that holds more.
func Address(api, apiPath string) (string, bool) {
	base, err := url.Parse(strings.TrimSuffix(strings.TrimRight(api, "/"), apiPath))
	if err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return "", false
	}
	return base.String(), true
}

// StatusBody returns the body of a request for a status. nameKey is the forge's key of its
// name, and state the forge's name of its result, or empty if it has none.
func StatusBody(status Status, nameKey, state string) ([]byte, error) {
	if state == "" {
		return nil, &ArgumentError{Argument: "status", Problem: "is unknown: use " + strings.Join([]string{
			launch.RunPending, launch.RunRunning, launch.RunSucceeded, launch.RunFailed, launch.RunCancelled}, ", ") + " or " + launch.RunTimeout}
	}
	fields := map[string]string{"state": state, nameKey: status.Name}
	for field, value := range map[string]string{"target_url": status.TargetURL, "description": status.Description} {
		if value != "" {
			fields[field] = value
		}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return nil, fmt.Errorf("encode the status: %w", err)
	}
	return body, nil
}
