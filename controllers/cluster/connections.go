package cluster

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	ctrlreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// AddConnections adds a controller that connects the clusters and writes nothing. It is
// for a process that works on clusters without the controller of Clusters.
func AddConnections(d *reconcile.Deps) error {
	connect := ctrlreconcile.Func(func(ctx context.Context, r ctrl.Request) (ctrl.Result, error) {
		c := &v1alpha1.Cluster{}
		if err := d.Client.Get(ctx, r.NamespacedName, c); err != nil {
			d.Clusters.Remove(r.Name)
			return ctrl.Result{}, client.IgnoreNotFound(err)
		}
		outcome := engine.Classify(keepConnected(ctx, d, c), reconcile.Classify)
		if outcome.Class == engine.ClassUnexpected {
			return ctrl.Result{}, outcome.Cause
		}
		return ctrl.Result{RequeueAfter: outcome.RetryAfter}, nil
	})
	err := ctrl.NewControllerManagedBy(d.Manager).Named("connections").For(&v1alpha1.Cluster{}).WatchesRawSource(d.Source("Cluster")).
		WithOptions(controller.Options{MaxConcurrentReconciles: d.Workers}).Complete(connect)
	if err != nil {
		return fmt.Errorf("start the controller of connections: %w", err)
	}
	return nil
}
