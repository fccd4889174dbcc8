package engine

import (
	"errors"
	"fmt"
	"time"

	"nautes.io/nautes/api/v1alpha1"
)

// Class is the party that has to act on an error.
type Class int

// The classes of errors, from the harmless to the serious.
const (
	// ClassNone: no error.
	ClassNone Class = iota
	// ClassSilent: the outcome is not known yet; the status stays as it is, and an
	// event enqueues the object again.
	ClassSilent
	// ClassWaiting: something is missing or under way; a watch enqueues the object.
	ClassWaiting
	// ClassHeld: a person asked for nothing to be done.
	ClassHeld
	// ClassTerminal: a person must change something.
	ClassTerminal
	// ClassUnexpected: tried again with backoff.
	ClassUnexpected
)

// String returns the class as the metrics name it.
func (c Class) String() string {
	switch c {
	case ClassNone:
		return "ready"
	case ClassSilent, ClassWaiting, ClassHeld:
		return "waiting"
	case ClassTerminal:
		return "stalled"
	default:
		return "error"
	}
}

// Error is an outcome for the status. Message is for people: the problem, the object
// and the remedy. It never holds an upstream's raw error or a credential.
type Error struct {
	Class   Class
	Reason  string
	Message string
	Cause   error
	// RetryAfter is set if no event reports that the cause is gone: the object is
	// reconciled again after that time.
	RetryAfter time.Duration
}

// Error returns the message and the cause, for logs.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Terminal returns an error that a person must resolve.
func Terminal(reason, format string, args ...any) error {
	return &Error{Class: ClassTerminal, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Waiting returns an error that goes away when something arrives or ends.
func Waiting(reason, format string, args ...any) error {
	return &Error{Class: ClassWaiting, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Held returns an outcome of an object that asks to be left alone.
func Held(reason, format string, args ...any) error {
	return &Error{Class: ClassHeld, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// ErrNotYet is returned if the outcome depends on another controller that has not run
// yet, for example just after a start. The status stays as it is.
var ErrNotYet error = &Error{Class: ClassSilent, Message: "not evaluated yet"}

// Classifier returns an error of the packages below as an *Error, or nil if it does not
// know the error.
type Classifier func(error) *Error

// Classify returns err as an *Error: the worst one, by class, that is wrapped in it, or
// an unexpected one.
func Classify(err error, known Classifier) *Error {
	if err == nil {
		return &Error{Class: ClassNone}
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		worst := &Error{Class: ClassNone}
		for _, one := range joined.Unwrap() {
			if e := Classify(one, known); e.Class > worst.Class {
				worst = e
			}
		}
		return worst
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	if known != nil {
		if e := known(err); e != nil {
			return e
		}
	}
	return &Error{Class: ClassUnexpected, Reason: v1alpha1.ReasonInternalError, Message: unexpectedMessage, Cause: err}
}
