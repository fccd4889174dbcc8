package declared

import (
	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projects,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=projects/status,verbs=patch

// AddProject starts the controller of Projects.
func AddProject(d *reconcile.Deps) error {
	return reconcile.Start(d, reconcile.Declared[*v1alpha1.Project](d, nil, nil), engine.Options[*v1alpha1.Project]{})
}
