package declared

import (
	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepoproviders,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepoproviders/status,verbs=patch

// AddCodeRepoProvider starts the controller of CodeRepoProviders.
func AddCodeRepoProvider(d *reconcile.Deps) error {
	return reconcile.Start(d, reconcile.Declared[*v1alpha1.CodeRepoProvider](d, nil, nil), engine.Options[*v1alpha1.CodeRepoProvider]{NoFinalizer: true})
}
