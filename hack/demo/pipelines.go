package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	forgeclient "nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
)

// pipelineParts run the pipelines of the virtual worker.
type pipelineParts struct {
	events  *devstack.ArgoEvents
	gateway *devstack.Gateway
	tekton  *devstack.Tekton
	steps   *devstack.StepRunner
}

// runnerPath is where the image of launchers has its program.
const runnerPath = "/usr/local/bin/nautes-runner"

func (d *demo) pipelineObject() *v1alpha1.ProjectPipelineRuntime {
	return &v1alpha1.ProjectPipelineRuntime{ObjectMeta: d.labs.Meta(pipelineRuntime)}
}

// pipelinePrograms starts the processes of the components installed on the virtual worker.
func (d *demo) pipelinePrograms(ctx context.Context) error {
	if err := d.startArgoCD(ctx, innerName); err != nil {
		return err
	}
	if err := d.StartHNC(ctx, innerName); err != nil {
		return err
	}
	var err error
	if d.pipelines.events, err = d.StartArgoEvents(ctx, innerName); err != nil {
		return err
	}
	if d.pipelines.gateway, err = d.StartGateway(d.pipelines.events); err != nil {
		return err
	}
	d.deliveries.gateway = d.pipelines.gateway
	d.entry.LeadTo(&d.deliveries)
	if d.pipelines.tekton, err = d.StartTekton(ctx, innerName); err != nil {
		return err
	}
	root, err := devstack.ModuleRoot()
	if err != nil {
		return err
	}
	d.pipelines.steps, err = d.RunSteps(ctx, innerName, map[string]devstack.StepProgram{
		runnerPath: {
			Path: filepath.Join(root, "bin", "nautes-runner"),
		},
	})
	if err != nil {
		return err
	}
	d.screen.say("No node runs, so in place of Pods there are processes, with the Pods' arguments, volumes and accounts:")
	d.screen.say("  the controllers, the event bus, each event source and sensor, and the steps of nautes-runner.")
	d.screen.say("What does not run: any other image, so hooks and the steps of users are only said to have ended well;")
	d.screen.say("  the gateway, which a small proxy plays by the Ingresses; the admission webhooks of Tekton and Argo Events.")
	return nil
}

// pipelineRuntime declares the guide's pipeline runtime.
func (d *demo) pipelineRuntime(ctx context.Context) error {
	c := d.Client
	calls, err := d.pipelineCalls()
	if err != nil {
		return err
	}
	last := len(calls) - 1
	for i, one := range calls {
		if i == last {
			if _, err := d.push(ctx, pipelineRepo, githost.Commit{Message: "Add the pipelines", Files: userPipelines()}); err != nil {
				return err
			}
			d.screen.say("git push %s: the pipelines", pipelineRepo)
			d.screen.say("%s has the runtime of the user guide: 4 event sources, 3 pipelines, and before and after each run the tenant's hook %s", one.file, hookName)
		}
		a, err := d.must(ctx, one)
		if err != nil {
			return err
		}
		d.files[one.path] = a.File
	}
	saved := time.Now()
	own, err := d.forge.Repository(ctx, pipelineRepo)
	if err != nil {
		return err
	}
	d.sourcesID = repositoryID(own)
	if err := d.waitReady(ctx, c, d.pipelineObject()); err != nil {
		return err
	}
	d.measured("answer of the API → the guide's pipeline runtime is Ready, all triggers armed", time.Since(saved))
	if err := d.hooked(ctx, d.pipelineObject()); err != nil {
		return err
	}
	if err := d.screen.table(ctx, d.Tenant.Config(), v1alpha1.GroupVersion, "projectpipelineruntimes", d.labs.Name, "Age"); err != nil {
		return err
	}
	runtime := d.pipelineObject()
	if err := c.Get(ctx, client.ObjectKeyFromObject(runtime), runtime); err != nil {
		return err
	}
	rows := [][]string{{"TRIGGER", "PIPELINE", "ARMED", "MESSAGE"}}
	for _, trigger := range runtime.Status.Triggers {
		rows = append(rows, []string{trigger.EventSource, trigger.Pipeline, fmt.Sprint(trigger.Armed), trigger.Message})
	}
	d.screen.rows(rows)
	return d.showPipeline(ctx, runtime)
}

// showPipeline prints the objects of the runtime on its cluster.
func (d *demo) showPipeline(ctx context.Context, runtime *v1alpha1.ProjectPipelineRuntime) error {
	w := d.Clusters[innerName]
	root := branch{text: "cluster " + virtualName}
	for _, namespace := range []string{devstack.ArgoEventsNamespace, pipelineNamespace, devstack.ArgoCDNamespace} {
		found, err := list(ctx, w, plan.RuntimeKinds(), client.InNamespace(namespace), client.MatchingLabels{
			managedBy: "nautes", "nautes.io/product": d.labs.Name, "nautes.io/owner-name": pipelineRuntime,
		})
		if err != nil {
			return err
		}
		child := branch{text: "Namespace " + namespace}
		for _, one := range found {
			child.children = append(child.children, branch{text: one})
		}
		root.children = append(root.children, child)
	}
	d.screen.tree(root)
	hooks, err := d.pipelineHooks(ctx)
	if err != nil {
		return err
	}
	d.screen.say("the hooks of %s in the forge:", pipelineRepo)
	for _, hook := range hooks {
		d.screen.say("  %s for %s", hook.URL, strings.Join(hook.Events, ", "))
	}
	if len(hooks) != len(runtime.Status.Webhooks) {
		return fmt.Errorf("the forge has %d hooks of the pipeline runtime, want %d", len(hooks), len(runtime.Status.Webhooks))
	}
	d.screen.say("%d services of Argo Events run for it", len(d.pipelines.events.Running()))
	return nil
}

// pipelineHooks returns the hooks of the product's sources in the forge.
func (d *demo) pipelineHooks(ctx context.Context) ([]forgeclient.Hook, error) {
	own, err := d.forge.Repository(ctx, pipelineRepo)
	if err != nil {
		return nil, err
	}
	return d.forge.Client.Hooks(ctx, own.ID)
}
