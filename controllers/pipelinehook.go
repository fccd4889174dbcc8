package controllers

import (
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=pipelinehooks,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=pipelinehooks/status,verbs=patch

// PipelineHook starts the controller of PipelineHooks.
func (s *Shared) PipelineHook() error {
	b := ctrl.NewControllerManagedBy(s.Manager).Named("pipelinehook").For(&v1alpha1.PipelineHook{})
	watchPipelineRuntimes(b, s.hooksOfPipelineRuntime)
	work := declaredWork[*v1alpha1.PipelineHook]{Shared: s}
	return start(s, b, work, engine.Options[*v1alpha1.PipelineHook]{
		Kind: "PipelineHook", New: func() *v1alpha1.PipelineHook { return &v1alpha1.PipelineHook{} },
	})
}
