// Package record keeps the spec of a runtime that was deployed last in the status of the
// runtime. It guarantees that a record is read as it was written, and that the record of
// an unchanged spec does not change.
package record

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/api/equality"

	"nautes.io/nautes/api/v1alpha1"
)

// Of returns the record of a spec of a runtime, in the generation that has it. It
// returns the last record if that holds the same.
func Of[S any](last *v1alpha1.DeployedSpec, generation int64, spec S) (*v1alpha1.DeployedSpec, error) {
	var known S
	if last != nil && last.Generation == generation && decode(last, &known) && equality.Semantic.DeepEqual(known, spec) {
		return last, nil
	}
	content, err := json.Marshal(spec)
	if err != nil {
		return nil, err
	}
	return &v1alpha1.DeployedSpec{Generation: generation, Spec: v1alpha1.JSON{Raw: content}}, nil
}

// decode reads a spec on record, and reports whether there is one.
func decode(record *v1alpha1.DeployedSpec, spec any) bool {
	return record != nil && len(record.Spec.Raw) > 0 && json.Unmarshal(record.Spec.Raw, spec) == nil
}

// recorded returns the record of the spec of a runtime that was deployed last.
func recorded(r v1alpha1.Runtime) *v1alpha1.DeployedSpec {
	switch r := r.(type) {
	case *v1alpha1.DeploymentRuntime:
		return r.Status.Deployed
	case *v1alpha1.ProjectPipelineRuntime:
		return r.Status.Deployed
	}
	return nil
}

// LastDeployed returns a runtime with the spec that was deployed last. It returns nil
// if there is no record, or if it cannot be read.
func LastDeployed(r v1alpha1.Runtime) v1alpha1.Runtime {
	record := recorded(r)
	switch last := r.DeepCopyObject().(type) {
	case *v1alpha1.DeploymentRuntime:
		last.Spec = v1alpha1.DeploymentRuntimeSpec{}
		if decode(record, &last.Spec) {
			return last
		}
	case *v1alpha1.ProjectPipelineRuntime:
		last.Spec = v1alpha1.ProjectPipelineRuntimeSpec{}
		if decode(record, &last.Spec) {
			return last
		}
	}
	return nil
}

// Replaced returns a runtime with the spec on record if its spec has changed
// since, and nil otherwise. The spec of a runtime that is being deleted does not
// matter any longer.
func Replaced(r v1alpha1.Runtime) v1alpha1.Runtime {
	record := recorded(r)
	if record == nil || record.Generation == r.GetGeneration() || !r.GetDeletionTimestamp().IsZero() {
		return nil
	}
	return LastDeployed(r)
}
