package declared

import (
	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=pipelinehooks,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=pipelinehooks/status,verbs=patch

// AddPipelineHook starts the controller of PipelineHooks.
func AddPipelineHook(d *reconcile.Deps) error {
	return reconcile.Start(d, reconcile.Declared[*v1alpha1.PipelineHook](d, nil, nil), engine.Options[*v1alpha1.PipelineHook]{})
}
