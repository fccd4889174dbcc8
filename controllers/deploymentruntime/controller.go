// Package deploymentruntime reconciles DeploymentRuntimes into Argo CD Applications. It
// guarantees that an Application is written only into a space that is ready for it.
package deploymentruntime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=deploymentruntimes,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=deploymentruntimes/status,verbs=patch

// work turns a DeploymentRuntime into an Argo CD Application
// on its cluster, once the space that the Application needs is there.
type work struct {
	deps *reconcile.Deps
	slow *reconcile.SlowLane[ctrl.Request]
}

// Add starts the controller of DeploymentRuntimes.
func Add(d *reconcile.Deps) error {
	d.Spaces.OnChange(func(key reconcile.SpaceKey) {
		for _, r := range d.Relations.RuntimesIn(context.Background(), key) {
			d.Triggers.DeploymentRuntime.Enqueue(r)
		}
	})
	b := ctrl.NewControllerManagedBy(d.Manager).Named("deploymentruntime").For(&v1alpha1.DeploymentRuntime{}).
		WatchesRawSource(d.Triggers.DeploymentRuntime.Source())
	reconcile.Watch(b, &v1alpha1.DeploymentRuntime{}, d.Relations.RivalsOfRuntime)
	reconcile.WatchPipelineRuntimes(b, d.Relations.RivalsOfPipelineRuntime)
	reconcile.Watch(b, &v1alpha1.Environment{}, d.Relations.RuntimesOfEnvironment)
	reconcile.Watch(b, &v1alpha1.Environment{}, d.Relations.DeploymentRivalsOfEnvironment)
	reconcile.Watch(b, &v1alpha1.Cluster{}, d.Relations.RuntimesOfCluster)
	reconcile.Watch(b, &v1alpha1.CodeRepo{}, d.Relations.RuntimesOfCodeRepo)
	reconcile.Watch(b, &v1alpha1.ComponentCatalogue{}, d.Relations.RuntimesOfCatalogue)
	reconcile.Watch(b, &v1alpha1.CodeRepoBinding{}, d.Relations.RuntimesOfBinding)
	reconcile.Watch(b, &v1alpha1.Project{}, d.Relations.RuntimesOfProject)
	reconcile.Watch(b, &v1alpha1.Product{}, d.Relations.RuntimesOfProduct)
	return reconcile.Start(d, b, work{deps: d, slow: reconcile.NewSlowLane(d.Workers, d.Triggers.DeploymentRuntime.Enqueue)}, engine.Options[*v1alpha1.DeploymentRuntime]{
		Kind: "DeploymentRuntime", New: func() *v1alpha1.DeploymentRuntime { return &v1alpha1.DeploymentRuntime{} },
		Suspended: func(r *v1alpha1.DeploymentRuntime) bool { return r.Spec.Suspend },
	})
}

// Reconcile implements engine.Work.
func (w work) Reconcile(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime]) error {
	r := s.Object
	snap, err := w.deps.Loader.Product(ctx, r.Namespace)
	if err != nil {
		return err
	}
	built, undescribed := build.DeploymentRuntime(snap, r)
	r.Status.IllegalProjectRefs = built.Facts.Illegal
	refusals, _ := validate.Run(snap, validate.Request{New: r})
	if err := reconcile.Verdict(refusals); err != nil {
		reconcile.SetFalse(s.Facts, v1alpha1.ConditionValid, err)
		return errors.Join(err, w.restore(ctx, s, snap))
	}
	s.Facts.True(v1alpha1.ConditionValid, v1alpha1.ReasonValid, "every rule holds")
	target, err := snap.Target(r)
	if err != nil {
		return err
	}
	if err := w.apply(ctx, s, snap, target, built, undescribed); err != nil {
		reconcile.SetFalse(s.Facts, v1alpha1.ConditionApplied, err)
		w.observeDeployed(ctx, s, r.Spec.ManifestSource)
		return err
	}
	s.Facts.True(v1alpha1.ConditionApplied, v1alpha1.ReasonApplied,
		fmt.Sprintf("Application %s/%s on cluster %s", r.Status.Application.Namespace, r.Status.Application.Name, target.Cluster))
	return w.observe(ctx, s, target.Cluster, r.Spec.ManifestSource)
}

// apply writes the Application, after the target is on record and its space is
// in place.
func (w work) apply(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime], snap *snapshot.Snapshot, target v1alpha1.RuntimeTarget,
	built build.Result[build.Deployment], undescribed error) error {
	r := s.Object
	leave, err := w.slow.Enter(w.deps.IsSlow, reconcile.Request(r.Namespace, r.Name), target.Cluster)
	defer leave()
	if err != nil {
		return err
	}
	conn, err := w.deps.Conn(snap, target.Cluster)
	if err != nil {
		return err
	}
	if undescribed != nil {
		return undescribed
	}
	if err := w.spaceReady(r, target, built.Facts.URL); err != nil {
		return err
	}
	r.Status.Target = &target
	r.Status.Source = &v1alpha1.RuntimeSource{URL: built.Facts.URL, Permission: built.Facts.Permission}
	if err := s.Record(ctx); err != nil {
		return err
	}
	for _, set := range built.Sets {
		_, err := w.deps.ApplyFor(ctx, r, reconcile.CommitOf(snap, r.Namespace), conn, set, apply.Options{
			ConfirmPrune: r.Annotations[v1alpha1.AnnotationConfirmPrune] == strconv.FormatInt(r.Generation, 10),
		})
		if err != nil {
			return err
		}
		for _, item := range set.Items {
			if item.ID.Kind == "Application" {
				r.Status.Application = reconcile.ApplicationStatus(item.ID, r.Status.Application)
			}
		}
	}
	deployed, err := build.Record(r.Status.Deployed, r.Generation, r.Spec)
	if err != nil {
		return err
	}
	r.Status.Deployed = deployed
	return nil
}

// restore brings the Application of a runtime with an invalid spec to the spec that
// was deployed last, and reports its state.
func (w work) restore(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime], snap *snapshot.Snapshot) error {
	r := s.Object
	if r.Status.Target == nil || r.Status.Application == nil {
		return nil
	}
	built := build.DeployedRuntime(snap, r)
	err := w.write(ctx, s, snap, built.Sets)
	if err != nil && engine.Classify(err, reconcile.Classify).Class != engine.ClassSilent {
		reconcile.SetFalse(s.Facts, v1alpha1.ConditionApplied, err)
	}
	w.observeDeployed(ctx, s, built.Facts.Source)
	return err
}

// write applies the sets of a runtime to its cluster.
func (w work) write(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime], snap *snapshot.Snapshot, sets []plan.Set) error {
	for _, set := range sets {
		leave, err := w.slow.Enter(w.deps.IsSlow, reconcile.Request(s.Object.Namespace, s.Object.Name), set.Target.Name)
		defer leave()
		if err != nil {
			return err
		}
		conn, err := w.deps.Conn(snap, set.Target.Name)
		if err != nil {
			return err
		}
		if _, err := w.deps.ApplyFor(ctx, s.Object, reconcile.CommitOf(snap, s.Object.Namespace), conn, set, apply.Options{}); err != nil {
			return err
		}
	}
	return nil
}

// spaceReady returns nil if the namespaces and the repository of a runtime are
// in place on its cluster.
func (w work) spaceReady(r *v1alpha1.DeploymentRuntime, target v1alpha1.RuntimeTarget, url string) error {
	space, known := w.deps.Spaces.Get(reconcile.SpaceKey{Product: r.Namespace, Cluster: target.Cluster})
	if !known {
		return engine.ErrNotYet
	}
	if err := space.ProblemFor(target, r.Namespace, r.Spec.ManifestSource.CodeRepo); err != nil {
		return err
	}
	for _, namespace := range target.Namespaces {
		if !slices.Contains(space.Namespaces, namespace) {
			return engine.Waiting(v1alpha1.ReasonProgressing, "namespace %s on cluster %s is not written yet", namespace, target.Cluster)
		}
	}
	if !slices.Contains(space.Repositories, url) {
		return engine.Waiting(v1alpha1.ReasonProgressing, "Argo CD on cluster %s has not been told of the repository yet", target.Cluster)
	}
	return nil
}

// observeDeployed reports what runs, if anything has been deployed.
func (w work) observeDeployed(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime], source v1alpha1.ManifestSource) {
	if s.Object.Status.Target != nil && s.Object.Status.Application != nil {
		// The outcome is that of the error which led here.
		_ = w.observe(ctx, s, s.Object.Status.Target.Cluster, source)
	}
}

// observe reads the state of the Application from Argo CD.
func (w work) observe(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime], cluster string, source v1alpha1.ManifestSource) error {
	conn, err := w.deps.Clusters.Get(cluster)
	if err != nil {
		return err
	}
	return reconcile.ObserveApplication(ctx, conn, s.Facts, s.Object.Status.Application, comparedSource(s.Object, source))
}

// comparedSource is the source that Argo CD must have looked at, for its words
// to be about the runtime as it is now.
func comparedSource(r *v1alpha1.DeploymentRuntime, manifests v1alpha1.ManifestSource) observed.ApplicationSource {
	source := observed.ApplicationSource{Path: manifests.Path, TargetRevision: cmp.Or(manifests.TargetRevision, "HEAD")}
	if r.Status.Source != nil {
		source.RepoURL = r.Status.Source.URL
	}
	return source
}

// Finalize implements engine.Work: the Application goes, and with it what Argo
// CD deployed; the space follows when the runtime is gone.
func (w work) Finalize(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime]) error {
	target := s.Object.Status.Target
	if target == nil {
		return nil
	}
	snap, err := w.deps.Loader.Product(ctx, s.Object.Namespace)
	if err != nil {
		return err
	}
	conn, err := w.deps.Conn(snap, target.Cluster)
	if errors.Is(err, engine.ErrNotYet) {
		return err
	}
	if err != nil {
		if s.Object.Annotations[v1alpha1.AnnotationAbandon] == target.Cluster {
			w.deps.Abandoned(s.Object, target.Cluster)
			return nil
		}
		return engine.Waiting(v1alpha1.ReasonNotConnected,
			"cluster %s is not connected, so its Application cannot be removed; the annotation %s: %s gives it up", target.Cluster, v1alpha1.AnnotationAbandon, target.Cluster)
	}
	set := plan.Set{Owner: build.RuntimeOwner(s.Object), Target: plan.Cluster(target.Cluster)}
	result, err := w.deps.ApplyFor(ctx, s.Object, reconcile.CommitOf(snap, s.Object.Namespace), conn, set, apply.Options{NoGuard: true})
	if err != nil {
		return err
	}
	return reconcile.Removing(result, "cluster "+target.Cluster)
}
