package engine

import (
	"errors"
	"fmt"
	"time"

	"nautes.io/nautes/api/v1alpha1"
)

// Class says who has to act on an error.
type Class int

// The classes of errors, from the harmless to the serious.
const (
	// ClassNone: no error.
	ClassNone Class = iota
	// ClassSilent: nothing can be said yet; the status stays as it is and an
	// event wakes the object.
	ClassSilent
	// ClassWaiting: something is missing or under way; a watch wakes the object.
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

// Error is an outcome that the status tells. Message is for people: what is
// wrong, with which object, and what to do; it never holds an upstream's raw
// error or a credential.
type Error struct {
	Class   Class
	Reason  string
	Message string
	Cause   error
	// RetryAfter is set when nothing tells that the cause is gone: the object is
	// looked at again after that time.
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

// ErrNotYet is returned when nothing can be said of an object until another
// controller has run once, as after a start. Its status stays as it is.
var ErrNotYet error = &Error{Class: ClassSilent, Message: "not evaluated yet"}

// Classifier turns errors of the packages below into *Error; nil when it does
// not know the error.
type Classifier func(error) *Error

// Classify returns err as an *Error: the worst one that is wrapped in it, by
// class, or an unexpected one.
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
