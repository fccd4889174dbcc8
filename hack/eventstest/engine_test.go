package eventstest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	"github.com/argoproj/argo-events/pkg/eventsources/events"
	"github.com/argoproj/argo-events/pkg/sensors/dependencies"
	standardk8s "github.com/argoproj/argo-events/pkg/sensors/triggers/standard-k8s"
	cloudevents "github.com/cloudevents/sdk-go/v2"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	"sigs.k8s.io/controller-runtime/pkg/client"

	nautes "nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/testutil"
)

const (
	product = "product-1"
	repo    = "repo-1"
	commit  = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
)

// tenant returns a tenant with a cluster for pipelines and some runtimes of one
// product.
func tenant(runtimes ...*nautes.ProjectPipelineRuntime) *snapshot.Snapshot {
	cluster := testutil.GuideClusters()[0]
	testutil.AllReady(cluster, "argo-events", "argocd", "hnc", "tekton", "traefik")
	objects := []client.Object{
		cluster, testutil.CodeRepoProvider(testutil.Provider), testutil.Product(product), testutil.Project(product, "api"),
		testutil.Environment(product, "dev", cluster.Name), testutil.CodeRepo(product, repo, "api"),
	}
	for _, r := range runtimes {
		objects = append(objects, r)
	}
	return snapshot.New(testutil.Tenant, testutil.Namespace, objects...).WithSettings(snapshot.Settings{RunnerImage: "example.com/nautes:v1"})
}

// listening returns a runtime whose event sources all trigger the pipeline dev.
func listening(name string, sources ...nautes.EventSource) *nautes.ProjectPipelineRuntime {
	return testutil.PipelineRuntime(product, name, "api", "dev", repo, func(r *nautes.ProjectPipelineRuntime) {
		r.UID = types.UID("uid-of-" + name)
		r.Spec.EventSources, r.Spec.PipelineTriggers = sources, nil
		for _, e := range sources {
			r.Spec.PipelineTriggers = append(r.Spec.PipelineTriggers, nautes.PipelineTrigger{EventSource: e.Name, Pipeline: "dev"})
		}
	})
}

func gitlabSource(name, revision string, events ...nautes.GitLabEvent) nautes.EventSource {
	return nautes.EventSource{Name: name, GitLab: &nautes.GitLabEventSource{RepoName: repo, Revision: revision, Events: events}}
}

func calendarSource(name string, calendar nautes.CalendarEventSource) nautes.EventSource {
	return nautes.EventSource{Name: name, Calendar: &calendar}
}

// engine runs the sensors of a plan by Argo Events' own code, over a cluster that
// holds only the objects that they create.
type engine struct {
	t       testing.TB
	sources []*v1alpha1.EventSource
	sensors []*v1alpha1.Sensor
	cluster dynamic.Interface
}

func newEngine(t testing.TB, r *nautes.ProjectPipelineRuntime) *engine {
	t.Helper()
	p, err := build.PipelineRuntime(tenant(r), r)
	if err != nil {
		t.Fatal(err)
	}
	return engineOf(t, p.Plan)
}

func engineOf(t testing.TB, p plan.Plan) *engine {
	t.Helper()
	e := &engine{t: t}
	volumes := map[string]string{}
	for _, set := range p.Sets {
		for _, item := range set.Items {
			if o, ok := item.Object.(*corev1.ConfigMap); ok {
				volumes[o.Name] = volumeOf(t, o)
			}
		}
	}
	for _, set := range p.Sets {
		for _, item := range set.Items {
			switch o := item.Object.(type) {
			case *v1alpha1.EventSource:
				e.sources = append(e.sources, o)
			case *v1alpha1.Sensor:
				e.sensors = append(e.sensors, stored(t, o, volumes))
			}
		}
	}
	if len(e.sensors) == 0 || len(e.sources) == 0 {
		t.Fatal("the plan has no sensor or no event source")
	}
	e.clear()
	return e
}

// volumeOf returns a directory with the data of a ConfigMap, as a kubelet makes one.
func volumeOf(t testing.TB, config *corev1.ConfigMap) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range config.Data {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// stored returns a sensor as its process gets it: through JSON. Its volumes are
// elsewhere, for which no one needs to be root: the paths in it are changed.
func stored(t testing.TB, sensor *v1alpha1.Sensor, volumes map[string]string) *v1alpha1.Sensor {
	t.Helper()
	content, err := json.Marshal(sensor)
	if err != nil {
		t.Fatal(err)
	}
	for _, mount := range sensor.Spec.Template.Container.VolumeMounts {
		at := slices.IndexFunc(sensor.Spec.Template.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name })
		if at < 0 || volumes[sensor.Spec.Template.Volumes[at].ConfigMap.Name] == "" {
			t.Fatalf("%s mounts %s, which there is not", sensor.Name, mount.Name)
		}
		content = bytes.ReplaceAll(content, []byte(mount.MountPath+"/"), []byte(volumes[sensor.Spec.Template.Volumes[at].ConfigMap.Name]+"/"))
	}
	read := &v1alpha1.Sensor{}
	if err := json.Unmarshal(content, read); err != nil {
		t.Fatal(err)
	}
	return read
}

var pipelineRuns = schema.GroupVersionResource{Group: "tekton.dev", Version: "v1", Resource: "pipelineruns"}

// clear makes a new cluster.
func (e *engine) clear() {
	e.cluster = fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{pipelineRuns: "PipelineRunList"})
}

// deliver gives the data of an event to all sensors, and returns the launchers
// that were created and the errors of triggers that created none. An error
// anywhere before is fatal.
func (e *engine) deliver(eventSource, event string, data []byte) (created []launcher, failed []error) {
	e.t.Helper()
	for _, sensor := range e.sensors {
		for _, trigger := range sensor.Spec.Triggers {
			for _, dependency := range sensor.Spec.Dependencies {
				if dependency.Name != trigger.Template.Conditions || dependency.EventSourceName != eventSource || dependency.EventName != event {
					continue
				}
				run, err := e.trigger(sensor, &trigger, dependency, data)
				if err != nil {
					failed = append(failed, err)
				} else if run != nil {
					created = append(created, launcher{run})
				}
			}
		}
	}
	return created, failed
}

// trigger acts as pkg/sensors does between the bus and the cluster.
func (e *engine) trigger(sensor *v1alpha1.Sensor, trigger *v1alpha1.Trigger, dependency v1alpha1.EventDependency, data []byte) (*unstructured.Unstructured, error) {
	e.t.Helper()
	event := cloudevents.NewEvent()
	event.SetID("1")
	event.SetSource(dependency.EventSourceName)
	event.SetSubject(dependency.EventName)
	event.SetType("gitlab")
	event.SetTime(time.Unix(1700000000, 0))
	if err := event.SetData(cloudevents.ApplicationJSON, data); err != nil {
		e.t.Fatal(err)
	}
	transformed, err := dependencies.ApplyTransform(&event, dependency.Transform)
	if err != nil {
		e.t.Fatalf("transform %s: %v", clip(data), err)
	}
	seen := &v1alpha1.Event{
		Context: &v1alpha1.EventContext{
			DataContentType: transformed.DataContentType(), Source: transformed.Source(), SpecVersion: transformed.SpecVersion(),
			Type: transformed.Type(), Time: metav1.Time{Time: transformed.Time()}, ID: transformed.ID(), Subject: transformed.Subject(),
		},
		Data: transformed.Data(),
	}
	passed, err := dependencies.Filter(seen, dependency.Filters, dependency.FiltersLogicalOperator)
	if err != nil {
		e.t.Fatalf("filter %s: %v", clip(data), err)
	}
	if !passed {
		return nil, nil
	}
	impl := standardk8s.NewStandardK8sTrigger(nil, e.cluster, sensor, trigger, zap.NewNop().Sugar())
	object, err := impl.FetchResource(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	object, err = impl.ApplyResourceParameters(map[string]*v1alpha1.Event{dependency.Name: seen}, object)
	if err != nil {
		e.t.Fatal(err)
	}
	created, err := impl.Execute(e.t.Context(), nil, object)
	if err != nil {
		return nil, err
	}
	run := created.(*unstructured.Unstructured)
	labels := run.GetLabels()
	// It is the only thing that differs from time to time.
	delete(labels, "events.argoproj.io/action-timestamp")
	run.SetLabels(labels)
	return run, nil
}

// gitlab delivers to an event source of the runtime.
func (e *engine) gitlab(name string, d delivery) ([]launcher, []error) {
	e.t.Helper()
	for _, source := range e.sources {
		for event, entry := range source.Spec.Gitlab {
			if strings.HasSuffix(entry.Webhook.Endpoint, "/"+name) {
				return e.deliver(source.Name, event, d.data(e.t))
			}
		}
	}
	e.t.Fatalf("there is no event source %s", name)
	return nil, nil
}

// launcher is a run that a sensor created.
type launcher struct{ *unstructured.Unstructured }

// param returns a parameter of a launcher.
func (l launcher) param(t testing.TB, name string) string {
	t.Helper()
	params, _, err := unstructured.NestedSlice(l.Object, "spec", "params")
	if err != nil {
		t.Fatal(err)
	}
	for _, param := range params {
		if param := param.(map[string]any); param["name"] == name {
			return fmt.Sprint(param["value"])
		}
	}
	t.Fatalf("no parameter %s", name)
	return ""
}

// event returns the event as the runner receives it.
func (l launcher) event(t testing.TB) launch.Event {
	t.Helper()
	var event launch.Event
	if err := launch.Decode(l.param(t, "event"), &event); err != nil {
		t.Fatalf("%s: %v", l.param(t, "event"), err)
	}
	return event
}

// delivery is a call of a hook.
type delivery struct {
	Headers map[string]string `json:"headers"`
	Body    map[string]any    `json:"body"`
}

// documented returns a delivery of an event as GitLab documents it.
func documented(t testing.TB, event string) delivery {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", event+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var d delivery
	if err := json.Unmarshal(content, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// with returns the delivery with another value at a path of the body. nil removes
// the value.
func (d delivery) with(t testing.TB, path string, value any) delivery {
	t.Helper()
	content, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var changed delivery
	if err := json.NewDecoder(bytes.NewReader(content)).Decode(&changed); err != nil {
		t.Fatal(err)
	}
	fields := strings.Split(path, ".")
	if fields[0] == "headers" {
		changed.Headers[fields[1]] = fmt.Sprint(value)
		return changed
	}
	var at any = changed.Body
	for _, field := range fields[:len(fields)-1] {
		if list, ok := at.([]any); ok {
			at = list[0]
			continue
		}
		at = at.(map[string]any)[field]
	}
	last := fields[len(fields)-1]
	if value == nil {
		delete(at.(map[string]any), last)
	} else {
		at.(map[string]any)[last] = value
	}
	return changed
}

// data returns the delivery in the form that Argo Events' event source gives it.
func (d delivery) data(t testing.TB) []byte {
	t.Helper()
	body, err := json.Marshal(d.Body)
	if err != nil {
		t.Fatal(err)
	}
	headers := http.Header{}
	for name, value := range d.Headers {
		headers.Set(name, value)
	}
	raw := json.RawMessage(body)
	data, err := json.Marshal(&events.GitLabEventData{Headers: headers, Body: &raw})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func clip(data []byte) string {
	if len(data) > 300 {
		return string(data[:300]) + "…"
	}
	return string(data)
}
