// Package declared reconciles the kinds that are only declared. It guarantees that an
// object is validated, and that a deleted one stays while others use it.
package declared

import (
	"nautes.io/nautes/internal/reconcile"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
)

// AddComponentCatalogue starts the controller of ComponentCatalogues.
func AddComponentCatalogue(d *reconcile.Deps) error {
	return reconcile.Start(d, reconcile.Declared[*v1alpha1.ComponentCatalogue](d, nil, nil), engine.Options[*v1alpha1.ComponentCatalogue]{NoFinalizer: true})
}

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=componentcatalogues,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=componentcatalogues/status,verbs=patch
