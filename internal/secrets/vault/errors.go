package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/vault/api"

	"nautes.io/nautes/internal/secrets"
)

// failure is the error of a request to Vault. Its text never repeats an answer
// of Vault, which may quote the request.
type failure struct {
	// action that failed, and the reason.
	action, reason string
	// class is secrets.ErrUnavailable or secrets.ErrDenied, or nil for a conflict.
	class error
	// status of the answer, or 0 if there was none or it does not matter.
	status int
	// outage: no other request would succeed either.
	outage bool
	// conflict: another client has written the secret since it was read.
	conflict bool
	// absent: there is no engine or mount at the path.
	absent bool
}

// Error returns the action, its class and the reason.
func (e *failure) Error() string {
	if e.class == nil {
		return e.action + ": " + e.reason
	}
	return fmt.Sprintf("%s: %v: %s", e.action, e.class, e.reason)
}

// Unwrap returns secrets.ErrUnavailable or secrets.ErrDenied, or nil.
func (e *failure) Unwrap() error { return e.class }

// forbidden reports whether the token may have ended.
func (e *failure) forbidden() bool {
	return e.status == http.StatusForbidden || e.status == http.StatusUnauthorized
}

// failureOf returns the *failure in an error, or an empty one.
func failureOf(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	return &failure{}
}

func denied(action, reason string) *failure {
	return &failure{action: action, class: secrets.ErrDenied, reason: reason}
}

func unreadable(action string) *failure {
	return &failure{action: action, class: secrets.ErrUnavailable, reason: "its answer cannot be read; check that Vault is at its address"}
}

// about turns the error of a login, or of another request, into one of an action.
func about(action string, err error) error {
	if f, ok := errors.AsType[*failure](err); ok {
		own := *f
		own.action = action
		return &own
	}
	return fmt.Errorf("%s: %w", action, err)
}

// refusal classifies an answer by its status. The words of Vault only help to
// distinguish cases, and are not repeated.
func refusal(r request, e *api.ResponseError) *failure {
	f := &failure{action: r.action, class: secrets.ErrUnavailable, status: e.StatusCode}
	says := func(words string) bool {
		return slices.ContainsFunc(e.Errors, func(one string) bool { return strings.Contains(one, words) })
	}
	verb := map[string]string{http.MethodGet: "read", http.MethodPut: "write", http.MethodDelete: "delete"}[e.HTTPMethod]
	_, path, _ := strings.Cut(e.URL, "/v1/")
	switch code := e.StatusCode; {
	case f.forbidden():
		f.class, f.reason = secrets.ErrDenied, fmt.Sprintf("the operator has no right to %s %s; see the operator's policy", verb, path)
	case e.RawError:
		f.reason = fmt.Sprintf("the server at its address is not Vault (status %d)", code)
		f.outage = code >= http.StatusInternalServerError
	case code == http.StatusNotFound:
		f.class, f.absent, f.reason = secrets.ErrDenied, true, "nothing is enabled at "+path
	case code == http.StatusBadRequest && says("check-and-set"):
		f.class, f.conflict, f.reason = nil, true, "another client writes it at the same time"
	case code == http.StatusBadRequest && says("Upgrading from non-versioned"):
		f.reason = "the engine is being prepared"
	case code == http.StatusTooManyRequests:
		f.outage, f.reason = true, "it limits the rate of requests"
	case code == http.StatusPreconditionFailed:
		f.reason = "the node that answered is behind the others"
	case code == http.StatusServiceUnavailable && says("sealed"):
		f.outage, f.reason = true, "it is sealed; unseal it"
	case code == http.StatusInternalServerError:
		// It may concern this path alone, for example a storage entry or a plugin.
		f.reason = "it has an internal error (status 500)"
	case code > http.StatusInternalServerError:
		f.outage, f.reason = true, fmt.Sprintf("it is not ready to serve (status %d)", code)
	default:
		f.class, f.reason = secrets.ErrDenied, fmt.Sprintf("it does not accept the request to %s %s (status %d)", verb, path, code)
	}
	return f
}

// noAnswer classifies the error of a request that Vault did not answer within a
// timeout, or not in a way that can be understood.
func noAnswer(r request, err error, timeout time.Duration) *failure {
	if errors.Is(err, errUnreadable) || !has[*url.Error](err) && !errors.Is(err, context.DeadlineExceeded) {
		return unreadable(r.action)
	}
	return &failure{action: r.action, class: secrets.ErrUnavailable, outage: true, reason: unanswered(err, timeout)}
}

func unanswered(err error, timeout time.Duration) string {
	invalid, _ := errors.AsType[x509.CertificateInvalidError](err)
	network, _ := errors.AsType[net.Error](err)
	switch {
	case has[x509.UnknownAuthorityError](err):
		return "its certificate is not trusted: it comes from an unknown authority; check the CA bundle"
	case has[x509.HostnameError](err):
		return "its certificate is not trusted: it is for another host than the address"
	case has[x509.CertificateInvalidError](err) && invalid.Reason == x509.Expired:
		return "its certificate is not trusted: it has expired, or is not valid yet"
	case has[*tls.CertificateVerificationError](err):
		return "its certificate is not trusted; check the CA bundle"
	case has[tls.RecordHeaderError](err), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS at its address"
	case errors.Is(err, errRedirect):
		return "the node at its address is a standby that does not lead to the active one"
	case has[*net.DNSError](err):
		return "the host of its address cannot be found"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refuses the connection"
	case errors.Is(err, context.DeadlineExceeded), network != nil && network.Timeout():
		return fmt.Sprintf("it did not answer within %v", timeout)
	}
	return "the connection to it failed"
}

func has[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// NotOursError is returned when an object in Vault was not made for the owner.
type NotOursError struct {
	// Object in question, for example "the policy p".
	Object string
	holder string
}

// Error names the object, its holder and the remedy.
func (e *NotOursError) Error() string {
	return fmt.Sprintf("%s exists in Vault and belongs to %s; remove it or use another name", e.Object, e.holder)
}

// Holder returns the holder of the object, for example "the product p".
func (e *NotOursError) Holder() string { return e.holder }
