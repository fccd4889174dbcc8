package controllers

import (
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=productproviders;coderepoproviders,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=productproviders/status;coderepoproviders/status,verbs=patch

// ProductProvider starts the controller of ProductProviders.
func (s *Shared) ProductProvider() error {
	b := ctrl.NewControllerManagedBy(s.Manager).Named("productprovider").For(&v1alpha1.ProductProvider{})
	watch(b, &v1alpha1.CodeRepoProvider{}, s.productProvidersOf)
	work := declaredWork[*v1alpha1.ProductProvider]{Shared: s}
	return start(s, b, work, engine.Options[*v1alpha1.ProductProvider]{
		Kind: "ProductProvider", New: func() *v1alpha1.ProductProvider { return &v1alpha1.ProductProvider{} },
		NoFinalizer: true,
	})
}

// CodeRepoProvider starts the controller of CodeRepoProviders.
func (s *Shared) CodeRepoProvider() error {
	b := ctrl.NewControllerManagedBy(s.Manager).Named("coderepoprovider").For(&v1alpha1.CodeRepoProvider{})
	work := declaredWork[*v1alpha1.CodeRepoProvider]{Shared: s}
	return start(s, b, work, engine.Options[*v1alpha1.CodeRepoProvider]{
		Kind: "CodeRepoProvider", New: func() *v1alpha1.CodeRepoProvider { return &v1alpha1.CodeRepoProvider{} },
		NoFinalizer: true,
	})
}
