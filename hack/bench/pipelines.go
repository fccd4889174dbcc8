package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/internal/secrets/kube"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
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
	b := &bench{}
	var err error
	b.stack, err = devstack.Start(ctx, devstack.Options{
		Dir: filepath.Join(dir, "stack"), Runtimes: []string{cluster}, ControllerManager: true, Pipelines: true,
	})
	if err != nil {
		return nil, err
	}
	if err := b.stack.InstallPipelines(ctx, cluster); err != nil {
		return b, err
	}
	if b.operator, err = b.stack.StartOperator(ctx, devstack.OperatorOptions{Tenant: "bench"}); err != nil {
		return b, err
	}
	if err := b.prepare(ctx, "pipeline"); err != nil {
		return b, err
	}
	if err := devstack.Apply(ctx, b.stack.Tenant.Config(), []byte(providerManifest(b.stack.Git.URL)+hookManifest)); err != nil {
		return b, err
	}
	if _, err := b.stack.Git.AddRepository(ctx, pipelineRepository(0)); err != nil {
		return b, err
	}
	if _, err := b.stack.Git.Push(ctx, pipelineRepository(0), githost.Commit{Files: map[string]string{pipelinePath: pipelineManifest}}); err != nil {
		return b, err
	}
	b.stack.Git.Grant(pipelineToken, githost.Read, pipelineRepository(0))
	return b, b.storeCredentials(ctx, 0, 1)
}

// pipelineToken opens the repositories with pipelines.
const pipelineToken = "pipelines"

// storeCredentials stores the credentials of the pipeline repositories of the
// products from one number up to another, which is left out.
func (b *bench) storeCredentials(ctx context.Context, from, to int) error {
	store := kube.New(b.tenant, b.tenant, devstack.OperatorNamespace)
	for i := from; i < to; i++ {
		_, err := store.Put(ctx, secrets.RepositoryReadOnly("gitlab", pipelineRepo(i)), map[string]secrets.Value{
			"username": secrets.NewValue([]byte("any")), "password": secrets.NewValue([]byte(pipelineToken)),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) close() error {
	if b == nil || b.stack == nil {
		return nil
	}
	if b.operator != nil {
		_ = b.operator.Stop()
	}
	return b.stack.Stop()
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
	events, err := b.stack.StartArgoEvents(ctx, cluster)
	if err != nil {
		return figures, err
	}
	gateway, err := b.stack.StartGateway(events)
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
		_, err = b.stack.Git.Push(ctx, repository(0), githost.Commit{Files: b.pipelineFiles(0, 1, isolation)})
	}
	if err != nil {
		return of, err
	}
	// Each of the four event sources and of the four triggers has its own, and the
	// one with a calendar has one more; or there is one for each kind, and a sensor.
	of.pods = map[v1alpha1.Isolation]int{v1alpha1.IsolationExclusive: 10, v1alpha1.IsolationShared: 3}[isolation]
	err = until(ctx, "the services of the runtime", func() error {
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
	if err := b.tenant.Get(ctx, client.ObjectKey{Namespace: product(0), Name: runtimeName(0)}, runtime); err != nil {
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
	total := 0
	for _, kind := range remote.RuntimeKinds() {
		all := &unstructured.UnstructuredList{}
		all.SetGroupVersionKind(kind)
		err := b.runtime.List(ctx, all, client.MatchingLabels{"nautes.io/owner-kind": "ProjectPipelineRuntime", "nautes.io/product": product(0)})
		if meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("list %s: %w", kind.Kind, err)
		}
		total += len(all.Items)
	}
	return total, nil
}
