package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/githost"
	"nautes.io/nautes/test/scenario"
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

func pipelineObject() *v1alpha1.ProjectPipelineRuntime {
	return &v1alpha1.ProjectPipelineRuntime{ObjectMeta: metav1.ObjectMeta{Namespace: productName, Name: pipelineRuntime}}
}

// pipelinePrograms starts the processes of the components installed on the virtual worker.
func (d *demo) pipelinePrograms(ctx context.Context) error {
	if err := d.StartArgoCD(ctx, innerName); err != nil {
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
			// The demo's Git host speaks plain HTTP on loopback.
			Args: map[string][]string{"launch": {"--git-protocols=http"}},
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
	hook, err := hookFile()
	if err != nil {
		return err
	}
	if _, err := d.Git.AddRepository(ctx, pipelineRepo); err != nil {
		return err
	}
	d.Git.Grant("pipeline-token", githost.Read, pipelineRepo)
	err = d.Secrets(ctx, secrets.RepositoryReadOnly("gitlab", pipelineCodeRepo), map[string]string{"username": "deploy", "password": "pipeline-token"})
	if err != nil {
		return err
	}
	for _, push := range []struct {
		repository string
		commit     githost.Commit
	}{
		{tenantRepo, githost.Commit{Message: "Offer a hook", Files: map[string]string{hookPath: hook}}},
		{pipelineRepo, githost.Commit{Message: "Add the pipelines", Files: userPipelines()}},
		{productRepo, githost.Commit{Message: "Run pipelines", Files: d.pipelineDeclarations()}},
	} {
		if _, err := d.Git.Push(ctx, push.repository, push.commit); err != nil {
			return err
		}
	}
	pushed := time.Now()
	if err := d.waitReady(ctx, c, pipelineObject()); err != nil {
		return err
	}
	d.measured("git push → the guide's pipeline runtime is Ready, all triggers armed", time.Since(pushed))
	if err := d.screen.table(ctx, d.Tenant.Config(), v1alpha1.GroupVersion, "projectpipelineruntimes", productName, "Age"); err != nil {
		return err
	}
	runtime := pipelineObject()
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
			managedBy: "nautes", "nautes.io/product": productName, "nautes.io/owner-name": pipelineRuntime,
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
	for _, hook := range runtime.Status.Webhooks {
		d.screen.say("  %s: %s for %s", hook.CodeRepo, hook.URL, strings.Join(hook.Events, ", "))
	}
	d.screen.say("%d services of Argo Events run for it", len(d.pipelines.events.Running()))
	return nil
}

// addPipelineHooks registers the hooks that the runtime plans, as a person would
// do in GitLab.
func (d *demo) addPipelineHooks(ctx context.Context) error {
	c := d.Client
	w := d.Clusters[innerName]
	runtime := pipelineObject()
	if err := c.Get(ctx, client.ObjectKeyFromObject(runtime), runtime); err != nil {
		return err
	}
	for _, hook := range runtime.Status.Webhooks {
		where, err := url.Parse(hook.URL)
		if err != nil {
			return fmt.Errorf("read the URL of a hook: %w", err)
		}
		token, err := scenario.EventSourceToken(ctx, w, where.Path)
		if err != nil {
			return err
		}
		err = d.Git.AddHook(pipelineRepo, githost.Hook{URL: d.pipelines.gateway.URL + where.Path, Host: where.Host, Token: token})
		if err != nil {
			return err
		}
	}
	d.screen.say("the %d hooks are registered in the Git host by hand: it has no API, by which Nautes would make them", len(runtime.Status.Webhooks))
	return nil
}
