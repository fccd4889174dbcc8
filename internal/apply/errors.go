package apply

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// KindMissingError says that the cluster does not serve kinds that the set needs.
// It passes when the component that brings them is installed.
type KindMissingError struct {
	Target plan.Target
	Kinds  []schema.GroupKind
}

func (e *KindMissingError) add(id plan.ID) {
	kind := schema.GroupKind{Group: id.Group, Kind: id.Kind}
	if !slices.Contains(e.Kinds, kind) {
		e.Kinds = append(e.Kinds, kind)
	}
}

// Error names the cluster and the kinds.
func (e *KindMissingError) Error() string {
	var kinds []string
	for _, kind := range e.Kinds {
		kinds = append(kinds, kind.String())
	}
	return fmt.Sprintf("%s does not serve %s; install the component that brings it", e.Target, strings.Join(kinds, ", "))
}

// UnservedError says that the API server does not serve the kind of an object at the
// moment, for example while it starts. The object may exist. It passes by itself.
type UnservedError struct {
	ID     plan.ID
	Target plan.Target
	Err    error
}

// Error names the kind.
func (e *UnservedError) Error() string {
	return fmt.Sprintf("%s does not serve the kind of %s at the moment; it is tried again", e.Target, e.ID)
}

// Unwrap returns the server's error.
func (e *UnservedError) Unwrap() error { return e.Err }

// isGone reports whether the API server says that an object does not exist. The
// answer of a server that does not serve the kind has the same code, and is no
// statement about the object.
func isGone(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.IsUnexpectedServerError(err)
}

// checkServed wraps the error about a kind that is not served, and returns any other.
func (p *pass) checkServed(id plan.ID, err error) error {
	if apierrors.IsNotFound(err) && !isGone(err) {
		return &UnservedError{ID: id, Target: p.set.Target, Err: err}
	}
	return err
}

// NotOursError says that an object of that name exists and was not made for the
// owner.
type NotOursError struct {
	// ID of the object, and the target that it is on.
	ID     plan.ID
	Target plan.Target
	// Holder is the owner of the object, as far as its labels and fields show.
	Holder string
	// Adopt is the value of the annotation v1alpha1.AnnotationAdopt that hands
	// the object over; empty when nothing does.
	Adopt string
}

// Error names the object and its holder, and the ways out.
func (e *NotOursError) Error() string {
	s := fmt.Sprintf("%s exists on %s and belongs to %s; delete it or use another name", e.ID, e.Target, e.Holder)
	if e.Adopt != "" {
		s += fmt.Sprintf(", or hand it over with the annotation %s: %s", v1alpha1.AnnotationAdopt, e.Adopt)
	}
	return s
}

// SecretMissingError says that the secret store lacks a secret, or a field of one.
// It passes when the secret is stored.
type SecretMissingError struct {
	Ref plan.SecretRef
	// Field that is missing; empty when the whole secret is.
	Field string
}

// Error names the secret and the field.
func (e *SecretMissingError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("the secret %s is not in the secret store; store it there", e.Ref)
	}
	return fmt.Sprintf("the secret %s in the secret store has no field %s; add it", e.Ref, e.Field)
}

// Is reports whether the target is secrets.ErrNotFound.
func (e *SecretMissingError) Is(target error) bool { return target == secrets.ErrNotFound }

// FormatError says that a stored secret cannot be converted. It passes when a valid
// secret is stored.
type FormatError struct {
	Ref plan.SecretRef
	// Field that cannot be converted to Format.
	Field  string
	Format plan.Format
	// Err is the reason. It is not part of the message.
	Err error
}

// Error names the secret, the field and the format.
func (e *FormatError) Error() string {
	return fmt.Sprintf("the field %s of the secret %s in the secret store cannot be converted to %s; store a valid one", e.Field, e.Ref, e.Format)
}

// Unwrap returns the error of the format.
func (e *FormatError) Unwrap() error { return e.Err }

// GuardError says that more objects would be removed than may be without
// confirmation.
type GuardError struct {
	Target plan.Target
	Owner  plan.Owner
	// Objects would be removed, in order. Total counts them and the others.
	Objects []plan.ID
	Total   int
	// Confirm is the object whose annotation confirms the removal with Value, if it is
	// known.
	Confirm plan.Ref
	Value   string
}

// maxGuardedNames bounds the names of objects in the message, in bytes.
const maxGuardedNames = 300

// Error says how many objects would be removed, names the first ones, and gives both
// ways to confirm it.
func (e *GuardError) Error() string {
	annotation := v1alpha1.AnnotationConfirmPrune
	if e.Value != "" {
		annotation = fmt.Sprintf("%s: %s on %s", annotation, e.Value, e.Confirm)
	}
	return fmt.Sprintf("%d of the %d objects of %s on %s would be removed and are kept: %s. If the removal is intended, set the annotation %s, "+
		"or push the change by a commit with the trailer %s: %s in its message",
		len(e.Objects), e.Total, e.Owner, e.Target, plan.JoinIDs(e.Objects, maxGuardedNames), annotation,
		v1alpha1.TrailerConfirmPrune, v1alpha1.TrailerConfirmed)
}

// TerminatingError says that an object that must exist is being deleted. It is
// created again when it is gone, which a watch reports.
type TerminatingError struct {
	ID     plan.ID
	Target plan.Target
	// Unwatched: the object does not belong to the set's owner, so no watch
	// reports its deletion. The caller must retry.
	Unwatched bool
	// Held is the reason why it is not gone, in the words of the cluster, or empty.
	Held string
}

// Error names the object, and the reason why it is not gone.
func (e *TerminatingError) Error() string {
	s := fmt.Sprintf("%s on %s is being deleted; it is created again when it is gone", e.ID, e.Target)
	if e.Held != "" {
		s += ": " + e.Held
	}
	return s
}

// NeedError says that an object was not written, because another object of the set
// that it needs could not be written.
type NeedError struct {
	ID     plan.ID
	Target plan.Target
}

// Error names the other object.
func (e *NeedError) Error() string {
	return fmt.Sprintf("it is left unchanged: it needs %s on %s, which could not be written", e.ID, e.Target)
}

// ConflictError says that another writer changed an object at the same time. The
// next attempt sees the change.
type ConflictError struct {
	ID     plan.ID
	Target plan.Target
	Err    error
}

// Error names the object.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s on %s was changed by another writer at the same time; it is tried again", e.ID, e.Target)
}

// Unwrap returns the server's error.
func (e *ConflictError) Unwrap() error { return e.Err }

// PlanError says that an item contradicts itself, which is a programming error.
type PlanError struct {
	ID      plan.ID
	Problem string
}

// Error names the item and the contradiction.
func (e *PlanError) Error() string {
	return fmt.Sprintf("the plan of %s is wrong: %s", e.ID, e.Problem)
}

// ItemError is an error about one object. Unwrap leads to the cause, and to the
// *errors.StatusError of the API server if there is one.
type ItemError struct {
	ID     plan.ID
	Target plan.Target
	// Source is the custom resource that asks for the object; empty for
	// objects that are removed.
	Source plan.Ref
	Err    error
	// Kept: the object exists as it was written before. It is unknown whether its
	// secrets have changed since.
	Kept bool

	secret bool // the object holds secrets, which the server's message may quote
}

// Error names the object and the problem.
func (e *ItemError) Error() string {
	switch e.Err.(type) { //nolint:errorlint // an error that wraps one of these adds words of its own
	case *NotOursError, *TerminatingError, *ConflictError, *KindMissingError, *UnservedError, *PlanError, *DiffersError:
		return e.Err.Error() // They name the object themselves.
	}
	return fmt.Sprintf("%s on %s: %s", e.ID, e.Target, describe(e.Err, e.secret))
}

// Unwrap returns the cause.
func (e *ItemError) Unwrap() error { return e.Err }

// describe returns the text of an error for users. It includes the API server's
// message about the request, and about faults that a person can repair, but no other message
// about the state of the server or of the transport.
func describe(err error, secret bool) string {
	var status *apierrors.StatusError
	var transport *url.Error
	switch {
	case errors.Is(err, secrets.ErrUnavailable), errors.Is(err, secrets.ErrDenied), errors.Is(err, secrets.ErrNotFound):
		return err.Error()
	case errors.As(err, &status):
		return Words(err, secret)
	case errors.As(err, &transport):
		return "the API server did not answer; it is tried again"
	}
	return err.Error()
}

// concernsOne reports whether an error is about one object only, so that others
// may still be written.
func concernsOne(err error) bool {
	var (
		notOurs     *NotOursError
		format      *FormatError
		kind        *KindMissingError
		terminating *TerminatingError
		conflict    *ConflictError
		wrong       *PlanError
		need        *NeedError
		status      *apierrors.StatusError
	)
	switch {
	case errors.As(err, &notOurs), errors.As(err, &format), errors.As(err, &kind),
		errors.As(err, &terminating), errors.As(err, &conflict), errors.As(err, &wrong), errors.As(err, &need),
		errors.Is(err, secrets.ErrNotFound), errors.Is(err, secrets.ErrDenied):
		return true
	case Refused(err) && !apierrors.IsUnauthorized(err):
		return true
	case !errors.As(err, &status):
		return false
	}
	switch status.Status().Code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return true
}

// notOurs returns the error about an object of another owner.
func (p *pass) notOurs(id plan.ID, o metav1.Object) error {
	e := &NotOursError{ID: id, Target: p.set.Target, Holder: p.holder(o)}
	if !p.hasOwner(o) && !isCopy(o) {
		e.Adopt = p.adoption()
	}
	return e
}

func (p *pass) adoption() string { return p.set.Owner.Kind + "/" + p.set.Owner.Name }

// isCopy reports whether HNC has copied an object from a parent namespace.
func isCopy(o metav1.Object) bool {
	_, ok := o.GetLabels()[labelInheritedFrom]
	return ok
}

// holder returns the owner of an object by its labels, or else by the manager of
// its fields.
func (p *pass) holder(o metav1.Object) string {
	labels := o.GetLabels()
	switch {
	case isCopy(o):
		return fmt.Sprintf("HNC, which copies it from the namespace %s", labels[labelInheritedFrom])
	case p.hasOwner(o):
		return plan.Owner{
			Kind: labels[v1alpha1.LabelOwnerKind], Product: labels[v1alpha1.LabelProduct], Name: labels[v1alpha1.LabelOwnerName],
		}.String()
	case labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && labels[v1alpha1.LabelTenant] != "":
		return "the tenant " + labels[v1alpha1.LabelTenant]
	case labels[v1alpha1.LabelManagedBy] != "":
		return labels[v1alpha1.LabelManagedBy]
	}
	for _, entry := range o.GetManagedFields() {
		if entry.Manager != v1alpha1.ManagedBy && entry.Subresource == "" {
			return "another owner (" + entry.Manager + ")"
		}
	}
	return "another owner"
}
