package gitea

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	sdk "code.gitea.io/sdk/gitea"

	"nautes.io/nautes/internal/forge/client"
)

const (
	// maxBody bounds an answer.
	maxBody = 16 << 20
	// maxReason bounds Gitea's message in an error.
	maxReason = 200
)

// bounded cuts long answers, which the library reads whole.
type bounded struct{ next http.RoundTripper }

var errTooLong = errors.New("the answer is too long")

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = &limited{ReadCloser: response.Body, left: maxBody}
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
		return 0, errTooLong
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
		return &client.Error{Action: action, Class: client.ErrUnavailable, Reason: reasonOf(err)}
	}
	failed := &client.Error{Action: action, Class: classOf(response.StatusCode)}
	switch {
	case response.StatusCode/100 == 2:
		failed.Reason = "Gitea answers nonsense"
	case errors.Is(failed, client.ErrUnavailable):
		failed.Reason = fmt.Sprintf("Gitea answers %d", response.StatusCode)
		failed.RetryAfter = retryAfter(response.Header)
	case isMessage(response):
		failed.Reason = clean(err.Error())
	}
	return failed
}

// reasonOf returns the reason why there is no answer. It repeats nothing of the error,
// whose text can have the URL of a proxy.
func reasonOf(err error) string {
	var certificate *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return "the request was cancelled"
	case errors.As(err, &certificate):
		return "the certificate of Gitea is not trusted"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "Gitea does not answer in time"
	case errors.Is(err, errTooLong):
		return errTooLong.Error()
	}
	return "Gitea cannot be reached"
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

// clean returns a message in one line, cut.
func clean(message string) string {
	line := strings.Join(strings.FieldsFunc(message, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	if len(line) > maxReason {
		line = strings.ToValidUTF8(line[:maxReason], "") + "…"
	}
	return line
}

func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	if end, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(end))
	}
	return 0
}

// refusal returns the error of a value that Gitea could not take.
func refusal(action, reason string) error {
	return &client.Error{Action: action, Class: client.ErrInvalid, Reason: reason}
}

// missing returns the error for something that is not there.
func missing(action string) error {
	return &client.Error{Action: action, Class: client.ErrNotFound}
}
