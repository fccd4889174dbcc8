// Package deployed turns the specs by which runtimes were deployed last into plans, for
// the time in which a new spec is invalid. It guarantees that such a plan removes every
// object that the runtime is no longer granted, and leaves the others as they are.
package deployed

import (
	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/record"
	"nautes.io/nautes/internal/snapshot"
)

// DeploymentRuntime returns the desired state of a deployment runtime by the spec that
// was deployed last. It has no set if none is on record, or if the Application
// cannot be described now. An Application whose repository is no longer granted
// stays as it is: Argo CD can no longer read the repository, and the workloads stay.
func DeploymentRuntime(s *snapshot.Snapshot, r *v1alpha1.DeploymentRuntime) build.Result[build.Deployment] {
	last, ok := record.LastDeployed(r).(*v1alpha1.DeploymentRuntime)
	if !ok {
		return build.Result[build.Deployment]{Facts: build.Deployment{Source: r.Spec.ManifestSource}}
	}
	if s.RuntimePermission(last) == "" {
		return build.Result[build.Deployment]{Facts: build.Deployment{Source: last.Spec.ManifestSource}}
	}
	// With an error there are no sets, and the Application is left alone.
	built, _ := build.DeploymentRuntime(s, last)
	return built
}
