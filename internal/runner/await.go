package runner

import (
	"context"
	"flag"
	"time"

	tektonv1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"nautes.io/nautes/internal/launch"
)

// watchFor is the time limit of one watch, in seconds. It bounds the delay that a
// silently broken connection causes.
const watchFor = int64(5 * time.Minute / time.Second)

// awaitCommand waits until a run has ended.
type awaitCommand struct {
	namespace, name, resultStatus string
	cluster                       clusterFlags
}

func (c *awaitCommand) flags(f *flag.FlagSet) {
	f.StringVar(&c.namespace, "namespace", "", "namespace of the run")
	f.StringVar(&c.name, "run", "", "name of the run; if empty, the launch failed, which counts as a run that failed")
	f.StringVar(&c.resultStatus, "result-status", "", "file for the result of the run: Succeeded, Failed, Cancelled or Timeout")
	c.cluster.flags(f)
}

func (c *awaitCommand) run(ctx context.Context, p *Program) error {
	switch {
	case c.namespace == "":
		return fail(launch.ExitUsage, "--namespace is missing: name the namespace of the run")
	case c.name == "":
		p.say("no run was created, so there is none to wait for: " + launch.RunFailed)
		return writeResult(c.resultStatus, launch.RunFailed)
	}
	runs, err := c.cluster.connect(p, c.namespace)
	if err != nil {
		return err
	}
	status, err := runs.await(ctx, c.name)
	if err != nil {
		return err
	}
	p.say("run %s has ended: %s", c.name, status)
	return writeResult(c.resultStatus, status)
}

// verifyCommand fails if no run was created. It makes a launcher fail whose post hooks
// ran although the pipeline could not be started.
type verifyCommand struct{ name string }

func (c *verifyCommand) flags(f *flag.FlagSet) {
	f.StringVar(&c.name, "run", "", "name of the run; empty when none was created")
}

func (c *verifyCommand) run(_ context.Context, p *Program) error {
	if c.name == "" {
		return fail(launch.ExitNoRun, "no run was created: see the log of nautes-launch")
	}
	p.say("run %s was created", c.name)
	return nil
}

// await waits until a run has ended and returns its result. A run that was deleted is
// cancelled.
func (r *pipelineRuns) await(ctx context.Context, name string) (string, error) {
	var seen types.UID
	for {
		run, err := r.get(ctx, name)
		if err != nil {
			return "", err
		}
		if run == nil || seen != "" && run.UID != seen {
			return launch.RunCancelled, nil
		}
		seen = run.UID
		if status := ended(run); status != "" {
			return status, nil
		}
		if status := r.follow(ctx, run); status != "" {
			return status, nil
		}
		if err := wait(ctx, r.program.Pause); err != nil {
			return "", fail(launch.ExitCluster, "wait for the run %s: %w", name, err)
		}
	}
}

// get returns a run, or nil if it does not exist.
func (r *pipelineRuns) get(ctx context.Context, name string) (run *tektonv1.PipelineRun, err error) {
	err = r.call(ctx, -1, "read the run "+name, func(ctx context.Context) error {
		found, err := r.client.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err == nil {
			run, err = typed(found)
		}
		return err
	})
	return run, err
}

// follow watches a run and returns its result, or "" if the watch ends first.
func (r *pipelineRuns) follow(ctx context.Context, run *tektonv1.PipelineRun) string {
	seconds := watchFor
	watcher, err := r.client.Watch(ctx, metav1.ListOptions{
		FieldSelector:   fields.OneTermEqualSelector(metav1.ObjectNameField, run.Name).String(),
		ResourceVersion: run.ResourceVersion, TimeoutSeconds: &seconds,
	})
	if err != nil {
		// If the problem stays, reading the run returns it.
		return ""
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		object, isRun := event.Object.(*unstructured.Unstructured)
		if !isRun {
			return ""
		}
		now, err := typed(object)
		if err != nil {
			return ""
		}
		if status := ended(now); status != "" {
			return status
		}
		if event.Type == watch.Deleted {
			return launch.RunCancelled
		}
	}
	return ""
}

// ended returns the result of a run, or "" while it runs.
func ended(run *tektonv1.PipelineRun) string {
	condition := run.Status.GetCondition(launch.ConditionSucceeded)
	if condition == nil {
		return ""
	}
	if result := launch.RunResult(string(condition.Status), condition.Reason); result != launch.RunRunning {
		return result
	}
	return ""
}
