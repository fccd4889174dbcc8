package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
)

// runnerRuns is how often the runner is measured: each time it fetches anew.
const runnerRuns = 30

func launchers() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "PipelineRunList"})
	return list
}

// deliver sends pushes to the event source one after another, and measures from
// its answer to the arrival of the launcher.
func (b *bench) deliver(ctx context.Context, gateway string, deliveries int) ([]time.Duration, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seen := newArrivals()
	if err := scenario.Watch(ctx, b.Clusters[cluster], launchers(), func(o client.Object) { seen.note(commitOf(o)) }); err != nil {
		return nil, err
	}
	runtime := &v1alpha1.ProjectPipelineRuntime{}
	if err := b.Client.Get(ctx, client.ObjectKey{Namespace: product(0).Name, Name: runtimeName(0)}, runtime); err != nil {
		return nil, err
	}
	at := slices.IndexFunc(runtime.Status.Webhooks, func(h v1alpha1.WebhookStatus) bool { return h.EventSource == "webhook-feature-push" })
	if at < 0 {
		return nil, errors.New("the runtime reports no hook")
	}
	hook := strings.TrimPrefix(runtime.Status.Webhooks[at].URL, "https://")
	host, path, _ := strings.Cut(hook, "/")
	token, err := scenario.EventSourceToken(ctx, b.Clusters[cluster], "/"+path)
	if err != nil {
		return nil, err
	}
	var took []time.Duration
	for n := range deliveries {
		commit := fmt.Sprintf("%040x", n+1)
		if err := post(ctx, gateway+"/"+path, host, token, commit); err != nil {
			return nil, err
		}
		accepted := time.Now()
		if err := scenario.Until(ctx, patience, "the launcher", func(context.Context) error {
			if _, ok := seen.at(commit); !ok {
				return errors.New("it has not arrived")
			}
			return nil
		}); err != nil {
			return nil, err
		}
		when, _ := seen.at(commit)
		took = append(took, max(0, when.Sub(accepted)))
	}
	return took, nil
}

// commitOf returns the commit that a launcher was given.
func commitOf(o client.Object) string {
	return params(o.(*unstructured.Unstructured))["commit"]
}

func params(run *unstructured.Unstructured) map[string]string {
	values := map[string]string{}
	all, _, _ := unstructured.NestedSlice(run.Object, "spec", "params")
	for _, one := range all {
		param, _ := one.(map[string]any)
		name, _ := param["name"].(string)
		values[name], _ = param["value"].(string)
	}
	return values
}

// post delivers a push as GitLab does.
func post(ctx context.Context, url, host, token, commit string) error {
	body := fmt.Sprintf(`{"object_kind":"push","event_name":"push","ref":"refs/heads/feature-bench","before":"%040x","after":%q,"checkout_sha":%q}`, 0, commit, commit)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	request.Host = host
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": token, "Idempotency-Key": string(uuid.NewUUID()),
	} {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the event source answers %s", response.Status)
	}
	return nil
}

// launch runs the step of launchers, and measures how long each takes.
func (b *bench) launch(ctx context.Context, dir string) ([]time.Duration, error) {
	root, err := devstack.ModuleRoot()
	if err != nil {
		return nil, err
	}
	kubeconfig, credentials := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "credentials")
	if err := errors.Join(os.WriteFile(kubeconfig, b.Runtimes[cluster].Kubeconfig(), 0o600), os.MkdirAll(credentials, 0o700)); err != nil {
		return nil, err
	}
	for name, content := range map[string]string{"username": "any", "password": "pipelines"} {
		if err := os.WriteFile(filepath.Join(credentials, name), []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	all := launchers()
	if err := b.Clusters[cluster].List(ctx, all, client.MatchingLabels{launch.LabelRole: launch.RoleLauncher}, client.Limit(runnerRuns)); err != nil {
		return nil, err
	}
	var took []time.Duration
	for i := range all.Items {
		args, err := b.runnerArgs(ctx, &all.Items[i])
		if err != nil {
			return nil, err
		}
		args = append(args, "--kubeconfig="+kubeconfig, "--credentials="+credentials, "--git-protocols=http", "--work-dir="+filepath.Join(dir, fmt.Sprint("work-", i)))
		began := time.Now()
		if out, err := exec.CommandContext(ctx, filepath.Join(root, "bin", "nautes-runner"), args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("nautes-runner: %w: %s", err, out)
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

var errNoStep = errors.New("the launcher has no step of the runner")

// runnerArgs returns the arguments of a launcher's step as Tekton would fill them
// in, with the commit that the repository has.
func (b *bench) runnerArgs(ctx context.Context, run *unstructured.Unstructured) ([]string, error) {
	event := launch.Event{}
	if err := launch.Decode(params(run)["event"], &event); err != nil {
		return nil, err
	}
	event.Commit, event.Ref = "", "refs/heads/main"
	encoded, err := launch.Encode(event)
	if err != nil {
		return nil, err
	}
	tasks, _, _ := unstructured.NestedSlice(run.Object, "spec", "pipelineSpec", "tasks")
	for _, one := range tasks {
		task, _ := one.(map[string]any)
		steps, _, _ := unstructured.NestedSlice(task, "taskSpec", "steps")
		if task["name"] != "nautes-launch" || len(steps) != 1 {
			continue
		}
		step, _ := steps[0].(map[string]any)
		found, _, _ := unstructured.NestedStringSlice(step, "args")
		var args []string
		for _, arg := range found {
			name, _, _ := strings.Cut(arg, "=")
			switch name {
			case "--event":
				arg = name + "=" + encoded
			case "--launcher":
				arg = name + "=" + run.GetName()
			case "--work-dir", "--result-run", "--result-commit":
				continue
			}
			args = append(args, arg)
		}
		return args, ctx.Err()
	}
	return nil, errNoStep
}
