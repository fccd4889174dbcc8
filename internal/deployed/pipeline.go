package deployed

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/record"
	"nautes.io/nautes/internal/snapshot"
)

// The kinds of the objects of a pipeline runtime. Each is unique among its objects.
const (
	kindApplication = "Application"
	kindConfigMap   = "ConfigMap"
	kindEventSource = "EventSource"
	kindIngress     = "Ingress"
	kindSecret      = "Secret"
	kindSensor      = "Sensor"
)

// PipelineRuntime returns the desired state of a pipeline runtime by the spec that
// was deployed last, less everything that it is no longer granted. there lists the
// objects that the runtime has on its cluster.
//
// The plan only removes objects that are no longer granted if hold is true, if there is
// no record, or if the spec on record cannot be built now. Without a record these objects
// follow from the current spec and the hooks in the status.
func PipelineRuntime(s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime, there []plan.ID, hold bool) build.Result[build.Pipeline] {
	if r.Status.Target == nil {
		return build.Result[build.Pipeline]{}
	}
	last, ok := record.LastDeployed(r).(*v1alpha1.ProjectPipelineRuntime)
	if !ok {
		last, hold = r, true
	}
	v := &revocation{
		snap: s, runtime: last, target: *r.Status.Target, there: there,
		revoked: map[string]string{}, unknown: map[string]error{}, drop: map[plan.ID]bool{}, made: map[plan.ID]plan.Item{},
	}
	v.findRevoked()
	if target, err := s.Target(last); err == nil && !hold && equality.Semantic.DeepEqual(target, v.target) {
		if built, err := build.PipelineRuntime(s, last); err == nil {
			built.Facts.Revoked = v.revoked
			return built
		}
	}
	v.findClosed(last.Spec.PipelineSource, r.Spec.PipelineSource)
	if len(v.revoked) > 0 {
		v.dropOwn()
		v.replaceShared()
		v.replaceIngress()
	}
	return build.Result[build.Pipeline]{
		Plan:  plan.Plan{Sets: []plan.Set{v.set()}},
		Facts: build.Pipeline{Target: &v.target, Triggers: last.Spec.PipelineTriggers, Revoked: v.revoked, Webhooks: v.webhooks()},
	}
}

// revocation removes the objects of a deployed pipeline runtime that are no longer
// granted, and leaves everything else as it is.
type revocation struct {
	snap *snapshot.Snapshot
	// runtime has the spec that is deployed.
	runtime *v1alpha1.ProjectPipelineRuntime
	target  v1alpha1.RuntimeTarget
	there   []plan.ID
	// revoked are the event sources that may not be used, with the reason.
	revoked map[string]string
	// unknown are the event sources for which this cannot be decided now.
	unknown map[string]error
	// closed: the pipeline files may not be read, so nothing may run.
	closed bool
	drop   map[plan.ID]bool
	made   map[plan.ID]plan.Item
}

// findRevoked judges the event sources one by one, so that one that cannot be
// judged hides no other. Hooks on record can be of a spec that was written in part.
func (v *revocation) findRevoked() {
	r := v.runtime
	for _, e := range r.Spec.EventSources {
		switch refusal, err := v.snap.EventSourceRefusal(r, e); {
		case err != nil:
			v.unknown[e.Name] = err
		case refusal != "":
			v.revoked[e.Name] = refusal
		}
	}
	for _, hook := range r.Status.Webhooks {
		if _, refusal, err := v.snap.ProjectRepository(r.Namespace, r.Spec.Project, hook.CodeRepo); err == nil && refusal != "" {
			v.revoked[hook.EventSource] = refusal
		}
	}
	v.findClosed(r.Spec.PipelineSource)
}

// findClosed revokes every event source if the pipeline files of one of some
// repositories may not be read.
func (v *revocation) findClosed(sources ...string) {
	r := v.runtime
	for _, source := range sources {
		_, refusal, err := v.snap.ProjectRepository(r.Namespace, r.Spec.Project, source)
		if err != nil || refusal == "" || v.closed {
			continue
		}
		v.closed = true
		for _, e := range r.Spec.EventSources {
			v.revoked[e.Name] = refusal
		}
		for _, hook := range r.Status.Webhooks {
			v.revoked[hook.EventSource] = refusal
		}
	}
}

func (v *revocation) dropAll(which func(plan.ID) bool) {
	for _, id := range v.there {
		if which(id) {
			v.drop[id] = true
		}
	}
}

// dropOwn drops the objects that belong to revoked event sources alone.
func (v *revocation) dropOwn() {
	product, name := v.runtime.Namespace, v.runtime.Name
	own, sensors := map[[2]string]bool{}, map[string]bool{}
	for source := range v.revoked {
		own[[2]string{kindSecret, names.HookSecret(product, name, source)}] = true
		for _, kind := range build.EventSourceTypes() {
			own[[2]string{kindEventSource, names.ExclusiveEventSource(product, name, source, string(kind))}] = true
			for _, t := range build.TriggersOf(v.runtime, source) {
				sensors[names.ExclusiveSensor(product, name, source, t.Pipeline, t.Revision, string(kind))] = true
			}
			for _, t := range v.runtime.Status.Triggers {
				if t.EventSource == source {
					sensors[names.ExclusiveSensor(product, name, source, t.Pipeline, t.Revision, string(kind))] = true
				}
			}
		}
	}
	v.dropAll(func(id plan.ID) bool {
		switch id.Kind {
		case kindSensor:
			return sensors[id.Name]
		case kindConfigMap:
			return sensors[names.SensorOfFiles(id.Name)]
		}
		return own[[2]string{id.Kind, id.Name}]
	})
}

// replaceShared replaces the EventSources that a revoked event source shares with
// others. The Sensor need not change: it no longer receives those events.
func (v *revocation) replaceShared() {
	for _, kind := range build.EventSourceTypes() {
		id, ok := v.find(kindEventSource, v.sharedName(kind))
		if !ok || kind == v1alpha1.EventSourceCalendar && !v.revokesCalendar() {
			continue
		}
		listeners, err := v.listeners(v1alpha1.IsolationShared)
		if err != nil && kind != v1alpha1.EventSourceCalendar {
			// An EventSource cannot be made with an event source that is not known.
			for name, err := range v.unknown {
				v.revoked[name] = err.Error()
			}
			listeners, err = v.listeners(v1alpha1.IsolationShared)
		}
		if err != nil {
			for _, e := range v.remaining() {
				v.revoked[e.Name] = err.Error()
			}
		}
		v.replace(id, listeners)
	}
}

func (v *revocation) revokesCalendar() bool {
	return slices.ContainsFunc(v.runtime.Spec.EventSources, func(e v1alpha1.EventSource) bool {
		_, revoked := v.revoked[e.Name]
		return revoked && e.Calendar != nil
	})
}

func (v *revocation) sharedName(kind v1alpha1.EventSourceType) string {
	return names.SharedEventSource(v.runtime.Namespace, v.runtime.Name, string(kind))
}

// replaceIngress removes the paths to revoked event sources. If the Ingress cannot
// be made it stays, and such a path leads to nothing.
func (v *revocation) replaceIngress() {
	id, ok := v.find(kindIngress, names.HookIngress(v.runtime.Namespace, v.runtime.Name))
	if !ok {
		return
	}
	isolation := v1alpha1.IsolationExclusive
	for _, kind := range build.EventSourceTypes() {
		if _, shared := v.find(kindEventSource, v.sharedName(kind)); shared {
			isolation = v1alpha1.IsolationShared
		}
	}
	if listeners, err := v.listeners(isolation); err == nil {
		v.replace(id, listeners)
	}
}

// find returns the ID of an object of the runtime that is there.
func (v *revocation) find(kind, name string) (plan.ID, bool) {
	at := slices.IndexFunc(v.there, func(id plan.ID) bool { return id.Kind == kind && id.Name == name })
	if at < 0 {
		return plan.ID{}, false
	}
	return v.there[at], true
}

// webhooks returns the hooks on record of event sources that are not revoked.
func (v *revocation) webhooks() []v1alpha1.WebhookStatus {
	return slices.DeleteFunc(slices.Clone(v.runtime.Status.Webhooks), func(hook v1alpha1.WebhookStatus) bool {
		_, revoked := v.revoked[hook.EventSource]
		return revoked
	})
}

// remaining returns the event sources that are not revoked and have a trigger.
func (v *revocation) remaining() []v1alpha1.EventSource {
	return slices.DeleteFunc(slices.Clone(v.runtime.Spec.EventSources), func(e v1alpha1.EventSource) bool {
		_, revoked := v.revoked[e.Name]
		return revoked || len(build.TriggersOf(v.runtime, e.Name)) == 0
	})
}

// listeners returns the objects that listen to the remaining event sources.
func (v *revocation) listeners(isolation v1alpha1.Isolation) (plan.Set, error) {
	r := v.runtime.DeepCopy()
	r.Spec.Isolation = isolation
	return build.Listeners(v.snap, r, v.target, v.remaining())
}

// replace replaces an object by the one in a set, if that has one.
func (v *revocation) replace(id plan.ID, by plan.Set) {
	v.drop[id] = true
	if at := slices.IndexFunc(by.Items, func(item plan.Item) bool { return item.ID == id }); at >= 0 {
		v.made[id] = by.Items[at]
	}
}

// set returns the objects that stay. If nothing listens any longer, these are only
// the additional resources.
func (v *revocation) set() plan.Set {
	listens := slices.ContainsFunc(v.there, func(id plan.ID) bool {
		_, made := v.made[id]
		return id.Kind == kindEventSource && (made || !v.drop[id])
	})
	isApplication := func(id plan.ID) bool { return id.Kind == kindApplication }
	if v.closed || len(v.revoked) > 0 && !listens {
		v.dropAll(func(id plan.ID) bool { return !isApplication(id) })
		clear(v.made)
	}
	if _, refusal, err := v.snap.AdditionalResources(v.runtime); err == nil && refusal != "" {
		v.dropAll(isApplication)
	}
	set := plan.Set{Owner: build.PipelineOwner(v.runtime), Target: plan.Cluster(v.target.Cluster), Items: slices.Collect(maps.Values(v.made))}
	for _, id := range v.there {
		if _, made := v.made[id]; !made && !v.drop[id] {
			set.Keep = append(set.Keep, id)
		}
	}
	set.Sort()
	return set
}
