package snapshot

import (
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// Target returns where the spec of a deployment runtime sends it, by its spec
// alone. A *MissingError names the environment or the cluster that is missing.
func (s *Snapshot) Target(r *v1alpha1.DeploymentRuntime) (v1alpha1.RuntimeTarget, error) {
	return s.target(RefOf(r), r.Spec.Destination.Environment, r.Spec.Destination.Namespaces, r.Spec.Account)
}

// PipelineTarget returns where the spec of a pipeline runtime sends it, by its
// spec alone. A *MissingError names the environment or the cluster that is missing.
func (s *Snapshot) PipelineTarget(r *v1alpha1.ProjectPipelineRuntime) (v1alpha1.RuntimeTarget, error) {
	return s.target(RefOf(r), r.Spec.Destination.Environment, pipelineNamespaces(r), r.Spec.Account)
}

func pipelineNamespaces(r *v1alpha1.ProjectPipelineRuntime) []string {
	if r.Spec.Destination.Namespace == "" {
		return nil
	}
	return []string{r.Spec.Destination.Namespace}
}

func (s *Snapshot) target(runtime plan.Ref, environment string, namespaces []string, account string) (v1alpha1.RuntimeTarget, error) {
	env := s.Environment(runtime.Namespace, environment)
	if env == nil {
		return v1alpha1.RuntimeTarget{}, &MissingError{
			Missing: plan.Ref{Kind: "Environment", Namespace: runtime.Namespace, Name: environment}, Needed: runtime,
		}
	}
	if s.Cluster(env.Spec.Cluster) == nil {
		return v1alpha1.RuntimeTarget{}, &MissingError{
			Missing: plan.Ref{Kind: "Cluster", Namespace: s.Namespace, Name: env.Spec.Cluster}, Needed: RefOf(env),
		}
	}
	if account == "" {
		account = runtime.Name
	}
	return v1alpha1.RuntimeTarget{
		Environment: environment, Cluster: env.Spec.Cluster,
		Namespaces: distinct(namespaces, runtime.Name), Account: account,
	}, nil
}

// distinct returns the namespaces of a spec, each once, in its order; the
// runtime's name when the spec has none.
func distinct(namespaces []string, name string) []string {
	if len(namespaces) == 0 {
		return []string{name}
	}
	wanted := make([]string, 0, len(namespaces))
	for _, namespace := range namespaces {
		if !slices.Contains(wanted, namespace) {
			wanted = append(wanted, namespace)
		}
	}
	return wanted
}

// SpecNamespaces returns the namespaces that the spec of a deployment or pipeline
// runtime asks for, each once, the default one first.
func SpecNamespaces(o v1alpha1.Object) []string {
	switch r := o.(type) {
	case *v1alpha1.DeploymentRuntime:
		return distinct(r.Spec.Destination.Namespaces, r.Name)
	case *v1alpha1.ProjectPipelineRuntime:
		return distinct(pipelineNamespaces(r), r.Name)
	}
	return nil
}

// RecordedTarget returns the target in the status of a deployment or pipeline
// runtime; nil when nothing was written for it yet.
func RecordedTarget(o v1alpha1.Object) *v1alpha1.RuntimeTarget {
	var recorded *v1alpha1.RuntimeTarget
	switch r := o.(type) {
	case *v1alpha1.DeploymentRuntime:
		recorded = r.Status.Target
	case *v1alpha1.ProjectPipelineRuntime:
		recorded = r.Status.Target
	}
	if recorded == nil || len(recorded.Namespaces) == 0 {
		return nil
	}
	return recorded
}

// EffectiveTarget returns where a runtime is or will be: the recorded target if
// there is one, with the account that the spec has now, else that of the spec.
// False when there is neither: what the spec names is missing, or the runtime is
// being deleted before anything was written.
func (s *Snapshot) EffectiveTarget(o v1alpha1.Object) (v1alpha1.RuntimeTarget, bool) {
	var account string
	var resolve func() (v1alpha1.RuntimeTarget, error)
	switch r := o.(type) {
	case *v1alpha1.DeploymentRuntime:
		account = r.Spec.Account
		resolve = func() (v1alpha1.RuntimeTarget, error) { return s.Target(r) }
	case *v1alpha1.ProjectPipelineRuntime:
		account = r.Spec.Account
		resolve = func() (v1alpha1.RuntimeTarget, error) { return s.PipelineTarget(r) }
	default:
		return v1alpha1.RuntimeTarget{}, false
	}
	if recorded := RecordedTarget(o); recorded != nil {
		target := *recorded
		if target.Account = account; account == "" {
			target.Account = o.GetName()
		}
		return target, true
	}
	if !o.GetDeletionTimestamp().IsZero() {
		return v1alpha1.RuntimeTarget{}, false
	}
	target, err := resolve()
	return target, err == nil
}

// aim is a target that a runtime is at or wants.
type aim struct {
	v1alpha1.RuntimeTarget
	recorded bool
}

// targetsOf returns where a runtime is or will be, and for a pipeline runtime
// that moves also where it goes: it has the one until it is at the other.
func (s *Snapshot) targetsOf(o v1alpha1.Object) []aim {
	target, ok := s.EffectiveTarget(o)
	if !ok {
		return nil
	}
	aims := []aim{{RuntimeTarget: target, recorded: RecordedTarget(o) != nil}}
	r, pipeline := o.(*v1alpha1.ProjectPipelineRuntime)
	if !pipeline || !aims[0].recorded || !r.DeletionTimestamp.IsZero() {
		return aims
	}
	wanted, err := s.PipelineTarget(r)
	if err != nil || (wanted.Cluster == target.Cluster && slices.Equal(wanted.Namespaces, target.Namespaces)) {
		return aims
	}
	return append(aims, aim{RuntimeTarget: wanted})
}
