package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/remote"
)

// ForeignTrustError says that an object holds values of another writer that the
// installation of Argo CD would overwrite.
type ForeignTrustError struct {
	Cluster, ConfigMap, Key string
	Managers                []string
}

// Holder returns the writer of the value.
func (e *ForeignTrustError) Holder() string {
	if len(e.Managers) == 0 {
		return "another writer"
	}
	return strings.Join(e.Managers, ", ")
}

// Error names the ConfigMap, the key, the writer and the remedy.
func (e *ForeignTrustError) Error() string {
	return fmt.Sprintf("ConfigMap %s on cluster %s has a value of %s for %s, which the installation would overwrite: "+
		"remove that key, after its content is in the CodeRepoProvider or in the operator's configuration if it is still needed", e.ConfigMap, e.Cluster, e.Holder(), e.Key)
}

// KeepForeignTrust takes the installation of Argo CD out of the plan of a cluster if it
// would overwrite certificates or host keys of another writer. An Application that is
// there stays as it is. It returns the refusals.
func (d *Deps) KeepForeignTrust(ctx context.Context, cluster string, built *build.Result[build.ClusterFacts]) []apply.ItemError {
	tenant := built.On(plan.Tenant)
	for _, component := range built.Facts.Components {
		i := slices.IndexFunc(tenant.Items, func(item plan.Item) bool { return item.ID.Name == component.Application })
		if component.Category != v1alpha1.CategoryDeployment || component.External || i < 0 {
			continue
		}
		item := tenant.Items[i]
		wanted, err := observed.TrustOf(item.Object)
		if err == nil && len(wanted) > 0 {
			err = d.checkTrust(ctx, cluster, component.Namespace, wanted)
		}
		if err == nil {
			continue
		}
		tenant.Items = slices.Delete(slices.Clone(tenant.Items), i, i+1)
		tenant.Keep = append(slices.Clone(tenant.Keep), item.ID)
		if errors.As(err, new(*remote.NotConnectedError)) {
			// The condition Connected reports it.
			return nil
		}
		return []apply.ItemError{{ID: item.ID, Target: tenant.Target, Err: err}}
	}
	return nil
}

// checkTrust returns a *ForeignTrustError for the first value of another writer.
func (d *Deps) checkTrust(ctx context.Context, cluster, namespace string, wanted map[string]map[string]string) error {
	conn, err := d.Clusters.Get(cluster)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		have := &corev1.ConfigMap{}
		if err := conn.Client().Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, have); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("read ConfigMap %s/%s on cluster %s: %w", namespace, name, cluster, err)
		}
		foreign := observed.ForeignKeys(have, wanted[name])
		for _, key := range slices.Sorted(maps.Keys(foreign)) {
			return &ForeignTrustError{Cluster: cluster, ConfigMap: namespace + "/" + name, Key: key, Managers: foreign[key]}
		}
	}
	return nil
}
