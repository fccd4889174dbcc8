package gitea

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	sdk "code.gitea.io/sdk/gitea"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/dial"
)

// bounded cuts long answers, which the library reads whole.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = &limited{ReadCloser: response.Body, left: dial.MaxBody}
	return response, nil
}

type limited struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if l.left -= n; l.left < 0 {
		return 0, dial.ErrTooLong
	}
	return n, err
}

// failure returns a *client.Error for an error of the library, or nil for no error.
// action says what the request was for.
func failure(action string, response *sdk.Response, err error) error {
	if err == nil {
		return nil
	}
	if response == nil || response.Response == nil {
		return &client.Error{Action: action, Class: client.ErrUnavailable, Reason: dial.Reason("Gitea", err)}
	}
	failed := &client.Error{Action: action, Class: classOf(response.StatusCode)}
	switch {
	case response.StatusCode/100 == 2:
		failed.Reason = "Gitea answers nonsense"
	case errors.Is(failed, client.ErrUnavailable):
		failed.Reason = fmt.Sprintf("Gitea answers %d", response.StatusCode)
		failed.RetryAfter, _ = dial.RetryAfter(response.Header)
	case isMessage(response):
		failed.Reason = dial.Clean(err.Error())
	}
	return failed
}

// classOf returns the class of a status of HTTP. Gitea redirects requests for what was
// renamed, which then has another path.
func classOf(code int) error {
	switch {
	case code == http.StatusUnauthorized:
		return client.ErrUnauthorized
	case code == http.StatusForbidden:
		return client.ErrForbidden
	case code == http.StatusNotFound, code >= 300 && code < 400:
		return client.ErrNotFound
	case code == http.StatusConflict, code == http.StatusLocked:
		return client.ErrConflict
	case code == http.StatusTooManyRequests, code >= 500, code/100 == 2:
		return client.ErrUnavailable
	}
	return client.ErrInvalid
}

// isMessage reports whether an answer is Gitea's own, and not a page of a proxy.
func isMessage(response *sdk.Response) bool {
	return strings.HasPrefix(response.Header.Get("Content-Type"), "application/json")
}

// refusal returns the error of a value that Gitea could not take.
func refusal(action, reason string) error {
	return &client.Error{Action: action, Class: client.ErrInvalid, Reason: reason}
}

// missing returns the error for something that is not there.
func missing(action string) error {
	return &client.Error{Action: action, Class: client.ErrNotFound}
}
