package build

import (
	"fmt"
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// Pipeline holds the facts about a pipeline runtime.
type Pipeline struct {
	// Target is where the spec sends the runtime, or while that is not known, where
	// it is; nil if neither is known.
	Target *v1alpha1.RuntimeTarget
	// SourceRefusal says why the runtime may not read its pipeline files; empty if
	// it may, or while that is not known.
	SourceRefusal string
	// Illegal lists the event sources that the runtime may not use.
	Illegal []v1alpha1.IllegalEventSource
	// ResourcesURL is the URL of the additional resources; empty if there are none,
	// or if the runtime may not read them.
	ResourcesURL string
	// Webhooks are the hooks in the plan, in the order of the event sources.
	Webhooks []v1alpha1.WebhookStatus
	// Triggers of the spec that the plan is built from.
	Triggers []v1alpha1.PipelineTrigger
	// Revoked are the event sources that a plan by the spec on record leaves out,
	// with the reason.
	Revoked map[string]string
	// Complete: the plan holds the desired state of every object. It does not if it
	// only removes revoked event sources from a deployed runtime.
	Complete bool
}

// PipelineRuntime returns the desired state of a pipeline runtime, in one set for its
// cluster and one for the forge. The cluster has the event sources and sensors with
// their accounts and files, the credentials of the launchers and the Application of
// the additional resources. The forge has the hooks.
//
// The plan leaves out an event source that may not be used, and the triggers that
// have no other one; without the repository of the pipeline files no trigger is
// armed. The sets are empty if the runtime is being deleted, or if it is recorded on
// another cluster than its spec names now. There are no sets if nothing was written.
// A *snapshot.MissingError or a *snapshot.RepositoryError says why the runtime cannot
// be described, and a *SizeError that Argo Events could not run it. Package validate
// refuses the other errors too.
func PipelineRuntime(s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime) (Result[Pipeline], error) {
	result := Result[Pipeline]{Facts: Pipeline{Illegal: s.IllegalEventSources(r), Triggers: r.Spec.PipelineTriggers}}
	if _, refusal, err := s.ProjectRepository(r.Namespace, r.Spec.Project, r.Spec.PipelineSource); err == nil {
		result.Facts.SourceRefusal = refusal
	}
	if url, refusal, err := s.AdditionalResources(r); err == nil && refusal == "" {
		result.Facts.ResourcesURL = url
	}
	target, ok := s.EffectiveTarget(r)
	if !ok {
		return result, nil
	}
	result.Facts.Target = &target
	p := newPipeline(s, r, target)
	if !r.DeletionTimestamp.IsZero() {
		result.Plan = p.plan()
		return result, nil
	}
	if wanted, err := s.Target(r); err == nil {
		result.Facts.Target = &wanted
		if wanted.Cluster != target.Cluster {
			result.Plan = p.plan()
			return result, nil
		}
		p.target = wanted
	}
	if err := p.find(); err != nil {
		return result, err
	}
	if err := p.build(); err != nil {
		return result, err
	}
	result.Plan = p.plan()
	result.Facts.Webhooks, result.Facts.Complete = p.webhooks, true
	return result, nil
}

// PipelineOwner returns the owner of the objects of one pipeline runtime.
func PipelineOwner(r *v1alpha1.ProjectPipelineRuntime) plan.Owner {
	return plan.Owner{Kind: OwnerPipelineRuntime, Product: r.Namespace, Name: r.Name}
}

// pipeline builds the plan of a pipeline runtime.
type pipeline struct {
	*set
	snap    *snapshot.Snapshot
	runtime *v1alpha1.ProjectPipelineRuntime
	cluster *v1alpha1.Cluster
	target  v1alpha1.RuntimeTarget
	source  plan.Ref
	// eventNamespace is the namespace of the event sources and sensors.
	eventNamespace string
	// armed are the event sources that may be used and have a trigger, in the
	// order of the spec.
	armed    []v1alpha1.EventSource
	webhooks []v1alpha1.WebhookStatus
}

func newPipeline(s *snapshot.Snapshot, r *v1alpha1.ProjectPipelineRuntime, target v1alpha1.RuntimeTarget) *pipeline {
	return &pipeline{
		set:  newSet(s.Tenant, PipelineOwner(r), plan.Cluster(target.Cluster)),
		snap: s, runtime: r, target: target, source: snapshot.RefOf(r),
	}
}

// findCluster looks up the cluster of the runtime, and where that listens to events.
func (p *pipeline) findCluster() error {
	if p.cluster = p.snap.Cluster(p.target.Cluster); p.cluster == nil {
		return missing("Cluster", p.snap.Namespace, p.target.Cluster, p.source)
	}
	p.eventNamespace = p.snap.EventNamespace(p.cluster)
	return nil
}

// find looks up where the runtime is, and which event sources may be used.
func (p *pipeline) find() error {
	if err := p.findCluster(); err != nil {
		return err
	}
	if _, ok := p.snap.ChoiceOf(p.cluster, v1alpha1.CategoryEventListener); !ok {
		return fmt.Errorf("%s: Cluster %s has no component that listens to events", p.source, p.cluster.Name)
	}
	if err := p.checkNamespace(); err != nil {
		return err
	}
	_, refusal, err := p.snap.ProjectRepository(p.runtime.Namespace, p.runtime.Spec.Project, p.runtime.Spec.PipelineSource)
	if err != nil || refusal != "" {
		return err
	}
	for _, e := range p.runtime.Spec.EventSources {
		refusal, err := p.snap.EventSourceRefusal(p.runtime, e)
		if err != nil {
			return err
		}
		if refusal == "" && len(TriggersOf(p.runtime, e.Name)) > 0 {
			p.armed = append(p.armed, e)
		}
	}
	return nil
}

// checkNamespace returns an error unless the runtime has its namespace to itself. The
// rules of package validate say the same: here they keep a plan within the product
// even if a caller has not validated the runtime.
func (p *pipeline) checkNamespace() error {
	namespace := p.namespace()
	claim, ok := p.snap.ClaimOf(p.runtime, p.cluster.Name, namespace)
	switch owner := p.snap.ComponentNamespace(p.cluster, namespace); {
	case snapshot.SystemNamespace(namespace):
		return fmt.Errorf("%s: the namespace %s is reserved", p.source, namespace)
	case owner != "":
		return fmt.Errorf("%s: the namespace %s belongs to the component %s", p.source, namespace, owner)
	case !ok:
		return fmt.Errorf("%s: it does not ask for the namespace %s on cluster %s", p.source, namespace, p.cluster.Name)
	case !claim.Granted():
		return fmt.Errorf("%s: the namespace %s on cluster %s is used by %s", p.source, namespace, p.cluster.Name, claim.LosesTo)
	}
	return nil
}

// namespace is where the pipelines run.
func (p *pipeline) namespace() string { return p.target.Namespaces[0] }

// TriggersOf returns the triggers of an event source, in the order of the spec.
func TriggersOf(r *v1alpha1.ProjectPipelineRuntime, source string) []v1alpha1.PipelineTrigger {
	return slices.DeleteFunc(slices.Clone(r.Spec.PipelineTriggers), func(t v1alpha1.PipelineTrigger) bool {
		return t.EventSource != source
	})
}

// build adds everything.
func (p *pipeline) build() error {
	if err := p.addResources(); err != nil {
		return err
	}
	if len(p.armed) == 0 {
		return nil
	}
	p.addSensorAccount()
	if err := p.addCredentials(); err != nil {
		return err
	}
	return p.addEvents()
}

func (p *pipeline) plan() plan.Plan {
	return plan.Plan{Sets: []plan.Set{p.set.done()}}
}
