package summary

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
)

// MirrorResult is the outcome of one pass over a repository.
type MirrorResult struct {
	// Status of the mirror, or nil if nothing was ever mirrored.
	Status *v1alpha1.SyncStatus
	// Err is the reason why the repository is not in sync, apart from refused files.
	Err error
	// Held lists the objects that the prune guard keeps.
	Held []plan.ID
	// Confirm is the object whose annotation confirms their removal.
	Confirm plan.Ref
}

// maxHeldNames bounds the names of objects in a message, in bytes.
const maxHeldNames = 300

// Synced returns the condition of a result, and whether a person must act.
func (r MirrorResult) Synced(classify engine.Classifier) (metav1.Condition, bool) {
	c := metav1.Condition{Type: v1alpha1.ConditionSynced, Status: metav1.ConditionFalse}
	switch {
	case r.Err != nil:
		outcome := engine.Classify(r.Err, classify)
		c.Reason, c.Message = outcome.Reason, outcome.Message
		return c, outcome.Class == engine.ClassTerminal
	case r.Status.ProblemCount > 0:
		c.Reason, c.Message = v1alpha1.ReasonFilesRefused, problemMessage(r.Status)
		if len(r.Held) > 0 {
			c.Message += "; besides, " + r.heldMessage()
		}
		return c, true
	case len(r.Held) > 0:
		c.Reason, c.Message = v1alpha1.ReasonPruneGuarded, r.heldMessage()
		return c, true
	}
	c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonSynced
	c.Message = fmt.Sprintf("revision %s, %d files", ShortRevision(r.Status.Revision), r.Status.Files)
	return c, false
}

// heldMessage names the objects that the guard keeps, and both ways to confirm their
// removal.
func (r MirrorResult) heldMessage() string {
	return fmt.Sprintf("revision %s would remove %d of the mirrored objects at once; kept are: %s. If the removal is intended, set the annotation %s: %s on %s, "+
		"or restore the files and remove them by a commit with the trailer %s: %s in its message",
		ShortRevision(r.Status.Revision), len(r.Held), plan.JoinIDs(r.Held, maxHeldNames),
		v1alpha1.AnnotationConfirmPrune, r.Status.Revision, r.Confirm, v1alpha1.TrailerConfirmPrune, v1alpha1.TrailerConfirmed)
}

func problemMessage(status *v1alpha1.SyncStatus) string {
	first := status.Problems[0]
	at := first.Path
	if first.Line > 0 {
		at = fmt.Sprintf("%s:%d", first.Path, first.Line)
	}
	message := fmt.Sprintf("%s: %s", at, first.Message)
	if status.ProblemCount > 1 {
		message += fmt.Sprintf(" (and %d more files, see status.sync.problems)", status.ProblemCount-1)
	}
	return message
}

// MirrorOutcome returns the error of an object whose repository is mirrored, or nil if
// it is in sync, from the part of the status that the mirror writes. It returns
// engine.ErrNotYet if the mirror has not seen this generation of the object.
func MirrorOutcome(o v1alpha1.Object, sync *v1alpha1.SyncStatus) error {
	c := meta.FindStatusCondition(o.GetStatus().Conditions, v1alpha1.ConditionSynced)
	switch {
	case c == nil || c.ObservedGeneration != o.GetGeneration():
		return engine.ErrNotYet
	case c.Status == metav1.ConditionTrue:
		return nil
	case sync != nil && sync.Stalled:
		return engine.Terminal(c.Reason, "%s", c.Message)
	}
	return engine.Waiting(c.Reason, "%s", c.Message)
}

// ShortRevision returns the form of a revision for people.
func ShortRevision(revision string) string {
	if len(revision) > 10 {
		return revision[:10]
	}
	return revision
}

// Unmirrored returns the reason why the repository of a suspended object is left alone.
func Unmirrored() error {
	return engine.Held(v1alpha1.ReasonSuspended, "spec.suspend is set: the repository is not mirrored")
}
