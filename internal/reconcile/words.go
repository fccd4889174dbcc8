package reconcile

import (
	"fmt"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/snapshot"
)

// Removing returns a Waiting error while objects are still terminating, or nil.
func Removing(result apply.Result, where string) error {
	if len(result.Removing) == 0 {
		return nil
	}
	return engine.Waiting(v1alpha1.ReasonDeleting, "%s on %s is being removed%s",
		result.Removing[0], where, More(len(result.Removing)-1))
}

// More returns " (and n more)", or nothing if n is 0.
func More(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

// ShortRevision returns the form of a revision for people.
func ShortRevision(revision string) string {
	if len(revision) > 10 {
		return revision[:10]
	}
	return revision
}

// InUse returns a Waiting error that names a user of an object, or nil if there is
// none.
func InUse(snap *snapshot.Snapshot, o v1alpha1.Object) error {
	users := snap.UsersOf(o)
	if len(users) == 0 {
		return nil
	}
	return engine.Waiting(v1alpha1.ReasonInUse, "it is deleted when nothing uses it any more; now %s does%s",
		users[0], More(len(users)-1))
}
