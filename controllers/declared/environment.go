package declared

import (
	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=environments,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=environments/status,verbs=patch

// AddEnvironment starts the controller of Environments.
func AddEnvironment(d *reconcile.Deps) error {
	return reconcile.Start(d, reconcile.Declared[*v1alpha1.Environment](d, nil, nil), engine.Options[*v1alpha1.Environment]{})
}
