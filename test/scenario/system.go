package scenario

import (
	"context"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/operator"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/test/devstack"
)

// System is a stack with the clients of its administrator.
type System struct {
	*devstack.Stack
	// Client is for the tenant's control plane. Clusters has the clients for runtime
	// control planes, by their names.
	Client   client.WithWatch
	Clusters map[string]client.WithWatch
	// Secrets is where people store secrets.
	Secrets SecretWriter
	// Hooks is the base URL at which the operator receives push hooks.
	Hooks string
}

// NewSystem returns the system of a stack. People store secrets in the operator's
// namespace, unless the caller sets another place.
func NewSystem(stack *devstack.Stack) (*System, error) {
	s := &System{Stack: stack, Clusters: map[string]client.WithWatch{}}
	var err error
	if s.Client, err = NewClient(stack.Tenant.Config()); err != nil {
		return nil, err
	}
	for name, plane := range stack.Runtimes {
		if s.Clusters[name], err = NewClient(plane.Config()); err != nil {
			return nil, err
		}
	}
	s.Secrets = KubernetesSecrets(s.Client)
	return s, nil
}

// InstallArgoCDKinds gives the tenant's control plane the CRDs of Argo CD.
func (s *System) InstallArgoCDKinds(ctx context.Context) error {
	crds, err := devstack.ArgoCDCRDs(ctx)
	if err != nil {
		return err
	}
	return devstack.InstallCRDs(ctx, s.Tenant.Config(), crds)
}

// Apply writes manifests to the tenant's control plane, as kubectl apply does.
func (s *System) Apply(ctx context.Context, manifests ...string) error {
	for _, m := range manifests {
		if err := devstack.ApplyWith(ctx, s.Client, []byte(m)); err != nil {
			return err
		}
	}
	return nil
}

// CreateNamespace creates a namespace on a runtime control plane.
func (s *System) CreateNamespace(ctx context.Context, plane, name string) error {
	err := s.Clusters[plane].Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if err != nil {
		return fmt.Errorf("create the namespace %s on %s: %w", name, plane, err)
	}
	return nil
}

// Planes returns all control planes of the stack, by their names.
func (s *System) Planes() map[string]*devstack.ControlPlane {
	all := map[string]*devstack.ControlPlane{devstack.TenantName: s.Tenant}
	for name, plane := range s.Runtimes {
		all[name] = plane
	}
	return all
}

// Operator is an operator in the process of a test.
type Operator struct {
	*operator.Operator

	cancel context.CancelFunc
	ended  chan error
}

// RunOperator runs an operator, to which add adds its controllers. It has the
// permissions that InstallOperator of the stack grants, and no others.
func (s *System) RunOperator(settings devstack.OperatorConfig, add func(*reconcile.Deps) error) (*Operator, error) {
	kubeconfig, err := s.Tenant.KubeconfigFor(devstack.OperatorUser)
	if err != nil {
		return nil, err
	}
	cfg, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the operator's kubeconfig: %w", err)
	}
	// The operator's process reads its configuration without a limit, too. A zero limits
	// each of its clients to five requests a second.
	cfg.QPS = -1
	if err := os.MkdirAll(settings.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the operator: %w", err)
	}
	file, err := settings.Write()
	if err != nil {
		return nil, err
	}
	options, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	started, err := operator.New(ctx, cfg, options)
	if err == nil {
		err = add(started.Deps)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	o := &Operator{Operator: started, cancel: cancel, ended: make(chan error, 1)}
	go func() { o.ended <- started.Manager.Start(ctx) }()
	return o, nil
}

// Stop stops the operator, and returns the error with which it ended.
func (o *Operator) Stop() error {
	o.cancel()
	if err := <-o.ended; err != nil {
		return fmt.Errorf("the operator stopped with %w", err)
	}
	return nil
}
