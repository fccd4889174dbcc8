package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/secrets"
	"nautes.io/nautes/test/scenario"
)

// The example of the user guide becomes ready.
func TestPipelineOfTheGuide(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	m := newPipelineProduct(sys, "1001")
	m.open(t, m.guide(t))
	r := m.ready(t)
	m.has(t, pipelineWorker, inExclusive)
	if r.Status.Armed != "4/4" || len(r.Status.Triggers) != 4 || len(r.Status.Webhooks) != 4 || len(r.Status.IllegalEventSources) > 0 {
		t.Errorf("the status is %+v", r.Status)
	}
	want := v1alpha1.WebhookStatus{
		EventSource: "webhook-main-tag", CodeRepo: m.source, Events: []string{"tag_push_events"},
		URL: "https://webhook.mill.example.com:30443/" + m.Name + "-pr/webhook-main-tag",
	}
	if !slices.ContainsFunc(r.Status.Webhooks, func(h v1alpha1.WebhookStatus) bool { return cmp.Equal(h, want) }) {
		t.Errorf("the webhooks are %+v, want among them %+v", r.Status.Webhooks, want)
	}
	for _, condition := range []string{"Valid", "Applied", "Armed", "Synced", "Healthy"} {
		sys.condition(t, r, condition, metav1.ConditionTrue, "")
	}
	sys.AwaitObjects(t, sys.Clusters[pipelineWorker], m.resources(),
		scenario.Object("v1", "Namespace", "", m.namespace), scenario.Object("v1", "ServiceAccount", m.namespace, "pr-demo-account"))
	sys.webhookKey(t)
	sys.condition(t, m.Object(), "Ready", metav1.ConditionTrue, "")
}

// webhookKey returns the key of the webhooks, which is there and long enough.
func (sys *system) webhookKey(t *testing.T) string {
	t.Helper()
	key, err := sys.store.Get(t.Context(), secrets.WebhookKey())
	if err != nil || len(key.Fields[secrets.WebhookKeyField].Bytes()) != 64 {
		t.Fatalf("the key of the webhooks: %v", err)
	}
	return string(key.Fields[secrets.WebhookKeyField].Bytes())
}

// Triggers are armed when Argo Events has deployed their parts, and name the
// missing parts until then.
func TestPipelineWaitsForArgoEvents(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	m := newPipelineProduct(sys, "1002")
	m.declare(t)
	sys.putText(t, secrets.RepositoryReadOnly("gitlab", m.source), "deploykey", "key")
	m.push(t, m.files(t, m.guide(t)))
	r := m.pipelines()
	message := sys.condition(t, r, "Armed", metav1.ConditionFalse, v1alpha1.ReasonDisarmed)
	sys.Until(t, "the cause", func() error {
		message = sys.condition(t, r, "Armed", metav1.ConditionFalse, v1alpha1.ReasonDisarmed)
		if !strings.Contains(message, "Argo Events has not looked at EventSource") || r.Status.Armed != "0/4" {
			return errors.New(message)
		}
		return nil
	})
	m.has(t, pipelineWorker, inExclusive)
	c := sys.Clusters[pipelineWorker]
	sensors := m.list(c, "Sensor")
	slices.SortFunc(sensors, func(a, b unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	broken := sensors[0]
	broken.Object["status"] = map[string]any{"conditions": []any{map[string]any{
		"type": "Deployed", "status": "False", "message": "EventBus not ready.", "lastTransitionTime": "2026-01-01T00:00:00Z",
	}}}
	if err := c.Status().Update(t.Context(), &broken); err != nil {
		t.Fatal(err)
	}
	m.playControllers(t)
	sys.Until(t, "one trigger that is not armed", func() error {
		message = sys.condition(t, r, "Armed", metav1.ConditionFalse, v1alpha1.ReasonDisarmed)
		if r.Status.Armed != "3/4" || !strings.Contains(message, "EventBus not ready.") {
			return fmt.Errorf("%s armed: %s", r.Status.Armed, message)
		}
		return nil
	})
}

// A revoked binding disarms at once, in every other state of the runtime, and a new
// one heals it. Granted triggers go on.
func TestPipelineRevokedBinding(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	m := newPipelineProduct(sys, "1003")
	spec := m.guide(t)
	spec.EventSources[3].GitLab.RepoName = m.events
	m.open(t, spec)
	m.ready(t)
	const rest = "Application 1, ConfigMap 4, EventSource 4, Ingress 1, Role 1, RoleBinding 1, Secret 4, Sensor 4, ServiceAccount 1"
	m.revokes(t, spec, inExclusive, rest, map[string]func(*v1alpha1.ProjectPipelineRuntimeSpec){
		"a hook that there is not": func(s *v1alpha1.ProjectPipelineRuntimeSpec) { s.Hooks.PreHooks[0].Name = "unknown" },
		"suspended":                func(s *v1alpha1.ProjectPipelineRuntimeSpec) { s.Suspend = true },
		"not ours, and other launchers": func(s *v1alpha1.ProjectPipelineRuntimeSpec) {
			s.Account, s.Pipelines[0].Path = "of-somebody", "other.yaml"
		},
	})
	r := m.pipelines()
	m.push(t, nil, bindingPath(m.events))
	message := sys.condition(t, r, "Ready", metav1.ConditionFalse, v1alpha1.ReasonPermissionDenied)
	if !strings.Contains(message, m.events) {
		t.Errorf("the message does not name the repository: %s", message)
	}
	m.has(t, pipelineWorker, rest)
	if illegal := r.Status.IllegalEventSources; len(illegal) != 1 || illegal[0].EventSource != "webhook-main-tag" || r.Status.Armed != "3/4" {
		t.Errorf("illegal are %+v, armed %s", illegal, r.Status.Armed)
	}
	// The files cannot be read any longer: nothing runs, though Argo CD does not
	// come to remove the additional resources, and though something else is wrong.
	hold := func(finalizers ...string) {
		t.Helper()
		patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"finalizers":[%s]}}`, strings.Join(finalizers, ",")))
		if err := client.IgnoreNotFound(sys.Clusters[pipelineWorker].Patch(context.Background(), m.resources(), patch)); err != nil {
			t.Fatal(err)
		}
	}
	hold(`"resources-finalizer.argocd.argoproj.io"`, `"example.com/held"`)
	t.Cleanup(func() { hold() })
	spec.Hooks.PreHooks[0].Name = "unknown"
	m.push(t, map[string]string{pipelineFile: m.file(t, spec)}, bindingPath(m.source))
	sys.Until(t, "nothing that listens", func() error {
		for _, o := range m.owned(t, pipelineWorker) {
			if !strings.HasPrefix(o, "Application ") {
				return fmt.Errorf("there is %s", o)
			}
		}
		return nil
	})
	sys.Until(t, "a status that says so", func() error {
		sys.condition(t, r, "Ready", metav1.ConditionFalse, "")
		if r.Status.Armed != "0/4" || len(r.Status.Webhooks) > 0 {
			return fmt.Errorf("%s armed, webhooks %v", r.Status.Armed, r.Status.Webhooks)
		}
		return nil
	})

	spec.Hooks.PreHooks[0].Name = "ls"
	m.push(t, map[string]string{pipelineFile: m.file(t, spec), bindingPath(m.source): m.grant(m.source), bindingPath(m.events): m.grant(m.events)})
	hold()
	m.ready(t)
	m.has(t, pipelineWorker, inExclusive)
}

// So it does where all event sources share one object.
func TestPipelineRevokedBindingOfShared(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	m := newPipelineProduct(sys, "1010")
	spec := m.guide(t)
	spec.Isolation, spec.EventSources[3].GitLab.RepoName = v1alpha1.IsolationShared, m.events
	m.open(t, spec)
	m.ready(t)
	const rest = "Application 1, ConfigMap 1, EventSource 2, Ingress 1, Role 1, RoleBinding 1, Secret 4, Sensor 1, ServiceAccount 1"
	m.revokes(t, spec, inShared, rest, map[string]func(*v1alpha1.ProjectPipelineRuntimeSpec){
		"a reserved namespace":        func(s *v1alpha1.ProjectPipelineRuntimeSpec) { s.Destination.Namespace = "kube-system" },
		"no such environment":         func(s *v1alpha1.ProjectPipelineRuntimeSpec) { s.Destination.Environment = "absent" },
		"an account that is not ours": func(s *v1alpha1.ProjectPipelineRuntimeSpec) { s.Account = "of-somebody" },
	})

	// Files that are taken away are missed, also while they cannot be made again.
	r := m.pipelines()
	held := spec.DeepCopy()
	held.Account = "of-somebody"
	m.push(t, map[string]string{pipelineFile: m.file(t, held)})
	sys.condition(t, r, "Applied", metav1.ConditionFalse, "")
	m.has(t, pipelineWorker, inShared)
	for _, o := range m.owned(t, pipelineWorker) {
		if name, ok := strings.CutPrefix(o, "ConfigMap argo-events/"); ok {
			if err := sys.Clusters[pipelineWorker].Delete(context.Background(), scenario.Object("v1", "ConfigMap", "argo-events", name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	sys.Until(t, "triggers without files", func() error {
		message := sys.condition(t, r, "Armed", metav1.ConditionFalse, v1alpha1.ReasonDisarmed)
		if r.Status.Armed != "0/4" || !strings.Contains(message, "ConfigMap") || !strings.Contains(message, "is gone") {
			return fmt.Errorf("%s armed: %s", r.Status.Armed, message)
		}
		return nil
	})
	m.push(t, map[string]string{pipelineFile: m.file(t, spec)})
	m.ready(t)
	m.has(t, pipelineWorker, inShared)
}

// revokes takes the binding of the runtime's fourth event source away and gives it
// back, with each of the other faults beside it, also when the runtime is to be left alone:
// the runtime has the objects of whole before and after, and the objects of rest between.
func (m *pipelineProduct) revokes(t *testing.T, spec *v1alpha1.ProjectPipelineRuntimeSpec, whole, rest string, faults map[string]func(*v1alpha1.ProjectPipelineRuntimeSpec)) {
	t.Helper()
	r := m.pipelines()
	if err := m.sys.Clusters[pipelineWorker].Create(context.Background(), scenario.Object("v1", "ServiceAccount", m.namespace, "of-somebody")); err != nil {
		t.Fatal(err)
	}
	for name, wrong := range faults {
		faulty := spec.DeepCopy()
		wrong(faulty)
		m.push(t, map[string]string{pipelineFile: m.file(t, faulty)})
		m.sys.condition(t, r, "Ready", metav1.ConditionFalse, "")
		m.has(t, pipelineWorker, whole)
		m.push(t, nil, bindingPath(m.events))
		m.has(t, pipelineWorker, rest)
		m.findsFiles(t)
		m.sys.Until(t, "a status that tells of it with "+name, func() error {
			if err := m.sys.Client.Get(context.Background(), client.ObjectKeyFromObject(r), r); err != nil {
				return err
			}
			if len(r.Status.IllegalEventSources) != 1 || r.Status.Armed != "3/4" || len(r.Status.Webhooks) != 3 {
				return fmt.Errorf("illegal are %v, %s armed, webhooks %v", r.Status.IllegalEventSources, r.Status.Armed, r.Status.Webhooks)
			}
			return nil
		})
		m.deaf(t, "webhook-main-tag")
		m.push(t, map[string]string{pipelineFile: m.file(t, spec), bindingPath(m.events): m.grant(m.events)})
		m.ready(t)
		m.has(t, pipelineWorker, whole)
	}
}

// findsFiles checks that the files of each sensor are there.
func (m *pipelineProduct) findsFiles(t *testing.T) {
	t.Helper()
	owned, sensors := m.owned(t, pipelineWorker), m.list(m.sys.Clusters[pipelineWorker], "Sensor")
	if len(sensors) == 0 {
		t.Error("there is no Sensor")
	}
	for _, sensor := range sensors {
		volumes, _, _ := unstructured.NestedSlice(sensor.Object, "spec", "template", "volumes")
		for _, volume := range volumes {
			name, _, _ := unstructured.NestedString(volume.(map[string]any), "configMap", "name")
			if !slices.Contains(owned, "ConfigMap argo-events/"+name) {
				t.Errorf("the Sensor %s mounts the ConfigMap %s, which is gone", sensor.GetName(), name)
			}
		}
		if len(volumes) != 1 {
			t.Errorf("the Sensor %s mounts %v", sensor.GetName(), volumes)
		}
	}
}

// deaf checks that no listener of an event source is left.
func (m *pipelineProduct) deaf(t *testing.T, source string) {
	t.Helper()
	listeners := m.list(m.sys.Clusters[pipelineWorker], "EventSource")
	if len(listeners) == 0 {
		t.Error("there is no EventSource")
	}
	for _, listener := range listeners {
		entries, _, _ := unstructured.NestedMap(listener.Object, "spec", "gitlab")
		if _, listens := entries[source]; listens {
			t.Errorf("the EventSource %s listens to %s", listener.GetName(), source)
		}
	}
}

// After every change no old object stays, and the paths of the hooks stay.
func TestPipelineChangesLeaveNothing(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	m := newPipelineProduct(sys, "1004")
	m.open(t, m.guide(t))
	before := m.ready(t).Status.Webhooks

	m.change(t, func(s *v1alpha1.ProjectPipelineRuntimeSpec) { s.Isolation = v1alpha1.IsolationShared })
	m.has(t, pipelineWorker, inShared)
	if diff := cmp.Diff(before, m.ready(t).Status.Webhooks); diff != "" {
		t.Errorf("the hooks differ in the other isolation (-exclusive +shared):\n%s", diff)
	}
	m.change(t, func(*v1alpha1.ProjectPipelineRuntimeSpec) {})
	m.has(t, pipelineWorker, inExclusive)
	m.change(t, func(s *v1alpha1.ProjectPipelineRuntimeSpec) {
		s.EventSources, s.PipelineTriggers, s.AdditionalResources = s.EventSources[:1], s.PipelineTriggers[:1], nil
	})
	m.has(t, pipelineWorker, "ConfigMap 1, EventSource 1, Ingress 1, Role 1, RoleBinding 1, Secret 2, Sensor 1, ServiceAccount 1")
	if r := m.ready(t); r.Status.Application != nil || r.Status.Armed != "1/1" {
		t.Errorf("the status is %+v", r.Status)
	}

	// The namespace.
	old := m.namespace
	m.namespace = "elsewhere-1004"
	m.change(t, func(*v1alpha1.ProjectPipelineRuntimeSpec) {})
	m.ready(t)
	m.has(t, pipelineWorker, inExclusive)
	sys.AwaitGone(t, sys.Clusters[pipelineWorker], scenario.Object("v1", "Namespace", "", old))
	for _, o := range m.owned(t, pipelineWorker) {
		if strings.Contains(o, " "+old+"/") {
			t.Errorf("%s is in the old namespace", o)
		}
	}

	// The cluster: by another environment, and by the environment's own.
	m.push(t, map[string]string{"envs/far.yaml": strings.NewReplacer("name: dev", "name: far", pipelineWorker, otherPipelineWorker).Replace(m.env())})
	m.change(t, func(s *v1alpha1.ProjectPipelineRuntimeSpec) { s.Destination.Environment = "far" })
	m.has(t, otherPipelineWorker, inExclusive)
	sys.awaitEmpty(t, pipelineWorker, m.Name)
	r := m.ready(t)
	if r.Status.Target.Cluster != otherPipelineWorker || !strings.HasPrefix(r.Status.Webhooks[0].URL, "https://webhook.weir.example.com:30443/") {
		t.Errorf("it is at %+v, with hooks %+v", r.Status.Target, r.Status.Webhooks)
	}
	m.push(t, map[string]string{"envs/far.yaml": strings.Replace(m.env(), "name: dev", "name: far", 1)}, envFile)
	m.has(t, pipelineWorker, inExclusive)
	sys.awaitEmpty(t, otherPipelineWorker, m.Name)
	m.ready(t)
}

// Every order of removing the files ends clean, the additional resources included.
func TestPipelineDeletionInAnyOrder(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	m0 := newPipelineProduct(sys, "1020")
	for i, order := range [][]string{
		{pipelineFile, bindingPath(m0.source), scenario.CodeRepoPath(m0.source), projectFile, envFile},
		{envFile, scenario.CodeRepoPath(m0.source), projectFile, bindingPath(m0.source), pipelineFile},
		{scenario.CodeRepoPath(m0.source), pipelineFile, bindingPath(m0.source), envFile, projectFile},
	} {
		t.Run(strings.Join(order, " "), func(t *testing.T) {
			t.Parallel()
			m := newPipelineProduct(sys, fmt.Sprintf("102%d", i))
			m.open(t, m.guide(t))
			m.ready(t)
			m.push(t, nil, scenario.CodeRepoPath(m.events), bindingPath(m.events))
			for n, file := range order {
				file = strings.ReplaceAll(file, m0.source, m.source)
				m.mirrored(t, m.push(t, map[string]string{"README.md": fmt.Sprint(n)}, file))
			}
			for _, o := range []client.Object{
				m.pipelines(), &v1alpha1.Environment{ObjectMeta: m.Meta("dev")}, &v1alpha1.Project{ObjectMeta: m.Meta("app")},
				&v1alpha1.CodeRepo{ObjectMeta: m.Meta(m.source)}, &v1alpha1.CodeRepoBinding{ObjectMeta: m.Meta(m.source + "-app")},
			} {
				sys.AwaitGone(t, sys.Client, o)
			}
			sys.awaitEmpty(t, pipelineWorker, m.Name)
		})
	}
}

// Two products with equal names of everything share nothing, and a namespace that
// is in use is refused with the name of who has it.
func TestPipelinesOfTwoProducts(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	first, second := newPipelineProduct(sys, "1005"), newPipelineProduct(sys, "1006")
	first.open(t, first.guide(t))
	second.open(t, second.guide(t))
	first.has(t, pipelineWorker, inExclusive)
	second.has(t, pipelineWorker, inExclusive)
	theirs := second.owned(t, pipelineWorker)
	for _, o := range first.owned(t, pipelineWorker) {
		if slices.Contains(theirs, o) {
			t.Errorf("both have %s", o)
		}
	}
	urls := map[string]bool{}
	for _, hook := range slices.Concat(first.ready(t).Status.Webhooks, second.ready(t).Status.Webhooks) {
		if urls[hook.URL] {
			t.Errorf("two hooks call %s", hook.URL)
		}
		urls[hook.URL] = true
	}
	tokens := map[string]bool{}
	for _, o := range slices.Concat(first.owned(t, pipelineWorker), theirs) {
		name, found := strings.CutPrefix(o, "Secret argo-events/")
		if !found {
			continue
		}
		secret := scenario.Object("v1", "Secret", "argo-events", name)
		sys.AwaitObjects(t, sys.Clusters[pipelineWorker], secret)
		data, _, _ := unstructured.NestedStringMap(secret.Object, "data")
		if data["token"] == "" || tokens[data["token"]] {
			t.Errorf("%s has no token of its own", name)
		}
		tokens[data["token"]] = true
	}

	third := newPipelineProduct(sys, "1007")
	third.namespace = first.namespace
	third.open(t, third.guide(t))
	message := sys.condition(t, third.pipelines(), "Ready", metav1.ConditionFalse, v1alpha1.ReasonNamespaceClaimed)
	if !strings.Contains(message, first.Name+"/pr") {
		t.Errorf("the message does not name %s: %s", first.Name, message)
	}
	if left := labelled(t, sys.Clusters[pipelineWorker], third.Name); len(left) > 0 {
		t.Errorf("a refused runtime wrote %v", left)
	}
	first.push(t, nil, pipelineFile)
	third.ready(t)
}

// The last runs are in the status, and the runs that could not start.
func TestPipelineRunsAreTold(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	m := newPipelineProduct(sys, "1008")
	m.open(t, m.guide(t))
	m.ready(t)
	labels := func(role string, more ...string) map[string]string {
		all := map[string]string{launch.LabelProduct: m.Name, launch.LabelRuntime: "pr", launch.LabelRole: role, launch.LabelPipeline: "pipeline-dev"}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	commit := strings.Repeat("ab", 20)
	m.run(t, m.namespace, "launch-1", labels(launch.RoleLauncher), "True", "Succeeded")
	m.run(t, m.namespace, "run-1", labels(launch.RoleRun, launch.LabelLauncher, "launch-1", launch.LabelCommit, commit, launch.LabelEvent, "push_events"), "False", "PipelineRunTimeout")
	m.run(t, m.namespace, "launch-2", labels(launch.RoleLauncher), "False", "Failed")
	m.run(t, m.namespace, "launch-3", labels(launch.RoleLauncher), "", "")
	m.run(t, "default", "forged", labels(launch.RoleRun), "True", "Succeeded")
	t.Cleanup(func() {
		_ = sys.Clusters[pipelineWorker].Delete(context.Background(), scenario.Object("tekton.dev/v1", "PipelineRun", "default", "forged"))
	})
	r := m.pipelines()
	sys.Until(t, "the runs", func() error {
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(r), r); err != nil {
			return err
		}
		var told []string
		for _, run := range r.Status.Runs {
			told = append(told, fmt.Sprintf("%s %s %s %s", run.Name, run.Pipeline, run.Result, run.Commit))
		}
		slices.Sort(told)
		want := []string{"launch-2 pipeline-dev NotStarted ", "run-1 pipeline-dev Timeout " + commit}
		if diff := cmp.Diff(want, told); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
	m.ready(t)
}
