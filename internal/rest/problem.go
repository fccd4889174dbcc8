package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"nautes.io/nautes/internal/edit"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/rest/body"
	"nautes.io/nautes/internal/secrets"
)

// Reasons of problems, which programs may rely on.
const (
	reasonSyntax       = "CODEC"
	reasonInvalid      = "VALIDATION"
	reasonUnauthorized = "UNAUTHORIZED"
	reasonForbidden    = "NO_AUTHORIZATION"
	reasonNoProduct    = "GROUP_NOT_FOUND"
	reasonNoRepository = "PROJECT_NOT_FOUND"
	reasonNoResource   = "RESOURCE_NOT_FOUND"
	reasonNoRoute      = "ROUTE_NOT_FOUND"
	reasonMethod       = "METHOD_NOT_ALLOWED"
	reasonMediaType    = "UNSUPPORTED_MEDIA_TYPE"
	reasonTooLarge     = "TOO_LARGE"
	reasonInUse        = "IN_USE"
	reasonConflict     = "CONFLICT"
	reasonImmutable    = "NOT_ALLOWED_MODIFY"
	reasonPrecondition = "PRECONDITION_FAILED"
	reasonTooMany      = "TOO_MANY_REQUESTS"
	reasonUnavailable  = "UNAVAILABLE"
	reasonTimeout      = "TIMEOUT"
	reasonInternal     = "INTERNAL"
	reasonGone         = "GONE"
	reasonIncomplete   = "INCOMPLETE"
	reasonKeyReused    = "IDEMPOTENCY_KEY_REUSED"
	problemType        = "application/problem+json"
	maxForgeReason     = 500
	retryInUse         = 10 * time.Second
	retryUnavailable   = 5 * time.Second
)

// Problem is the document of an error, as RFC 9457 has it. Code, Reason and Message
// repeat it for clients of the earlier API.
type Problem struct {
	Type      string       `json:"type" doc:"URI of the kind of problem."`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty"`
	Code      int          `json:"code" doc:"The same as status."`
	Reason    string       `json:"reason" doc:"A word for programs."`
	Message   string       `json:"message" doc:"The problem and its remedy."`
	Errors    []body.Fault `json:"errors,omitempty" doc:"Every error of the request, with its location in the spelling of the request."`
	RequestID string       `json:"request_id,omitempty"`

	retryAfter time.Duration
	allow      string
	// cause is for the log.
	cause error
}

// Error returns the message.
func (p *Problem) Error() string { return p.Message }

func problem(status int, reason, format string, args ...any) *Problem {
	return &Problem{Status: status, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// invalid returns the problem of a request with errors.
func invalid(status int, errs []body.Fault) *Problem {
	p := problem(status, reasonInvalid, "%s: %s", errs[0].Location, errs[0].Message)
	p.Errors, p.Title = errs, "The request breaks the rules"
	p.Detail = "1 error"
	if len(errs) > 1 {
		p.Detail = strconv.Itoa(len(errs)) + " errors"
	}
	return p
}

// at returns the problem of a request with one error.
func at(status int, location, reason, format string, args ...any) *Problem {
	return invalid(status, []body.Fault{{Location: location, Reason: reason, Message: fmt.Sprintf(format, args...)}})
}

// again sets the time after which the request may succeed.
func (p *Problem) again(after time.Duration) *Problem {
	p.retryAfter = after
	return p
}

// complete sets the fields that follow from others.
func (p *Problem) complete(requestID string) {
	p.Type = "urn:nautes:problem:" + p.Reason
	p.Code, p.RequestID = p.Status, requestID
	if p.Title == "" {
		p.Title = http.StatusText(p.Status)
	}
	if p.Detail == "" {
		p.Detail = p.Message
	}
}

func (p *Problem) write(w http.ResponseWriter, requestID string) {
	p.complete(requestID)
	h := w.Header()
	h.Set("Content-Type", problemType)
	h.Del("ETag")
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.retryAfter+time.Second-1)/time.Second)))
	}
	if p.allow != "" {
		h.Set("Allow", p.allow)
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// asProblem turns an error into the problem that the caller sees. Unknown errors become
// a 500 without their text.
func asProblem(err error) *Problem {
	var known *Problem
	var inUse *edit.InUseError
	var denied *git.DeniedError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &denied):
		return problem(http.StatusForbidden, reasonForbidden, "the forge refuses the push to %s: %s", denied.Repository, plan.Words(denied.Reason, maxForgeReason))
	case errors.As(err, &inUse):
		return problem(http.StatusConflict, reasonInUse, "%s", err).again(retryInUse)
	case errors.Is(err, edit.ErrPrecondition):
		return problem(http.StatusPreconditionFailed, reasonPrecondition, "the resource has changed: read it again, and send its ETag in If-Match")
	case errors.Is(err, edit.ErrContended):
		return problem(http.StatusConflict, reasonConflict, "others changed the repository again and again meanwhile: repeat the request").again(time.Second)
	case errors.Is(err, context.DeadlineExceeded):
		return problem(http.StatusGatewayTimeout, reasonTimeout, "the forge, Git or the secret store took too long: repeat the request").again(retryUnavailable)
	case errors.Is(err, context.Canceled):
		return problem(499, reasonTimeout, "the client ended the request")
	case errors.Is(err, secrets.ErrUnavailable), errors.Is(err, secrets.ErrDenied):
		return problem(http.StatusServiceUnavailable, reasonUnavailable, "the secret store does not answer or refuses the API server: repeat the request, or ask the operator of the tenant").again(retryUnavailable)
	}
	if p := forgeProblem(err); p != nil {
		return p
	}
	if p := gitProblem(err); p != nil {
		return p
	}
	p := problem(http.StatusInternalServerError, reasonInternal, "an unexpected error: the log of the API server has it under the id of the request")
	p.cause = err
	return p
}

// forgeProblem returns the problem of a request to the forge, or nil.
func forgeProblem(err error) *Problem {
	var failure *client.Error
	if !errors.As(err, &failure) {
		return nil
	}
	said := plan.Words(failure.Error(), maxForgeReason)
	switch {
	case errors.Is(err, client.ErrUnauthorized):
		return problem(http.StatusUnauthorized, reasonUnauthorized, "the forge does not accept the access token: create a new one")
	case errors.Is(err, client.ErrForbidden):
		return problem(http.StatusForbidden, reasonForbidden, "%s", said)
	case errors.Is(err, client.ErrNotFound):
		return problem(http.StatusNotFound, reasonNoRepository, "%s", said)
	case errors.Is(err, client.ErrConflict):
		return problem(http.StatusConflict, reasonConflict, "%s", said)
	case errors.Is(err, client.ErrInvalid):
		return problem(http.StatusUnprocessableEntity, reasonInvalid, "%s", said)
	}
	return problem(http.StatusServiceUnavailable, reasonUnavailable, "%s: repeat the request", said).again(max(failure.RetryAfter, retryUnavailable))
}

// gitProblem returns the problem of a repository, or nil.
func gitProblem(err error) *Problem {
	var failure *git.Error
	if !errors.As(err, &failure) {
		return nil
	}
	switch {
	case errors.Is(err, git.ErrAuthentication), errors.Is(err, git.ErrRefused):
		return problem(http.StatusForbidden, reasonForbidden, "%s", plan.Words(failure.Error(), maxForgeReason))
	case errors.Is(err, git.ErrRepositoryMissing), errors.Is(err, git.ErrBranchMissing):
		return problem(http.StatusNotFound, reasonNoRepository, "%s", plan.Words(failure.Error(), maxForgeReason))
	}
	return problem(http.StatusServiceUnavailable, reasonUnavailable, "%s", plan.Words(failure.Error(), maxForgeReason)).again(max(failure.RetryAfter, retryUnavailable))
}
