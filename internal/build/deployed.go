package build

import (
	"maps"
	"slices"

	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	"k8s.io/apimachinery/pkg/api/equality"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/names"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/record"
	"nautes.io/nautes/internal/snapshot"
)

// DeployedRuntime returns the desired state of a deployment runtime by the spec that
// was deployed last. It has no set if none is on record, or if the Application
// cannot be described now. An Application whose repository is no longer granted
// stays as it is: Argo CD can no longer read the repository, and the workloads stay.
func DeployedRuntime(s *snapshot.Snapshot, r *v1alpha1.DeploymentRuntime) Result[Deployment] {
	last, ok := record.LastDeployed(r).(*v1alpha1.DeploymentRuntime)
	if !ok {
		return Result[Deployment]{Facts: Deployment{Source: r.Spec.ManifestSource}}
	}
	if s.RuntimePermission(last) == "" {
		return Result[Deployment]{Facts: Deployment{Source: last.Spec.ManifestSource}}
	}
	// With an error there are no sets, and the Application is left alone.
	built, _ := DeploymentRuntime(s, last)
	return built
}

// DeployedPipeline returns the desired state of a pipeline runtime by the spec that
// was deployed last, less everything that it is no longer granted. there lists the
// objects that the runtime has on its cluster.
//
// The plan only removes objects that are no longer granted if hold is true, if there is
// no record, or if the spec on record cannot be built now. Without a record these objects
// follow from the current spec and the hooks in the status.
func DeployedPipeline(s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime, there []plan.ID, hold bool) Result[Pipeline] {
	if r.Status.Target == nil {
		return Result[Pipeline]{}
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
		if built, err := PipelineRuntime(s, last); err == nil {
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
	return Result[Pipeline]{
		Plan:  plan.Plan{Sets: []plan.Set{v.set()}},
		Facts: Pipeline{Target: &v.target, Triggers: last.Spec.PipelineTriggers, Revoked: v.revoked, Webhooks: v.webhooks()},
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
		own[[2]string{secretKind.Kind, names.HookSecret(product, name, source)}] = true
		for _, kind := range sourceKinds() {
			own[[2]string{eventSourceKind.Kind, names.ExclusiveEventSource(product, name, source, string(kind))}] = true
			for _, t := range triggersOf(v.runtime, source) {
				sensors[names.ExclusiveSensor(product, name, source, t.Pipeline, t.Revision, string(kind))] = true
			}
			for _, t := range v.runtime.Status.Triggers {
				sensors[names.ExclusiveSensor(product, name, source, t.Pipeline, t.Revision, string(kind))] = t.EventSource == source
			}
		}
	}
	v.dropAll(func(id plan.ID) bool {
		switch id.Kind {
		case sensorKind.Kind:
			return sensors[id.Name]
		case configMapKind.Kind:
			return sensors[names.SensorOfFiles(id.Name)]
		}
		return own[[2]string{id.Kind, id.Name}]
	})
}

// replaceShared replaces the EventSources that a revoked event source shares with
// others. The Sensor need not change: it no longer receives those events.
func (v *revocation) replaceShared() {
	for _, kind := range sourceKinds() {
		id, ok := v.find(eventSourceKind.Kind, v.sharedName(kind))
		if !ok || kind == v1alpha1.EventSourceCalendar && !v.revokesCalendar() {
			continue
		}
		p, err := v.listeners(v1alpha1.IsolationShared)
		if err != nil && kind != v1alpha1.EventSourceCalendar {
			// An EventSource cannot be made with an event source that is not known.
			for name, err := range v.unknown {
				v.revoked[name] = err.Error()
			}
			p, err = v.listeners(v1alpha1.IsolationShared)
		}
		if err != nil {
			for _, e := range v.remaining() {
				v.revoked[e.Name] = err.Error()
			}
		}
		v.replace(id, p)
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
	id, ok := v.find(ingressKind.Kind, names.HookIngress(v.runtime.Namespace, v.runtime.Name))
	if !ok {
		return
	}
	isolation := v1alpha1.IsolationExclusive
	for _, kind := range sourceKinds() {
		if _, shared := v.find(eventSourceKind.Kind, v.sharedName(kind)); shared {
			isolation = v1alpha1.IsolationShared
		}
	}
	p, err := v.listeners(isolation)
	if err == nil {
		err = p.addHookIngress()
	}
	if err == nil {
		v.replace(id, p)
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
		return revoked || len(triggersOf(v.runtime, e.Name)) == 0
	})
}

// listeners returns the part of a plan that listens to the remaining event sources.
func (v *revocation) listeners(isolation v1alpha1.Isolation) (*pipeline, error) {
	r := v.runtime.DeepCopy()
	r.Spec.Isolation = isolation
	p := newPipeline(v.snap, r, v.target)
	p.armed = v.remaining()
	if err := p.findCluster(); err != nil {
		return nil, err
	}
	return p, p.addEventSources()
}

// replace replaces an object by the one in a plan, if that has one.
func (v *revocation) replace(id plan.ID, by *pipeline) {
	v.drop[id] = true
	if by == nil {
		return
	}
	if at := slices.IndexFunc(by.Items, func(item plan.Item) bool { return item.ID == id }); at >= 0 {
		v.made[id] = by.Items[at]
	}
}

// set returns the objects that stay. If nothing listens any longer, these are only
// the additional resources.
func (v *revocation) set() plan.Set {
	listens := slices.ContainsFunc(v.there, func(id plan.ID) bool {
		_, made := v.made[id]
		return id.Kind == eventSourceKind.Kind && (made || !v.drop[id])
	})
	isApplication := func(id plan.ID) bool { return id.Kind == argocd.ApplicationSchemaGroupVersionKind.Kind }
	if v.closed || len(v.revoked) > 0 && !listens {
		v.dropAll(func(id plan.ID) bool { return !isApplication(id) })
		clear(v.made)
	}
	if _, refusal, err := v.snap.AdditionalResources(v.runtime); err == nil && refusal != "" {
		v.dropAll(isApplication)
	}
	set := newSet(v.snap.Tenant, PipelineOwner(v.runtime), plan.Cluster(v.target.Cluster))
	set.Items = slices.Collect(maps.Values(v.made))
	for _, id := range v.there {
		if _, made := v.made[id]; !made && !v.drop[id] {
			set.Keep = append(set.Keep, id)
		}
	}
	return set.done()
}
