package edit

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/internal/plan"
)

// Errors of Do.
var (
	// ErrNotFound: there is no such object.
	ErrNotFound = errors.New("it does not exist")
	// ErrPrecondition: the file is not the one that IfMatch names.
	ErrPrecondition = errors.New("it has changed in the meantime: read it again, and repeat the change")
	// ErrContended: others pushed before each attempt.
	ErrContended = errors.New("others pushed to the repository at the same time, again and again: try again")
)

// PanicError is returned for a request whose handling panicked. It has nothing of the
// panic's value, which may hold parts of the request.
type PanicError struct {
	// Type of the panic's value, and Stack where it happened.
	Type, Stack string
}

// Error implements error.
func (e *PanicError) Error() string { return "panic of type " + e.Type }

// Guard runs f, and returns a *PanicError if it panics.
func Guard(f func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Type: fmt.Sprintf("%T", value), Stack: string(debug.Stack())}
		}
	}()
	return f()
}

// InvalidError is returned for a change that breaks rules. The paths of the errors are
// in the spelling of the object, such as spec.projectsRef[0]. Their Origin is a reason
// of v1alpha1, and their Detail is complete without field and value.
type InvalidError struct {
	Object plan.Ref
	Errors field.ErrorList
}

// Error implements error.
func (e *InvalidError) Error() string {
	var list []string
	for _, one := range e.Errors {
		list = append(list, one.Field+": "+one.Detail)
	}
	return fmt.Sprintf("%s is not valid: %s", e.Object, strings.Join(list, "; "))
}

// InUseError is returned for the deletion of an object that others use.
type InUseError struct {
	Object plan.Ref
	// Users by kind, namespace and name.
	Users []plan.Ref
}

// Error implements error.
func (e *InUseError) Error() string {
	var users []string
	for _, user := range e.Users {
		users = append(users, user.String())
	}
	return fmt.Sprintf("%s is used by %s: delete these first, or make them use another one", e.Object, strings.Join(users, ", "))
}

// TakenError is returned for an object whose file would replace the file of another.
type TakenError struct {
	Object plan.Ref
	Path   string
	// Reason is the problem and its remedy.
	Reason string
}

// Error implements error.
func (e *TakenError) Error() string { return fmt.Sprintf("%s: file %s %s", e.Object, e.Path, e.Reason) }
