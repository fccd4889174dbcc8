package devstack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"

	"nautes.io/nautes/test/githost"
)

// startsPerProcessor is more than one since a start also waits.
const startsPerProcessor = 2

// TenantName is the name of the tenant's control plane.
const TenantName = "tenant"

// Options select the parts of a stack, beside etcd, the tenant's control plane
// with the CRDs of Nautes, and a Git host.
type Options struct {
	// Dir holds all files; empty: a temporary directory, which Stop removes.
	Dir string
	// BinDir holds the programs; empty: bin/ of this module.
	BinDir string
	// Runtimes are the names of the runtime control planes, with the CRDs of
	// Argo CD and HNC: DNS labels, other than "tenant".
	Runtimes []string
	// Bare leaves the CRDs away from all control planes; BareRuntimes only from
	// the runtime control planes, for those who install components there and
	// start Argo CD and HNC afterwards.
	Bare, BareRuntimes bool
	// ControllerManager runs a kube-controller-manager beside each API server.
	// Without one, namespaces do not terminate, owned objects are not
	// collected, and the roles admin, edit and view are empty.
	ControllerManager bool
	// Vault runs beside them, with TLS.
	Vault bool
	// ArgoCD and HNC run on every runtime control plane.
	ArgoCD, HNC bool
	// Pipelines has the programs looked for that StartArgoEvents, StartTekton and
	// RunSteps run.
	Pipelines bool
	// TenantArgoCD runs Argo CD, with its CRDs, on the tenant's control plane.
	TenantArgoCD bool
	// Progress is called after each step, one call at a time. It may be nil.
	Progress func(step string, took time.Duration)
}

// Stack is a running stack.
type Stack struct {
	// Dir holds all files of the stack; logs are in its directory logs.
	Dir string

	Etcd   *Etcd
	Git    *githost.Host
	Tenant *ControlPlane
	// Runtimes, ArgoCD and HNC, by the names of the runtime control planes, and
	// the tenant's Argo CD by TenantName. Read them while nothing is started.
	Runtimes map[string]*ControlPlane
	ArgoCD   map[string]*ArgoCD
	HNC      map[string]*HNC
	// Vaults by their names; the options' Vault is VaultName. Read it while
	// StartVault does not run.
	Vaults map[string]*Vault

	options   Options
	temporary bool
	ports     ports
	// starts has room for the control planes that start at the same time.
	starts chan struct{}

	proxies []*FaultProxy
	parts   []Part

	// mutex guards the maps, proxies, parts, stopped and calls of Progress.
	mutex   sync.Mutex
	stopped bool
}

// Part is a part that was started beside the parts of the options.
type Part interface {
	Stop() error
	// Err returns nil while it runs, and the reason of its end otherwise.
	Err() error
}

var (
	errRuntimeName = errors.New("a runtime's name must be a DNS label, given once, and not " + TenantName)
	errNoRuntime   = errors.New("the stack has no such control plane")
	runtimeName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$`)
)

// Start starts a stack; ctx limits the start, not the life of the stack. When
// programs are missing the error is a *MissingError, which names the make target.
func Start(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{
		Dir:      o.Dir,
		Runtimes: map[string]*ControlPlane{},
		ArgoCD:   map[string]*ArgoCD{},
		HNC:      map[string]*HNC{},
		Vaults:   map[string]*Vault{},
		options:  o,
		starts:   make(chan struct{}, startsPerProcessor*runtime.GOMAXPROCS(0)),
	}
	if err := s.programs().check(o.needed()...); err != nil {
		return nil, err
	}
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the stack: %w", err), s.Stop())
	}
	return s, nil
}

func (o Options) needed() []string {
	needed := []string{programEtcd, programAPIServer}
	if o.ControllerManager {
		needed = append(needed, programControllerManager)
	}
	if o.Vault {
		needed = append(needed, programVault)
	}
	if o.ArgoCD || o.TenantArgoCD {
		needed = append(needed, programArgoCD, programRedis)
	}
	if o.HNC {
		needed = append(needed, programHNC)
	}
	if o.Pipelines {
		needed = append(needed, programArgoEvents, programNATS, programTekton, programPod)
	}
	return needed
}

func (s *Stack) programs() programs { return programs{bin: s.options.BinDir} }

func (s *Stack) logs() string { return filepath.Join(s.Dir, "logs") }

func (s *Stack) makeDir() error {
	var err error
	if s.Dir == "" {
		s.temporary = true
		s.Dir, err = os.MkdirTemp("", "nautes-devstack-")
	} else if s.Dir, err = filepath.Abs(s.Dir); err == nil {
		err = os.MkdirAll(s.Dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("make the directory of the stack: %w", err)
	}
	return nil
}

func (s *Stack) start(ctx context.Context) error {
	err := s.step("etcd", func() (err error) {
		path, err := s.programs().path(programEtcd)
		if err != nil {
			return err
		}
		s.Etcd, err = startEtcd(ctx, path, filepath.Join(s.Dir, "etcd"), s.logs(), &s.ports)
		return err
	})
	if err != nil {
		return err
	}
	steps := []func() error{s.startGit, func() error { return s.startTenant(ctx) }}
	if s.options.Vault {
		steps = append(steps, func() error { _, err := s.StartVault(ctx, VaultOptions{}); return err })
	}
	for _, name := range s.options.Runtimes {
		steps = append(steps, func() error { return s.AddRuntime(ctx, name) })
	}
	return parallel(steps...)
}

func (s *Stack) startGit() error {
	return s.step("Git host", func() error {
		port, err := s.ports.take()
		if err != nil {
			return err
		}
		if s.Git, err = githost.NewHost(filepath.Join(s.Dir, "git"), s.logs(), port); err != nil {
			return err
		}
		return s.Git.Start()
	})
}

func (s *Stack) startTenant(ctx context.Context) error {
	var err error
	if s.Tenant, err = newControlPlane(s, TenantName); err != nil {
		return err
	}
	var install func() error
	if !s.options.Bare {
		install = func() error { return s.installTenantCRDs(ctx) }
	}
	if err := s.startPlane(ctx, s.Tenant, "CRDs of Nautes", install); err != nil {
		return err
	}
	if s.options.TenantArgoCD {
		return s.StartArgoCD(ctx, TenantName)
	}
	return nil
}

// startPlane starts a control plane and installs its CRDs, if it gets some. Only
// a few do so at a time: the start takes the processors, more of them at once
// are not ready sooner, and the one etcd of all would answer too late.
func (s *Stack) startPlane(ctx context.Context, plane *ControlPlane, crds string, install func() error) error {
	s.starts <- struct{}{}
	defer func() { <-s.starts }()
	if err := s.step("control plane "+plane.Name, func() error { return plane.Start(ctx) }); err != nil {
		return err
	}
	if install == nil {
		return nil
	}
	return s.step(crds, install)
}

func (s *Stack) installTenantCRDs(ctx context.Context) error {
	nautes, err := NautesCRDs()
	if err != nil {
		return err
	}
	dirs := []string{nautes}
	if s.options.TenantArgoCD {
		argoCD, err := ArgoCDCRDs(ctx)
		if err != nil {
			return err
		}
		dirs = append(dirs, argoCD)
	}
	return InstallCRDs(ctx, s.Tenant.Config(), dirs...)
}

// AddRuntime starts one more runtime control plane, with all that the stack's
// options ask for.
func (s *Stack) AddRuntime(ctx context.Context, name string) error {
	plane, err := s.newRuntime(name)
	if err != nil {
		return err
	}
	var install func() error
	if !s.options.Bare && !s.options.BareRuntimes {
		install = func() error { return installRuntimeCRDs(ctx, plane) }
	}
	if err := s.startPlane(ctx, plane, "CRDs of Argo CD and HNC on "+name, install); err != nil {
		return err
	}
	var programs []func() error
	if s.options.ArgoCD {
		programs = append(programs, func() error { return s.StartArgoCD(ctx, name) })
	}
	if s.options.HNC {
		programs = append(programs, func() error { return s.StartHNC(ctx, name) })
	}
	return parallel(programs...)
}

func (s *Stack) newRuntime(name string) (*ControlPlane, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if _, taken := s.Runtimes[name]; taken || name == TenantName || !runtimeName.MatchString(name) {
		return nil, fmt.Errorf("runtime %q: %w", name, errRuntimeName)
	}
	plane, err := newControlPlane(s, name)
	if err != nil {
		return nil, err
	}
	s.Runtimes[name] = plane
	return plane, nil
}

func installRuntimeCRDs(ctx context.Context, plane *ControlPlane) error {
	argoCD, err := ArgoCDCRDs(ctx)
	if err != nil {
		return err
	}
	hnc, err := HNCCRDs(ctx)
	if err != nil {
		return err
	}
	return InstallCRDs(ctx, plane.Config(), argoCD, hnc)
}

// StartArgoCD starts Argo CD on a control plane that has its CRDs, where the
// options did not ask for it. It uses the ConfigMaps and Secrets of an
// installation that is there already, and makes them otherwise.
func (s *Stack) StartArgoCD(ctx context.Context, name string) error {
	return s.step("Argo CD on "+name, func() error {
		plane := s.Tenant
		if name != TenantName {
			var err error
			if plane, err = s.runtime(name); err != nil {
				return err
			}
		}
		started, err := startArgoCD(ctx, s, plane)
		if err != nil {
			return err
		}
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.ArgoCD[name] = started
		return nil
	})
}

// StartHNC starts HNC on a runtime control plane that has its CRDs, where the
// options did not ask for it.
func (s *Stack) StartHNC(ctx context.Context, runtime string) error {
	return s.step("HNC on "+runtime, func() error {
		plane, err := s.runtime(runtime)
		if err != nil {
			return err
		}
		started, err := startHNC(ctx, s, plane)
		if err != nil {
			return err
		}
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.HNC[runtime] = started
		return nil
	})
}

func (s *Stack) runtime(name string) (*ControlPlane, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	plane, ok := s.Runtimes[name]
	if !ok {
		return nil, fmt.Errorf("runtime %q: %w", name, errNoRuntime)
	}
	return plane, nil
}

// keep has a part stopped with the stack.
func (s *Stack) keep(p Part) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.parts = append(s.parts, p)
}

// End stops a part before the stack does.
func (s *Stack) End(p Part) error {
	s.mutex.Lock()
	s.parts = slices.DeleteFunc(s.parts, func(one Part) bool { return one == p })
	s.mutex.Unlock()
	return p.Stop()
}

// step runs one step and reports its duration.
func (s *Stack) step(name string, run func() error) error {
	started := time.Now()
	if err := run(); err != nil {
		return err
	}
	if s.options.Progress != nil {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.options.Progress(name, time.Since(started))
	}
	return nil
}

// Err returns nil while everything runs, and the errors of ended parts otherwise. A
// control plane or a Vault that was stopped counts as ended.
func (s *Stack) Err() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	all := []error{s.Etcd.Err(), s.Tenant.Err()}
	for _, plane := range s.Runtimes {
		all = append(all, plane.Err())
	}
	for _, argoCD := range s.ArgoCD {
		all = append(all, argoCD.Err())
	}
	for _, hnc := range s.HNC {
		all = append(all, hnc.Err())
	}
	for _, vault := range s.Vaults {
		all = append(all, vault.Err())
	}
	for _, part := range s.parts {
		all = append(all, part.Err())
	}
	return errors.Join(all...)
}

// Stop ends everything that was started, those that depend on others first, and
// removes a temporary directory. It may be called again.
func (s *Stack) Stop() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true

	var controllers, planes []func() error
	for _, argoCD := range s.ArgoCD {
		controllers = append(controllers, argoCD.Stop)
	}
	for _, hnc := range s.HNC {
		controllers = append(controllers, hnc.Stop)
	}
	for _, proxy := range s.proxies {
		controllers = append(controllers, proxy.Stop)
	}
	for _, part := range s.parts {
		controllers = append(controllers, part.Stop)
	}
	for _, vault := range s.Vaults {
		planes = append(planes, vault.Stop)
	}
	for _, plane := range append(slices.Collect(maps.Values(s.Runtimes)), s.Tenant) {
		if plane != nil {
			controllers = append(controllers, plane.endPlay)
			planes = append(planes, plane.Stop)
		}
	}
	all := []error{parallel(controllers...), parallel(planes...)}
	if s.Git != nil {
		all = append(all, s.Git.Close())
	}
	if s.Etcd != nil {
		all = append(all, s.Etcd.Stop())
	}
	s.ports.release()
	if s.temporary {
		all = append(all, os.RemoveAll(s.Dir))
	}
	return errors.Join(all...)
}

// parallel runs all of the functions at the same time and returns all of their errors.
func parallel(run ...func() error) error {
	all := make([]error, len(run))
	var wait sync.WaitGroup
	for i, each := range run {
		wait.Go(func() { all[i] = each() })
	}
	wait.Wait()
	return errors.Join(all...)
}
