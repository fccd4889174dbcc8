package client

import (
	"errors"
	"fmt"
	"time"
)

// The classes of failures of a forge.
var (
	// ErrUnauthorized: the forge does not accept the access token.
	ErrUnauthorized = errors.New("the forge does not accept the access token")
	// ErrForbidden: the caller may not do this.
	ErrForbidden = errors.New("the forge denies it")
	// ErrNotFound: there is no such thing, or the caller may not see it.
	ErrNotFound = errors.New("not found, or not visible to the caller")
	// ErrConflict: the state of the forge forbids the request.
	ErrConflict = errors.New("conflict")
	// ErrInvalid: the forge refuses a value.
	ErrInvalid = errors.New("the forge refuses the request")
	// ErrNoToken: there is no access token to ask with. No request is sent.
	ErrNoToken = errors.New("there is no access token")
	// ErrUnavailable: the forge does not answer, answers nonsense or asks to wait.
	ErrUnavailable = errors.New("the forge is not available")
)

// Error is a failure of a request.
type Error struct {
	// Action says what the request was for, such as `read group "labs"`.
	Action string
	// Class is one of the sentinels of this package.
	Class error
	// Reason is the forge's own message, cut and without credentials. It may be empty.
	Reason string
	// RetryAfter is the time that the forge asks to wait, or 0.
	RetryAfter time.Duration
}

// Error returns the action, the class and the reason.
func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("%s: %v", e.Action, e.Class)
	}
	return fmt.Sprintf("%s: %v: %s", e.Action, e.Class, e.Reason)
}

// Unwrap returns the class.
func (e *Error) Unwrap() error { return e.Class }

// RetryAfter returns the time that a forge asks to wait, or 0.
func RetryAfter(err error) time.Duration {
	var failure *Error
	if errors.As(err, &failure) {
		return failure.RetryAfter
	}
	return 0
}

// Lasts reports whether an error stays until a person acts: the repository, the token or
// its right is gone.
func Lasts(err error) bool {
	for _, class := range []error{ErrNoToken, ErrNotFound, ErrForbidden, ErrUnauthorized} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}

// Remedy returns the advice about an error with the access token of the tenant for a
// CodeRepoProvider.
func Remedy(provider string, err error) string {
	switch {
	case errors.Is(err, ErrNoToken):
		return fmt.Sprintf("store one of a maintainer for CodeRepoProvider %s", provider)
	case errors.Is(err, ErrUnavailable):
		return "it is tried again"
	}
	return fmt.Sprintf("let the access token of CodeRepoProvider %s be one of a maintainer of the repository", provider)
}
