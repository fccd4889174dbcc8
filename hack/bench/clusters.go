package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/foreign"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/test/devstack"
)

// slowPatience is how long slow clusters may take after the healthy ones are
// ready, and how long the operator may take to report that dead ones are dead.
const slowPatience = 4 * time.Minute

// registration holds the figures of registering many clusters at once.
type registration struct {
	// sizes of the fleet.
	sizes map[behaviour]int
	// ready is how long each healthy cluster took from the moment in which all
	// of them were created.
	ready []time.Duration
	// slowReady is how many slow clusters were ready in the end.
	slowReady int
	// The writes in restTime: objects of the tenant, requests to write to the
	// tenant, and requests to write to the fleet.
	objects, requests, remote int
	// before and after are the operator's resident memory in bytes.
	before, after int64
}

// total is how long it took until every healthy cluster was ready.
func (r registration) total() time.Duration { return slices.Max(r.ready) }

// registering is one measurement: a tenant with its operator, and a fleet.
type registering struct {
	*bench
	fleet *fleet
	// readied holds when clusters became ready, and lost when the operator
	// reported that they do not answer.
	readied, lost *arrivals
}

// register measures the registration of a fleet by a fresh operator.
func register(ctx context.Context, sizes map[behaviour]int) (result registration, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	result.sizes = sizes
	dir, err := os.MkdirTemp("", "nautes-bench-")
	if err != nil {
		return result, fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := &registering{bench: &bench{}, readied: newArrivals(), lost: newArrivals()}
	if r.fleet, err = startFleet(sizes); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.fleet.stop()) }()
	if r.stack, err = devstack.Start(ctx, devstack.Options{Dir: filepath.Join(dir, "stack")}); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.stack.Stop()) }()
	if err := r.prepareTenant(ctx); err != nil {
		return result, err
	}
	defer func() { _ = r.operator.Stop() }()
	return result, r.run(ctx, &result)
}

func (r *registering) run(ctx context.Context, result *registration) error {
	if err := pause(ctx, settleTime); err != nil {
		return err
	}
	var err error
	if result.before, err = rss(r.operator.PID()); err != nil {
		return err
	}
	began := time.Now()
	if err := r.createClusters(ctx); err != nil {
		return err
	}
	if err := until(ctx, "every healthy cluster is ready", func() error { return r.missing(r.readied, healthy) }); err != nil {
		return err
	}
	for _, name := range r.fleet.names(healthy) {
		at, _ := r.readied.at(name)
		result.ready = append(result.ready, at.Sub(began))
	}
	if err := r.awaitOthers(ctx); err != nil {
		return err
	}
	for _, name := range r.fleet.names(slow) {
		if _, is := r.readied.at(name); is {
			result.slowReady++
			continue
		}
		if err := r.clusterError(ctx, name); err != nil {
			return err
		}
	}
	if err := r.rest(ctx, result); err != nil {
		return err
	}
	result.after, err = rss(r.operator.PID())
	return err
}

// clusterError returns the reason why a cluster is not ready.
func (r *registering) clusterError(ctx context.Context, name string) error {
	c := &v1alpha1.Cluster{}
	if err := r.tenant.Get(ctx, client.ObjectKey{Namespace: devstack.OperatorNamespace, Name: name}, c); err != nil {
		return err
	}
	for _, condition := range c.Status.Conditions {
		fmt.Fprintf(os.Stderr, "bench: cluster %s: %s=%s %s: %s\n", name, condition.Type, condition.Status, condition.Reason, condition.Message)
	}
	return nil
}

// prepareTenant starts the operator, with Argo CD played, and gives it the
// catalogue and the kubeconfigs. It returns when the operator acts.
func (r *registering) prepareTenant(ctx context.Context) error {
	crds, err := devstack.ArgoCDCRDs(ctx)
	if err != nil {
		return err
	}
	cfg := r.stack.Tenant.Config()
	if err := devstack.InstallCRDs(ctx, cfg, crds); err != nil {
		return err
	}
	if r.tenant, err = client.NewWithWatch(cfg, client.Options{Scheme: foreign.Scheme()}); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if r.operator, err = r.stack.StartOperator(ctx, devstack.OperatorOptions{Tenant: "bench"}); err != nil {
		return err
	}
	if err := devstack.Apply(ctx, cfg, []byte(catalogueManifest())); err != nil {
		return err
	}
	if err := r.storeKubeconfigs(ctx); err != nil {
		return err
	}
	if err := r.watch(ctx, r.tenant, applications(), func(o client.Object) { r.playArgoCD(ctx, o) }); err != nil {
		return err
	}
	if err := r.watch(ctx, r.tenant, &v1alpha1.ClusterList{}, r.see); err != nil {
		return err
	}
	return until(ctx, "the operator acts", func() error {
		c := &v1alpha1.ComponentCatalogue{}
		if err := r.tenant.Get(ctx, client.ObjectKey{Namespace: devstack.OperatorNamespace, Name: v1alpha1.ComponentCatalogueName}, c); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
			return fmt.Errorf("the catalogue is not ready: %v", c.Status.Conditions)
		}
		return nil
	})
}

func (r *registering) storeKubeconfigs(ctx context.Context) error {
	store := kube.New(r.tenant, r.tenant, devstack.OperatorNamespace)
	return r.each(func(m *member) error {
		kubeconfig, err := r.fleet.kubeconfig(m)
		if err != nil {
			return err
		}
		_, err = store.Put(ctx, secrets.ClusterKubeconfig(m.name), map[string]secrets.Value{"kubeconfig": secrets.NewValue(kubeconfig)})
		return err
	})
}

func (r *registering) createClusters(ctx context.Context) error {
	return r.each(func(m *member) error {
		c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: m.name}}
		c.Spec.APIServer, c.Spec.PrimaryDomain = m.url, "example.com"
		c.Spec.ClusterType, c.Spec.Usage, c.Spec.WorkerType = v1alpha1.ClusterPhysical, v1alpha1.UsageWorker, v1alpha1.WorkerTypeDeployment
		if err := r.tenant.Create(ctx, c); err != nil {
			return fmt.Errorf("create the Cluster %s: %w", m.name, err)
		}
		return nil
	})
}

// each does something for all members at the same time.
func (r *registering) each(do func(*member) error) error {
	all := make([]error, len(r.fleet.members))
	var wait sync.WaitGroup
	for i, m := range r.fleet.members {
		wait.Go(func() { all[i] = do(m) })
	}
	wait.Wait()
	return errors.Join(all...)
}

// see notes how far a cluster is.
func (r *registering) see(o client.Object) {
	c, ok := o.(*v1alpha1.Cluster)
	if !ok {
		return
	}
	if meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionReady) {
		r.readied.note(c.Name)
	}
	if meta.IsStatusConditionFalse(c.Status.Conditions, v1alpha1.ConditionConnected) {
		r.lost.note(c.Name)
	}
}

// missing returns an error while clusters of a behaviour are not among those that were seen.
func (r *registering) missing(seen *arrivals, how behaviour) error {
	var open []string
	for _, name := range r.fleet.names(how) {
		if _, is := seen.at(name); !is {
			open = append(open, name)
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%d are missing, one of them %s", len(open), open[0])
	}
	return nil
}

// awaitOthers gives the slow clusters time, and waits until the operator reports
// each dead one.
func (r *registering) awaitOthers(ctx context.Context) error {
	deadline := time.Now().Add(slowPatience)
	for time.Now().Before(deadline) {
		if r.missing(r.readied, slow) == nil && r.missing(r.lost, dead) == nil {
			return nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return r.missing(r.lost, dead)
}

// rest counts the writes while nothing happens.
func (r *registering) rest(ctx context.Context, result *registration) error {
	if err := pause(ctx, settleTime); err != nil {
		return err
	}
	mark, err := r.stack.Tenant.Mark(ctx)
	if err != nil {
		return err
	}
	before := r.fleet.writes.Load()
	if err := pause(ctx, restTime); err != nil {
		return err
	}
	changes, err := r.stack.Tenant.Changes(ctx, mark)
	if err != nil {
		return err
	}
	requests, err := r.stack.Tenant.Requests(mark)
	if err != nil {
		return err
	}
	for _, request := range requests {
		fmt.Fprintf(os.Stderr, "bench: written at rest: %s\n", request)
	}
	result.objects, result.requests, result.remote = len(changes), len(requests), int(r.fleet.writes.Load()-before)
	return nil
}

// playArgoCD reports an Application Synced and Healthy as soon as it is there,
// as the tenant's Argo CD would after it has installed the component.
func (r *registering) playArgoCD(ctx context.Context, o client.Object) {
	app, ok := o.(*unstructured.Unstructured)
	if !ok {
		return
	}
	source, _, _ := unstructured.NestedMap(app.Object, "spec", "source")
	compared, _, _ := unstructured.NestedMap(app.Object, "status", "sync", "comparedTo", "source")
	if reflect.DeepEqual(source, compared) {
		return
	}
	before := app.DeepCopy()
	app.Object["status"] = map[string]any{
		"sync":   map[string]any{"status": "Synced", "comparedTo": map[string]any{"destination": map[string]any{}, "source": source}},
		"health": map[string]any{"status": "Healthy"},
	}
	go func() {
		if err := r.tenant.Patch(ctx, app, client.MergeFrom(before)); err != nil && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "bench: report the Application %s: %v\n", app.GetName(), err)
		}
	}()
}

// catalogueManifest leaves two components to Nautes, one after the other: the
// gateway, and the Argo CD behind it. The others are on the clusters already.
func catalogueManifest() string {
	text := &strings.Builder{}
	fmt.Fprintf(text, "apiVersion: %s\nkind: ComponentCatalogue\nmetadata: {name: %s, namespace: %s}\nspec:\n  components:\n",
		v1alpha1.GroupVersion, v1alpha1.ComponentCatalogueName, devstack.OperatorNamespace)
	for _, name := range catalogue.Builtin().Names() {
		if name != "traefik" && name != "argocd" {
			fmt.Fprintf(text, "  - {name: %s, installation: External}\n", name)
		}
	}
	return text.String()
}
