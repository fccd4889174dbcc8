package reconcile

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/snapshot"
)

// StoreReviewer brings the token by which the secret store reviews the tokens of
// the cluster's accounts into the store, where the auth mount finds it.
func (d *Deps) StoreReviewer(ctx context.Context, snap *snapshot.Snapshot, c *v1alpha1.Cluster, connect func(plan.Target) (apply.Connection, error)) error {
	at, ok := build.ReviewerSecret(snap, c)
	if !ok {
		return nil
	}
	conn, err := connect(plan.Cluster(c.Name))
	if err != nil {
		return err
	}
	secret := &corev1.Secret{}
	err = conn.Client().Get(ctx, client.ObjectKey{Namespace: at.Namespace, Name: at.Name}, secret)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read Secret %s/%s on cluster %s: %w", at.Namespace, at.Name, c.Name, err)
	}
	token := secret.Data[corev1.ServiceAccountTokenKey]
	if apierrors.IsNotFound(err) || len(token) == 0 {
		return &engine.Error{
			Class: engine.ClassWaiting, Reason: v1alpha1.ReasonSecretMissing, RetryAfter: TokenRetry,
			Message: fmt.Sprintf("Secret %s/%s on cluster %s holds no token yet: the cluster's controller manager fills it", at.Namespace, at.Name, c.Name),
		}
	}
	_, err = d.Secrets.Put(ctx, secrets.ClusterReviewer(c.Name), map[string]secrets.Value{build.ReviewerField: secrets.NewValue(token)})
	return err
}
