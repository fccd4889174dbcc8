package declared

import (
	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
)

// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=artifactrepos,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=nautes.resource.nautes.io,resources=artifactrepos/status,verbs=patch

// AddArtifactRepo starts the controller of ArtifactRepos.
func AddArtifactRepo(d *reconcile.Deps) error {
	return reconcile.Start(d, reconcile.Declared[*v1alpha1.ArtifactRepo](d, nil, nil), engine.Options[*v1alpha1.ArtifactRepo]{NoFinalizer: true})
}
