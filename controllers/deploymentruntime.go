package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=deploymentruntimes,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=deploymentruntimes/status,verbs=patch

// deploymentRuntimeWork turns a DeploymentRuntime into an Argo CD Application
// on its cluster, once the space that the Application needs is there.
type deploymentRuntimeWork struct {
	*Shared
	slow *lane[reconcile.Request]
}

// DeploymentRuntime starts the controller of DeploymentRuntimes.
func (s *Shared) DeploymentRuntime() error {
	s.Spaces.OnChange(func(key SpaceKey) {
		for _, r := range s.runtimesIn(context.Background(), key) {
			s.WakeDeploymentRuntime.Wake(r)
		}
	})
	b := ctrl.NewControllerManagedBy(s.Manager).Named("deploymentruntime").For(&v1alpha1.DeploymentRuntime{}).
		WatchesRawSource(s.WakeDeploymentRuntime.Source())
	watch(b, &v1alpha1.DeploymentRuntime{}, s.rivalsOfRuntime)
	watchPipelineRuntimes(b, s.rivalsOfPipelineRuntime)
	watch(b, &v1alpha1.Environment{}, s.runtimesOfEnvironment)
	watch(b, &v1alpha1.Environment{}, s.deploymentRivalsOfEnvironment)
	watch(b, &v1alpha1.Cluster{}, s.runtimesOfCluster)
	watch(b, &v1alpha1.CodeRepo{}, s.runtimesOfCodeRepo)
	watch(b, &v1alpha1.ComponentCatalogue{}, s.runtimesOfCatalogue)
	watch(b, &v1alpha1.CodeRepoBinding{}, s.runtimesOfBinding)
	watch(b, &v1alpha1.Project{}, s.runtimesOfProject)
	watch(b, &v1alpha1.Product{}, s.runtimesOfProduct)
	return start(s, b, deploymentRuntimeWork{Shared: s, slow: newLane(s.Workers, s.WakeDeploymentRuntime.Wake)}, engine.Options[*v1alpha1.DeploymentRuntime]{
		Kind: "DeploymentRuntime", New: func() *v1alpha1.DeploymentRuntime { return &v1alpha1.DeploymentRuntime{} },
		Suspended: func(r *v1alpha1.DeploymentRuntime) bool { return r.Spec.Suspend },
	})
}

// Reconcile implements engine.Work.
func (w deploymentRuntimeWork) Reconcile(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime]) error {
	r := s.Object
	snap, err := w.Loader.Product(ctx, r.Namespace)
	if err != nil {
		return err
	}
	built, undescribed := build.DeploymentRuntime(snap, r)
	r.Status.IllegalProjectRefs = built.Facts.Illegal
	refusals, _ := validate.Run(snap, validate.Request{New: r})
	if err := verdict(refusals); err != nil {
		fails(s.Facts, v1alpha1.ConditionValid, err)
		// What runs is left alone, and still reported.
		w.observeDeployed(ctx, s)
		return err
	}
	s.Facts.True(v1alpha1.ConditionValid, v1alpha1.ReasonValid, "every rule holds")
	target, err := snap.Target(r)
	if err != nil {
		return err
	}
	if err := w.apply(ctx, s, snap, target, built, undescribed); err != nil {
		fails(s.Facts, v1alpha1.ConditionApplied, err)
		w.observeDeployed(ctx, s)
		return err
	}
	s.Facts.True(v1alpha1.ConditionApplied, v1alpha1.ReasonApplied,
		fmt.Sprintf("Application %s/%s on cluster %s", r.Status.Application.Namespace, r.Status.Application.Name, target.Cluster))
	return w.observe(ctx, s, target.Cluster)
}

// apply writes the Application, after the target is on record and its space is
// in place.
func (w deploymentRuntimeWork) apply(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime], snap *snapshot.Snapshot, target v1alpha1.RuntimeTarget,
	built build.Result[build.Deployment], undescribed error) error {
	r := s.Object
	leave, err := w.slow.enter(w.isSlow, request(r.Namespace, r.Name), target.Cluster)
	defer leave()
	if err != nil {
		return err
	}
	conn, err := w.conn(snap, target.Cluster)
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
		_, err := w.applySet(ctx, conn, set, apply.Options{
			ConfirmPrune: r.Annotations[v1alpha1.AnnotationConfirmPrune] == strconv.FormatInt(r.Generation, 10),
		})
		if err != nil {
			return err
		}
		for _, item := range set.Items {
			if item.ID.Kind == "Application" {
				r.Status.Application = applicationStatus(item.ID, r.Status.Application)
			}
		}
	}
	return nil
}

// applicationStatus keeps what is known of an Application while its name stays.
func applicationStatus(id plan.ID, known *v1alpha1.ApplicationStatus) *v1alpha1.ApplicationStatus {
	if known != nil && known.Name == id.Name && known.Namespace == id.Namespace {
		return known
	}
	return &v1alpha1.ApplicationStatus{Name: id.Name, Namespace: id.Namespace}
}

// spaceReady tells whether the namespaces and the repository of a runtime are
// in place on its cluster.
func (w deploymentRuntimeWork) spaceReady(r *v1alpha1.DeploymentRuntime, target v1alpha1.RuntimeTarget, url string) error {
	space, known := w.Spaces.Get(SpaceKey{Product: r.Namespace, Cluster: target.Cluster})
	if !known {
		return engine.ErrNotYet
	}
	if err := space.problemFor(target, r.Namespace, r.Spec.ManifestSource.CodeRepo); err != nil {
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
func (w deploymentRuntimeWork) observeDeployed(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime]) {
	if s.Object.Status.Target != nil && s.Object.Status.Application != nil {
		// The outcome is that of the error which led here.
		_ = w.observe(ctx, s, s.Object.Status.Target.Cluster)
	}
}

// observe tells what Argo CD says of the Application.
func (w deploymentRuntimeWork) observe(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime], cluster string) error {
	conn, err := w.Clusters.Get(cluster)
	if err != nil {
		return err
	}
	return observeApplication(ctx, conn, s.Facts, s.Object.Status.Application, comparedSource(s.Object))
}

// observeApplication brings what Argo CD says of an Application, whose source is
// known, into its status and the facts.
func observeApplication(ctx context.Context, conn *remote.Conn, facts *engine.Facts, status *v1alpha1.ApplicationStatus, source remote.ApplicationSource) error {
	app, err := conn.Application(ctx, status.Namespace, status.Name)
	if err != nil {
		return err
	}
	if app == nil {
		app = &remote.Application{}
	}
	if app.Compared != source {
		// What Argo CD says is about what was deployed before.
		app.Sync = ""
	}
	status.Sync, status.Health = app.Sync, app.Health
	status.Revision, status.Message = app.Revision, app.Message
	return applicationFacts(facts, status)
}

// comparedSource is the source that Argo CD must have looked at, for its words
// to be about the runtime as it is now.
func comparedSource(r *v1alpha1.DeploymentRuntime) remote.ApplicationSource {
	source := remote.ApplicationSource{
		Path:           r.Spec.ManifestSource.Path,
		TargetRevision: cmp.Or(r.Spec.ManifestSource.TargetRevision, "HEAD"),
	}
	if r.Status.Source != nil {
		source.RepoURL = r.Status.Source.URL
	}
	return source
}

// applicationFacts turns the words of Argo CD into conditions, and into what
// they mean for Ready: in step with Git, and not broken.
func applicationFacts(facts *engine.Facts, app *v1alpha1.ApplicationStatus) error {
	where := "Application " + app.Name
	detail := ""
	if app.Message != "" {
		detail = ": " + strings.TrimSpace(app.Message)
	}
	switch app.Health {
	case "Healthy":
		facts.True(v1alpha1.ConditionHealthy, v1alpha1.ReasonHealthy, where+" is healthy")
	case "Degraded", "Missing":
		facts.False(v1alpha1.ConditionHealthy, v1alpha1.ReasonDegraded, where+" is "+app.Health+detail)
	default:
		facts.Set(v1alpha1.ConditionHealthy, "Unknown", v1alpha1.ReasonProgressing, where+" is progressing")
	}
	switch {
	case app.Sync == "":
		facts.Set(v1alpha1.ConditionSynced, "Unknown", v1alpha1.ReasonProgressing, "Argo CD has not looked at "+where+" yet")
		return engine.Waiting(v1alpha1.ReasonProgressing, "Argo CD has not looked at %s yet", where)
	case app.Sync != "Synced":
		facts.False(v1alpha1.ConditionSynced, v1alpha1.ReasonOutOfSync, where+" is "+app.Sync+detail)
		return engine.Waiting(v1alpha1.ReasonOutOfSync, "%s is %s%s", where, app.Sync, detail)
	}
	facts.True(v1alpha1.ConditionSynced, v1alpha1.ReasonSynced, where+" is at revision "+short(app.Revision))
	if app.Health == "Degraded" || app.Health == "Missing" {
		return engine.Waiting(v1alpha1.ReasonDegraded, "%s is %s%s", where, app.Health, detail)
	}
	facts.ReadyMessage = fmt.Sprintf("%s is Synced at %s, %s", where, short(app.Revision), orUnknown(app.Health))
	return nil
}

func orUnknown(health string) string {
	if health == "" {
		return "health unknown"
	}
	return health
}

// Finalize implements engine.Work: the Application goes, and with it what Argo
// CD deployed; the space follows when the runtime is gone.
func (w deploymentRuntimeWork) Finalize(ctx context.Context, s *engine.Session[*v1alpha1.DeploymentRuntime]) error {
	target := s.Object.Status.Target
	if target == nil {
		return nil
	}
	snap, err := w.Loader.Product(ctx, s.Object.Namespace)
	if err != nil {
		return err
	}
	conn, err := w.conn(snap, target.Cluster)
	if errors.Is(err, engine.ErrNotYet) {
		return err
	}
	if err != nil {
		if s.Object.Annotations[v1alpha1.AnnotationAbandon] == target.Cluster {
			w.abandoned(s.Object, target.Cluster)
			return nil
		}
		return engine.Waiting(v1alpha1.ReasonNotConnected,
			"cluster %s is not connected, so its Application cannot be removed; the annotation %s: %s gives it up", target.Cluster, v1alpha1.AnnotationAbandon, target.Cluster)
	}
	set := plan.Set{Owner: build.RuntimeOwner(s.Object), Target: plan.Cluster(target.Cluster)}
	result, err := w.applySet(ctx, conn, set, apply.Options{NoGuard: true})
	if err != nil {
		return err
	}
	return removing(result, "cluster "+target.Cluster)
}
