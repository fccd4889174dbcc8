package controllers

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=environments,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=environments/status,verbs=patch

// Environment starts the controller of Environments.
func (s *Shared) Environment() error {
	b := ctrl.NewControllerManagedBy(s.Manager).Named("environment").For(&v1alpha1.Environment{})
	watch(b, &v1alpha1.Environment{}, s.environmentsBeside)
	watch(b, &v1alpha1.Cluster{}, s.environmentsOn)
	watch(b, &v1alpha1.Product{}, s.environmentsOfProduct)
	watch(b, &v1alpha1.DeploymentRuntime{}, func(_ context.Context, r *v1alpha1.DeploymentRuntime) []reconcile.Request {
		wake := []reconcile.Request{request(r.Namespace, r.Spec.Destination.Environment)}
		if r.Status.Target != nil {
			wake = append(wake, request(r.Namespace, r.Status.Target.Environment))
		}
		return wake
	})
	watchPipelineRuntimes(b, func(_ context.Context, r *v1alpha1.ProjectPipelineRuntime) []reconcile.Request {
		wake := []reconcile.Request{request(r.Namespace, r.Spec.Destination.Environment)}
		if r.Status.Target != nil {
			wake = append(wake, request(r.Namespace, r.Status.Target.Environment))
		}
		return wake
	})
	work := declaredWork[*v1alpha1.Environment]{Shared: s}
	return start(s, b, work, engine.Options[*v1alpha1.Environment]{
		Kind: "Environment", New: func() *v1alpha1.Environment { return &v1alpha1.Environment{} },
	})
}
