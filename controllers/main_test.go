package controllers_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/controllers"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/foreign"
	"nautes.io/nautes/internal/operator"
	"nautes.io/nautes/internal/receiver"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
)

// patience bounds every wait of a test. Many tests at a time make each of them
// wait longer where the machine has other things to do.
const patience = 3 * time.Minute

const tenantName = "test"

// lonely is the control plane of the tests that stop it, or take its clusters
// away; they have it one at a time.
const lonely = "gamma"

var stack = devstack.Shared{Options: devstack.Options{
	Runtimes:          []string{"alpha", "beta", lonely, bareWorker, bareInner, pipelineWorker, otherPipelineWorker},
	ControllerManager: true,
}}

func TestMain(m *testing.M) {
	log, err := os.CreateTemp("", "nautes-controllers-*.log")
	if err != nil {
		panic(err)
	}
	logger := zap.New(zap.WriteTo(log), zap.UseDevMode(false))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	flag.Parse()
	// The tests wait for the API servers most of the time, not for the processor.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	code := stack.Run(m)
	if n := panics(); n > 0 {
		fmt.Fprintf(os.Stderr, "%d reconciles panicked; see %s\n", n, log.Name())
		code = 1
	}
	if code == 0 {
		_ = os.Remove(log.Name())
	} else {
		fmt.Fprintln(os.Stderr, "the log of the operator is", log.Name())
	}
	os.Exit(code)
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

// world is the stack with an operator and the clients of an administrator.
type world struct {
	*devstack.Stack
	c        client.Client
	runtimes map[string]client.Client
	op       *running
	store    secrets.Store
	// loneliness is held by the test that has the control plane of that name.
	loneliness sync.Mutex
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

// theWorld returns the one world of the package, with its operator running.
func theWorld(t *testing.T) *world {
	t.Helper()
	s := stack.Stack(t)
	prepareOnce.Do(func() {
		w := &world{Stack: s, c: newClient(t, s.Tenant.Config()), runtimes: map[string]client.Client{}}
		if _, err := s.InstallOperator(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.store = kube.New(w.c, w.c, devstack.OperatorNamespace)
		for name, plane := range s.Runtimes {
			w.runtimes[name] = newClient(t, plane.Config())
			// The namespace of Argo CD is there before Nautes comes.
			ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: devstack.ArgoCDNamespace}}
			if err := w.runtimes[name].Create(t.Context(), ns); err != nil {
				t.Fatal(err)
			}
		}
		external := slices.DeleteFunc(catalogue.Builtin().Names(), func(name string) bool {
			return slices.Contains([]string{"vcluster", "argocd", "traefik"}, name)
		})
		w.apply(t, catalogueYAML(external...)+managedComponents)
		crds, err := devstack.ArgoCDCRDs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := devstack.InstallCRDs(t.Context(), s.Tenant.Config(), crds); err != nil {
			t.Fatal(err)
		}
		// Clusters of other names on the same control plane.
		w.runtimes["lost"], w.runtimes["abandoned"] = w.runtimes[lonely], w.runtimes[lonely]
		for _, name := range []string{"alpha", "beta"} {
			w.registerCluster(t, name, s.Runtimes[name])
		}
		w.op = w.start(t, controllers.Names())
		prepared = w
	})
	if prepared == nil {
		t.Fatal("the world was not prepared; an earlier test says why")
	}
	return prepared
}

// alone gives the test the lonely control plane until it has cleaned up,.
func (w *world) alone(t *testing.T) *devstack.ControlPlane {
	t.Helper()
	w.loneliness.Lock()
	t.Cleanup(w.loneliness.Unlock)
	return w.Runtimes[lonely]
}

func newClient(t *testing.T, cfg *rest.Config) client.Client {
	t.Helper()
	cfg.QPS = -1
	c, err := client.New(cfg, client.Options{Scheme: foreign.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start runs an operator with the permissions of config/rbac.
func (w *world) start(t *testing.T, names []string) *running {
	t.Helper()
	kubeconfig, err := w.Tenant.KubeconfigFor(devstack.OperatorUser)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(w.Dir, "mirrors-")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "operator.yaml")
	settings := fmt.Sprintf(`
apiVersion: config.nautes.io/v1alpha1
kind: OperatorConfig
tenant: %s
git: {cacheDir: %s/git, allowedProtocols: [http], pollInterval: 2s}
receiver: {address: "127.0.0.1:0"}
metrics: {address: "0"}
probes: {address: "0"}
leaderElection: {enabled: false}
clusters: {probeInterval: 1s}
pipelines: {runnerImage: "registry.example.com/nautes-runner:v1"}
`, tenantName, dir)
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
		err = controllers.Add(op.Deps, names)
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
func (w *world) restart(t *testing.T) {
	t.Helper()
	w.op.quit(t)
	w.op = w.start(t, controllers.Names())
}

func (r *running) quit(t *testing.T) {
	t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		t.Fatalf("the operator stopped with %v", err)
	}
}

func (w *world) registerCluster(t *testing.T, name string, plane *devstack.ControlPlane) {
	t.Helper()
	kubeconfig, err := plane.RegisterUser(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Put(t.Context(), secrets.ClusterKubeconfig(name), map[string]secrets.Value{"kubeconfig": secrets.NewValue(kubeconfig)}); err != nil {
		t.Fatal(err)
	}
	w.apply(t, clusterYAML(name, plane.Config().Host))
}

// apply is kubectl apply on the tenant cluster.
func (w *world) apply(t *testing.T, manifests ...string) {
	t.Helper()
	for _, m := range manifests {
		if err := devstack.Apply(t.Context(), w.Tenant.Config(), []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
}

// until polls until ask returns nil, ever less often: a fast answer is seen at once,
// and slow work is not held up by the polling.
func until(t *testing.T, what string, ask func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for pause := 20 * time.Millisecond; ; pause = min(pause*3/2, 200*time.Millisecond) {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			if prepared != nil {
				prepared.dump(t)
			}
			t.Fatalf("%s: not within %s: %v", what, patience, err)
		}
		time.Sleep(pause)
	}
}

// condition waits until a condition of an object has a status and a reason;
// empty ones match all. It returns the message.
func (w *world) condition(t *testing.T, o v1alpha1.Object, conditionType string, status metav1.ConditionStatus, reason string) string {
	t.Helper()
	message := ""
	until(t, fmt.Sprintf("%T %s: %s=%s/%s", o, o.GetName(), conditionType, status, reason), func() error {
		if err := w.c.Get(context.Background(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		c := meta.FindStatusCondition(o.GetStatus().Conditions, conditionType)
		switch {
		case c == nil:
			return errors.New("there is no such condition")
		case c.Status != status || (reason != "" && c.Reason != reason) || c.ObservedGeneration != o.GetGeneration():
			return fmt.Errorf("it is %s/%s of generation %d: %s", c.Status, c.Reason, c.ObservedGeneration, c.Message)
		}
		message = c.Message
		return nil
	})
	w.checkKStatus(t, o)
	return message
}

// checkKStatus holds the rules of kstatus that every object must obey.
func (w *world) checkKStatus(t *testing.T, o v1alpha1.Object) {
	t.Helper()
	conditions := o.GetStatus().Conditions
	ready := meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady)
	reconciling := meta.FindStatusCondition(conditions, v1alpha1.ConditionReconciling)
	stalled := meta.FindStatusCondition(conditions, v1alpha1.ConditionStalled)
	for name, c := range map[string]*metav1.Condition{"Reconciling": reconciling, "Stalled": stalled} {
		if c == nil {
			continue
		}
		if c.Status != metav1.ConditionTrue {
			t.Errorf("%T %s: %s is %s: it must be true or absent", o, o.GetName(), name, c.Status)
		}
		if ready {
			t.Errorf("%T %s is Ready and %s", o, o.GetName(), name)
		}
	}
	if reconciling != nil && stalled != nil {
		t.Errorf("%T %s is Reconciling and Stalled", o, o.GetName())
	}
}

// object is an untyped object to read or to look for.
func object(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	gv, _ := schema.ParseGroupVersion(apiVersion)
	o.SetGroupVersionKind(gv.WithKind(kind))
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// exists waits until objects exist on a cluster.
func exists(t *testing.T, c client.Client, objects ...*unstructured.Unstructured) {
	t.Helper()
	for _, o := range objects {
		until(t, o.GetKind()+" "+o.GetName()+" exists", func() error {
			return c.Get(context.Background(), client.ObjectKeyFromObject(o), o)
		})
	}
}

// gone waits until objects do not exist on a cluster.
func gone(t *testing.T, c client.Client, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		until(t, fmt.Sprintf("%T %s gone", o, o.GetName()), func() error {
			err := c.Get(context.Background(), client.ObjectKeyFromObject(o), o)
			if err == nil {
				return fmt.Errorf("it is there, deleted: %v", !o.GetDeletionTimestamp().IsZero())
			}
			return client.IgnoreNotFound(err)
		})
	}
}

// hook makes the Git host report pushes to the running operator.
func (w *world) hook(t *testing.T, path, source, endpoint string) {
	t.Helper()
	secret := &corev1.Secret{}
	until(t, "the key of the push hooks", func() error {
		return w.c.Get(context.Background(), client.ObjectKey{Namespace: devstack.OperatorNamespace, Name: "nautes-receiver"}, secret)
	})
	err := w.Git.AddHook(path, githost.Hook{
		URL: "http://" + w.op.ReceiverAddress + endpoint, Token: receiver.Token(secret.Data["key"], source),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// push pushes to a repository.
func (w *world) push(t *testing.T, path string, commit githost.Commit) string {
	t.Helper()
	revision, err := w.Git.Push(t.Context(), path, commit)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// labelled lists the objects with the label of a product on a runtime cluster.
func labelled(t *testing.T, c client.Client, product string) []string {
	t.Helper()
	return withLabels(t, c, client.MatchingLabels{v1alpha1.LabelProduct: product})
}

// withLabels lists the objects with labels on a runtime cluster, as kind namespace/name.
func withLabels(t *testing.T, c client.Client, labels client.MatchingLabels) []string {
	t.Helper()
	var found []string
	for _, gvk := range remote.RuntimeKinds() {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk)
		err := c.List(context.Background(), list, labels)
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range list.Items {
			found = append(found, strings.TrimPrefix(gvk.Kind+" "+o.GetNamespace()+"/"+o.GetName(), "/"))
		}
	}
	return found
}

// empty waits until nothing of a product is left on a runtime cluster.
func empty(t *testing.T, c client.Client, product string) {
	t.Helper()
	until(t, "nothing of "+product+" left", func() error {
		if left := labelled(t, c, product); len(left) > 0 {
			return fmt.Errorf("left: %s", strings.Join(left, ", "))
		}
		return nil
	})
}

// dump logs the state of every object, for a test that fails.
func (w *world) dump(t *testing.T) {
	for _, list := range []client.ObjectList{
		&v1alpha1.ClusterList{}, &v1alpha1.ProductList{}, &v1alpha1.EnvironmentList{}, &v1alpha1.ProjectList{}, &v1alpha1.CodeRepoList{},
		&v1alpha1.CodeRepoBindingList{}, &v1alpha1.DeploymentRuntimeList{}, &v1alpha1.ProjectPipelineRuntimeList{},
	} {
		if err := w.c.List(context.Background(), list); err != nil {
			t.Logf("list %T: %v", list, err)
			continue
		}
		_ = meta.EachListItem(list, func(o runtime.Object) error {
			object := o.(v1alpha1.Object)
			t.Logf("%T %s/%s deleted=%v", o, object.GetNamespace(), object.GetName(), !object.GetDeletionTimestamp().IsZero())
			for _, c := range object.GetStatus().Conditions {
				t.Logf("   %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
			}
			if p, ok := o.(*v1alpha1.Product); ok {
				t.Logf("   sync %+v spaces %+v", p.Status.Sync, p.Status.Spaces)
			}
			return nil
		})
	}
}
