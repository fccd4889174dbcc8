package operator

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/forgehooks"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/pushhooks"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/repokeys"
	"nautes.io/nautes/internal/reports"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/servers"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/telemetry"
)

// tenantSyncTimeout bounds how long the start waits for the tenant cluster.
const tenantSyncTimeout = 2 * time.Minute

// connect sets up the tenant cluster as a target, and the connections to the
// runtime clusters. The tenant's caches are full when it returns, so that the
// first reconciliation sees every object.
func connect(ctx context.Context, d *reconcile.Deps, cfg *rest.Config, o *config.Operator) error {
	tenant, err := remote.Connect(ctx, cfg, remote.ConnOptions{
		Tenant: o.Tenant, Kinds: plan.TenantKinds(), Namespaces: plan.TenantNamespaces(o.ArgoCD.Namespace),
		OnChange: d.TenantChanged, Scheme: d.Manager.GetScheme(), QPS: tenantQPS, Burst: tenantBurst,
		Rights: "apply config/rbac again, with its Role in the namespace " + o.ArgoCD.Namespace,
		Log:    ctrl.Log.WithName("tenant"),
	})
	if err != nil {
		return fmt.Errorf("connect to the tenant cluster: %w", err)
	}
	err = wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, tenantSyncTimeout, true, func(context.Context) (bool, error) {
		return tenant.Synced() == nil, nil
	})
	if err != nil {
		tenant.Close()
		return fmt.Errorf("read the tenant cluster: %w", tenant.Synced())
	}
	d.TenantConn = tenant
	err = d.Manager.Add(manager.RunnableFunc(func(ctx context.Context) error {
		<-ctx.Done()
		tenant.Close()
		return nil
	}))
	if err != nil {
		return err
	}
	d.Clusters = remote.NewManager(remote.ManagerOptions{
		Tenant: o.Tenant, Scheme: d.Manager.GetScheme(),
		ProbeInterval: o.Clusters.ProbeInterval.Duration, ProbeTimeout: o.Clusters.ProbeTimeout.Duration,
		FailureThreshold: o.Clusters.FailureThreshold, QPS: o.Clusters.QPS, Burst: o.Clusters.Burst,
		OnState: func(cluster string) {
			connected := 0.0
			if d.Clusters.State(cluster).Connected {
				connected = 1
			}
			telemetry.ClusterConnected.WithLabelValues(cluster).Set(connected)
			d.EnqueueCluster(cluster)
		},
		OnObject: d.ClusterChanged,
		Log:      ctrl.Log.WithName("clusters"),
	})
	return d.Manager.Add(d.Clusters)
}

// The tenant's own API server is close, and the mirrors write to it.
const (
	tenantQPS   = 200
	tenantBurst = 400
)

// receiverKey returns the key that the tokens of push hooks are made with. It
// is made once, in a Secret in the operator's namespace.
func receiverKey(d *reconcile.Deps, name string) func(context.Context) ([]byte, error) {
	return func(ctx context.Context) ([]byte, error) {
		secret := &corev1.Secret{}
		key := client.ObjectKey{Namespace: d.Namespace, Name: name}
		err := d.Client.Get(ctx, key, secret)
		if apierrors.IsNotFound(err) {
			secret = &corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Namespace: d.Namespace, Name: name, Labels: map[string]string{
					v1alpha1.LabelManagedBy: v1alpha1.ManagedBy,
				}},
				Data: map[string][]byte{receiverKeyField: []byte(rand.Text() + rand.Text())},
			}
			if err = d.Client.Create(ctx, secret); apierrors.IsAlreadyExists(err) {
				err = d.Manager.GetAPIReader().Get(ctx, key, secret)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read the key of push hooks from Secret %s: %w", key, err)
		}
		if len(secret.Data[receiverKeyField]) == 0 {
			return nil, fmt.Errorf("no %[2]s in Secret %[1]s: delete it, and Nautes creates it again", key, receiverKeyField)
		}
		return secret.Data[receiverKeyField], nil
	}
}

const receiverKeyField = "key"

// addForges adds the makers of hooks, deploy keys and commit statuses in forges.
func addForges(d *reconcile.Deps, publicURL string, key func(context.Context) ([]byte, error)) {
	connect := servers.Tenants(d.Secrets, d.Loader)
	later := func(o v1alpha1.Object, after time.Duration) {
		d.Queues.Of(snapshot.RefOf(o).Kind).AddAfter(ctrl.Request{NamespacedName: client.ObjectKeyFromObject(o)}, after)
	}
	d.Keys = &repokeys.Maker{Store: d.Secrets, Connect: connect, Later: later}
	d.Reports = &reports.Reporter{Connect: connect, Later: later}
	d.Hooks = &pushhooks.Maker{
		PublicURL: publicURL,
		Token: func(ctx context.Context, source string) (secrets.Value, error) {
			content, err := key(ctx)
			return secrets.NewValue([]byte(receiver.Token(content, source))), err
		},
		Keeper: &forgehooks.Keeper{Connect: connect}, Later: later,
	}
}
