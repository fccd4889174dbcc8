package gitsync

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/summary"
)

// statusManager is the field manager of status.sync and of the condition Synced.
const statusManager = "nautes-gitsync"

// result is the outcome of one pass over a repository.
type result struct {
	// status of the mirror, or nil if nothing was ever mirrored.
	status *v1alpha1.SyncStatus
	// err is the reason why the repository is not in sync, apart from refused files.
	err error
	// guarded is true while the prune guard keeps objects.
	guarded bool
}

// synced returns the condition of a result, and whether a person must act.
func (r result) synced() (metav1.Condition, bool) {
	c := metav1.Condition{Type: v1alpha1.ConditionSynced, Status: metav1.ConditionFalse}
	switch {
	case r.err != nil:
		outcome := engine.Classify(r.err, reconcile.Classify)
		c.Reason, c.Message = outcome.Reason, outcome.Message
		return c, outcome.Class == engine.ClassTerminal
	case r.status.ProblemCount > 0:
		c.Reason, c.Message = v1alpha1.ReasonFilesRefused, problemMessage(r.status)
		return c, true
	case r.guarded:
		c.Reason = v1alpha1.ReasonPruneGuarded
		c.Message = fmt.Sprintf("revision %s removes %d of the mirrored objects, more than half: nothing is removed until the annotation %s: %s is set",
			summary.ShortRevision(r.status.Revision), r.status.HeldBack, v1alpha1.AnnotationConfirmPrune, r.status.Revision)
		return c, true
	}
	c.Status, c.Reason = metav1.ConditionTrue, v1alpha1.ReasonSynced
	c.Message = fmt.Sprintf("revision %s, %d files", summary.ShortRevision(r.status.Revision), r.status.Files)
	return c, false
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

// report writes a result into the part of the status that belongs to the mirror, if it
// differs.
func (g *gitSync) report(ctx context.Context, s *subject, r result) error {
	condition, stalled := r.synced()
	condition.ObservedGeneration = s.object.GetGeneration()
	sync := &v1alpha1.SyncStatus{}
	if r.status != nil {
		sync = r.status.DeepCopy()
	}
	sync.Stalled = stalled
	if old := s.recorded; old != nil && old.Revision == sync.Revision && sync.RewrittenFrom == "" {
		// A new process does not know where the revision came from.
		sync.RewrittenFrom = old.RewrittenFrom
	}
	conditions := slices.Clone(s.object.GetStatus().Conditions)
	changed := meta.SetStatusCondition(&conditions, condition)
	if !changed && equality.Semantic.DeepEqual(s.recorded, sync) {
		return nil
	}
	g.reportProblems(s, sync)
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(sync)
	if err != nil {
		return fmt.Errorf("convert the state of a mirror: %w", err)
	}
	// Written out, so that they replace values of another field manager.
	for _, count := range []string{"files", "problemCount", "heldBack"} {
		if _, there := content[count]; !there {
			content[count] = int64(0)
		}
	}
	if _, there := content["problems"]; !there {
		content["problems"] = []any{}
	}
	content["stalled"] = stalled
	written, err := runtime.DefaultUnstructuredConverter.ToUnstructured(meta.FindStatusCondition(conditions, condition.Type))
	if err != nil {
		return fmt.Errorf("convert the condition of a mirror: %w", err)
	}
	o := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"sync": content, "conditions": []any{written}}}}
	o.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(snapshot.RefOf(s.object).Kind))
	o.SetNamespace(s.object.GetNamespace())
	o.SetName(s.object.GetName())
	err = g.deps.Client.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner(statusManager), client.ForceOwnership)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("write the state of the mirror of %s: %w", snapshot.RefOf(s.object), err)
	}
	return nil
}

// reportProblems sends an event for each file that has a new problem. It names the first
// one; the status has them all.
func (g *gitSync) reportProblems(s *subject, now *v1alpha1.SyncStatus) {
	known := map[v1alpha1.FileProblem]bool{}
	if s.recorded != nil {
		for _, problem := range s.recorded.Problems {
			known[problem] = true
		}
	}
	recorder := g.deps.Manager.GetEventRecorder("nautes")
	reported := map[string]bool{}
	for _, problem := range now.Problems {
		if known[problem] || reported[problem.Path] {
			continue
		}
		reported[problem.Path] = true
		recorder.Eventf(s.object, nil, corev1.EventTypeWarning, v1alpha1.ReasonFilesRefused, "Mirror",
			"%s:%d %s: %.800s", problem.Path, problem.Line, problem.Reason, problem.Message)
	}
}
