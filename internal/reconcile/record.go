package reconcile

import (
	"context"
	"errors"
	"fmt"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// LoadRuntime returns the snapshot of a runtime's product. It puts the target of the
// runtime on record again if it was lost, for example by a restored backup: it asks the
// clusters of the product's spaces for the runtime's objects. Deployed reports whether the
// rest of the status shows such objects, and abandons whether a person gives up the
// objects on a cluster.
func (d *Deps) LoadRuntime(ctx context.Context, r v1alpha1.Runtime, deployed bool, abandons func(cluster string) bool) (*snapshot.Snapshot, error) {
	snap, err := d.Loader.Product(ctx, r.GetNamespace())
	if err != nil || r.DeployedTarget() != nil {
		return snap, err
	}
	for _, space := range snap.Spaces(r.GetNamespace()) {
		conn, err := d.Conn(snap, space.Name)
		switch {
		case errors.Is(err, engine.ErrNotYet):
			// A connection wakes the objects on record on its cluster, and this runtime is not.
			return nil, &engine.Error{Class: engine.ClassSilent, Message: err.Error(), Cause: err, RetryAfter: TokenRetry}
		case err != nil && deployed && !abandons(space.Name):
			return nil, &engine.Error{
				Class: engine.ClassWaiting, Reason: v1alpha1.ReasonNotConnected, RetryAfter: foreignRetry,
				Message: fmt.Sprintf("the record of the cluster that it is deployed to was lost, and cluster %s, which is not connected, cannot be asked: bring it back; "+
					"the annotation %s: %s on a deleted runtime gives its objects there up", space.Name, v1alpha1.AnnotationAbandon, space.Name),
			}
		case err != nil:
			// Nothing else shows that it was ever deployed.
			continue
		}
		owned, err := conn.Owned(ctx, ownerOf(r))
		if err != nil {
			return nil, err
		}
		if len(owned) > 0 {
			environment, namespaces := r.Destination()
			r.SetDeployedTarget(&v1alpha1.RuntimeTarget{
				Environment: environment, Cluster: space.Name, Namespaces: namespaces, Account: r.AccountName(),
			})
			break
		}
	}
	return snap, nil
}

// CheckRecords returns an error while a runtime of a product has objects on a cluster and
// has lost the record of it, since the space of the cluster must not go meanwhile.
func (d *Deps) CheckRecords(ctx context.Context, snap *snapshot.Snapshot, product, cluster string) error {
	for _, r := range snap.Runtimes(product) {
		if r.DeployedTarget() != nil {
			continue
		}
		conn, err := d.Targets.Connect(snap, cluster)
		if err != nil {
			// The pass over the space reports it, and writes nothing.
			return nil //nolint:nilerr // it is the same error
		}
		owned, err := conn.Owned(ctx, ownerOf(r))
		if err != nil {
			return err
		}
		if len(owned) > 0 {
			return engine.ErrNotYet
		}
	}
	return nil
}

// ownerOf returns the owner of a runtime's objects.
func ownerOf(r v1alpha1.Runtime) plan.Owner {
	return plan.Owner{Kind: snapshot.RefOf(r).Kind, Product: r.GetNamespace(), Name: r.GetName()}
}
