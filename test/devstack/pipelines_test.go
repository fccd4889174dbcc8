package devstack

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

const (
	runsNamespace = "runs"
	hookPath      = "/runs/push"
)

// eventObjects listen for a push, and make a PipelineRun of it with one step.
const eventObjects = `apiVersion: v1
kind: Secret
metadata: {name: hook, namespace: argo-events}
stringData: {placeholder: worthless, token: right}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: sensor, namespace: argo-events}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: sensor, namespace: runs}
rules: [{apiGroups: [tekton.dev], resources: [pipelineruns], verbs: [create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: sensor, namespace: runs}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: sensor}
subjects: [{kind: ServiceAccount, name: sensor, namespace: argo-events}]
---
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: push, namespace: argo-events}
spec:
  service: {ports: [{port: 12000, targetPort: 12000}]}
  gitlab:
    push:
      webhook: {endpoint: /runs/push, method: POST, port: "12000", url: https://webhook.example}
      events: [PushEvents]
      accessToken: {name: hook, key: placeholder}
      secretToken: {name: hook, key: token}
      gitlabBaseURL: https://gitlab.example
---
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: push, namespace: argo-events}
spec:
  template: {serviceAccountName: sensor}
  dependencies: [{name: push, eventSourceName: push, eventName: push}]
  triggers:
  - template:
      name: run
      k8s:
        operation: create
        parameters: [{src: {dependencyName: push, dataKey: body.ref}, dest: spec.params.0.value}]
        source:
          resource:
            apiVersion: tekton.dev/v1
            kind: PipelineRun
            metadata: {name: pushed, namespace: runs}
            spec:
              params: [{name: ref, value: ""}]
              pipelineSpec:
                params: [{name: ref, type: string}]
                results: [{name: said, value: $(tasks.say.results.said)}]
                tasks:
                - name: say
                  params: [{name: ref, value: $(params.ref)}]
                  taskSpec:
                    params: [{name: ref, type: string}]
                    results: [{name: said}]
                    steps:
                    - name: say
                      image: shell.example/sh
                      command: [/bin/sh]
                      args: [-c, 'printf %s "$1" > "$2"', sh, $(params.ref), $(results.said.path)]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: push, namespace: argo-events}
spec:
  rules:
  - host: webhook.example
    http:
      paths:
      - {path: /runs/push, pathType: Exact, backend: {service: {name: push-eventsource-svc, port: {number: 12000}}}}
`

// A delivery goes through Argo Events, Tekton makes a Pod of it, the step of the
// Pod runs as a process, and Tekton receives its result.
func TestPipelinesRunWithoutANode(t *testing.T) {
	SkipUnbuilt(t, Options{ControllerManager: true, Pipelines: true})
	t.Parallel()
	stack := shared.Stack(t)
	plane := stack.Runtimes[runtimeA]
	if err := stack.InstallPipelines(t.Context(), runtimeA); err != nil {
		t.Fatal(err)
	}
	namespace(t, clientFor(t, plane.Config()), runsNamespace)
	events, err := stack.StartArgoEvents(t.Context(), runtimeA)
	if err != nil {
		t.Fatal(err)
	}
	gateway, err := stack.StartGateway(events)
	if err != nil {
		t.Fatal(err)
	}
	tekton, err := stack.StartTekton(t.Context(), runtimeA)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := stack.RunSteps(t.Context(), runtimeA, map[string]StepProgram{"/bin/sh": {Path: "/bin/sh"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), plane.Config(), []byte(eventObjects)); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Minute, func(context.Context) error {
		if len(events.Running()) < 2 {
			return notYetError("a service")
		}
		return events.Err()
	})

	const ref = `refs/heads/feature-$(touch /x)`
	for _, each := range []struct {
		path, token string
		want        int
	}{
		{"/elsewhere", "right", http.StatusNotFound},
		{hookPath, "wrong", http.StatusBadRequest},
		{hookPath, "right", http.StatusOK},
	} {
		if got := deliver(t, gateway.URL+each.path, each.token, `{"ref": "`+ref+`"}`); got != each.want {
			t.Errorf("a delivery to %s with the token %q: status %d, want %d", each.path, each.token, got, each.want)
		}
	}
	run := waitForRun(t, plane)
	results, _, _ := unstructured.NestedSlice(run.Object, "status", "results")
	want := []any{map[string]any{"name": "said", "value": ref}}
	if len(results) != 1 || results[0].(map[string]any)["value"] != ref {
		t.Errorf("results of the run: %v, want %v", results, want)
	}
	ended := steps.Ended()
	if len(ended) != 1 || !ended[0].Ran || ended[0].Code != 0 || !slices.Contains(ended[0].Args, ref) {
		t.Errorf("steps that ended: %+v, want one that ran with the argument %q", ended, ref)
	}
	if err := errors.Join(events.Err(), tekton.Err(), plane.Err()); err != nil {
		t.Error(err)
	}
}

func deliver(t *testing.T, url, token, body string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "webhook.example"
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Gitlab-Event", "Push Hook")
	request.Header.Set("X-Gitlab-Token", token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// waitForRun waits until the run has succeeded.
func waitForRun(t *testing.T, plane *ControlPlane) *unstructured.Unstructured {
	t.Helper()
	client, err := dynamic.NewForConfig(plane.Config())
	if err != nil {
		t.Fatal(err)
	}
	runs := client.Resource(schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "pipelineruns"}).Namespace(runsNamespace)
	var run *unstructured.Unstructured
	eventually(t, 2*time.Minute, func(ctx context.Context) (err error) {
		if run, err = runs.Get(ctx, "pushed", metav1.GetOptions{}); err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(run.Object, "status", "conditions")
		for _, condition := range conditions {
			fields := condition.(map[string]any)
			switch fields["status"] {
			case string(corev1.ConditionTrue):
				return nil
			case string(corev1.ConditionFalse):
				return final{errors.New(fields["message"].(string))}
			}
		}
		return notYetError("the end of the run")
	})
	return run
}

func TestLeadsTo(t *testing.T) {
	for name, test := range map[string]struct {
		rule, kind, path string
		want             bool
	}{
		"the path itself":     {"/a/b", "Exact", "/a/b", true},
		"below an exact path": {"/a/b", "Exact", "/a/b/c", false},
		"below a prefix":      {"/a/b", "Prefix", "/a/b/c", true},
		"another name":        {"/a/b", "Prefix", "/a/bc", false},
		"everything":          {"/", "Prefix", "/a", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := leadsTo(ingressPath(test.rule, test.kind), test.path); got != test.want {
				t.Errorf("leadsTo(%s %s, %s) = %v", test.kind, test.rule, test.path, got)
			}
		})
	}
}

func ingressPath(path, kind string) networkingv1.HTTPIngressPath {
	pathType := networkingv1.PathType(kind)
	return networkingv1.HTTPIngressPath{Path: path, PathType: &pathType}
}

func TestEntrypoint(t *testing.T) {
	program, results, args := entrypoint([]string{
		"-wait_file", "/tekton/downward/ready", "-post_file", "/tekton/run/0/out", "-termination_path", "/tekton/termination",
		"-results", "run,commit", "-entrypoint", "/usr/local/bin/nautes-runner", "--", "launch", "--", "-entrypoint", "other",
	})
	if program != "/usr/local/bin/nautes-runner" || !slices.Equal(results, []string{"run", "commit"}) ||
		!slices.Equal(args, []string{"launch", "--", "-entrypoint", "other"}) {
		t.Errorf("entrypoint() = %q, %q, %q", program, results, args)
	}
}
