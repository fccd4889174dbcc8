package reconcile

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/snapshot"
)

// IsTenantRepository reports whether a CodeRepo is labelled as the tenant repository.
func (rel *Relations) IsTenantRepository(r *v1alpha1.CodeRepo) bool {
	return r.Namespace == rel.Namespace && r.Labels[v1alpha1.LabelTenantRepository] == rel.Tenant
}

// TenantRepository returns the tenant repository, or nil if none is declared. Of
// several, the oldest one counts.
func (rel *Relations) TenantRepository(ctx context.Context) (*v1alpha1.CodeRepo, error) {
	var repos v1alpha1.CodeRepoList
	err := rel.Client.List(ctx, &repos, client.InNamespace(rel.Namespace), client.MatchingLabels{v1alpha1.LabelTenantRepository: rel.Tenant})
	if err != nil || len(repos.Items) == 0 {
		return nil, err
	}
	oldest := &repos.Items[0]
	for i := range repos.Items {
		if snapshot.Older(&repos.Items[i], oldest) {
			oldest = &repos.Items[i]
		}
	}
	return oldest, nil
}

// SetSynced sets the Synced condition from the last result of a mirror. It returns an
// error unless the mirror is in sync.
func SetSynced(facts *engine.Facts, result SyncResult) error {
	status := result.Status
	switch {
	case result.Err != nil:
		SetFalse(facts, v1alpha1.ConditionSynced, result.Err)
		return result.Err
	case status.ProblemCount > 0:
		message := problemMessage(status)
		facts.False(v1alpha1.ConditionSynced, v1alpha1.ReasonFilesRefused, message)
		return engine.Terminal(v1alpha1.ReasonFilesRefused, "%s", message)
	case result.Guarded:
		message := fmt.Sprintf("revision %s removes %d of the mirrored objects, more than half: nothing is removed until the annotation %s: %s is set",
			ShortRevision(status.Revision), status.HeldBack, v1alpha1.AnnotationConfirmPrune, status.Revision)
		facts.False(v1alpha1.ConditionSynced, v1alpha1.ReasonPruneGuarded, message)
		return engine.Terminal(v1alpha1.ReasonPruneGuarded, "%s", message)
	}
	facts.True(v1alpha1.ConditionSynced, v1alpha1.ReasonSynced, fmt.Sprintf("revision %s, %d files", ShortRevision(status.Revision), status.Files))
	return nil
}

func problemMessage(status v1alpha1.SyncStatus) string {
	first := status.Problems[0]
	place := first.Path
	if first.Line > 0 {
		place = fmt.Sprintf("%s:%d", first.Path, first.Line)
	}
	message := fmt.Sprintf("%s: %s", place, first.Message)
	if status.ProblemCount > 1 {
		message += fmt.Sprintf(" (and %d more files, see status.sync.problems)", status.ProblemCount-1)
	}
	return message
}
