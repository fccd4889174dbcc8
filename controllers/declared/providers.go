package declared

import (
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=productproviders;coderepoproviders,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=productproviders/status;coderepoproviders/status,verbs=patch

// AddProductProvider starts the controller of ProductProviders.
func AddProductProvider(d *reconcile.Deps) error {
	b := ctrl.NewControllerManagedBy(d.Manager).Named("productprovider").For(&v1alpha1.ProductProvider{})
	reconcile.Watch(b, &v1alpha1.CodeRepoProvider{}, d.Relations.ProductProvidersOf)
	work := reconcile.Declared[*v1alpha1.ProductProvider]{Deps: d}
	return reconcile.Start(d, b, work, engine.Options[*v1alpha1.ProductProvider]{
		Kind: "ProductProvider", New: func() *v1alpha1.ProductProvider { return &v1alpha1.ProductProvider{} },
		NoFinalizer: true,
	})
}

// AddCodeRepoProvider starts the controller of CodeRepoProviders.
func AddCodeRepoProvider(d *reconcile.Deps) error {
	b := ctrl.NewControllerManagedBy(d.Manager).Named("coderepoprovider").For(&v1alpha1.CodeRepoProvider{})
	work := reconcile.Declared[*v1alpha1.CodeRepoProvider]{Deps: d}
	return reconcile.Start(d, b, work, engine.Options[*v1alpha1.CodeRepoProvider]{
		Kind: "CodeRepoProvider", New: func() *v1alpha1.CodeRepoProvider { return &v1alpha1.CodeRepoProvider{} },
		NoFinalizer: true,
	})
}
