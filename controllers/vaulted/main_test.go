package vaulted_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/controllers"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/telemetry"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
)

const tenantName = "test"

// The names of the runtime control planes. The cluster alpha is on the first one
// for all tests; the second one is for clusters that a test registers.
const alphaPlane, betaPlane = "alpha", "beta"

var stack = devstack.Shared{Options: devstack.Options{
	Runtimes: []string{alphaPlane, betaPlane}, ControllerManager: true, Vault: true,
}}

// logFile is the log of the operators of this process, at the level debug.
var logFile string

func TestMain(m *testing.M) {
	log, err := os.CreateTemp("", "nautes-vaulted-*.log")
	if err != nil {
		panic(err)
	}
	logFile = log.Name()
	logger, err := (&telemetry.LogOptions{Format: telemetry.FormatJSON, Level: "debug"}).Logger(log)
	if err != nil {
		panic(err)
	}
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	code := stack.Run(m)
	for _, problem := range afterwards() {
		fmt.Fprintln(os.Stderr, problem)
		code = 1
	}
	if code == 0 {
		_ = os.Remove(logFile)
	} else {
		fmt.Fprintln(os.Stderr, "the log of the operator is", logFile)
	}
	os.Exit(code)
}

// afterwards returns the faults that show when all tests have ended: reconciles that
// panicked, and secrets in the log.
func afterwards() []string {
	if prepared == nil {
		return nil
	}
	var problems []string
	if n := scenario.Panics(); n != 0 {
		problems = append(problems, fmt.Sprintf("%d reconciles panicked", n))
	}
	content, err := os.ReadFile(logFile)
	if err != nil {
		return append(problems, err.Error())
	}
	for _, found := range prepared.canaries.in(string(content)) {
		problems = append(problems, "the operator's log holds "+found)
	}
	return problems
}

// system is the stack with an operator whose secret store is a real Vault, behind a
// proxy that can fail.
type system struct {
	*scenario.System
	vault    *devstack.Vault
	proxy    *devstack.FaultProxy
	canaries canaries

	op *scenario.Operator
	// operatorDir holds the operator's files, and caFile the certificate that vouches for Vault.
	operatorDir, caFile string
	// vaultToken is the one in the file of tokenLogin.
	vaultToken string
	// The ports stay the same when the operator is started again.
	receiver, metrics string

	// slowness is the factor by which the machine is slower than a quiet one of two cores.
	slowness float64
	// The two products of openProducts.
	first, second product
}

var (
	prepareOnce sync.Once
	prepared    *system
)

// theSystem returns the one system of the package, with its operator running, the
// cluster alpha registered, and two products on it.
func theSystem(t *testing.T) *system {
	t.Helper()
	prepareOnce.Do(func() {
		began := time.Now()
		s, err := scenario.NewSystem(stack.Stack(t))
		if err != nil {
			t.Fatal(err)
		}
		sys := &system{System: s, vault: s.Vaults[devstack.VaultName]}
		sys.Secrets = scenario.VaultSecrets(sys.vault)
		sys.prepare(t)
		sys.slowness = max(1, time.Since(began).Seconds()/usual.Seconds())
		prepared = sys
	})
	if prepared == nil {
		t.Fatal("the system was not prepared; an earlier test says why")
	}
	return prepared
}

// usual is how long it takes to prepare the system on a quiet machine of two cores.
const usual = 25 * time.Second

// within stretches a time that something may take by the slowness of the machine.
func (sys *system) within(d time.Duration) time.Duration {
	return time.Duration(float64(d) * sys.slowness)
}

func (sys *system) prepare(t *testing.T) {
	t.Helper()
	if _, err := sys.InstallOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name := range sys.Runtimes {
		// The namespace of Argo CD is there before Nautes comes.
		sys.createNamespace(t, name, devstack.ArgoCDNamespace)
	}
	// A namespace takes its time to go: this one stays when a cluster leaves.
	sys.createNamespace(t, betaPlane, "vault")
	if err := sys.InstallArgoCDKinds(t.Context()); err != nil {
		t.Fatal(err)
	}
	installSecretStores(t, sys.Runtimes[alphaPlane])
	sys.prepareVault(t)
	sys.MustApply(t, catalogue(), scenario.Provider(provider, sys.Git.URL))
	// Every Application is in sync, as long as the process runs.
	for _, c := range append(slices.Collect(maps.Values(sys.Clusters)), sys.Client) {
		if err := scenario.WatchApplications(context.Background(), c, func(error) {}); err != nil {
			t.Fatal(err)
		}
	}
	sys.operatorDir = filepath.Join(sys.Dir, "operator")
	sys.receiver, sys.metrics = freeAddress(t), freeAddress(t)
	sys.Hooks = "http://" + sys.receiver
	sys.op = sys.start(t, sys.kubernetesLogin())

	sys.putKubeconfig(t, alphaCluster, sys.certificateKubeconfig(t, alphaPlane))
	sys.MustApply(t, sys.clusterManifest(alphaCluster, alphaPlane, "componentsList: {gateway: {name: edge}}"))
	sys.ready(t, scenario.Cluster(alphaCluster))
	sys.openProducts(t)
}

func (sys *system) createNamespace(t *testing.T, plane, name string) {
	t.Helper()
	if err := sys.CreateNamespace(t.Context(), plane, name); err != nil {
		t.Fatal(err)
	}
}

// freeAddress returns an address on loopback without a listener.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// start runs an operator with the permissions of config/rbac on the tenant
// cluster, and of config/vault in Vault.
func (sys *system) start(t *testing.T, login devstack.VaultLogin) *scenario.Operator {
	t.Helper()
	op, err := sys.RunOperator(devstack.OperatorConfig{
		Tenant: tenantName, Dir: sys.operatorDir, Receiver: sys.receiver, Metrics: sys.metrics, Probes: "0",
		GitPoll: 2 * time.Second, ClusterProbe: time.Second,
		Vault: &devstack.OperatorVault{
			Address: sys.proxy.URL, CAFile: sys.caFile, Login: login, Timeout: vaultTimeout, Poll: vaultPoll,
		},
	}, func(deps *reconcile.Deps) error { return controllers.Add(deps, controllers.Names()) })
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// restart stops the operator and starts another one in its place.
func (sys *system) restart(t *testing.T, login devstack.VaultLogin) {
	t.Helper()
	if err := sys.op.Stop(); err != nil {
		t.Fatal(err)
	}
	sys.op = sys.start(t, login)
}
