package declared

import (
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=pipelinehooks,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=pipelinehooks/status,verbs=patch

// AddPipelineHook starts the controller of PipelineHooks.
func AddPipelineHook(d *reconcile.Deps) error {
	b := ctrl.NewControllerManagedBy(d.Manager).Named("pipelinehook").For(&v1alpha1.PipelineHook{})
	reconcile.WatchPipelineRuntimes(b, d.Relations.HooksOfPipelineRuntime)
	return reconcile.Start(d, b, reconcile.Declared[*v1alpha1.PipelineHook](d, nil, nil), engine.Options[*v1alpha1.PipelineHook]{}, nil)
}
