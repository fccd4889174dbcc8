package reconcile

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	ctrlreconcile "sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/secrets"
)

// KeepConnected hands the stored credentials of a cluster to its connection.
func (d *Deps) KeepConnected(ctx context.Context, c *v1alpha1.Cluster) error {
	kubeconfig, version, err := d.kubeconfig(ctx, c)
	if err != nil {
		return err
	}
	expected := ""
	if c.Status.Connection != nil {
		expected = c.Status.Connection.UID
	}
	d.Clusters.Set(c.Name, remote.Endpoint{
		UID: c.UID, Kubeconfig: kubeconfig, Version: version, ExpectedUID: expected, Server: c.Spec.APIServer,
	})
	return nil
}

// kubeconfig returns the credentials of a cluster and their version.
func (d *Deps) kubeconfig(ctx context.Context, c *v1alpha1.Cluster) (secrets.Value, string, error) {
	at := build.KubeconfigRef(c)
	secret, err := d.Secrets.Get(ctx, at)
	missing := errors.Is(err, secrets.ErrNotFound) || (err == nil && len(secret.Fields[build.KubeconfigField].Bytes()) == 0)
	switch {
	case missing && c.Spec.KubeconfigSecretRef != nil:
		return secrets.Value{}, "", engine.Waiting(v1alpha1.ReasonSecretMissing,
			"Secret %s/%s with the key %s does not exist: create it with the cluster's kubeconfig",
			d.Namespace, c.Spec.KubeconfigSecretRef.Name, build.KubeconfigKey(c.Spec.KubeconfigSecretRef))
	case missing && c.Spec.ClusterType == v1alpha1.ClusterVirtual:
		// The Secret on the host is not ours, so no event announces it.
		return secrets.Value{}, "", &engine.Error{
			Class: engine.ClassWaiting, Reason: v1alpha1.ReasonSecretMissing, RetryAfter: TokenRetry,
			Message: fmt.Sprintf("the virtual cluster has not started on cluster %s yet: its kubeconfig is read from there", c.Spec.HostCluster),
		}
	case missing:
		return secrets.Value{}, "", engine.Waiting(v1alpha1.ReasonSecretMissing,
			"the secret store has no kubeconfig at %s: store one there, or name a Secret in spec.kubeconfigSecretRef", at)
	case err != nil:
		return secrets.Value{}, "", err
	}
	return secret.Fields[build.KubeconfigField], secret.Version, nil
}

// AddConnections adds a controller that connects the clusters and writes nothing. It is
// for a process that works on clusters without the controller of Clusters.
func (d *Deps) AddConnections() error {
	connect := ctrlreconcile.Func(func(ctx context.Context, r ctrl.Request) (ctrl.Result, error) {
		c := &v1alpha1.Cluster{}
		err := d.Client.Get(ctx, r.NamespacedName, c)
		if apierrors.IsNotFound(err) {
			d.Clusters.Remove(r.Name)
			return ctrl.Result{}, nil
		}
		if err != nil {
			return ctrl.Result{}, err
		}
		outcome := engine.Classify(d.KeepConnected(ctx, c), Classify)
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
