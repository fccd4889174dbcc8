// Package v1alpha1 holds the Nautes kinds, which tenants and products declare. It
// guarantees that an object that the API server accepts is consistent in itself;
// internal/validate checks the rules that need a second object.
// +kubebuilder:object:generate=true
// +groupName=nautes.resource.nautes.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version of every Nautes kind.
	GroupVersion = schema.GroupVersion{Group: "nautes.resource.nautes.io", Version: "v1alpha1"}

	// SchemeBuilder collects the Nautes kinds.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the Nautes kinds to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Product{}, &ProductList{},
		&ProductProvider{}, &ProductProviderList{},
		&CodeRepoProvider{}, &CodeRepoProviderList{},
		&Cluster{}, &ClusterList{},
		&ComponentCatalogue{}, &ComponentCatalogueList{},
		&PipelineHook{}, &PipelineHookList{},
		&Environment{}, &EnvironmentList{},
		&Project{}, &ProjectList{},
		&CodeRepo{}, &CodeRepoList{},
		&CodeRepoBinding{}, &CodeRepoBindingList{},
		&ArtifactRepo{}, &ArtifactRepoList{},
		&DeploymentRuntime{}, &DeploymentRuntimeList{},
		&ProjectPipelineRuntime{}, &ProjectPipelineRuntimeList{},
		&Space{}, &SpaceList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
