// Package v1alpha1 holds the Nautes kinds: what a tenant and its products
// declare. The types guarantee that an object the API server accepts is
// consistent in itself; what needs a second object is checked by
// internal/validate.
// +kubebuilder:object:generate=true
// +groupName=nautes.resource.nautes.io
package v1alpha1

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/scheme"
)

var (
	// GroupVersion is the group and version of every Nautes kind.
	GroupVersion = schema.GroupVersion{Group: "nautes.resource.nautes.io", Version: "v1alpha1"}

	// SchemeBuilder collects the Nautes kinds.
	SchemeBuilder = &scheme.Builder{GroupVersion: GroupVersion}

	// AddToScheme adds the Nautes kinds to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)
