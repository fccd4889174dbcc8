package summary

import (
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// SpaceReady returns nil if the space of a product has the namespaces of a target, and
// the repository if url is not empty. Otherwise it returns the reason. It returns
// engine.ErrNotYet if the Space is new: the first change of its status enqueues the
// runtime.
func SpaceReady(snap *snapshot.Snapshot, product string, target v1alpha1.RuntimeTarget, repo, url string) error {
	space := snap.Space(product, target.Cluster)
	if space == nil || len(space.Status.Conditions) == 0 {
		return engine.ErrNotYet
	}
	if c := meta.FindStatusCondition(space.Status.Conditions, v1alpha1.ConditionApplied); meta.IsStatusConditionFalse(space.Status.Conditions, v1alpha1.ConditionApplied) {
		if stalled := meta.FindStatusCondition(space.Status.Conditions, v1alpha1.ConditionStalled); stalled != nil && stalled.Reason == c.Reason {
			return engine.Terminal(c.Reason, "%s", c.Message)
		}
		return engine.Waiting(c.Reason, "%s", c.Message)
	}
	var found []error
	for _, p := range snapshot.SpaceProblems(space, target, repo) {
		if p.Stalled {
			found = append(found, engine.Terminal(p.Reason, "%s", p.Message))
		} else {
			found = append(found, engine.Waiting(p.Reason, "%s", p.Message))
		}
	}
	if len(found) > 0 {
		return errors.Join(found...)
	}
	for _, namespace := range target.Namespaces {
		if !slices.Contains(space.Status.Namespaces, namespace) {
			return engine.Waiting(v1alpha1.ReasonProgressing, "namespace %s on cluster %s is not written yet", namespace, target.Cluster)
		}
	}
	if url != "" && !slices.Contains(space.Status.Repositories, url) {
		return engine.Waiting(v1alpha1.ReasonProgressing, "Argo CD on cluster %s cannot read the repository yet", target.Cluster)
	}
	return nil
}

// ReadyPart returns the part of a set of a pipeline runtime that its space is ready for,
// or nil if there is none, and the reason why the rest waits.
func ReadyPart(snap *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime, set plan.Set, target v1alpha1.RuntimeTarget) (*plan.Set, error) {
	if err := SpaceReady(snap, r.Namespace, target, "", ""); err != nil {
		return nil, err
	}
	url, refusal, err := snap.AdditionalResources(r)
	if err != nil || refusal != "" || url == "" {
		return &set, err
	}
	if err = SpaceReady(snap, r.Namespace, target, r.Spec.AdditionalResources.Git.CodeRepo, url); err != nil {
		set = set.Without(func(id plan.ID) bool { return id.Kind == "Application" })
	}
	return &set, err
}

// SpaceAccess sets the condition SecretAccess of a space, given the error of its grants.
func SpaceAccess(facts *engine.Facts, err error) {
	if err != nil {
		facts.Fail(v1alpha1.ConditionSecretAccess, err)
		return
	}
	facts.True(v1alpha1.ConditionSecretAccess, v1alpha1.ReasonApplied, "accounts of the space can read their secrets")
}
