package gitsync

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/summary"
)

// statusManager is the field manager of status.sync and of the condition Synced.
const statusManager = "nautes-gitsync"

// report writes a result into the part of the status that belongs to the mirror, if it
// differs.
func (g *gitSync) report(ctx context.Context, s *subject, r summary.MirrorResult) error {
	condition, stalled := r.Synced(reconcile.Classify)
	condition.ObservedGeneration = s.object.GetGeneration()
	sync := &v1alpha1.SyncStatus{}
	if r.Status != nil {
		sync = r.Status.DeepCopy()
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
