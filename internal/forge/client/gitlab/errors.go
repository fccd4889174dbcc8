package gitlab

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/dial"
)

// failure returns a *client.Error for an error of the library, or nil for no error.
// action names the request. No text of the error repeats the token or one of
// the hidden values.
func (c *Client) failure(action string, response *api.Response, err error, hidden ...string) error {
	if err == nil {
		return nil
	}
	failed := &client.Error{Action: action, Class: client.ErrUnavailable}
	if response == nil || response.Response == nil {
		failed.Reason = reasonOf(err)
		return failed
	}
	code := response.StatusCode
	message := ""
	var refused *api.ErrorResponse
	if errors.As(err, &refused) {
		message = refused.Message
	}
	own := strings.HasPrefix(response.Header.Get("Content-Type"), "application/json")
	switch {
	case code/100 == 2:
		failed.Reason = errNonsense.Error()
	case code == http.StatusTooManyRequests, code >= 500:
		failed.Reason = fmt.Sprintf("GitLab answers %d", code)
		failed.RetryAfter = retryAfter(response.Header)
	case code/100 == 3 && !own:
		failed.Reason = "it redirects, which is not followed: use the final address of GitLab"
	case code == http.StatusNotFound && !own:
		// GitLab has a message with each 404. A proxy must not make things seem absent.
		failed.Reason = "the answer 404 does not come from GitLab: check the address of its API"
	default:
		failed.Class = classOf(code, message)
		if own {
			failed.Reason = dial.Clean(message, append(hidden, c.token)...)
		}
	}
	return failed
}

// reasonOf returns the reason why there is no answer.
func reasonOf(err error) string {
	if errors.Is(err, errNonsense) {
		return errNonsense.Error()
	}
	return dial.Reason("GitLab", err)
}

// classOf returns the class of a status of HTTP with GitLab's message.
func classOf(code int, message string) error {
	switch {
	case code == http.StatusUnauthorized:
		return client.ErrUnauthorized
	case code == http.StatusForbidden,
		// Groups in which the caller may not create projects are invalid.
		code == http.StatusBadRequest && strings.Contains(message, "namespace: [is not valid]"):
		return client.ErrForbidden
	case code == http.StatusNotFound,
		// Paths of projects that were renamed redirect readers, and refuse writers.
		code/100 == 3, code == http.StatusMethodNotAllowed && strings.Contains(message, "moved"):
		return client.ErrNotFound
	case code == http.StatusConflict, code == http.StatusPreconditionFailed,
		code == http.StatusBadRequest && (strings.Contains(message, "has already been taken") || strings.Contains(message, "marked for deletion")):
		return client.ErrConflict
	}
	return client.ErrInvalid
}

// has reports whether an error is of a class.
func has(err error, classes ...error) bool {
	return slices.ContainsFunc(classes, func(class error) bool { return errors.Is(err, class) })
}

// mentions reports whether GitLab's message has a text.
func mentions(err error, text string) bool {
	var refused *api.ErrorResponse
	return errors.As(err, &refused) && strings.Contains(refused.Message, text)
}

// missing returns the error for something that is not there.
func missing(action string) error {
	return &client.Error{Action: action, Class: client.ErrNotFound}
}

// refusal returns the error of a value that GitLab could not take.
func refusal(action, reason string) error {
	return &client.Error{Action: action, Class: client.ErrInvalid, Reason: reason}
}

// leaving returns the error for a path that is taken until GitLab has removed its owner.
func leaving(action string) error {
	return &client.Error{Action: action, Class: client.ErrConflict, Reason: "the one that exists is marked for deletion: restore it, or wait until GitLab has removed it"}
}
