package controllers_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/controllers"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
)

const tenantName = "test"

// exclusivePlane is the control plane of the tests that stop it, or take its clusters
// away. They have it one at a time.
const exclusivePlane = "gamma"

var stack = devstack.Shared{Options: devstack.Options{
	Runtimes:          []string{"alpha", "beta", exclusivePlane, bareWorker, bareInner, pipelineWorker, otherPipelineWorker},
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
	if n := scenario.Panics(); n > 0 {
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

// system is the stack with an operator.
type system struct {
	*scenario.System
	op    *scenario.Operator
	store secrets.Store
	// receiver is the address of the operator's receiver, which stays the same.
	receiver string
	// poll is the pause between two looks at a repository by operators that start.
	poll time.Duration
	// exclusive is held by the test that has exclusivePlane.
	exclusive sync.Mutex
}

var (
	prepareOnce sync.Once
	prepared    *system
)

// theSystem returns the one system of the package, with its operator running.
func theSystem(t *testing.T) *system {
	t.Helper()
	stack := stack.Stack(t)
	prepareOnce.Do(func() {
		sys := &system{poll: 2 * time.Second}
		if err := sys.prepare(t.Context(), stack); err != nil {
			t.Fatal(err)
		}
		sys.serve(t, controllers.Names())
		prepared = sys
	})
	if prepared == nil {
		t.Fatal("the system was not prepared; an earlier test says why")
	}
	return prepared
}

// prepare installs everything but the operator.
func (sys *system) prepare(ctx context.Context, stack *devstack.Stack) error {
	var err error
	if sys.System, err = scenario.NewSystem(stack); err != nil {
		return err
	}
	if sys.receiver, err = freeAddress(); err != nil {
		return err
	}
	sys.Hooks = "http://" + sys.receiver
	if _, err := stack.InstallOperator(ctx); err != nil {
		return err
	}
	sys.store = kube.New(sys.Client, sys.Client, devstack.OperatorNamespace)
	for name := range stack.Runtimes {
		// The namespace of Argo CD is there before Nautes comes.
		if err := sys.CreateNamespace(ctx, name, devstack.ArgoCDNamespace); err != nil {
			return err
		}
	}
	components := append(scenario.ExternalComponents("vcluster", "argocd", "traefik"), managedComponents)
	if err := sys.Apply(ctx, scenario.Catalogue(components...)); err != nil {
		return err
	}
	if err := sys.InstallArgoCDKinds(ctx); err != nil {
		return err
	}
	// Clusters of other names on the same control plane.
	sys.Clusters["lost"], sys.Clusters["abandoned"] = sys.Clusters[exclusivePlane], sys.Clusters[exclusivePlane]
	for _, name := range []string{"alpha", "beta"} {
		if err := sys.RegisterCluster(ctx, name, stack.Runtimes[name], scenario.WorkerSpec("deployment")...); err != nil {
			return err
		}
	}
	return nil
}

// freeAddress returns an address of loopback at which nothing listens.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// takeExclusive gives the test the exclusive control plane until it has cleaned up.
func (sys *system) takeExclusive(t *testing.T) *devstack.ControlPlane {
	t.Helper()
	sys.exclusive.Lock()
	t.Cleanup(sys.exclusive.Unlock)
	return sys.Runtimes[exclusivePlane]
}

// start runs an operator with some of the controllers.
func (sys *system) start(t *testing.T, names []string) *scenario.Operator {
	t.Helper()
	return sys.startAt(t, names, "127.0.0.1:0")
}

func (sys *system) startAt(t *testing.T, names []string, receiver string) *scenario.Operator {
	t.Helper()
	dir, err := os.MkdirTemp(sys.Dir, "operator-")
	if err != nil {
		t.Fatal(err)
	}
	op, err := sys.RunOperator(devstack.OperatorConfig{
		Tenant: tenantName, Dir: dir, Receiver: receiver, PublicURL: sys.Hooks, Metrics: "0", Probes: "0",
		GitPoll: sys.poll, ClusterProbe: time.Second, RunnerImage: "registry.example.com/nautes-runner:v1",
	}, func(deps *reconcile.Deps) error { return controllers.Add(deps, names) })
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// serve starts an operator that receives the push hooks.
func (sys *system) serve(t *testing.T, names []string) {
	t.Helper()
	sys.op = sys.startAt(t, names, sys.receiver)
}

// restart stops the operator and starts another one in its place.
func (sys *system) restart(t *testing.T) {
	t.Helper()
	stop(t, sys.op)
	sys.serve(t, controllers.Names())
}

func stop(t *testing.T, op *scenario.Operator) {
	t.Helper()
	if err := op.Stop(); err != nil {
		t.Fatal(err)
	}
}

// registerDeploymentWorker registers a worker for deployments.
func (sys *system) registerDeploymentWorker(t *testing.T, name string, plane *devstack.ControlPlane) {
	t.Helper()
	if err := sys.RegisterCluster(t.Context(), name, plane, scenario.WorkerSpec("deployment")...); err != nil {
		t.Fatal(err)
	}
}

// condition waits until a condition of an object has a status and a reason, of which
// empty ones match all. It returns the message.
func (sys *system) condition(t *testing.T, o v1alpha1.Object, conditionType string, status metav1.ConditionStatus, reason string) string {
	t.Helper()
	message := sys.AwaitCondition(t, o, conditionType, status, reason)
	checkKStatus(t, o)
	return message
}

// checkKStatus holds the rules of kstatus that every object must obey.
func checkKStatus(t *testing.T, o v1alpha1.Object) {
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

// labelled lists the objects with the label of a product on a runtime cluster.
func labelled(t *testing.T, c client.Client, product string) []string {
	t.Helper()
	return withLabels(t, c, client.MatchingLabels{v1alpha1.LabelProduct: product})
}

// withLabels lists the objects with labels on a runtime cluster, as kind namespace/name.
func withLabels(t *testing.T, c client.Client, labels client.MatchingLabels) []string {
	t.Helper()
	objects, err := scenario.List(context.Background(), c, plan.RuntimeKinds(), labels)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, o := range objects {
		found = append(found, strings.TrimPrefix(o.GetKind()+" "+o.GetNamespace()+"/"+o.GetName(), "/"))
	}
	return found
}

// awaitEmpty waits until nothing of a product is left on a runtime cluster.
func (sys *system) awaitEmpty(t *testing.T, cluster, product string) {
	t.Helper()
	sys.Until(t, "nothing of "+product+" left", func() error {
		if left := labelled(t, sys.Clusters[cluster], product); len(left) > 0 {
			return fmt.Errorf("left: %s", strings.Join(left, ", "))
		}
		return nil
	})
}
