package summary

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
)

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
