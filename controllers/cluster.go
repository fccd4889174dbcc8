package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/telemetry"
	"nautes.io/nautes/internal/validate"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=clusters,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=clusters/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch,namespace=nautes

// clusterWork keeps the connection to a cluster as its kubeconfig says, and
// reports what is known of the cluster.
type clusterWork struct{ *Shared }

// Cluster starts the controller of Clusters.
func (s *Shared) Cluster() error {
	b := ctrl.NewControllerManagedBy(s.Manager).Named("cluster").For(&v1alpha1.Cluster{}).
		WatchesRawSource(s.WakeCluster.Source())
	watch(b, &corev1.Secret{}, s.clustersOfSecret)
	watch(b, &v1alpha1.Product{}, func(ctx context.Context, p *v1alpha1.Product) []reconcile.Request {
		return append(s.clustersNaming(ctx, p.Spec.Name), requests(s.Namespace, snapshot.SpaceClusters(p)...)...)
	})
	watch(b, &v1alpha1.Environment{}, func(_ context.Context, e *v1alpha1.Environment) []reconcile.Request {
		return []reconcile.Request{request(s.Namespace, e.Spec.Cluster)}
	})
	watch(b, &v1alpha1.DeploymentRuntime{}, func(_ context.Context, r *v1alpha1.DeploymentRuntime) []reconcile.Request {
		if r.Status.Target == nil {
			return nil
		}
		return []reconcile.Request{request(s.Namespace, r.Status.Target.Cluster)}
	})
	watch(b, &v1alpha1.Cluster{}, func(_ context.Context, c *v1alpha1.Cluster) []reconcile.Request {
		if c.Spec.HostCluster == "" {
			return nil
		}
		return []reconcile.Request{request(s.Namespace, c.Spec.HostCluster)}
	})
	return start(s, b, clusterWork{s}, engine.Options[*v1alpha1.Cluster]{
		Kind: "Cluster", New: func() *v1alpha1.Cluster { return &v1alpha1.Cluster{} },
	})
}

// Reconcile implements engine.Work.
func (w clusterWork) Reconcile(ctx context.Context, s *engine.Session[*v1alpha1.Cluster]) error {
	c := s.Object
	snap, err := w.Loader.Cluster(ctx, c.Name)
	if err != nil {
		return err
	}
	c.Status.ProductIDMap = resolveProducts(snap, c)
	refusals, warnings := validate.Run(snap, validate.Request{New: c})
	c.Status.Warnings = warnings
	c.Status.UsedBy = usedBy(snap, c)
	// The connection is kept whatever the rules say: who is on the cluster needs it.
	connectErr := w.keepConnected(ctx, s)
	if connectErr == nil {
		connectErr = w.tellConnection(s)
	} else {
		fails(s.Facts, v1alpha1.ConditionConnected, connectErr)
	}
	if errors.Is(connectErr, engine.ErrNotYet) {
		return connectErr
	}
	if err := verdict(refusals); err != nil {
		fails(s.Facts, v1alpha1.ConditionValid, err)
		return err
	}
	s.Facts.True(v1alpha1.ConditionValid, v1alpha1.ReasonValid, "every rule holds")
	if c.Spec.Suspend {
		return engine.Held(v1alpha1.ReasonSuspended, "spec.suspend is set: the connection is kept, and nothing else is done")
	}
	return connectErr
}

// tellConnection brings the state of the connection into the status.
func (w clusterWork) tellConnection(s *engine.Session[*v1alpha1.Cluster]) error {
	c := s.Object
	state := w.Clusters.State(c.Name)
	if state.Connecting {
		return engine.ErrNotYet
	}
	if state.Connected {
		if c.Status.Connection == nil {
			c.Status.Connection = &v1alpha1.ConnectionStatus{}
		}
		c.Status.Connection.Version, c.Status.Connection.UID = state.Version, state.UID
		message := "Kubernetes " + state.Version + " answers"
		s.Facts.True(v1alpha1.ConditionConnected, v1alpha1.ReasonConnected, message)
		s.Facts.ReadyMessage = message
		return nil
	}
	s.Facts.False(v1alpha1.ConditionConnected, state.Reason, state.Message)
	if state.Reason == v1alpha1.ReasonClusterReplaced || state.Reason == v1alpha1.ReasonCredentialsInvalid {
		return engine.Terminal(state.Reason, "%s", state.Message)
	}
	return engine.Waiting(state.Reason, "%s", state.Message)
}

// kubeconfig returns the credentials of a cluster and their version.
func (w clusterWork) kubeconfig(ctx context.Context, c *v1alpha1.Cluster) (secrets.Value, string, error) {
	ref := c.Spec.KubeconfigSecretRef
	if ref == nil {
		at := secrets.ClusterKubeconfig(c.Name)
		secret, err := w.Secrets.Get(ctx, at)
		if errors.Is(err, secrets.ErrNotFound) || (err == nil && len(secret.Fields["kubeconfig"].Bytes()) == 0) {
			return secrets.Value{}, "", engine.Waiting(v1alpha1.ReasonSecretMissing,
				"the secret store has no kubeconfig at %s: store one there, or name a Secret in spec.kubeconfigSecretRef", at)
		}
		return secret.Fields["kubeconfig"], secret.Version, err
	}
	secret := &corev1.Secret{}
	err := w.Client.Get(ctx, client.ObjectKey{Namespace: w.Namespace, Name: ref.Name}, secret)
	key := ref.Key
	if key == "" {
		key = "kubeconfig"
	}
	if apierrors.IsNotFound(err) || (err == nil && len(secret.Data[key]) == 0) {
		return secrets.Value{}, "", engine.Waiting(v1alpha1.ReasonSecretMissing,
			"Secret %s/%s with the key %s does not exist: create it with the cluster's kubeconfig", w.Namespace, ref.Name, key)
	}
	return secrets.NewValue(secret.Data[key]), secret.ResourceVersion, err
}

// resolveProducts returns the ids of the products that a cluster names. A name
// keeps its id as long as the spec has it, so that a new product of the same
// name does not inherit what was granted to another.
func resolveProducts(snap *snapshot.Snapshot, c *v1alpha1.Cluster) map[string]string {
	ids := map[string]string{}
	resolve := func(name string) {
		if id, known := c.Status.ProductIDMap[name]; known {
			ids[name] = id
		} else if p := snap.ProductByName(name); p != nil {
			ids[name] = p.Name
		}
	}
	for _, names := range c.Spec.ReservedNamespacesAllowedProducts {
		for _, name := range names {
			resolve(name)
		}
	}
	for name := range c.Spec.ProductAllowedClusterResources {
		resolve(name)
	}
	if len(ids) == 0 {
		return nil
	}
	return ids
}

// usedBy lists who uses a cluster, for people.
func usedBy(snap *snapshot.Snapshot, c *v1alpha1.Cluster) []string {
	var users []string
	for _, user := range snap.UsersOf(c) {
		users = append(users, fmt.Sprintf("%s/%s/%s", user.Kind, user.Namespace, user.Name))
	}
	slices.Sort(users)
	if len(users) > maxUsers {
		users = users[:maxUsers]
	}
	return users
}

const maxUsers = 20

// Finalize implements engine.Work: a cluster stays while something is on it.
func (w clusterWork) Finalize(ctx context.Context, s *engine.Session[*v1alpha1.Cluster]) error {
	snap, err := w.Loader.Cluster(ctx, s.Object.Name)
	if err != nil {
		return err
	}
	s.Object.Status.UsedBy = usedBy(snap, s.Object)
	if err := inUse(snap, s.Object); err != nil {
		// It goes on working for those who use it.
		if connectErr := w.keepConnected(ctx, s); connectErr != nil {
			return connectErr
		}
		return err
	}
	w.Clusters.Remove(s.Object.Name)
	if connection := s.Object.Status.Connection; connection != nil {
		w.Applier.Forget(connection.UID)
	}
	telemetry.ClusterConnected.DeleteLabelValues(s.Object.Name)
	return nil
}

func (w clusterWork) keepConnected(ctx context.Context, s *engine.Session[*v1alpha1.Cluster]) error {
	kubeconfig, version, err := w.kubeconfig(ctx, s.Object)
	if err != nil {
		return err
	}
	expected := ""
	if s.Object.Status.Connection != nil {
		expected = s.Object.Status.Connection.UID
	}
	w.Clusters.Set(s.Object.Name, s.Object.UID, kubeconfig, version, expected)
	return nil
}

// inUse is a Waiting error that names who uses an object; nil when nobody does.
func inUse(snap *snapshot.Snapshot, o v1alpha1.Object) error {
	users := snap.UsersOf(o)
	if len(users) == 0 {
		return nil
	}
	return engine.Waiting(v1alpha1.ReasonInUse, "it is deleted when nothing uses it any more; now %s does%s",
		users[0], more(len(users)-1))
}
