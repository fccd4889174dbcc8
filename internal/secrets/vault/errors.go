package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/vault/api"

	"nautes.io/nautes/internal/secrets"
)

// failure is an error of a request to Vault, in our words alone: what Vault says
// of a request may quote what was in it.
type failure struct {
	// what was asked for, and why it was not to be had.
	what, why string
	// is secrets.ErrUnavailable or secrets.ErrDenied; nil for a conflict.
	is error
	// status of the answer; 0 when there was none, or no matter.
	status int
	// outage: nothing else would be answered either.
	outage bool
	// conflict: somebody else has written the secret since it was read.
	conflict bool
	// absent: there is no engine or mount at the path.
	absent bool
}

// Error says what was asked for, what it means, and why.
func (e *failure) Error() string {
	if e.is == nil {
		return e.what + ": " + e.why
	}
	return fmt.Sprintf("%s: %v: %s", e.what, e.is, e.why)
}

// Unwrap returns secrets.ErrUnavailable or secrets.ErrDenied, or nil.
func (e *failure) Unwrap() error { return e.is }

// of returns the same failure of another request.
func (e *failure) of(what string) *failure {
	own := *e
	own.what = what
	return &own
}

// forbidden tells whether an error may mean that the token has ended.
func forbidden(err error) bool {
	var f *failure
	return errors.As(err, &f) && (f.status == http.StatusForbidden || f.status == http.StatusUnauthorized)
}

func isOutage(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.outage
}

func isConflict(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.conflict
}

func isAbsent(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.absent
}

// refusal returns what the status of an answer means. The words of Vault serve
// to tell the cases apart, and are not repeated.
func refusal(r request, e *api.ResponseError) *failure {
	f := &failure{what: r.what, is: secrets.ErrUnavailable, status: e.StatusCode}
	says := func(words string) bool {
		return slices.ContainsFunc(e.Errors, func(one string) bool { return strings.Contains(one, words) })
	}
	switch code := e.StatusCode; {
	case code == http.StatusForbidden || code == http.StatusUnauthorized:
		f.is, f.why = secrets.ErrDenied, fmt.Sprintf("the operator has no right to %s %s; see the operator's policy", r.verb, r.path)
	case e.RawError:
		f.why = fmt.Sprintf("what answers at its address is not Vault (status %d)", code)
		f.outage = code >= http.StatusInternalServerError
	case code == http.StatusNotFound:
		f.is, f.absent, f.why = secrets.ErrDenied, true, "nothing is enabled at "+r.path
	case code == http.StatusBadRequest && says("check-and-set"):
		f.is, f.conflict, f.why = nil, true, "somebody else writes it at the same time"
	case code == http.StatusBadRequest && says("Upgrading from non-versioned"):
		f.why = "the engine is being prepared"
	case code == http.StatusTooManyRequests:
		f.outage, f.why = true, "it limits the rate of requests"
	case code == http.StatusPreconditionFailed:
		f.why = "the node that answered is behind the others"
	case code == http.StatusServiceUnavailable && says("sealed"):
		f.outage, f.why = true, "it is sealed; unseal it"
	case code == http.StatusInternalServerError:
		// The fault may be of this path alone, as of a storage entry or a plugin.
		f.why = "it has a problem of its own (status 500)"
	case code > http.StatusInternalServerError:
		f.outage, f.why = true, fmt.Sprintf("it is not ready to serve (status %d)", code)
	default:
		f.is, f.why = secrets.ErrDenied, fmt.Sprintf("it does not accept the request to %s %s (status %d)", r.verb, r.path, code)
	}
	return f
}

// noAnswer returns what it means that no answer came within a time.
func noAnswer(r request, err error, within time.Duration) *failure {
	return &failure{what: r.what, is: secrets.ErrUnavailable, outage: true, why: unanswered(err, within)}
}

func unanswered(err error, within time.Duration) string {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
		checked   *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		lookup    *net.DNSError
		network   net.Error
	)
	switch {
	case errors.As(err, &authority):
		return "its certificate is not trusted: it comes from an unknown authority; check the CA bundle"
	case errors.As(err, &host):
		return "its certificate is not trusted: it is for another host than the address"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "its certificate is not trusted: it has expired, or is not valid yet"
	case errors.As(err, &checked):
		return "its certificate is not trusted; check the CA bundle"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS at its address"
	case errors.Is(err, errRedirect):
		return "the node at its address is a standby that does not lead to the active one"
	case errors.As(err, &lookup):
		return "the host of its address cannot be found"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "it refuses the connection"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("it did not answer within %v", within)
	}
	return "the connection to it failed"
}

// NotOursError: what is in the way was not made for the owner.
type NotOursError struct {
	// What names the thing, as the policy p.
	What   string
	holder string
}

// Error names the thing and whose it is, and says what to do.
func (e *NotOursError) Error() string {
	return fmt.Sprintf("%s exists in Vault and belongs to %s; remove it or use another name", e.What, e.holder)
}

// Holder says whose it is, as the product p, or somebody else.
func (e *NotOursError) Holder() string { return e.holder }
