// Package foreign is the list of the API types of other projects that Nautes reads
// and writes. It guarantees that they all resolve together in one build: every binary
// that uses a Scheme contains its imports.
package foreign

import (
	argocd "github.com/argoproj/argo-cd/v2/pkg/apis/application/v1alpha1"
	argoevents "github.com/argoproj/argo-events/pkg/apis/events/v1alpha1"
	// The client of the production secret store belongs to the set that must
	// resolve together, ahead of its first use.
	_ "github.com/hashicorp/vault/api"
	tekton "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	hnc "sigs.k8s.io/hierarchical-namespaces/api/v1alpha2"

	"nautes.io/nautes/api/v1alpha1"
)

// Scheme returns a new scheme that knows the Nautes kinds, the Kubernetes kinds
// and the kinds of Argo CD, Argo Events, Tekton and HNC.
func Scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme,
		v1alpha1.AddToScheme,
		argocd.AddToScheme,
		argoevents.AddToScheme,
		tekton.AddToScheme,
		hnc.AddToScheme,
	} {
		if err := add(s); err != nil {
			// Registration fails only on two types of one name: a
			// programming error, seen by every test.
			panic(err)
		}
	}
	return s
}
