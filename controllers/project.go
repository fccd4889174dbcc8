package controllers

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projects,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projects/status,verbs=patch

// Project starts the controller of Projects.
func (s *Shared) Project() error {
	b := ctrl.NewControllerManagedBy(s.Manager).Named("project").For(&v1alpha1.Project{})
	watch(b, &v1alpha1.Product{}, s.projectsOfProduct)
	watch(b, &v1alpha1.DeploymentRuntime{}, func(_ context.Context, r *v1alpha1.DeploymentRuntime) []reconcile.Request {
		return requests(r.Namespace, r.Spec.ProjectsRef...)
	})
	watchPipelineRuntimes(b, func(_ context.Context, r *v1alpha1.ProjectPipelineRuntime) []reconcile.Request {
		return requests(r.Namespace, r.Spec.Project)
	})
	watch(b, &v1alpha1.CodeRepo{}, func(_ context.Context, r *v1alpha1.CodeRepo) []reconcile.Request {
		return requests(r.Namespace, r.Spec.Project)
	})
	watch(b, &v1alpha1.CodeRepoBinding{}, func(_ context.Context, r *v1alpha1.CodeRepoBinding) []reconcile.Request {
		return requests(r.Namespace, r.Spec.Projects...)
	})
	work := declaredWork[*v1alpha1.Project]{Shared: s}
	return start(s, b, work, engine.Options[*v1alpha1.Project]{
		Kind: "Project", New: func() *v1alpha1.Project { return &v1alpha1.Project{} },
	})
}
