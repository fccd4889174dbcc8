package controllers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
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
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/telemetry"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;create;update,namespace=nautes
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;patch;delete,namespace=nautes
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;watch

// Names lists the controllers that can be chosen.
func Names() []string {
	var names []string
	for _, c := range (&Shared{}).all() {
		names = append(names, c.name)
	}
	return names
}

type namedController struct {
	name  string
	start func() error
}

func (s *Shared) all() []namedController {
	return []namedController{
		{"product", s.Product},
		{"gitsync", s.GitSync},
		{"space", s.Space},
		{"cluster", s.Cluster},
		{"componentcatalogue", s.ComponentCatalogue},
		{"environment", s.Environment},
		{"project", s.Project},
		{"coderepo", s.CodeRepo},
		{"coderepobinding", s.CodeRepoBinding},
		{"deploymentruntime", s.DeploymentRuntime},
		{"projectpipelineruntime", s.ProjectPipelineRuntime},
		{"productprovider", s.ProductProvider},
		{"coderepoprovider", s.CodeRepoProvider},
		{"pipelinehook", s.PipelineHook},
	}
}

// Choose checks names of controllers; none, or *, means all of them.
func Choose(names []string) ([]string, error) {
	if len(names) == 0 || slices.Contains(names, "*") {
		return Names(), nil
	}
	for _, name := range names {
		if !slices.Contains(Names(), name) {
			return nil, fmt.Errorf("no controller is named %q; choose from %s", name, strings.Join(Names(), ", "))
		}
	}
	return names, nil
}

// Operator is the whole program: one manager with its controllers and the
// receiver of push hooks.
type Operator struct {
	Manager manager.Manager
	Shared  *Shared
	// ReceiverAddress is where the receiver listens, with its real port.
	ReceiverAddress string
}

// NewOperator builds the operator of one tenant from its configuration. The
// context ends what the operator starts before its manager.
func NewOperator(ctx context.Context, cfg *rest.Config, o *config.Operator, names []string) (*Operator, error) {
	mgr, err := newManager(cfg, o)
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
	s := &Shared{
		Tenant: o.Tenant, Namespace: o.Namespace, Workers: o.Reconcile.Workers,
		SafetyInterval: o.Reconcile.SafetyInterval.Duration, PollInterval: o.Git.PollInterval.Duration,
		Manager: mgr, Client: mgr.GetClient(),
		Loader:  &snapshot.Loader{Reader: mgr.GetClient(), Tenant: o.Tenant, Namespace: o.Namespace},
		Mirrors: mirrors,
		Spaces:  NewBoard[SpaceKey, SpaceResult](), Syncs: NewBoard[SyncKey, SyncResult](),
	}
	if err := s.openStore(o); err != nil {
		return nil, err
	}
	if err := s.connect(ctx, mgr, cfg, o); err != nil {
		return nil, err
	}
	for _, c := range s.all() {
		if !slices.Contains(names, c.name) {
			continue
		}
		if err := c.start(); err != nil {
			return nil, err
		}
	}
	address, err := s.receive(mgr, o)
	if err != nil {
		return nil, err
	}
	return &Operator{Manager: mgr, Shared: s, ReceiverAddress: address}, nil
}

func newManager(cfg *rest.Config, o *config.Operator) (manager.Manager, error) {
	yes := true
	mgr, err := ctrl.NewManager(cfg, manager.Options{
		Scheme:                        foreign.Scheme(),
		Metrics:                       metricsserver.Options{BindAddress: o.Metrics.Address},
		HealthProbeBindAddress:        o.Probes.Address,
		LeaderElection:                *o.LeaderElection.Enabled,
		LeaderElectionID:              "nautes-operator",
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

// receive adds the receiver of push hooks and returns its address. A replica
// that does not act refuses hooks, so that their sender tries again.
func (s *Shared) receive(mgr manager.Manager, o *config.Operator) (string, error) {
	listener, err := net.Listen("tcp", o.Receiver.Address)
	if err != nil {
		return "", fmt.Errorf("listen for push hooks: %w", err)
	}
	key := s.receiverKey(o.Receiver.KeySecret)
	// The key is there before the first hook, so that tokens can be made of it.
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		_, err := key(ctx)
		return err
	}))
	if err != nil {
		return "", err
	}
	handler := &receiver.Handler{
		Key: func(ctx context.Context) ([]byte, error) {
			select {
			case <-mgr.Elected():
				return key(ctx)
			default:
				return nil, errors.New("this replica is not the one that acts")
			}
		},
		Notify: func(source string) {
			product, _ := strings.CutPrefix(source, "product/")
			if source == "tenant" {
				product = ""
			}
			s.Pushed(SyncKey{Product: product})
		},
		Observe: func(result string) { telemetry.PushHooks.WithLabelValues(result).Inc() },
	}
	server := receiver.NewServer(o.Receiver.Address, handler)
	return listener.Addr().String(), mgr.Add(&manager.Server{Name: "push hooks", Server: server, Listener: listener})
}
