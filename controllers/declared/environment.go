package declared

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=environments,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=environments/status,verbs=patch

// AddEnvironment starts the controller of Environments.
func AddEnvironment(d *reconcile.Deps) error {
	b := ctrl.NewControllerManagedBy(d.Manager).Named("environment").For(&v1alpha1.Environment{})
	reconcile.Watch(b, &v1alpha1.Environment{}, d.Relations.EnvironmentsBeside)
	reconcile.Watch(b, &v1alpha1.Cluster{}, d.Relations.EnvironmentsOn)
	reconcile.Watch(b, &v1alpha1.Product{}, d.Relations.EnvironmentsOfProduct)
	reconcile.Watch(b, &v1alpha1.DeploymentRuntime{}, func(_ context.Context, r *v1alpha1.DeploymentRuntime) []ctrl.Request {
		wake := []ctrl.Request{reconcile.Request(r.Namespace, r.Spec.Destination.Environment)}
		if r.Status.Target != nil {
			wake = append(wake, reconcile.Request(r.Namespace, r.Status.Target.Environment))
		}
		return wake
	})
	reconcile.WatchPipelineRuntimes(b, func(_ context.Context, r *v1alpha1.ProjectPipelineRuntime) []ctrl.Request {
		wake := []ctrl.Request{reconcile.Request(r.Namespace, r.Spec.Destination.Environment)}
		if r.Status.Target != nil {
			wake = append(wake, reconcile.Request(r.Namespace, r.Status.Target.Environment))
		}
		return wake
	})
	return reconcile.Start(d, b, reconcile.Declared[*v1alpha1.Environment](d, nil, nil), engine.Options[*v1alpha1.Environment]{}, nil)
}
