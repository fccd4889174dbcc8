// Package operator wires up the parts that every server of a tenant shares: the
// manager with its caches, the secret store, the mirrors, the connections to the
// tenant cluster and the runtime clusters, and the receiver of push hooks. It
// guarantees that they are ready before a controller is added.
package operator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	corev1 "k8s.io/api/core/v1"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/foreign"
	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/refresh"
	"nautes.io/nautes/internal/schema"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/telemetry"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;create;update,namespace=nautes
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;patch;delete,namespace=nautes
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;watch

// Operator is the program of one tenant, without controllers: a manager, and the
// dependencies that controllers are given.
type Operator struct {
	Manager manager.Manager
	Deps    *reconcile.Deps
	// ReceiverAddress is the address that push hooks are received at, with its port.
	ReceiverAddress string
}

// New returns the operator of one tenant from its configuration. The context ends
// the connections that are opened before the manager starts.
func New(ctx context.Context, cfg *rest.Config, o *config.Operator) (*Operator, error) {
	d, err := newDeps(ctx, cfg, o)
	if err != nil {
		return nil, err
	}
	if err := connect(ctx, d, cfg, o); err != nil {
		return nil, err
	}
	d.Targets = d.NewTargets()
	address, err := receive(d, o)
	if err != nil {
		return nil, err
	}
	return &Operator{Manager: d.Manager, Deps: d, ReceiverAddress: address}, nil
}

// newDeps returns the parts that every server of a tenant has: the manager with its
// caches, the mirrors, the schemas and the secret store.
func newDeps(ctx context.Context, cfg *rest.Config, o *config.Operator, uncached ...client.Object) (*reconcile.Deps, error) {
	mgr, err := newManager(cfg, o, uncached...)
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	if err := snapshot.SetupIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, fmt.Errorf("index the cache: %w", err)
	}
	mirrors, err := git.New(o.Git.CacheDir, git.Options{Timeout: o.Git.Timeout.Duration, AllowedProtocols: o.Git.AllowedProtocols})
	if err != nil {
		return nil, fmt.Errorf("set up the mirrors: %w", err)
	}
	kinds, err := schema.New()
	if err != nil {
		return nil, fmt.Errorf("read the schemas: %w", err)
	}
	settings, err := settingsOf(o)
	if err != nil {
		return nil, err
	}
	d := &reconcile.Deps{
		Tenant: o.Tenant, Namespace: o.Namespace, Workers: o.Reconcile.Workers,
		SafetyInterval: o.Reconcile.SafetyInterval.Duration, PollInterval: o.Git.PollInterval.Duration,
		Manager: mgr, Client: mgr.GetClient(),
		Loader:  &snapshot.Loader{Reader: mgr.GetClient(), Tenant: o.Tenant, Namespace: o.Namespace, Settings: settings},
		Mirrors: mirrors,
		Kinds:   kinds,
		Queues:  &reconcile.Queues{}, Pushes: &reconcile.Pushes{},
	}
	direct, err := client.New(cfg, client.Options{HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, fmt.Errorf("make a client without a cache: %w", err)
	}
	return d, openStore(d, o, direct)
}

func newManager(cfg *rest.Config, o *config.Operator, uncached ...client.Object) (manager.Manager, error) {
	yes := true
	mgr, err := ctrl.NewManager(cfg, manager.Options{
		Scheme:                        foreign.Scheme(),
		Client:                        client.Options{Cache: &client.CacheOptions{DisableFor: uncached}},
		Metrics:                       metricsserver.Options{BindAddress: o.Metrics.Address},
		HealthProbeBindAddress:        o.Probes.Address,
		LeaderElection:                *o.LeaderElection.Enabled,
		LeaderElectionID:              o.LeaderElection.Name,
		LeaderElectionNamespace:       o.Namespace,
		LeaderElectionReleaseOnCancel: true,
		// One process may hold several operators one after another, as tests do.
		Controller: ctrlconfig.Controller{RecoverPanic: &yes, SkipNameValidation: &yes},
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject: map[client.Object]cache.ByObject{
				// Secrets are read in the operator's namespace only.
				&corev1.Secret{}: {Namespaces: map[string]cache.Config{o.Namespace: {}}},
			},
		},
	})
	if err != nil {
		return nil, err
	}
	if err := mgr.AddHealthzCheck("alive", healthz.Ping); err != nil {
		return nil, err
	}
	return mgr, mgr.AddReadyzCheck("caches", func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return fmt.Errorf("the caches are not synced yet")
		}
		return nil
	})
}

// receive adds the receiver of push hooks and returns its address. A replica that
// does not act, and a process without the mirrors, refuse hooks, so that their sender
// tries again.
func receive(d *reconcile.Deps, o *config.Operator) (string, error) {
	listener, err := net.Listen("tcp", o.Receiver.Address)
	if err != nil {
		return "", fmt.Errorf("listen for push hooks: %w", err)
	}
	key := receiverKey(d, o.Receiver.KeySecret)
	addForges(d, o.Receiver.PublicURL, key)
	// The key is there before the first hook, so that tokens can be made of it.
	err = d.Manager.Add(manager.RunnableFunc(func(ctx context.Context) error {
		_, err := key(ctx)
		return err
	}))
	if err != nil {
		return "", err
	}
	refresher := refresh.New(d.Client, func(cluster string) (client.Client, error) {
		conn, err := d.Clusters.Get(cluster)
		if err != nil {
			return nil, err
		}
		return conn.Client(), nil
	})
	if err := d.Manager.Add(refresher); err != nil {
		return "", err
	}
	handler := &receiver.Handler{
		Key: func(ctx context.Context) ([]byte, error) {
			if !d.Queues.Sync.Bound() {
				return nil, errors.New("this process does not mirror repositories")
			}
			select {
			case <-d.Manager.Elected():
				return key(ctx)
			default:
				return nil, errors.New("this replica is not the one that acts")
			}
		},
		Notify: func(source string, push forge.Push) {
			product, repository := receiver.Split(source)
			if repository != "" {
				refresher.Pushed(refresh.Push{Product: product, Repository: repository, Ref: push.Ref})
				return
			}
			d.Pushed(reconcile.SyncKey{Product: product}, push)
		},
		Observe: func(result string) { telemetry.PushHooks.WithLabelValues(result).Inc() },
	}
	server := receiver.NewServer(o.Receiver.Address, handler)
	return listener.Addr().String(), d.Manager.Add(&manager.Server{Name: "push hooks", Server: server, Listener: listener})
}
