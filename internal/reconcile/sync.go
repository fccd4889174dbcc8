package reconcile

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
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
