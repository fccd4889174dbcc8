package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
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
	r := &registering{readied: newArrivals(), lost: newArrivals()}
	if r.fleet, err = startFleet(sizes); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.fleet.stop()) }()
	if r.bench, err = newBench(ctx, devstack.Options{Dir: filepath.Join(dir, "stack")}); err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.prepareTenant(ctx); err != nil {
		return result, err
	}
	return result, r.run(ctx, &result)
}

func (r *registering) run(ctx context.Context, result *registration) error {
	if err := scenario.Pause(ctx, settleTime); err != nil {
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
	if err := scenario.Until(ctx, patience, "every healthy cluster is ready", func(context.Context) error { return r.missing(r.readied, healthy) }); err != nil {
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
	c := scenario.Cluster(name)
	if err := r.Client.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
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
	if err := r.InstallArgoCDKinds(ctx); err != nil {
		return err
	}
	if err := r.startOperator(ctx); err != nil {
		return err
	}
	// Two components are left to Nautes, one after the other: the gateway, and the
	// Argo CD behind it.
	if err := r.Apply(ctx, scenario.Catalogue(scenario.ExternalComponents("traefik", "argocd")...)); err != nil {
		return err
	}
	if err := r.storeKubeconfigs(ctx); err != nil {
		return err
	}
	err := scenario.WatchApplications(ctx, r.Client, func(err error) { fmt.Fprintf(os.Stderr, "bench: %v\n", err) })
	if err != nil {
		return err
	}
	if err := scenario.Watch(ctx, r.Client, &v1alpha1.ClusterList{}, r.see); err != nil {
		return err
	}
	return scenario.Until(ctx, patience, "the operator acts", func(ctx context.Context) error {
		c := &v1alpha1.ComponentCatalogue{ObjectMeta: metav1.ObjectMeta{Namespace: devstack.OperatorNamespace, Name: v1alpha1.ComponentCatalogueName}}
		_, err := scenario.Condition(ctx, r.Client, c, v1alpha1.ConditionReady, metav1.ConditionTrue, "")
		return err
	})
}

func (r *registering) storeKubeconfigs(ctx context.Context) error {
	return r.each(func(m *member) error {
		kubeconfig, err := r.fleet.kubeconfig(m)
		if err != nil {
			return err
		}
		return r.StoreKubeconfig(ctx, m.name, kubeconfig)
	})
}

func (r *registering) createClusters(ctx context.Context) error {
	return r.each(func(m *member) error {
		c := scenario.Cluster(m.name)
		c.Spec.APIServer, c.Spec.PrimaryDomain = m.url, "example.com"
		c.Spec.ClusterType, c.Spec.Usage, c.Spec.WorkerType = v1alpha1.ClusterPhysical, v1alpha1.UsageWorker, v1alpha1.WorkerTypeDeployment
		if err := r.Client.Create(ctx, c); err != nil {
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
		if err := scenario.Pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return r.missing(r.lost, dead)
}

// rest counts the writes while nothing happens.
func (r *registering) rest(ctx context.Context, result *registration) error {
	if err := scenario.Pause(ctx, settleTime); err != nil {
		return err
	}
	recording, err := scenario.Record(ctx, r.Planes())
	if err != nil {
		return err
	}
	before := r.fleet.writes.Load()
	if err := scenario.Pause(ctx, restTime); err != nil {
		return err
	}
	changes, err := recording.Changes(ctx)
	if err != nil {
		return err
	}
	requests, err := recording.Requests()
	if err != nil {
		return err
	}
	written := requests[devstack.TenantName]
	for _, request := range written {
		fmt.Fprintf(os.Stderr, "bench: written at rest: %s\n", request)
	}
	result.objects, result.requests, result.remote = len(changes[devstack.TenantName]), len(written), int(r.fleet.writes.Load()-before)
	return nil
}
