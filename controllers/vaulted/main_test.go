package vaulted_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"nautes.io/nautes/controllers"
	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/operator"
	"nautes.io/nautes/internal/telemetry"
	"nautes.io/nautes/test/devstack"
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
	if n := panics(); n != 0 {
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

// panics reads how many reconciles panicked in this process.
func panics() int {
	families, err := metrics.Registry.(prometheus.Gatherer).Gather()
	if err != nil {
		return -1
	}
	total := 0.0
	for _, family := range families {
		if family.GetName() == "controller_runtime_reconcile_panics_total" {
			for _, m := range family.GetMetric() {
				total += m.GetCounter().GetValue()
			}
		}
	}
	return int(total)
}

// world is the stack with an operator whose secret store is a real Vault, behind
// a proxy that can fail, and the clients of an administrator.
type world struct {
	*devstack.Stack
	vault *devstack.Vault
	proxy *devstack.FaultProxy
	// c is the tenant's; runtimes are by their planes.
	c        client.Client
	runtimes map[string]client.Client
	canaries canaries

	op *running
	// dir holds the operator's files, and caFile the certificate that vouches for Vault.
	dir, caFile string
	// vaultToken is the one in the file of tokenLogin.
	vaultToken string
	// The ports stay the same when the operator is started again.
	receiver, metrics string

	// slowness is the factor by which the machine is slower than a quiet one of two cores.
	slowness float64
	// The two products of openShops.
	first, second shop
}

// running is an operator that runs in this process.
type running struct {
	*operator.Operator
	stop context.CancelFunc
	done chan error
}

var (
	prepareOnce sync.Once
	prepared    *world
)

// theWorld returns the one world of the package, with its operator running, the
// cluster alpha registered, and two products on it.
func theWorld(t *testing.T) *world {
	t.Helper()
	prepareOnce.Do(func() {
		began := time.Now()
		s := stack.Stack(t)
		w := &world{Stack: s, vault: s.Vaults[devstack.VaultName], runtimes: map[string]client.Client{}}
		w.prepare(t)
		w.slowness = max(1, time.Since(began).Seconds()/usual.Seconds())
		prepared = w
	})
	if prepared == nil {
		t.Fatal("the world was not prepared; an earlier test says why")
	}
	return prepared
}

// usual is how long it takes to prepare the world on a quiet machine of two cores.
const usual = 25 * time.Second

// within stretches a time that something may take by the slowness of the machine.
func (w *world) within(d time.Duration) time.Duration {
	return time.Duration(float64(d) * w.slowness)
}

func (w *world) prepare(t *testing.T) {
	t.Helper()
	w.c = newClient(t, w.Tenant.Config())
	if _, err := w.InstallOperator(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, plane := range w.Runtimes {
		w.runtimes[name] = newClient(t, plane.Config())
		// The namespace of Argo CD is there before Nautes comes.
		w.createNamespace(t, name, devstack.ArgoCDNamespace)
	}
	// A namespace takes its time to go: this one stays when a cluster leaves.
	w.createNamespace(t, betaPlane, "vault")
	crds, err := devstack.ArgoCDCRDs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := devstack.InstallCRDs(t.Context(), w.Tenant.Config(), crds); err != nil {
		t.Fatal(err)
	}
	installSecretStores(t, w.Runtimes[alphaPlane])
	w.prepareVault(t)
	w.apply(t, catalogueYAML(), w.providerYAML())
	w.playArgoCD(t)
	w.dir = filepath.Join(w.Dir, "operator")
	if err := os.MkdirAll(w.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w.receiver, w.metrics = freeAddress(t), freeAddress(t)
	w.op = w.start(t, w.kubernetesLogin(t))

	w.putKubeconfig(t, alphaCluster, w.certificateKubeconfig(t, alphaPlane))
	w.apply(t, w.clusterYAML(alphaCluster, alphaPlane, `
  componentsList: {gateway: {name: edge}}`))
	w.ready(t, clusterObject(alphaCluster))
	w.openShops(t)
}

func (w *world) createNamespace(t *testing.T, plane, name string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := w.runtimes[plane].Create(t.Context(), ns); err != nil {
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
// cluster, and of config/vault in Vault, to which it logs in as auth says.
func (w *world) start(t *testing.T, auth string) *running {
	t.Helper()
	kubeconfig, err := w.Tenant.KubeconfigFor(devstack.OperatorUser)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.dir, "operator.yaml")
	settings := fmt.Sprintf(`
apiVersion: config.nautes.io/v1alpha1
kind: OperatorConfig
tenant: %s
git: {cacheDir: %s/git, allowedProtocols: [http], pollInterval: 2s}
receiver: {address: %q}
metrics: {address: %q}
probes: {address: "0"}
leaderElection: {enabled: false}
clusters: {probeInterval: 1s}
secretStore:
  type: vault
  vault: {address: %q, caBundleFile: %q, timeout: %s, pollInterval: %s, auth: %s}
`, tenantName, w.dir, w.receiver, w.metrics, w.proxy.URL, w.caFile, vaultTimeout, vaultPoll, auth)
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	op, err := operator.New(ctx, cfg, o)
	if err == nil {
		err = controllers.Add(op.Deps, controllers.Names())
	}
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	r := &running{Operator: op, stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- op.Manager.Start(ctx) }()
	return r
}

// restart stops the operator and starts another one in its place.
func (w *world) restart(t *testing.T, auth string) {
	t.Helper()
	w.op.stop()
	if err := <-w.op.done; err != nil {
		t.Fatalf("the operator stopped with %v", err)
	}
	w.op = w.start(t, auth)
}
