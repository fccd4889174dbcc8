package declared

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projects,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projects/status,verbs=patch

// AddProject starts the controller of Projects.
func AddProject(d *reconcile.Deps) error {
	b := ctrl.NewControllerManagedBy(d.Manager).Named("project").For(&v1alpha1.Project{})
	reconcile.Watch(b, &v1alpha1.Product{}, d.Relations.ProjectsOfProduct)
	reconcile.Watch(b, &v1alpha1.DeploymentRuntime{}, func(_ context.Context, r *v1alpha1.DeploymentRuntime) []ctrl.Request {
		return reconcile.Requests(r.Namespace, r.Spec.ProjectsRef...)
	})
	reconcile.WatchPipelineRuntimes(b, func(_ context.Context, r *v1alpha1.ProjectPipelineRuntime) []ctrl.Request {
		return reconcile.Requests(r.Namespace, r.Spec.Project)
	})
	reconcile.Watch(b, &v1alpha1.CodeRepo{}, func(_ context.Context, r *v1alpha1.CodeRepo) []ctrl.Request {
		return reconcile.Requests(r.Namespace, r.Spec.Project)
	})
	reconcile.Watch(b, &v1alpha1.CodeRepoBinding{}, func(_ context.Context, r *v1alpha1.CodeRepoBinding) []ctrl.Request {
		return reconcile.Requests(r.Namespace, r.Spec.Projects...)
	})
	return reconcile.Start(d, b, reconcile.Declared[*v1alpha1.Project](d, nil, nil), engine.Options[*v1alpha1.Project]{}, nil)
}
