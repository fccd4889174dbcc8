package declared

import (
	ctrl "sigs.k8s.io/controller-runtime"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepobindings,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=coderepobindings/status,verbs=patch

// AddCodeRepoBinding starts the controller of CodeRepoBindings.
func AddCodeRepoBinding(d *reconcile.Deps) error {
	b := ctrl.NewControllerManagedBy(d.Manager).Named("coderepobinding").For(&v1alpha1.CodeRepoBinding{})
	reconcile.Watch(b, &v1alpha1.Product{}, d.Relations.BindingsOfProduct)
	reconcile.Watch(b, &v1alpha1.CodeRepo{}, d.Relations.BindingsOfCodeRepo)
	reconcile.Watch(b, &v1alpha1.Project{}, d.Relations.BindingsOfProject)
	return reconcile.Start(d, b, reconcile.Declared[*v1alpha1.CodeRepoBinding](d, nil, nil), engine.Options[*v1alpha1.CodeRepoBinding]{NoFinalizer: true}, nil)
}
