package controllers

import (
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepobindings,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepobindings/status,verbs=patch

// CodeRepoBinding starts the controller of CodeRepoBindings.
func (s *Shared) CodeRepoBinding() error {
	b := ctrl.NewControllerManagedBy(s.Manager).Named("coderepobinding").For(&v1alpha1.CodeRepoBinding{})
	watch(b, &v1alpha1.Product{}, s.bindingsOfProduct)
	watch(b, &v1alpha1.CodeRepo{}, s.bindingsOfCodeRepo)
	watch(b, &v1alpha1.Project{}, s.bindingsOfProject)
	work := declaredWork[*v1alpha1.CodeRepoBinding]{Shared: s}
	return start(s, b, work, engine.Options[*v1alpha1.CodeRepoBinding]{
		Kind: "CodeRepoBinding", New: func() *v1alpha1.CodeRepoBinding { return &v1alpha1.CodeRepoBinding{} },
		NoFinalizer: true,
	})
}
