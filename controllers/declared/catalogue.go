// Package declared reconciles the kinds that are only declared. It guarantees that an
// object is validated, and that a deleted one stays while others use it.
package declared

import (
	"nautes.io/nautes/internal/reconcile"
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
)

// AddComponentCatalogue starts the controller of ComponentCatalogues.
func AddComponentCatalogue(d *reconcile.Deps) error {
	b := ctrl.NewControllerManagedBy(d.Manager).Named("componentcatalogue").For(&v1alpha1.ComponentCatalogue{})
	return reconcile.Start(d, b, reconcile.Declared[*v1alpha1.ComponentCatalogue](d, nil, nil), engine.Options[*v1alpha1.ComponentCatalogue]{NoFinalizer: true}, nil)
}

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=componentcatalogues,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=componentcatalogues/status,verbs=patch
