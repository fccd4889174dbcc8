package snapshot

import (
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// Target returns the target that the spec of a runtime asks for. A *MissingError
// names the environment or the cluster that is missing.
func (s *Snapshot) Target(r v1alpha1.Runtime) (v1alpha1.RuntimeTarget, error) {
	name, namespaces := r.Destination()
	environment := s.Environment(r.GetNamespace(), name)
	if environment == nil {
		return v1alpha1.RuntimeTarget{}, &MissingError{
			Missing: plan.Ref{Kind: "Environment", Namespace: r.GetNamespace(), Name: name}, Needed: RefOf(r),
		}
	}
	if s.Cluster(environment.Spec.Cluster) == nil {
		return v1alpha1.RuntimeTarget{}, &MissingError{
			Missing: plan.Ref{Kind: "Cluster", Namespace: s.Namespace, Name: environment.Spec.Cluster}, Needed: RefOf(environment),
		}
	}
	if recorded := r.DeployedTarget(); recorded != nil && !v1alpha1.Movable(r) && SameNamespaces(namespaces, recorded.Namespaces) {
		// The first one is where manifests without a namespace are, and they cannot move.
		namespaces = recorded.Namespaces
	}
	return v1alpha1.RuntimeTarget{
		Environment: name, Cluster: environment.Spec.Cluster, Namespaces: namespaces, Account: r.AccountName(),
	}, nil
}

// SameNamespaces reports whether two lists hold the same namespaces, in whatever order.
func SameNamespaces(a, b []string) bool {
	return len(a) == len(b) && slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// EffectiveTarget returns the recorded target of a runtime with the account of
// its spec, or the target of the spec if nothing is recorded. It returns false if
// there is neither: the spec names a missing object, or the runtime is being
// deleted before anything was written.
func (s *Snapshot) EffectiveTarget(r v1alpha1.Runtime) (v1alpha1.RuntimeTarget, bool) {
	if recorded := r.DeployedTarget(); recorded != nil {
		target := *recorded
		target.Account = r.AccountName()
		return target, true
	}
	if !r.GetDeletionTimestamp().IsZero() {
		return v1alpha1.RuntimeTarget{}, false
	}
	target, err := s.Target(r)
	return target, err == nil
}

// heldTarget is a target that a runtime has on record or asks for.
type heldTarget struct {
	v1alpha1.RuntimeTarget
	recorded bool
}

// targetsOf returns the effective target of a runtime and, if it can move, also the target
// of its spec. It holds the old one until it has arrived.
func (s *Snapshot) targetsOf(r v1alpha1.Runtime) []heldTarget {
	target, ok := s.EffectiveTarget(r)
	if !ok {
		return nil
	}
	targets := []heldTarget{{RuntimeTarget: target, recorded: r.DeployedTarget() != nil}}
	if !v1alpha1.Movable(r) || !r.GetDeletionTimestamp().IsZero() {
		return targets
	}
	if wanted, err := s.Target(r); err == nil {
		targets = append(targets, heldTarget{RuntimeTarget: wanted})
	}
	return targets
}
