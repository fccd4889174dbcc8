// Package pipelineruntime reconciles ProjectPipelineRuntimes into event sources and
// sensors. It guarantees that nothing is triggered from a repository that the runtime
// may not use.
package pipelineruntime

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projectpipelineruntimes,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projectpipelineruntimes/status,verbs=patch

// work turns a ProjectPipelineRuntime into event sources and
// sensors on its cluster, once the space that its launchers need is there, and
// tells whether its triggers are armed and what its pipelines did.
type work struct {
	deps *reconcile.Deps
	slow *reconcile.SlowLane[ctrl.Request]
}

// Add starts the controller of ProjectPipelineRuntimes.
func Add(d *reconcile.Deps) error {
	d.Spaces.OnChange(func(key reconcile.SpaceKey) {
		for _, r := range d.Relations.PipelineRuntimesIn(context.Background(), key) {
			d.Triggers.PipelineRuntime.Enqueue(r)
		}
	})
	b := ctrl.NewControllerManagedBy(d.Manager).Named("projectpipelineruntime").For(&v1alpha1.ProjectPipelineRuntime{}).
		WatchesRawSource(d.Triggers.PipelineRuntime.Source())
	reconcile.WatchPipelineRuntimes(b, d.Relations.PipelineRivalsOfPipelineRuntime)
	reconcile.Watch(b, &v1alpha1.DeploymentRuntime{}, d.Relations.PipelineRivalsOfRuntime)
	reconcile.Watch(b, &v1alpha1.Product{}, d.Relations.PipelineRuntimesOfProduct)
	reconcile.Watch(b, &v1alpha1.Environment{}, d.Relations.PipelineRuntimesOfEnvironment)
	reconcile.Watch(b, &v1alpha1.Environment{}, d.Relations.PipelineRivalsOfEnvironment)
	reconcile.Watch(b, &v1alpha1.Cluster{}, d.Relations.PipelineRuntimesOfCluster)
	reconcile.Watch(b, &v1alpha1.ComponentCatalogue{}, d.Relations.PipelineRuntimesOfCatalogue)
	reconcile.Watch(b, &v1alpha1.Project{}, d.Relations.PipelineRuntimesOfProject)
	reconcile.Watch(b, &v1alpha1.CodeRepo{}, d.Relations.PipelineRuntimesOfCodeRepo)
	reconcile.Watch(b, &v1alpha1.CodeRepoBinding{}, d.Relations.PipelineRuntimesOfBinding)
	reconcile.Watch(b, &v1alpha1.CodeRepoProvider{}, d.Relations.PipelineRuntimesOfProvider)
	reconcile.Watch(b, &v1alpha1.PipelineHook{}, d.Relations.PipelineRuntimesOfHook)
	reconcile.Watch(b, &corev1.Secret{}, d.Relations.PipelineRuntimesOfSecret)
	return reconcile.Start(d, b, work{deps: d, slow: reconcile.NewSlowLane(d.Workers, d.Triggers.PipelineRuntime.Enqueue)}, engine.Options[*v1alpha1.ProjectPipelineRuntime]{
		Kind: "ProjectPipelineRuntime", New: func() *v1alpha1.ProjectPipelineRuntime { return &v1alpha1.ProjectPipelineRuntime{} },
	})
}

// pipelinePass is one reconciliation of a pipeline runtime.
type pipelinePass struct {
	work
	*engine.Session[*v1alpha1.ProjectPipelineRuntime]
	snap *snapshot.Snapshot
	// built is the plan that the cluster is compared with; planned is false if none
	// could be built.
	built   build.Result[build.Pipeline]
	planned bool
	// revoked are the event sources that were taken from what is deployed, with the
	// reason.
	revoked map[string]string
	// failed are the objects that could not be written.
	failed []apply.ItemError
}

// Reconcile implements engine.Work.
func (w work) Reconcile(ctx context.Context, s *engine.Session[*v1alpha1.ProjectPipelineRuntime]) error {
	r := s.Object
	snap, err := w.deps.Loader.Product(ctx, r.Namespace)
	if err != nil {
		return err
	}
	leave, err := w.slow.Enter(w.deps.IsSlow, reconcile.Request(r.Namespace, r.Name), clustersOf(snap, r)...)
	defer leave()
	if err != nil {
		return err
	}
	p := &pipelinePass{work: w, Session: s, snap: snap}
	if r.Spec.Suspend {
		return p.suspended(ctx)
	}
	invalid, stop := p.check()
	var deployed error
	switch {
	case stop == nil:
		deployed = p.deploy(ctx)
	default:
		deployed = p.restore(ctx, p.snap.Settings.RunnerImage == "")
	}
	if engine.Classify(deployed, reconcile.Classify).Class == engine.ClassSilent {
		return deployed
	}
	if deployed != nil {
		reconcile.SetFalse(s.Facts, v1alpha1.ConditionApplied, deployed)
	} else if stop == nil {
		s.Facts.True(v1alpha1.ConditionApplied, v1alpha1.ReasonApplied, "on cluster "+r.Status.Target.Cluster)
	}
	return errors.Join(invalid, deployed, p.observe(ctx, deployed))
}

// clustersOf returns the clusters that a pipeline runtime is on or goes to.
func clustersOf(snap *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime) []string {
	var clusters []string
	if r.Status.Target != nil {
		clusters = append(clusters, r.Status.Target.Cluster)
	}
	if target, err := snap.Target(r); err == nil && !slices.Contains(clusters, target.Cluster) {
		clusters = append(clusters, target.Cluster)
	}
	return clusters
}

// check tells what is wrong with a runtime: all of it, and what stops it from
// being deployed. Where only a repository may not be used, the rest goes on.
func (p *pipelinePass) check() (invalid, stop error) {
	r := p.Object
	r.Status.IllegalEventSources = p.snap.IllegalEventSources(r)
	refusals, _ := validate.Run(p.snap, validate.Request{New: r})
	if invalid = reconcile.Verdict(refusals); invalid != nil {
		reconcile.SetFalse(p.Facts, v1alpha1.ConditionValid, invalid)
	} else {
		p.Facts.True(v1alpha1.ConditionValid, v1alpha1.ReasonValid, "every rule holds")
	}
	if p.snap.Settings.RunnerImage == "" {
		stop = engine.Terminal(v1alpha1.ReasonNotServed,
			"pipelines.runnerImage is missing in the operator's configuration: set it to the image with nautes-runner")
		return errors.Join(invalid, stop), stop
	}
	if stop = reconcile.Verdict(slices.DeleteFunc(slices.Clone(refusals), validate.Disarming)); stop == nil && r.Status.Target == nil && p.sourceRefusal() != "" {
		// Nothing of it would work, so nothing is begun.
		stop = invalid
	}
	return invalid, stop
}

// sourceRefusal says why the runtime may not read its pipeline files; empty when
// it may, or when that cannot be told.
func (p *pipelinePass) sourceRefusal() string {
	_, refusal, err := p.snap.ProjectRepository(p.Object.Namespace, p.Object.Spec.Project, p.Object.Spec.PipelineSource)
	if err != nil {
		return ""
	}
	return refusal
}

// set makes the plan of the runtime and returns what it has on its cluster.
func (p *pipelinePass) set() (plan.Set, error) {
	made, err := build.PipelineRuntime(p.snap, p.Object)
	if err != nil {
		return plan.Set{}, err
	}
	p.built, p.planned = made, true
	for _, set := range made.Sets {
		if set.Target.Kind == plan.TargetCluster {
			return set, nil
		}
	}
	return plan.Set{}, fmt.Errorf("the plan of %s has no cluster", snapshot.RefOf(p.Object))
}

// deploy brings the runtime to where its spec says.
func (p *pipelinePass) deploy(ctx context.Context) error {
	r := p.Object
	target, err := p.snap.Target(r)
	if err != nil {
		return err
	}
	if at := r.Status.Target; at != nil && at.Cluster != target.Cluster {
		return p.move(ctx, target)
	}
	set, err := p.set()
	if err != nil {
		return errors.Join(err, p.restore(ctx, true))
	}
	if at := r.Status.Target; at != nil && !reflect.DeepEqual(*at, target) {
		// The space follows what is on record.
		r.Status.Target, r.Status.Runs = &target, nil
		if err := p.Record(ctx); err != nil {
			return err
		}
	}
	conn, err := p.deps.Conn(p.snap, target.Cluster)
	if err != nil {
		return err
	}
	some, waits := p.holdBack(set, target)
	if some == nil {
		return errors.Join(waits, p.restore(ctx, true))
	}
	r.Status.Target = &target
	p.setApplication(*some)
	if err := p.Record(ctx); err != nil {
		return err
	}
	err = p.write(ctx, conn, *some)
	return errors.Join(err, waits, p.setDeployed(err))
}

// setDeployed notes the spec that is deployed, and its hooks and pipeline files. After
// a write that failed, in whole or in part, the hooks before it may still be in use.
func (p *pipelinePass) setDeployed(err error) error {
	r := p.Object
	hooks := slices.Clone(p.built.Facts.Webhooks)
	if wrote(p.failed, err) {
		r.Status.Webhooks, r.Status.PipelineSource = hooks, r.Spec.PipelineSource
		deployed, err := build.Record(r.Status.Deployed, r.Generation, r.Spec)
		if err == nil {
			r.Status.Deployed = deployed
		}
		return err
	}
	for _, before := range r.Status.Webhooks {
		if !slices.ContainsFunc(hooks, func(hook v1alpha1.WebhookStatus) bool { return hook.EventSource == before.EventSource }) {
			hooks = append(hooks, before)
		}
	}
	r.Status.Webhooks = hooks
	return nil
}

// wrote tells whether everything was written, though something that was removed
// may not be gone yet.
func wrote(failed []apply.ItemError, err error) bool {
	return len(failed) == 0 && (err == nil || engine.Classify(err, reconcile.Classify).Class == engine.ClassWaiting)
}

// move takes the runtime off the cluster where it is, and puts on record where it
// goes. Nothing is written there before that.
func (p *pipelinePass) move(ctx context.Context, target v1alpha1.RuntimeTarget) error {
	r := p.Object
	from := r.Status.Target.Cluster
	// Without an error, since nothing is described for a cluster that is left.
	p.built, _ = build.PipelineRuntime(p.snap, r)
	p.planned, r.Status.Webhooks, r.Status.PipelineSource, r.Status.Deployed = true, nil, "", nil
	if err := p.withdraw(ctx, p.snap, r, from); err != nil {
		return err
	}
	r.Status.Target, r.Status.Application, r.Status.Runs = &target, nil, nil
	if err := p.Record(ctx); err != nil {
		return err
	}
	return engine.Waiting(v1alpha1.ReasonProgressing, "it has left cluster %s and goes to cluster %s", from, target.Cluster)
}

// restore brings the cluster to the spec that was deployed last, less everything
// that the runtime may no longer use. If hold is true it only removes that.
func (p *pipelinePass) restore(ctx context.Context, hold bool) error {
	r := p.Object
	if r.Status.Target == nil {
		return nil
	}
	conn, err := p.deps.Conn(p.snap, r.Status.Target.Cluster)
	if err != nil {
		return err
	}
	owned, err := conn.Owned(ctx, build.PipelineOwner(r))
	if err != nil {
		return err
	}
	there := make([]plan.ID, 0, len(owned))
	for i := range owned {
		there = append(there, plan.IDOf(owned[i].GroupVersionKind(), &owned[i]))
	}
	built := build.DeployedPipeline(p.snap, r, there, hold)
	p.revoked = built.Facts.Revoked
	set := *built.On(plan.Cluster(r.Status.Target.Cluster))
	if built.Facts.Complete {
		p.built, p.planned = built, true
		p.setApplication(set)
		if err := p.Record(ctx); err != nil {
			return err
		}
	} else {
		if set.Keep, err = dropUnusedFiles(ctx, conn, set.Keep); err != nil {
			return err
		}
		if len(set.Items) == 0 && len(set.Keep) == len(there) {
			return nil
		}
	}
	err = p.write(ctx, conn, set)
	if wrote(p.failed, err) {
		// Until then a later pass goes by the hooks on record.
		r.Status.Webhooks = built.Facts.Webhooks
	}
	return err
}

// suspended leaves a runtime alone, but for what it may not use any longer.
func (p *pipelinePass) suspended(ctx context.Context) error {
	p.Object.Status.IllegalEventSources = p.snap.IllegalEventSources(p.Object)
	err := p.restore(ctx, true)
	p.setRevokedTriggers()
	if err != nil {
		return err
	}
	return engine.Held(v1alpha1.ReasonSuspended, "spec.suspend is set: nothing is changed until it is removed, except that revoked permissions take effect")
}

// holdBack returns what of a set can be written to a space as it is now, nil for
// nothing, and what the rest waits for.
func (p *pipelinePass) holdBack(set plan.Set, target v1alpha1.RuntimeTarget) (*plan.Set, error) {
	r := p.Object
	space, known := p.deps.Spaces.Get(reconcile.SpaceKey{Product: r.Namespace, Cluster: target.Cluster})
	if !known {
		return nil, engine.ErrNotYet
	}
	if err := space.ProblemFor(target, r.Namespace, ""); err != nil {
		return nil, err
	}
	if !slices.Contains(space.Namespaces, target.Namespaces[0]) {
		return nil, engine.Waiting(v1alpha1.ReasonProgressing, "namespace %s on cluster %s is not written yet", target.Namespaces[0], target.Cluster)
	}
	url, refusal, err := p.snap.AdditionalResources(r)
	if err != nil || refusal != "" || url == "" {
		return &set, err
	}
	repo := r.Spec.AdditionalResources.Git.CodeRepo
	if err = space.ProblemFor(target, r.Namespace, repo); err == nil && !slices.Contains(space.Repositories, url) {
		err = engine.Waiting(v1alpha1.ReasonProgressing, "Argo CD on cluster %s has not been told of the repository of the additional resources yet", target.Cluster)
	}
	if err != nil {
		set = without(set, func(id plan.ID) bool { return id.Kind == kindApplication })
	}
	return &set, err
}

// without returns a set that leaves some of its items as they are.
func without(set plan.Set, stays func(plan.ID) bool) plan.Set {
	some := set
	some.Items, some.Keep = nil, slices.Clone(set.Keep)
	for _, item := range set.Items {
		if stays(item.ID) {
			some.Keep = append(some.Keep, item.ID)
		} else {
			some.Items = append(some.Items, item)
		}
	}
	return some
}

const (
	kindApplication = "Application"
	kindSensor      = "Sensor"
	kindFiles       = "ConfigMap"
)

func applicationID(app *v1alpha1.ApplicationStatus) plan.ID {
	return plan.ID{Group: "argoproj.io", Kind: kindApplication, Namespace: app.Namespace, Name: app.Name}
}

// write applies a set. No object holds up another one, and nothing that must go
// waits until Argo CD has removed the additional resources.
func (p *pipelinePass) write(ctx context.Context, conn *remote.Conn, set plan.Set) error {
	r := p.Object
	set, err := keepFiles(ctx, conn, set)
	if err != nil {
		return err
	}
	failed := []error{p.ensureWebhookKey(ctx, set)}
	options := apply.Options{NoGuard: true, Isolate: true}
	commit := reconcile.CommitOf(p.snap, r.Namespace)
	if app := r.Status.Application; app != nil && !holds(set, applicationID(app)) {
		first := set
		first.Keep = append(slices.Clone(set.Keep), applicationID(app))
		if _, err := p.deps.ApplyFor(ctx, r, commit, conn, first, options); err != nil {
			return err
		}
	}
	result, err := p.deps.ApplyFor(ctx, r, commit, conn, set, options)
	p.failed = result.Failed
	if err != nil {
		return err
	}
	if app := r.Status.Application; app != nil && !holds(set, applicationID(app)) && !slices.Contains(result.Removing, applicationID(app)) {
		r.Status.Application = nil
	}
	for i := range result.Failed {
		failed = append(failed, &result.Failed[i])
	}
	return errors.Join(append(failed, reconcile.Removing(result, "cluster "+set.Target.Name))...)
}

// holds reports whether a set writes or keeps an object.
func holds(set plan.Set, id plan.ID) bool {
	return slices.Contains(set.Keep, id) || slices.ContainsFunc(set.Items, func(item plan.Item) bool { return item.ID == id })
}

// setApplication notes the Application of the additional resources.
func (p *pipelinePass) setApplication(set plan.Set) {
	for _, item := range set.Items {
		if item.ID.Kind == kindApplication {
			p.Object.Status.Application = reconcile.ApplicationStatus(item.ID, p.Object.Status.Application)
		}
	}
}

// withdraw removes everything of a runtime from a cluster. It returns nil when all
// is gone, or given up as the annotation asks.
func (w work) withdraw(ctx context.Context, snap *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime, cluster string) error {
	conn, err := w.deps.Conn(snap, cluster)
	if errors.Is(err, engine.ErrNotYet) {
		return err
	}
	if err != nil {
		if r.Annotations[v1alpha1.AnnotationAbandon] == cluster {
			w.deps.Abandoned(r, cluster)
			return nil
		}
		return engine.Waiting(v1alpha1.ReasonNotConnected,
			"cluster %s is not connected, so its event sources cannot be removed; the annotation %s: %s gives them up", cluster, v1alpha1.AnnotationAbandon, cluster)
	}
	set := plan.Set{Owner: build.PipelineOwner(r), Target: plan.Cluster(cluster)}
	first := set
	commit := reconcile.CommitOf(snap, r.Namespace)
	if app := r.Status.Application; app != nil {
		// Nothing is triggered while Argo CD removes the additional resources.
		first.Keep = []plan.ID{applicationID(app)}
		if _, err := w.deps.ApplyFor(ctx, r, commit, conn, first, apply.Options{NoGuard: true}); err != nil {
			return err
		}
	}
	result, err := w.deps.ApplyFor(ctx, r, commit, conn, set, apply.Options{NoGuard: true})
	if err != nil {
		return err
	}
	return reconcile.Removing(result, "cluster "+cluster)
}

// Finalize implements engine.Work: the event sources go, and then what Argo CD
// deployed; the space follows when the runtime is gone.
func (w work) Finalize(ctx context.Context, s *engine.Session[*v1alpha1.ProjectPipelineRuntime]) error {
	if s.Object.Status.Target == nil {
		return nil
	}
	snap, err := w.deps.Loader.Product(ctx, s.Object.Namespace)
	if err != nil {
		return err
	}
	return w.withdraw(ctx, snap, s.Object, s.Object.Status.Target.Cluster)
}
