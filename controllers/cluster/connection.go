package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/remote/kubeconfig"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/summary"
)

// connect hands the credentials to the connection of the cluster and sets the conditions
// about both. It returns an error if the cluster is not connected.
func (p *pass) connect(ctx context.Context) error {
	credentials := p.fetchVirtual(ctx, p.s.Object)
	if credentials == nil {
		credentials = p.deps.KeepConnected(ctx, p.s.Object)
	}
	summary.Credentials(p.s.Facts, p.s.Object, credentials)
	state := p.deps.Clusters.State(p.s.Object.Name)
	if state.Connecting {
		return engine.ErrNotYet
	}
	if credentials != nil && !state.Connected {
		p.s.Facts.Fail(v1alpha1.ConditionConnected, credentials)
		return credentials
	}
	// A connection outlives the moment in which its credentials cannot be read.
	if err := p.setConnection(state); err != nil {
		return err
	}
	return credentials
}

// setConnection brings the state of the connection into the status.
func (p *pass) setConnection(state remote.State) error {
	c := p.s.Object
	if state.Connected {
		if c.Status.Connection == nil {
			c.Status.Connection = &v1alpha1.ConnectionStatus{}
		}
		c.Status.Connection.Version, c.Status.Connection.UID = state.Version, state.UID
		summary.Connected(p.s.Facts, state.Version)
		return nil
	}
	p.s.Facts.False(v1alpha1.ConditionConnected, state.Reason, state.Message)
	if state.Reason == v1alpha1.ReasonClusterReplaced || state.Reason == v1alpha1.ReasonCredentialsInvalid {
		return engine.Terminal(state.Reason, "%s", state.Message)
	}
	return engine.Waiting(state.Reason, "%s", state.Message)
}

// fetchVirtual brings the kubeconfig that a virtual cluster leaves on its host
// into the secret store, with the address under which the cluster is reached.
// It does nothing if a person stores the kubeconfig.
func (p *pass) fetchVirtual(ctx context.Context, c *v1alpha1.Cluster) error {
	at, ok := build.VirtualKubeconfig(p.s.Snapshot, c)
	if !ok {
		return nil
	}
	host, err := p.deps.Clusters.Get(c.Spec.HostCluster)
	if err != nil {
		// The stored kubeconfig is valid until the host has another one.
		return nil
	}
	secret := &corev1.Secret{}
	err = host.Client().Get(ctx, client.ObjectKey{Namespace: at.Namespace, Name: at.Name}, secret)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read Secret %s/%s on cluster %s: %w", at.Namespace, at.Name, c.Spec.HostCluster, err)
	}
	rewritten, err := kubeconfig.Rewrite(secret.Data[build.VirtualKubeconfigKey], c.Spec.APIServer)
	if err != nil {
		return engine.Terminal(v1alpha1.ReasonCredentialsInvalid, "Secret %s/%s on cluster %s: %s", at.Namespace, at.Name, c.Spec.HostCluster, err)
	}
	_, err = p.deps.Secrets.Put(ctx, secrets.ClusterKubeconfig(c.Name), map[string]secrets.Value{
		build.KubeconfigField: secrets.NewValue(rewritten),
	})
	return err
}
