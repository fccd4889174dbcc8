package controllers_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/devstack"
	"nautes.io/nautes/test/scenario"
)

// The clusters of pipeline runtimes, with the real kinds of Argo Events and
// Tekton. Their controllers do not run beside these tests, which play
// their reports.
const pipelineWorker, otherPipelineWorker = "mill", "weir"

var pipelinesOnce sync.Once

// thePipelines returns the one system, with the clusters of pipeline runtimes.
func thePipelines(t *testing.T) *system {
	t.Helper()
	sys := theSystem(t)
	pipelinesOnce.Do(func() {
		hook, err := os.ReadFile(filepath.Join("..", "config", "samples", "tenant", "hooks", "ls.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		sys.MustApply(t, scenario.InNamespace(devstack.OperatorNamespace, string(hook)), scenario.Provider("forge", "https://forge.example"))
		for _, name := range []string{pipelineWorker, otherPipelineWorker} {
			if err := sys.InstallPipelines(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			sys.putKubeconfig(t, name, name)
			sys.MustApply(t, registrationCluster(sys, name, name, "usage: worker\n  clusterType: physical\n  workerType: pipeline"))
		}
	})
	return sys
}

// pipelineProduct is a product with the pipeline runtime of the user guide.
type pipelineProduct struct {
	*product
	// source and events are CodeRepos: of the pipeline files, and of the events.
	source, events string
	// played are the clusters on which Argo CD and Argo Events are played.
	played []string
}

// playAgain is the pause before a report that failed is written again.
const playAgain = 100 * time.Millisecond

const pipelineFile = "projects/app/pr.yaml"

func newPipelineProduct(sys *system, id string) *pipelineProduct {
	m := &pipelineProduct{product: newProduct(sys, id, pipelineWorker), source: "repo-s" + id, events: "repo-e" + id, played: []string{pipelineWorker, otherPipelineWorker}}
	m.namespace = "pipelines-" + id
	return m
}

func bindingPath(repo string) string { return scenario.BindingPath(repo, "app") }

func (m *pipelineProduct) repo(name string) string {
	return m.CodeRepo(name, name, "codeRepoProvider: forge")
}

func (m *pipelineProduct) grant(repo string) string {
	return m.Binding(repo+"-app", repo, "app", "readonly")
}

// guide is the spec of the resource file that the user guide prints, in the words
// of this product.
func (m *pipelineProduct) guide(t *testing.T) *v1alpha1.ProjectPipelineRuntimeSpec {
	t.Helper()
	printed, err := os.ReadFile(filepath.Join("..", "config", "samples", "default.project", "projects", "project-demo", "pr-demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r := &v1alpha1.ProjectPipelineRuntime{}
	if err := yaml.UnmarshalStrict(printed, r); err != nil {
		t.Fatal(err)
	}
	spec := &r.Spec
	spec.Project, spec.PipelineSource, spec.Destination.Environment, spec.Destination.Namespace = "app", m.source, "dev", m.namespace
	spec.AdditionalResources.Git.CodeRepo = m.source
	for i := range spec.EventSources {
		spec.EventSources[i].GitLab.RepoName = m.source
	}
	return spec
}

// file returns the resource file of the runtime.
func (m *pipelineProduct) file(t *testing.T, spec *v1alpha1.ProjectPipelineRuntimeSpec) string {
	t.Helper()
	text, err := yaml.Marshal(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ProjectPipelineRuntime", "metadata": map[string]any{"name": "pr"}, "spec": spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// change pushes a changed runtime.
func (m *pipelineProduct) change(t *testing.T, change func(*v1alpha1.ProjectPipelineRuntimeSpec)) {
	t.Helper()
	spec := m.guide(t)
	change(spec)
	m.push(t, map[string]string{pipelineFile: m.file(t, spec)})
}

func (m *pipelineProduct) files(t *testing.T, spec *v1alpha1.ProjectPipelineRuntimeSpec) map[string]string {
	t.Helper()
	files := map[string]string{envFile: m.env(), projectFile: m.project(), pipelineFile: m.file(t, spec)}
	for _, repo := range []string{m.source, m.events} {
		files[scenario.CodeRepoPath(repo)], files[bindingPath(repo)] = m.repo(repo), m.grant(repo)
	}
	return files
}

// open declares the product, stores its deploy key, pushes its files, and lets
// Argo Events and Argo CD do their part.
func (m *pipelineProduct) open(t *testing.T, spec *v1alpha1.ProjectPipelineRuntimeSpec) {
	t.Helper()
	m.declare(t)
	m.playControllers(t)
	m.sys.putText(t, secrets.RepositoryReadOnly("gitlab", m.source), "deploykey", "key-of-"+m.source)
	m.push(t, m.files(t, spec))
}

// playControllers reports the status of the product's objects as Argo Events and
// Argo CD would, until the test ends and the product is gone.
func (m *pipelineProduct) playControllers(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	for _, name := range m.played {
		c := m.sys.Clusters[name]
		for _, kind := range []string{"EventSource", "Sensor", "Application"} {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(scenario.ArgoKind(kind + "List"))
			err := scenario.Watch(ctx, c, list, func(o client.Object) { m.play(ctx, c, o.(*unstructured.Unstructured)) },
				client.MatchingLabels{v1alpha1.LabelProduct: m.Name})
			// A cluster without pipelines does not serve the kinds of Argo Events.
			if err != nil && !meta.IsNoMatchError(err) {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(func() {
		// The product is removed first, which needs Argo CD.
		m.remove(t)
		stop()
	})
}

// play reports the status of an object, again and again until the report is written or
// the object is gone.
func (m *pipelineProduct) play(ctx context.Context, c client.Client, o *unstructured.Unstructured) {
	for {
		err := report(ctx, c, o)
		if err == nil || scenario.Pause(ctx, playAgain) != nil {
			return
		}
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); apierrors.IsNotFound(err) {
			return
		}
	}
}

// report writes the status that Argo Events or Argo CD reports of an object that has none.
func report(ctx context.Context, c client.Client, o *unstructured.Unstructured) error {
	var names []string
	switch o.GetKind() {
	case "Application":
		return scenario.PlayArgoCD(ctx, c, o)
	case "EventSource":
		names = []string{"SourcesProvided", "Deployed"}
	case "Sensor":
		names = []string{"DependenciesProvided", "TriggersProvided", "Deployed"}
	}
	if _, seen, _ := unstructured.NestedSlice(o.Object, "status", "conditions"); seen {
		return nil
	}
	var all []any
	for _, name := range names {
		all = append(all, map[string]any{"type": name, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"})
	}
	before := o.DeepCopy()
	_ = unstructured.SetNestedSlice(o.Object, all, "status", "conditions")
	return client.IgnoreNotFound(c.Status().Patch(ctx, o, client.MergeFrom(before)))
}

// list returns the product's objects of a kind of Argo's on a cluster.
func (m *pipelineProduct) list(c client.Client, kind string) []unstructured.Unstructured {
	list, err := scenario.List(context.Background(), c, []schema.GroupVersionKind{scenario.ArgoKind(kind)}, client.MatchingLabels{v1alpha1.LabelProduct: m.Name})
	if err != nil {
		return nil
	}
	return list
}

func (m *pipelineProduct) pipelines() *v1alpha1.ProjectPipelineRuntime {
	return &v1alpha1.ProjectPipelineRuntime{ObjectMeta: m.Meta("pr")}
}

// owned lists the runtime's own objects on a cluster.
func (m *pipelineProduct) owned(t *testing.T, cluster string) []string {
	t.Helper()
	return withLabels(t, m.sys.Clusters[cluster], client.MatchingLabels{
		v1alpha1.LabelProduct: m.Name, v1alpha1.LabelOwnerKind: build.OwnerPipelineRuntime,
	})
}

// has waits until the runtime has so many objects of each kind on a cluster, as
// "EventSource 2, Sensor 1", and nothing else.
func (m *pipelineProduct) has(t *testing.T, cluster, want string) {
	t.Helper()
	m.sys.Until(t, fmt.Sprintf("%s on %s: %s", m.Name, cluster, want), func() error {
		count := map[string]int{}
		owned := m.owned(t, cluster)
		for _, o := range owned {
			kind, _, _ := strings.Cut(o, " ")
			count[kind]++
		}
		var kinds []string
		for _, kind := range slices.Sorted(maps.Keys(count)) {
			kinds = append(kinds, fmt.Sprintf("%s %d", kind, count[kind]))
		}
		if got := strings.Join(kinds, ", "); got != want {
			return fmt.Errorf("it has %s: %v", got, owned)
		}
		return nil
	})
}

// exclusive and shared list the objects of the guide's runtime in both isolations.
const (
	inExclusive = "Application 1, ConfigMap 5, EventSource 5, Ingress 1, Role 1, RoleBinding 1, Secret 5, Sensor 5, ServiceAccount 1"
	inShared    = "Application 1, ConfigMap 1, EventSource 2, Ingress 1, Role 1, RoleBinding 1, Secret 5, Sensor 1, ServiceAccount 1"
)

// ready waits until the runtime is ready and returns it.
func (m *pipelineProduct) ready(t *testing.T) *v1alpha1.ProjectPipelineRuntime {
	t.Helper()
	r := m.pipelines()
	m.sys.condition(t, r, "Ready", metav1.ConditionTrue, v1alpha1.ReasonReady)
	return r
}

// run creates a PipelineRun with the labels of the runtime in a namespace.
func (m *pipelineProduct) run(t *testing.T, namespace, name string, labels map[string]string, succeeded, reason string) {
	t.Helper()
	c := m.sys.Clusters[pipelineWorker]
	run := scenario.Object("tekton.dev/v1", "PipelineRun", namespace, name)
	run.SetLabels(labels)
	run.Object["spec"] = map[string]any{"pipelineRef": map[string]any{"name": "any"}}
	if err := c.Create(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if succeeded == "" {
		return
	}
	run.Object["status"] = map[string]any{"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z", "conditions": []any{
		map[string]any{"type": "Succeeded", "status": succeeded, "reason": reason, "message": "says Tekton", "lastTransitionTime": "2026-01-01T00:01:00Z"},
	}}
	if err := c.Status().Update(t.Context(), run); err != nil {
		t.Fatal(err)
	}
}

// resources is the Application of the additional resources.
func (m *pipelineProduct) resources() *unstructured.Unstructured {
	return m.Application("pr.resources")
}
