package build

import (
	"maps"
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// Disarmed is what stays of a pipeline runtime that cannot be deployed as its spec
// says, when something that it uses may not be used any longer.
type Disarmed struct {
	// Set keeps what stays on the cluster on record. Its items are what several
	// event sources share, without those that are gone.
	Set plan.Set
	// Gone are the event sources that nothing listens to any longer, with why.
	Gone map[string]string
}

// PipelineDisarmed takes from a pipeline runtime what it may not use, and leaves
// everything else as it is: it does not matter what else is wrong with its spec.
// There is what the runtime has on the cluster on record. Which event sources that
// was made from is known by the spec and by the hooks on record.
//
// An event source of which it cannot be told whether it may be used stays, unless
// it shares its EventSource with one that may not: without its provider that one
// cannot be made again.
func PipelineDisarmed(s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime, there []plan.ID) Disarmed {
	d := &disarming{
		snap: s, runtime: r, there: there, unsure: map[string]error{}, gone: map[string]string{},
		target: *r.Status.Target, drop: map[plan.ID]bool{}, made: map[plan.ID]plan.Item{},
	}
	d.judge()
	if len(d.gone) > 0 {
		d.dropOwn()
		d.remakeShared()
		d.remakeIngress()
	}
	return Disarmed{Set: d.set(), Gone: d.gone}
}

// disarming is a Disarmed while it is put together.
type disarming struct {
	snap    *snapshot.Snapshot
	runtime *v1alpha1.ProjectPipelineRuntime
	target  v1alpha1.RuntimeTarget
	there   []plan.ID
	gone    map[string]string
	unsure  map[string]error
	drop    map[plan.ID]bool
	made    map[plan.ID]plan.Item
	// closed: the pipeline files may not be read, so nothing may run.
	closed bool
}

// judge finds the event sources that may not be used: one by one, so that what
// cannot be told of one hides no other.
func (d *disarming) judge() {
	r := d.runtime
	sources := slices.Clone(r.Spec.EventSources)
	for _, hook := range r.Status.Webhooks {
		sources = append(sources, recordedSource(hook))
	}
	// The launchers that there are read the files of the one on record.
	closed := ""
	for _, source := range []string{r.Spec.PipelineSource, r.Status.PipelineSource} {
		if source != "" && closed == "" {
			if _, refusal, err := d.snap.ProjectRepository(r.Namespace, r.Spec.Project, source); err == nil {
				closed = refusal
			}
		}
	}
	d.closed = closed != ""
	for _, e := range sources {
		refusal, err := d.snap.EventSourceRefusal(r, e)
		switch {
		case d.closed:
			d.gone[e.Name] = closed
		case err != nil:
			d.unsure[e.Name] = err
		case refusal != "":
			d.gone[e.Name] = refusal
		}
	}
	if _, refusal, err := d.snap.AdditionalResources(r); err == nil && refusal != "" {
		d.dropAll(isApplication)
	}
}

// recordedSource returns the event source that a hook on record was made from.
func recordedSource(hook v1alpha1.WebhookStatus) v1alpha1.EventSource {
	e := v1alpha1.EventSource{Name: hook.EventSource, GitLab: &v1alpha1.GitLabEventSource{RepoName: hook.CodeRepo}}
	for _, event := range hook.Events {
		e.GitLab.Events = append(e.GitLab.Events, v1alpha1.GitLabEvent(event))
	}
	return e
}

func isApplication(id plan.ID) bool { return id.Kind == "Application" }

func (d *disarming) dropAll(which func(plan.ID) bool) {
	for _, id := range d.there {
		if which(id) {
			d.drop[id] = true
		}
	}
}

// dropOwn drops what only the event sources that are gone have.
func (d *disarming) dropOwn() {
	product, name := d.runtime.Namespace, d.runtime.Name
	triggers := slices.Clone(d.runtime.Spec.PipelineTriggers)
	for _, t := range d.runtime.Status.Triggers {
		triggers = append(triggers, v1alpha1.PipelineTrigger{EventSource: t.EventSource, Pipeline: t.Pipeline, Revision: t.Revision})
	}
	own := map[[2]string]bool{}
	for source := range d.gone {
		own[[2]string{secretKind.Kind, hookSecretName(product, name, source)}] = true
		for _, kind := range sourceKinds() {
			own[[2]string{eventSourceKind.Kind, exclusiveEventSourceName(product, name, source, string(kind))}] = true
			for _, t := range triggers {
				if t.EventSource == source {
					d.dropSensor(exclusiveSensorName(product, name, source, t.Pipeline, t.Revision, string(kind)))
				}
			}
		}
	}
	d.dropAll(func(id plan.ID) bool { return own[[2]string{id.Kind, id.Name}] })
}

// dropSensor drops a sensor and its files.
func (d *disarming) dropSensor(name string) {
	d.dropAll(func(id plan.ID) bool {
		return id.Kind == sensorKind.Kind && id.Name == name || id.Kind == configMapKind.Kind && isSensorFiles(name, id.Name)
	})
}

// remakeShared makes the shared EventSources again, without those that are gone.
// The Sensor need not change: nobody tells it of those events any longer. What
// listens to nothing that is known goes as well.
func (d *disarming) remakeShared() {
	product, name := d.runtime.Namespace, d.runtime.Name
	known := d.ownListeners()
	for _, kind := range sourceKinds() {
		shared := sharedEventSourceName(product, name, string(kind))
		known[shared] = true
		at := slices.IndexFunc(d.there, func(id plan.ID) bool { return id.Kind == eventSourceKind.Kind && id.Name == shared })
		switch {
		case at < 0:
		case kind == v1alpha1.EventSourceGitLab:
			d.remakeHooks(d.there[at])
		case d.mayHaveCalendar():
			if made, err := d.make(d.calendars()); err == nil {
				d.remake(d.there[at], made)
			}
		}
	}
	d.dropAll(func(id plan.ID) bool { return id.Kind == eventSourceKind.Kind && !known[id.Name] })
}

// remakeHooks makes the EventSource again that listens to the hooks on record.
func (d *disarming) remakeHooks(id plan.ID) {
	for _, e := range d.recorded() {
		if err := d.unsure[e.Name]; err != nil {
			d.gone[e.Name] = err.Error()
		}
	}
	made, err := d.make(d.recorded())
	if err != nil {
		for _, e := range d.recorded() {
			d.gone[e.Name] = err.Error()
		}
	}
	d.remake(id, made)
}

// ownListeners returns the names of the EventSources that listen to one event
// source that is known.
func (d *disarming) ownListeners() map[string]bool {
	own := map[string]bool{}
	add := func(source string) {
		for _, kind := range sourceKinds() {
			own[exclusiveEventSourceName(d.runtime.Namespace, d.runtime.Name, source, string(kind))] = true
		}
	}
	for _, e := range d.runtime.Spec.EventSources {
		add(e.Name)
	}
	for _, hook := range d.runtime.Status.Webhooks {
		add(hook.EventSource)
	}
	for _, t := range d.runtime.Status.Triggers {
		add(t.EventSource)
	}
	return own
}

// calendars returns the calendars of the event sources that are not gone.
func (d *disarming) calendars() []v1alpha1.EventSource {
	var calendars []v1alpha1.EventSource
	for _, e := range d.runtime.Spec.EventSources {
		if _, gone := d.gone[e.Name]; !gone && e.Calendar != nil {
			calendars = append(calendars, v1alpha1.EventSource{Name: e.Name, Calendar: e.Calendar})
		}
	}
	return calendars
}

// mayHaveCalendar tells whether an event source that is gone has a calendar, or
// had one that nobody knows of any longer.
func (d *disarming) mayHaveCalendar() bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(d.gone)), func(name string) bool {
		at := slices.IndexFunc(d.runtime.Spec.EventSources, func(e v1alpha1.EventSource) bool { return e.Name == name })
		return at < 0 || d.runtime.Spec.EventSources[at].Calendar != nil
	})
}

// recorded returns the event sources with a hook on record that are not gone.
func (d *disarming) recorded() []v1alpha1.EventSource {
	var sources []v1alpha1.EventSource
	for _, hook := range d.runtime.Status.Webhooks {
		if _, gone := d.gone[hook.EventSource]; !gone {
			sources = append(sources, recordedSource(hook))
		}
	}
	return sources
}

// remakeIngress leads no path to an event source that is gone. A path that stays
// because the Ingress cannot be made leads to nobody.
func (d *disarming) remakeIngress() {
	at := slices.IndexFunc(d.there, func(id plan.ID) bool { return id.Kind == ingressKind.Kind })
	if at < 0 {
		return
	}
	isolation := v1alpha1.IsolationExclusive
	for id := range d.made {
		if id.Kind == eventSourceKind.Kind {
			isolation = v1alpha1.IsolationShared
		}
	}
	p, err := d.events(isolation, d.recorded())
	if err == nil {
		err = p.addHookIngress()
	}
	if err == nil {
		d.remake(d.there[at], itemsOf(p))
	}
}

// make returns the shared EventSources of some event sources.
func (d *disarming) make(sources []v1alpha1.EventSource) (map[plan.ID]plan.Item, error) {
	p, err := d.events(v1alpha1.IsolationShared, sources)
	if err != nil {
		return nil, err
	}
	return itemsOf(p), nil
}

// events returns the part of a plan that listens to some event sources.
func (d *disarming) events(isolation v1alpha1.Isolation, sources []v1alpha1.EventSource) (*pipeline, error) {
	r := d.runtime.DeepCopy()
	r.Spec.Isolation = isolation
	cluster := d.snap.Cluster(d.target.Cluster)
	if cluster == nil {
		return nil, &snapshot.MissingError{
			Missing: plan.Ref{Kind: "Cluster", Namespace: d.snap.Namespace, Name: d.target.Cluster}, Needed: snapshot.RefOf(r),
		}
	}
	p := &pipeline{
		set:  newSet(d.snap.Tenant, PipelineOwner(r), plan.Cluster(d.target.Cluster)),
		snap: d.snap, runtime: r, cluster: cluster, target: d.target, source: snapshot.RefOf(r), armed: sources,
	}
	p.events.Namespace = d.snap.EventNamespace(cluster)
	return p, p.addEventSources()
}

func itemsOf(p *pipeline) map[plan.ID]plan.Item {
	items := map[plan.ID]plan.Item{}
	for _, item := range p.Items {
		items[item.ID] = item
	}
	return items
}

// remake replaces an object by what it is to be now, if anything.
func (d *disarming) remake(id plan.ID, by map[plan.ID]plan.Item) {
	d.drop[id] = true
	if item, ok := by[id]; ok {
		d.made[id] = item
	}
}

// set returns what stays. When nothing listens any longer, that is only what was
// never about events.
func (d *disarming) set() plan.Set {
	listens := slices.ContainsFunc(d.there, func(id plan.ID) bool {
		_, made := d.made[id]
		return id.Kind == eventSourceKind.Kind && (made || !d.drop[id])
	})
	if d.closed || len(d.gone) > 0 && !listens {
		d.dropAll(func(id plan.ID) bool { return !isApplication(id) })
		clear(d.made)
	}
	set := newSet(d.snap.Tenant, PipelineOwner(d.runtime), plan.Cluster(d.target.Cluster))
	for _, id := range d.there {
		if item, ok := d.made[id]; ok {
			set.Items = append(set.Items, item)
		} else if !d.drop[id] {
			set.Keep = append(set.Keep, id)
		}
	}
	return set.done()
}
