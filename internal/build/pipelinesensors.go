package build

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/sensorlua"
)

const (
	// maxObject is how large the JSON of an event source or a sensor may be: Argo
	// Events hands it to its process in one environment variable, in base64, and
	// Linux has no longer ones than 128 KiB.
	maxObject = 96_000

	// A trigger is tried that often, for about a quarter of a minute. A launcher
	// that there is already is tried as often, and holds up the next event that
	// long.
	triggerSteps  = 5
	triggerWait   = "1s"
	triggerFactor = "2"
	triggerJitter = "0.1"
)

// SizeError says that a part of a pipeline runtime is too large for Argo Events.
type SizeError struct {
	Runtime plan.Ref
	// Part is what is too large, and Remedy what to do.
	Part, Remedy string
}

// Error names the part and says what to do.
func (e *SizeError) Error() string {
	return fmt.Sprintf("%s: %s is too large for Argo Events: %s", e.Runtime, e.Part, e.Remedy)
}

// addSensors adds what runs the triggers of the armed event sources: a sensor for
// each trigger and kind of event, or one for all. As Argo Events cannot run a
// sensor of any size, what does not fit into the one goes into the next.
func (p *pipeline) addSensors() error {
	var current *argoevents.Sensor
	number := 0
	for _, e := range p.armed {
		for _, kind := range kindsOf(e) {
			for _, t := range p.triggersOf(e) {
				added, err := p.sensorPart(e, kind, t)
				if err != nil {
					return err
				}
				if current != nil && !p.exclusive() {
					if joined := join(current.Spec, added); sensorSize(current.ObjectMeta, joined) <= maxObject {
						current.Spec = joined
						continue
					}
				}
				current = p.newSensor(p.sensorName(t, kind, number), added)
				number++
				if sensorSize(current.ObjectMeta, current.Spec) > maxObject {
					return &SizeError{
						Runtime: p.source, Part: "the trigger of " + t.Pipeline + " by " + t.EventSource, Remedy: "use fewer or smaller hooks, or fewer inputs",
					}
				}
				p.add(plan.StageWorkload, sensorKind, current, p.source)
			}
		}
	}
	return nil
}

func (p *pipeline) newSensor(name string, spec argoevents.SensorSpec) *argoevents.Sensor {
	spec.EventBusName = eventBus
	spec.Template = &argoevents.Template{
		ServiceAccountName: SensorAccountName(p.runtime.Namespace, p.runtime.Name), Container: eventContainer(),
	}
	return &argoevents.Sensor{ObjectMeta: metav1.ObjectMeta{Namespace: p.events.Namespace, Name: name}, Spec: spec}
}

func (p *pipeline) sensorName(t v1alpha1.PipelineTrigger, kind v1alpha1.EventSourceType, number int) string {
	if p.exclusive() {
		return exclusiveSensorName(p.runtime.Namespace, p.runtime.Name, t.EventSource, t.Pipeline, t.Revision, string(kind))
	}
	return sharedSensorName(p.runtime.Namespace, p.runtime.Name, number)
}

// join returns a sensor's spec with what another one has as well. The triggers of
// an event source share what it depends on.
func join(a, b argoevents.SensorSpec) argoevents.SensorSpec {
	a.Dependencies, a.Triggers = slices.Clone(a.Dependencies), slices.Concat(a.Triggers, b.Triggers)
	for _, dependency := range b.Dependencies {
		if !slices.ContainsFunc(a.Dependencies, func(d argoevents.EventDependency) bool { return d.Name == dependency.Name }) {
			a.Dependencies = append(a.Dependencies, dependency)
		}
	}
	return a
}

// sensorSize returns the length of what Argo Events hands to a sensor's process,
// and jsonSize that of the JSON of anything.
func sensorSize(meta metav1.ObjectMeta, spec argoevents.SensorSpec) int {
	return jsonSize(&argoevents.Sensor{ObjectMeta: meta, Spec: spec})
}

func jsonSize(o any) int {
	content, err := json.Marshal(o)
	if err != nil {
		return maxObject + 1
	}
	return len(content)
}

// sensorPart returns what a sensor has for a trigger and one kind of event.
func (p *pipeline) sensorPart(e v1alpha1.EventSource, kind v1alpha1.EventSourceType, t v1alpha1.PipelineTrigger) (argoevents.SensorSpec, error) {
	launcher, err := p.launcher(t, e, kind)
	if err != nil {
		return argoevents.SensorSpec{}, err
	}
	dependency := p.dependency(e, kind)
	trigger, err := newTrigger(triggerName(t, kind), dependency.Name, launcher)
	if err != nil {
		return argoevents.SensorSpec{}, fmt.Errorf("%s: %w", p.source, err)
	}
	return argoevents.SensorSpec{Dependencies: []argoevents.EventDependency{dependency}, Triggers: []argoevents.Trigger{trigger}}, nil
}

func triggerName(t v1alpha1.PipelineTrigger, kind v1alpha1.EventSourceType) string {
	return sensorTriggerName(t.EventSource, t.Pipeline, t.Revision, string(kind))
}

// dependency returns the events of an event source that count: those of the right
// kind, about a ref that matches. Argo Events filters what its program returns.
func (p *pipeline) dependency(e v1alpha1.EventSource, kind v1alpha1.EventSourceType) argoevents.EventDependency {
	d := argoevents.EventDependency{
		Name:            dependencyName(e.Name, string(kind)),
		EventSourceName: p.eventSourceName(e, kind), EventName: eventName(e.Name),
		Transform: &argoevents.EventDependencyTransformer{Script: sensorlua.Calendar()},
		Filters:   &argoevents.EventDependencyFilter{},
	}
	events := []string{string(v1alpha1.EventSourceCalendar)}
	if kind == v1alpha1.EventSourceGitLab {
		events = hookEvents(e)
		d.Transform.Script = sensorlua.GitLab()
		if e.GitLab.Revision != "" {
			d.Filters.Script = sensorlua.MatchRef(e.GitLab.Revision)
		}
	}
	d.Filters.Data = []argoevents.DataFilter{{
		Path: "event", Type: argoevents.JSONTypeString, Value: []string{"^(" + strings.Join(events, "|") + ")$"},
	}}
	return d
}

// newTrigger returns what creates a launcher. The name of the launcher follows
// from the delivery, so that a delivery that is repeated, by GitLab or after a
// crash of the sensor, creates nothing twice.
func newTrigger(name, dependency string, launcher *tekton.PipelineRun) (argoevents.Trigger, error) {
	content, err := manifest(launcher)
	if err != nil {
		return argoevents.Trigger{}, err
	}
	empty := ""
	parameters := []argoevents.TriggerParameter{{
		Src: &argoevents.TriggerParameterSource{DependencyName: dependency, DataKey: "key"},
		// The name in the launcher is what all names of the trigger begin with.
		Dest: "metadata.name", Operation: argoevents.TriggerParameterOpAppend,
	}}
	for _, one := range []struct{ param, key string }{{paramEvent, "payload"}, {paramRef, "refText"}, {paramCommit, "commit"}} {
		at := slices.IndexFunc(launcher.Spec.Params, func(p tekton.Param) bool { return p.Name == one.param })
		if at < 0 {
			return argoevents.Trigger{}, fmt.Errorf("the launcher %s has no parameter %s", launcher.Name, one.param)
		}
		parameters = append(parameters, argoevents.TriggerParameter{
			Src:  &argoevents.TriggerParameterSource{DependencyName: dependency, DataKey: one.key, Value: &empty},
			Dest: fmt.Sprintf("spec.params.%d.value", at),
		})
	}
	resource := argoevents.NewK8SResource(content)
	wait, factor, jitter := argoevents.FromString(triggerWait), argoevents.NewAmount(triggerFactor), argoevents.NewAmount(triggerJitter)
	return argoevents.Trigger{
		Template: &argoevents.TriggerTemplate{
			Name: name, Conditions: dependency,
			K8s: &argoevents.StandardK8STrigger{
				Operation: argoevents.Create, Source: &argoevents.ArtifactLocation{Resource: &resource}, Parameters: parameters,
			},
		},
		// Without it Argo Events takes an event for done before it has tried, and
		// does not try again.
		AtLeastOnce:   true,
		RetryStrategy: &argoevents.Backoff{Steps: triggerSteps, Duration: &wait, Factor: &factor, Jitter: &jitter},
	}, nil
}

// manifest returns a launcher without what only the cluster knows.
func manifest(launcher *tekton.PipelineRun) (map[string]any, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(launcher)
	if err != nil {
		return nil, fmt.Errorf("convert the launcher %s: %w", launcher.Name, err)
	}
	delete(content, "status")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	return content, nil
}

// TriggerParts returns the event sources and sensors in the plan of a pipeline
// runtime that a trigger relies on, each once and in order; none when the trigger
// is not armed.
func TriggerParts(p plan.Plan, t v1alpha1.PipelineTrigger) []plan.ID {
	var parts []plan.ID
	for _, set := range p.Sets {
		for _, item := range set.Items {
			sensor, ok := item.Object.(*argoevents.Sensor)
			if !ok {
				continue
			}
			for _, kind := range []v1alpha1.EventSourceType{v1alpha1.EventSourceGitLab, v1alpha1.EventSourceCalendar} {
				if source := sourceOf(sensor, triggerName(t, kind)); source != "" {
					parts = append(parts, item.ID, plan.ID{
						Group: eventSourceKind.Group, Kind: eventSourceKind.Kind, Namespace: sensor.Namespace, Name: source,
					})
				}
			}
		}
	}
	slices.SortFunc(parts, plan.ID.Compare)
	return slices.Compact(parts)
}

// sourceOf returns the name of the event source that a trigger of a sensor
// depends on; empty when the sensor has no such trigger.
func sourceOf(sensor *argoevents.Sensor, trigger string) string {
	for _, t := range sensor.Spec.Triggers {
		if t.Template.Name != trigger {
			continue
		}
		for _, d := range sensor.Spec.Dependencies {
			if d.Name == t.Template.Conditions {
				return d.EventSourceName
			}
		}
	}
	return ""
}
