package build

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/schedule"
	"nautes.io/nautes/internal/sensorlua"
)

const (
	// maxObject is how large the JSON of an event source or a sensor may be: Argo
	// Events hands it to its process in one environment variable, in base64, and
	// Linux has no longer ones than 128 KiB.
	maxObject = 96_000
	// maxFiles is how much a ConfigMap may hold, with its keys.
	maxFiles = 1_000_000

	// filesDir is where a sensor finds its programs and launchers.
	filesDir    = "/nautes/sensor"
	filesVolume = "files"

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
	// Part names the part that is too large, and Remedy the way out.
	Part, Remedy string
}

// Error names the part and the remedy.
func (e *SizeError) Error() string {
	return fmt.Sprintf("%s: %s is too large for Argo Events: %s", e.Runtime, e.Part, e.Remedy)
}

// sharedRemedy is the remedy if all of a runtime is too large for one object.
const sharedRemedy = "use isolation: exclusive, which gives each event source and trigger an object of its own, or spread them over several runtimes"

// addSensors adds the Sensors that run the triggers of the armed event sources: one for
// each trigger and kind of event, or one for all.
func (p *pipeline) addSensors() error {
	var all []sensorPart
	for _, e := range p.armed {
		for _, kind := range kindsOf(e) {
			for _, t := range TriggersOf(p.runtime, e.Name) {
				launcher, err := p.launcher(t, e, kind)
				if err != nil {
					return err
				}
				all = append(all, sensorPart{source: e, kind: kind, trigger: t, launcher: launcher})
			}
		}
	}
	if !p.exclusive() {
		return p.addSensor(names.SharedSensor(p.runtime.Namespace, p.runtime.Name), all,
			&SizeError{Runtime: p.source, Part: fmt.Sprintf("a sensor for all of the %d triggers", len(all)), Remedy: sharedRemedy})
	}
	for _, part := range all {
		t := part.trigger
		name := names.ExclusiveSensor(p.runtime.Namespace, p.runtime.Name, t.EventSource, t.Pipeline, t.Revision, string(part.kind))
		err := p.addSensor(name, []sensorPart{part}, &SizeError{
			Runtime: p.source, Part: "the trigger of " + t.Pipeline + " by " + t.EventSource, Remedy: "use fewer or smaller hooks, or fewer inputs",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sensorPart is the part of a Sensor for a trigger and one kind of event.
type sensorPart struct {
	source   v1alpha1.EventSource
	kind     v1alpha1.EventSourceType
	trigger  v1alpha1.PipelineTrigger
	launcher *tekton.PipelineRun
}

// addSensor adds a Sensor, and the files that it mounts. Each state of the files is a
// ConfigMap of its own, so that a Sensor restarts when they change and never mixes two
// states.
func (p *pipeline) addSensor(name string, parts []sensorPart, tooLarge *SizeError) error {
	spec, files, err := p.sensorSpec(parts)
	if err != nil {
		return err
	}
	yes := true
	config := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.eventNamespace, Name: names.SensorFiles(name, files)},
		Immutable:  &yes,
		Data:       files,
	}
	// Triggers look at an event all at once.
	container := eventContainer(max(eventMemory, int64(len(parts))*sensorlua.Memory))
	container.VolumeMounts = []corev1.VolumeMount{{Name: filesVolume, MountPath: filesDir, ReadOnly: true}}
	spec.EventBusName = eventBus
	spec.Template = &argoevents.Template{
		ServiceAccountName: names.SensorAccount(p.runtime.Namespace, p.runtime.Name), Container: container,
		Volumes: []corev1.Volume{{Name: filesVolume, VolumeSource: corev1.VolumeSource{
			ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: config.Name}},
		}}},
	}
	sensor := &argoevents.Sensor{ObjectMeta: metav1.ObjectMeta{Namespace: p.eventNamespace, Name: name}, Spec: spec}
	if jsonSize(sensor) > maxObject || filesSize(files) > maxFiles {
		return tooLarge
	}
	held := p.add(plan.StageConfig, configMapKind, config, p.source).ID
	p.add(plan.StageWorkload, sensorKind, sensor, p.source).Needs = []plan.ID{held}
	return nil
}

// SensorFilesID returns the ID of the files of a sensor by their name.
func SensorFilesID(sensor plan.ID, name string) plan.ID {
	return plan.ID{Kind: configMapKind.Kind, Namespace: sensor.Namespace, Name: name}
}

// sensorSpec returns the spec of a Sensor, and its files: the programs that it runs and
// the launchers that it creates. The triggers of an event source share a dependency.
func (p *pipeline) sensorSpec(parts []sensorPart) (argoevents.SensorSpec, map[string]string, error) {
	var spec argoevents.SensorSpec
	files := map[string]string{}
	programs := sensorlua.Files()
	for _, part := range parts {
		for _, program := range programsOf(part.kind) {
			files[program] = programs[program]
		}
		dependency := p.dependency(part.source, part.kind)
		if !slices.ContainsFunc(spec.Dependencies, func(d argoevents.EventDependency) bool { return d.Name == dependency.Name }) {
			spec.Dependencies = append(spec.Dependencies, dependency)
		}
		name := triggerName(part.trigger, part.kind)
		file := name + ".json"
		trigger, err := newTrigger(name, dependency.Name, path.Join(filesDir, file), part.launcher)
		if err != nil {
			return spec, nil, fmt.Errorf("%s: %w", p.source, err)
		}
		content, err := manifest(part.launcher)
		if err != nil {
			return spec, nil, fmt.Errorf("%s: %w", p.source, err)
		}
		spec.Triggers, files[file] = append(spec.Triggers, trigger), content
	}
	return spec, files, nil
}

// programsOf returns the programs that a sensor runs for one kind of event.
func programsOf(kind v1alpha1.EventSourceType) []string {
	if kind == v1alpha1.EventSourceCalendar {
		return []string{sensorlua.Calendar, sensorlua.Exclusions}
	}
	f, _ := forges.ListensTo(kind)
	return []string{f.Events.Program.File, sensorlua.Ref}
}

// jsonSize returns the length of the JSON of an object, as Argo Events hands it to
// a process.
func jsonSize(o any) int {
	content, err := json.Marshal(o)
	if err != nil {
		return maxObject + 1
	}
	return len(content)
}

func filesSize(files map[string]string) int {
	size := 0
	for name, content := range files {
		size += len(name) + len(content)
	}
	return size
}

func triggerName(t v1alpha1.PipelineTrigger, kind v1alpha1.EventSourceType) string {
	return names.SensorTrigger(t.EventSource, t.Pipeline, t.Revision, string(kind))
}

// dependency returns the events of an event source that count: they are of the right
// kind, and about a ref that matches. Argo Events filters the result of its program.
func (p *pipeline) dependency(e v1alpha1.EventSource, kind v1alpha1.EventSourceType) argoevents.EventDependency {
	d := argoevents.EventDependency{
		Name:            names.Dependency(e.Name, string(kind)),
		EventSourceName: p.eventSourceName(e, kind), EventName: names.Event(e.Name),
		Transform: &argoevents.EventDependencyTransformer{Script: sensorlua.Run(filesDir, sensorlua.Calendar)},
		Filters:   &argoevents.EventDependencyFilter{},
	}
	events := []string{string(v1alpha1.EventSourceCalendar)}
	if f, source, _ := forges.SourceOf(e); kind == f.Events.Source {
		events = source.What
		d.Transform.Script = sensorlua.Run(filesDir, f.Events.Program.File)
		if source.Revision != "" {
			d.Filters.Script = sensorlua.MatchRef(filesDir, source.Revision)
		}
	} else if _, times := schedule.Exclusions(e.Calendar.ExclusionDates, e.Calendar.Timezone); len(times) > 0 {
		// Argo Events knows whole days only.
		d.Filters.Script = sensorlua.Outside(filesDir, times)
	}
	d.Filters.Data = []argoevents.DataFilter{{
		Path: "what", Type: argoevents.JSONTypeString, Value: []string{"^(" + strings.Join(events, "|") + ")$"},
	}}
	return d
}

// newTrigger returns the trigger that creates a launcher from a file. The name of the
// launcher follows from the delivery. So a delivery that is repeated, by the forge or
// after a crash of the sensor, creates nothing twice.
func newTrigger(name, dependency, file string, launcher *tekton.PipelineRun) (argoevents.Trigger, error) {
	empty := ""
	parameters := []argoevents.TriggerParameter{{
		Src: &argoevents.TriggerParameterSource{DependencyName: dependency, DataKey: "key"},
		// The name in the launcher is the prefix of all names of the trigger.
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
	wait, factor, jitter := argoevents.FromString(triggerWait), argoevents.NewAmount(triggerFactor), argoevents.NewAmount(triggerJitter)
	return argoevents.Trigger{
		Template: &argoevents.TriggerTemplate{
			Name: name, Conditions: dependency,
			K8s: &argoevents.StandardK8STrigger{
				Operation: argoevents.Create, Source: &argoevents.ArtifactLocation{File: &argoevents.FileArtifact{Path: file}}, Parameters: parameters,
			},
		},
		// Without it Argo Events takes an event for done before it has tried, and
		// does not try again.
		AtLeastOnce:   true,
		RetryStrategy: &argoevents.Backoff{Steps: triggerSteps, Duration: &wait, Factor: &factor, Jitter: &jitter},
	}, nil
}

// manifest returns the JSON of a launcher, in lines that people can read in the
// ConfigMap, without the fields that only the cluster sets.
func manifest(launcher *tekton.PipelineRun) (string, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(launcher)
	if err != nil {
		return "", fmt.Errorf("convert the launcher %s: %w", launcher.Name, err)
	}
	delete(content, "status")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	text, err := json.MarshalIndent(content, "", " ")
	if err != nil {
		return "", fmt.Errorf("convert the launcher %s: %w", launcher.Name, err)
	}
	return string(text), nil
}

// TriggerParts returns the event sources and sensors in the plan of a pipeline
// runtime that a trigger relies on, with their files, each once and in order; none
// when the trigger is not armed.
func TriggerParts(p plan.Plan, t v1alpha1.PipelineTrigger) []plan.ID {
	var parts []plan.ID
	for _, set := range p.Sets {
		for _, item := range set.Items {
			sensor, ok := item.Object.(*argoevents.Sensor)
			if !ok {
				continue
			}
			for _, kind := range EventSourceTypes() {
				if source := sourceOf(sensor, triggerName(t, kind)); source != "" {
					parts = append(append(parts, item.Needs...), item.ID, plan.ID{
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
