package declared

import (
	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepobindings,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepobindings/status,verbs=patch

// AddCodeRepoBinding starts the controller of CodeRepoBindings.
func AddCodeRepoBinding(d *reconcile.Deps) error {
	return reconcile.Start(d, reconcile.Declared[*v1alpha1.CodeRepoBinding](d, nil, nil), engine.Options[*v1alpha1.CodeRepoBinding]{NoFinalizer: true})
}
