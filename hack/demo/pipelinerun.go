package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
)

const (
	featureBranch = "feature-login"
	featureSource = "webhook-feature-push"
)

// pipelineRun pushes a commit, and follows it to the run of its pipeline.
func (d *demo) pipelineRun(ctx context.Context) error {
	if err := d.fetchCredentials(ctx); err != nil {
		return err
	}
	commit, sent, err := d.pushFeature(ctx, "Begin the login")
	if err != nil {
		return err
	}
	pushed := time.Now()
	launchers, err := d.runs(ctx, launch.RoleLauncher, 1)
	if err != nil {
		return err
	}
	d.measured("git push → launcher on the virtual worker, by event source, bus and sensor", time.Since(pushed))
	runs, err := d.runs(ctx, launch.RoleRun, 1)
	if err != nil {
		return err
	}
	d.screen.done("the user's PipelineRun is there", time.Since(pushed))
	step, err := d.launchStep(ctx, launchers[0].GetName())
	if err != nil {
		return err
	}
	d.showStep(step)
	if got := runs[0].GetLabels()[launch.LabelCommit]; got != commit {
		return fmt.Errorf("the run is of commit %q, and %s was pushed", got, commit)
	}
	if err := d.launcherEnds(ctx, launchers[0].GetName()); err != nil {
		return err
	}
	d.screen.done("the launcher has ended: pre hook, launch, the wait for the run, post hook", time.Since(pushed))
	if err := d.showRuns(ctx); err != nil {
		return err
	}
	return d.replay(ctx, sent)
}

// pushFeature pushes a commit to a branch whose pushes run a pipeline, and returns
// the commit and the delivery for the event source.
func (d *demo) pushFeature(ctx context.Context, message string) (commit string, sent delivery, err error) {
	commit, err = d.push(ctx, pipelineRepo, githost.Commit{
		Message: message, Branch: featureBranch, Files: map[string]string{"login.go": "// " + message + "\npackage login\n"},
	})
	if err != nil {
		return "", sent, err
	}
	err = d.until(ctx, "the delivery of the push", func(context.Context) error {
		var found bool
		if sent, found = d.deliveries.of(commit, featureSource); !found {
			return errors.New("not yet delivered")
		}
		return nil
	})
	if err == nil && sent.status != http.StatusOK {
		err = fmt.Errorf("the event source answers %d to the delivery", sent.status)
	}
	return commit, sent, err
}

// runs waits until there are as many PipelineRuns with a role, and returns them
// in order of their creation.
func (d *demo) runs(ctx context.Context, role string, want int) ([]unstructured.Unstructured, error) {
	w := d.Clusters[innerName]
	all := &unstructured.UnstructuredList{}
	all.SetGroupVersionKind(schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "PipelineRunList"})
	err := d.until(ctx, fmt.Sprintf("%d PipelineRuns with the role %s", want, role), func(ctx context.Context) error {
		if err := w.List(ctx, all, client.InNamespace(pipelineNamespace), client.MatchingLabels{launch.LabelRole: role, launch.LabelProduct: d.labs.Name}); err != nil {
			return err
		}
		if len(all.Items) < want {
			return errors.Join(fmt.Errorf("there are %d", len(all.Items)), d.failedStep())
		}
		return nil
	})
	if err == nil && len(all.Items) != want {
		err = fmt.Errorf("there are %d PipelineRuns with the role %s, want %d", len(all.Items), role, want)
	}
	slices.SortFunc(all.Items, func(a, b unstructured.Unstructured) int {
		return a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time)
	})
	return all.Items, err
}

// failedStep says which step has failed, and where its log is.
func (d *demo) failedStep() error {
	for _, step := range d.pipelines.steps.Ended() {
		if step.Code != 0 {
			return fmt.Errorf("%s of %s ended with %d, see %s", step.Program, step.TaskRun, step.Code, step.Log)
		}
	}
	return nil
}

// launchStep returns the step of a launcher that created the run.
func (d *demo) launchStep(ctx context.Context, launcher string) (devstack.Step, error) {
	var found devstack.Step
	err := d.until(ctx, "the step of the launcher", func(context.Context) error {
		for _, step := range d.pipelines.steps.Ended() {
			if step.Program == runnerPath && slices.Contains(step.Args, "--launcher="+launcher) {
				found = step
				return nil
			}
		}
		return errors.New("it has not ended")
	})
	return found, err
}

// showStep prints the step that the Pod of a launcher runs.
func (d *demo) showStep(step devstack.Step) {
	d.measured("launcher start → run created, by nautes-runner as a process", step.Took)
	d.screen.say("Tekton made the TaskRun %s and the Pod %s of the launcher; in place of its step ran:", step.TaskRun, step.Pod)
	d.screen.say("  nautes-runner")
	for _, arg := range step.Args {
		if len(arg) > shownArgument {
			arg = arg[:shownArgument] + "…"
		}
		d.screen.say("    %s", arg)
	}
}

// shownArgument is how much of an argument is shown.
const shownArgument = 110

// launcherEnds waits until the launcher has succeeded.
func (d *demo) launcherEnds(ctx context.Context, name string) error {
	w := d.Clusters[innerName]
	run := scenario.Object("tekton.dev/v1", "PipelineRun", pipelineNamespace, name)
	return d.until(ctx, "the end of the launcher "+name, func(ctx context.Context) error {
		if err := w.Get(ctx, client.ObjectKeyFromObject(run), run); err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(run.Object, "status", "conditions")
		for _, one := range conditions {
			condition, _ := one.(map[string]any)
			switch {
			case condition["type"] != "Succeeded":
				continue
			case condition["status"] == "True":
				return nil
			}
			return errors.Join(fmt.Errorf("%v: %v", condition["reason"], condition["message"]), d.failedStep())
		}
		return errors.New("it has no condition yet")
	})
}

// showRuns prints the runs as Tekton has them, and as Nautes reports them.
func (d *demo) showRuns(ctx context.Context) error {
	gv := schema.GroupVersion{Group: "tekton.dev", Version: "v1"}
	if err := d.screen.table(ctx, d.Runtimes[innerName].Config(), gv, "pipelineruns", pipelineNamespace, "StartTime", "CompletionTime"); err != nil {
		return err
	}
	runtime, err := d.results(ctx, 1)
	if err != nil {
		return err
	}
	rows := [][]string{{"RUN", "PIPELINE", "EVENT SOURCE", "EVENT", "COMMIT", "RESULT"}}
	for _, r := range runtime.Status.Runs {
		rows = append(rows, []string{r.Name, r.Pipeline, r.EventSource, r.Event, short(r.Commit), r.Result})
	}
	d.screen.say("status.runs of the pipeline runtime:")
	d.screen.rows(rows)
	return nil
}

// results waits until the status of the runtime has the results of as many runs.
func (d *demo) results(ctx context.Context, want int) (*v1alpha1.ProjectPipelineRuntime, error) {
	runtime := d.pipelineObject()
	err := d.until(ctx, fmt.Sprintf("the results of %d runs in the runtime's status", want), func(ctx context.Context) error {
		if err := d.Client.Get(ctx, client.ObjectKeyFromObject(runtime), runtime); err != nil {
			return err
		}
		ended := 0
		for _, r := range runtime.Status.Runs {
			if r.CompletionTime != nil {
				ended++
			}
		}
		if ended < want {
			return fmt.Errorf("its runs are %+v", runtime.Status.Runs)
		}
		return nil
	})
	return runtime, err
}

// replay sends a delivery again, and with a proof that is not the hook's: neither
// runs anything.
func (d *demo) replay(ctx context.Context, sent delivery) error {
	began := time.Now()
	status, err := d.deliveries.again(ctx, sent, false)
	if err != nil {
		return err
	}
	refused, err := d.deliveries.again(ctx, sent, true)
	if err != nil {
		return err
	}
	if status != http.StatusOK || refused != http.StatusBadRequest {
		return fmt.Errorf("a delivery again: status %d, want 200; with a wrong proof of the sender: status %d, want 400", status, refused)
	}
	d.screen.say("the same delivery again: status %d; with a wrong proof of the sender: status %d", status, refused)
	// The bus keeps the order, so the next launcher comes after any that must not come.
	if _, _, err := d.pushFeature(ctx, "Finish the login"); err != nil {
		return err
	}
	if _, err := d.runs(ctx, launch.RoleLauncher, 2); err != nil {
		return err
	}
	if _, err := d.runs(ctx, launch.RoleRun, 2); err != nil {
		return err
	}
	if _, err := d.results(ctx, 2); err != nil {
		return err
	}
	d.screen.done("the next push made the second launcher and the second run: the repeated delivery made none", time.Since(began))
	return nil
}

// pipelineRemoval deletes the pipeline runtime, and waits until nothing is left.
func (d *demo) pipelineRemoval(ctx context.Context) error {
	w := d.Clusters[innerName]
	if err := d.remove(ctx, pipelineRuntimePath); err != nil {
		return err
	}
	removed := time.Now()
	err := d.until(ctx, "the end of what the pipeline runtime had", func(ctx context.Context) error {
		left, err := list(ctx, w, plan.RuntimeKinds(), client.MatchingLabels{
			managedBy: "nautes", "nautes.io/product": d.labs.Name,
		})
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("left: %s", strings.Join(left, ", "))
		}
		if running := d.pipelines.events.Running(); err == nil && len(running) > 0 {
			err = fmt.Errorf("services that run: %s", strings.Join(running, ", "))
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := scenario.Absent(ctx, w, scenario.Object("v1", "Namespace", "", pipelineNamespace)); err != nil {
		return err
	}
	d.screen.done("event sources, sensors, hook paths, tokens, accounts, the Application and its namespace are gone", time.Since(removed))
	return d.until(ctx, "the end of the hooks in the forge", func(ctx context.Context) error {
		left, err := d.pipelineHooks(ctx)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("there are %d", len(left))
		}
		d.screen.done("its hooks in the forge are gone", time.Since(removed))
		return nil
	})
}
