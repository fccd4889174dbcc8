package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

// pipelineFigures are the figures of pipeline runtimes.
type pipelineFigures struct {
	// launched is from the answer to a delivery to the launcher on the cluster,
	// created the life of a runner.
	launched, created []time.Duration
	// footprints of the guide's runtime, by its isolation.
	footprints map[v1alpha1.Isolation]footprint
}

// footprint counts the objects of one runtime on its cluster.
type footprint struct {
	// objects that Nautes writes, and pods that Argo Events makes of them.
	objects, pods int
}

// runPipelines measures pipelines and prints the figures.
func runPipelines(ctx context.Context, deliveries int) error {
	fmt.Println("\nPipelines, on real Argo Events as processes, the operator as a process of its own:")
	figures, err := measurePipelines(ctx, deliveries)
	if err != nil {
		return fmt.Errorf("pipelines: %w", err)
	}
	fmt.Printf("event accepted → launcher created, p50/p99 of %d: %s\n", len(figures.launched), spread(figures.launched))
	fmt.Printf("launcher start → user run created, the runner alone, p50/p99 of %d: %s\n", len(figures.created), spread(figures.created))
	for _, isolation := range []v1alpha1.Isolation{v1alpha1.IsolationShared, v1alpha1.IsolationExclusive} {
		of := figures.footprints[isolation]
		fmt.Printf("the guide's runtime, %s: %d objects, %d pods\n", isolation, of.objects, of.pods)
	}
	return nil
}

// pipelineStack starts a stack whose one cluster runs pipelines.
func pipelineStack(ctx context.Context, dir string) (*bench, error) {
	b, err := newBench(ctx, devstack.Options{
		Dir: filepath.Join(dir, "stack"), Runtimes: []string{cluster}, ControllerManager: true, Pipelines: true,
	})
	if err != nil {
		return nil, err
	}
	if err := b.InstallPipelines(ctx, cluster); err != nil {
		return b, err
	}
	if err := b.startOperator(ctx); err != nil {
		return b, err
	}
	if err := b.prepare(ctx, "pipeline"); err != nil {
		return b, err
	}
	if err := b.Apply(ctx, scenario.Provider("gitlab", b.Git.URL), hookManifest); err != nil {
		return b, err
	}
	if _, err := b.Git.AddRepository(ctx, pipelineRepository(0)); err != nil {
		return b, err
	}
	if _, err := b.Git.Push(ctx, pipelineRepository(0), githost.Commit{Files: map[string]string{pipelinePath: pipelineManifest}}); err != nil {
		return b, err
	}
	b.Git.Grant(pipelineToken, githost.Read, pipelineRepository(0))
	return b, b.storeCredentials(ctx, 0, 1)
}

// pipelineToken opens the repositories with pipelines.
const pipelineToken = "pipelines"

// storeCredentials stores the credentials of the pipeline repositories of the
// products from one number up to another, which is left out.
func (b *bench) storeCredentials(ctx context.Context, from, to int) error {
	for i := from; i < to; i++ {
		err := b.Secrets(ctx, secrets.RepositoryReadOnly("gitlab", pipelineRepo(i)), map[string]string{"username": "any", "password": pipelineToken})
		if err != nil {
			return err
		}
	}
	return nil
}

func measurePipelines(ctx context.Context, deliveries int) (figures pipelineFigures, err error) {
	dir, err := os.MkdirTemp("", "nautes-bench-")
	if err != nil {
		return figures, fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b, err := pipelineStack(ctx, dir)
	defer func() { err = errors.Join(err, b.close()) }()
	if err != nil {
		return figures, err
	}
	events, err := b.StartArgoEvents(ctx, cluster)
	if err != nil {
		return figures, err
	}
	gateway, err := b.StartGateway(events)
	if err != nil {
		return figures, err
	}
	figures.footprints = map[v1alpha1.Isolation]footprint{}
	for i, isolation := range []v1alpha1.Isolation{v1alpha1.IsolationExclusive, v1alpha1.IsolationShared} {
		if figures.footprints[isolation], err = b.footprint(ctx, events, i == 0, isolation); err != nil {
			return figures, err
		}
	}
	if figures.launched, err = b.deliver(ctx, gateway.URL, deliveries); err != nil {
		return figures, err
	}
	figures.created, err = b.launch(ctx, dir)
	return figures, err
}

// footprint declares the guide's runtime, or gives it another isolation, and
// counts its objects when all of its services run.
func (b *bench) footprint(ctx context.Context, events *devstack.ArgoEvents, first bool, isolation v1alpha1.Isolation) (of footprint, err error) {
	if first {
		err = b.declare(ctx, 0, 1, func(i int) map[string]string { return b.pipelineFiles(i, 1, isolation) })
	} else {
		_, err = b.Git.Push(ctx, product(0).Repository(), githost.Commit{Files: b.pipelineFiles(0, 1, isolation)})
	}
	if err != nil {
		return of, err
	}
	// Each of the four event sources and of the four triggers has its own, and the
	// one with a calendar has one more; or there is one for each kind, and a sensor.
	of.pods = map[v1alpha1.Isolation]int{v1alpha1.IsolationExclusive: 10, v1alpha1.IsolationShared: 3}[isolation]
	err = scenario.Until(ctx, patience, "the services of the runtime", func(context.Context) error {
		if got := len(events.Running()); got != of.pods {
			return fmt.Errorf("%d of %d run; the runtime says: %s", got, of.pods, b.runtimeStatus(ctx))
		}
		return nil
	})
	if err != nil {
		return of, err
	}
	of.objects, err = b.count(ctx)
	return of, err
}

// runtimeStatus returns the status of the first runtime, for messages.
func (b *bench) runtimeStatus(ctx context.Context) string {
	runtime := &v1alpha1.ProjectPipelineRuntime{}
	if err := b.Client.Get(ctx, client.ObjectKey{Namespace: product(0).Name, Name: runtimeName(0)}, runtime); err != nil {
		return err.Error()
	}
	ready := meta.FindStatusCondition(runtime.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return "nothing"
	}
	return ready.Reason + ": " + ready.Message
}

// count counts the objects that Nautes has written for the runtime.
func (b *bench) count(ctx context.Context) (int, error) {
	all, err := scenario.List(ctx, b.Clusters[cluster], plan.RuntimeKinds(),
		client.MatchingLabels{"nautes.io/owner-kind": "ProjectPipelineRuntime", "nautes.io/product": product(0).Name})
	return len(all), err
}
