package controllers

import (
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/snapshot"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projectpipelineruntimes;pipelinehooks,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projectpipelineruntimes/status;pipelinehooks/status,verbs=patch

// ProjectPipelineRuntime starts the controller of ProjectPipelineRuntimes: it
// checks them, and says that nothing is deployed for them yet.
func (s *Shared) ProjectPipelineRuntime() error {
	b := ctrl.NewControllerManagedBy(s.Manager).Named("projectpipelineruntime").For(&v1alpha1.ProjectPipelineRuntime{})
	watch(b, &v1alpha1.Product{}, s.pipelineRuntimesOfProduct)
	watch(b, &v1alpha1.Environment{}, s.pipelineRuntimesOfEnvironment)
	watch(b, &v1alpha1.Cluster{}, s.pipelineRuntimesOfCluster)
	watch(b, &v1alpha1.Project{}, s.pipelineRuntimesOfProject)
	watch(b, &v1alpha1.CodeRepo{}, s.pipelineRuntimesOfCodeRepo)
	watch(b, &v1alpha1.CodeRepoBinding{}, s.pipelineRuntimesOfBinding)
	watch(b, &v1alpha1.PipelineHook{}, s.pipelineRuntimesOfHook)
	work := declaredWork[*v1alpha1.ProjectPipelineRuntime]{
		Shared: s, ready: notServed,
	}
	return start(s, b, work, engine.Options[*v1alpha1.ProjectPipelineRuntime]{
		Kind: "ProjectPipelineRuntime", New: func() *v1alpha1.ProjectPipelineRuntime { return &v1alpha1.ProjectPipelineRuntime{} },
		Suspended:   func(r *v1alpha1.ProjectPipelineRuntime) bool { return r.Spec.Suspend },
		NoFinalizer: true,
	})
}

func notServed(*engine.Session[*v1alpha1.ProjectPipelineRuntime], *snapshot.Snapshot) (string, error) {
	return "", engine.Terminal(v1alpha1.ReasonNotServed,
		"every rule holds, but this release only checks pipeline runtimes and deploys nothing for them")
}

// PipelineHook starts the controller of PipelineHooks.
func (s *Shared) PipelineHook() error {
	b := ctrl.NewControllerManagedBy(s.Manager).Named("pipelinehook").For(&v1alpha1.PipelineHook{})
	watch(b, &v1alpha1.ProjectPipelineRuntime{}, s.hooksOfPipelineRuntime)
	work := declaredWork[*v1alpha1.PipelineHook]{Shared: s}
	return start(s, b, work, engine.Options[*v1alpha1.PipelineHook]{
		Kind: "PipelineHook", New: func() *v1alpha1.PipelineHook { return &v1alpha1.PipelineHook{} },
	})
}
