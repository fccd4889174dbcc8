package engine

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// maxPrunedNames bounds the names in the event about a prune, in bytes. The note
// of an event holds 1,000 bytes, and the names follow the count and the commit.
const maxPrunedNames = 500

// maxAuthor bounds the author in an event and in the log, in bytes.
const maxAuthor = 200

// CommitOf returns the commit that a status reports as mirrored. The status may
// be nil.
func CommitOf(sync *v1alpha1.SyncStatus) plan.Commit {
	if sync == nil {
		return plan.Commit{}
	}
	return plan.Commit{Revision: sync.Revision, Author: plan.Cut(sync.Author, maxAuthor)}
}

// WithCommit returns a context whose logger names the commit, if it is known.
func WithCommit(ctx context.Context, commit plan.Commit) context.Context {
	if commit.Revision == "" {
		return ctx
	}
	values := []any{"revision", commit.Revision}
	if commit.Author != "" {
		values = append(values, "author", commit.Author)
	}
	return log.IntoContext(ctx, log.FromContext(ctx).WithValues(values...))
}

// AnnouncePrune sends an event about the objects that were deleted for their
// owner: how many, on which target, why, by which commit, and their names. It
// sends none if there are none.
func AnnouncePrune(recorder events.EventRecorder, owner client.Object, set plan.Set, deleted []plan.ID, commit plan.Commit) {
	if len(deleted) == 0 {
		return
	}
	// Events that differ only in their note are merged, and the later note is
	// lost. The related object keeps the prunes of one owner apart.
	first := deleted[0]
	related := &corev1.ObjectReference{APIVersion: first.Group, Kind: first.Kind, Namespace: first.Namespace, Name: first.Name}
	recorder.Eventf(owner, related, corev1.EventTypeNormal, v1alpha1.ReasonPruned, "Prune", "%s", pruneNote(owner, set, deleted, commit))
}

// AnnounceAbandoned sends the event that the objects on a lost cluster are given up.
func AnnounceAbandoned(recorder events.EventRecorder, owner client.Object, cluster string) {
	recorder.Eventf(owner, nil, corev1.EventTypeWarning, v1alpha1.ReasonAbandoned, "Finalize",
		"its objects on cluster %s are given up, as the annotation %s asks: remove them there by hand", cluster, v1alpha1.AnnotationAbandon)
}

func pruneNote(owner client.Object, set plan.Set, deleted []plan.ID, commit plan.Commit) string {
	objects := "objects"
	if len(deleted) == 1 {
		objects = "object"
	}
	why := fmt.Sprintf("that %s no longer asks for", set.Owner)
	if owner.GetDeletionTimestamp() != nil {
		why = fmt.Sprintf("of %s, which is being deleted", set.Owner)
	}
	if text := commit.String(); text != "" {
		why += fmt.Sprintf(" (%s)", text)
	}
	return fmt.Sprintf("deleted %d %s on %s %s: %s", len(deleted), objects, set.Target, why, listNames(deleted))
}

// listNames returns the IDs as text. It ends with the number of IDs that did not fit.
func listNames(ids []plan.ID) string {
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		names = append(names, id.String())
	}
	return plan.JoinNames(names, maxPrunedNames)
}
