package reconcile

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/snapshot"
)

// IsTenantRepository reports whether a CodeRepo is labelled as the tenant repository.
func (d *Deps) IsTenantRepository(r client.Object) bool {
	return r.GetNamespace() == d.Namespace && r.GetLabels()[v1alpha1.LabelTenantRepository] == d.Tenant
}

// TenantRepository returns the tenant repository, or nil if none is declared. Of
// several, the oldest one counts.
func (d *Deps) TenantRepository(ctx context.Context) (*v1alpha1.CodeRepo, error) {
	var repos v1alpha1.CodeRepoList
	err := d.Client.List(ctx, &repos, client.InNamespace(d.Namespace), client.MatchingLabels{v1alpha1.LabelTenantRepository: d.Tenant})
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
