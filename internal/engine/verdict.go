package engine

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// Verdict turns the errors of the rules into one error: Terminal if one of them needs a
// person, and Waiting if all of them are references to objects that may still arrive.
func Verdict(refusals field.ErrorList) error {
	if len(refusals) == 0 {
		return nil
	}
	worst := refusals[0]
	messages := make([]string, 0, len(refusals))
	for _, e := range refusals {
		messages = append(messages, fmt.Sprintf("%s: %s", e.Field, e.Detail))
		if worst.Origin == v1alpha1.ReasonReferenceMissing {
			worst = e
		}
	}
	slices.Sort(messages)
	message := strings.Join(slices.Compact(messages), "; ")
	switch worst.Origin {
	case v1alpha1.ReasonReferenceMissing:
		return Waiting(v1alpha1.ReasonReferenceMissing, "%s", message)
	case "":
		return Terminal(v1alpha1.ReasonInvalid, "%s", message)
	}
	return Terminal(worst.Origin, "%s", message)
}

// InUse returns a Waiting error that names a user of an object, or nil if there is none.
func InUse(snap *snapshot.Snapshot, o v1alpha1.Object) error {
	users := snap.UsersOf(o)
	if len(users) == 0 {
		return nil
	}
	return Waiting(v1alpha1.ReasonInUse, "it is deleted when nothing uses it any more; now %s does%s", users[0], More(len(users)-1))
}

// Removing returns a Waiting error while objects are still being removed, or nil. It
// names the first object that says why it is not gone.
func Removing(result apply.Result, target plan.Target) error {
	if len(result.Removing) == 0 {
		return nil
	}
	first, reason := result.Removing[0], ""
	for _, id := range result.Removing {
		if held := result.Held[id]; held != "" {
			first, reason = id, ": "+held
			break
		}
	}
	return Waiting(v1alpha1.ReasonDeleting, "%s on %s is being removed%s%s", first, target, More(len(result.Removing)-1), reason)
}

// More returns the end of a message that names one of n+1 objects.
func More(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}
