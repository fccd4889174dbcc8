package snapshot

import (
	"fmt"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// MissingError says that an object names one that does not exist (yet). It
// heals when the missing object arrives.
type MissingError struct {
	// Missing is the object that does not exist.
	Missing plan.Ref
	// Needed is the object that names it.
	Needed plan.Ref
}

// Error names both objects and the way to resolve it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s does not exist: create it, or correct %s, which needs it", e.Missing, e.Needed)
}

// RepositoryError says that a code repository has no URL that can be used, or
// may not use the credentials that it needs.
type RepositoryError struct {
	// Repo is the CodeRepo, or the CodeRepoProvider whose address is at fault.
	Repo plan.Ref
	// Field that is at fault, for example spec.url.
	Field string
	// Problem describes the fault and how to resolve it. It never quotes the URL,
	// which may hold a credential.
	Problem string
	// HeldBy is the CodeRepo of another product that has the credentials of that
	// name; zero if the URL itself is at fault.
	HeldBy plan.Ref
}

// Reason returns the condition reason of the error: RepositoryClaimed if another
// product has the credentials, or Invalid.
func (e *RepositoryError) Reason() string {
	if e.HeldBy != (plan.Ref{}) {
		return v1alpha1.ReasonRepositoryClaimed
	}
	return v1alpha1.ReasonInvalid
}

// Error names the object, the field and the way to resolve it.
func (e *RepositoryError) Error() string {
	return fmt.Sprintf("%s, %s: %s", e.Repo, e.Field, e.Problem)
}
