package build_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/plan"
)

// TestHookEvents holds that a hook sends the events that its code repository lists
// beside the ones of its event source, and that these run nothing.
func TestHookEvents(t *testing.T) {
	r := listening("product-1", "pipe", v1alpha1.IsolationShared, pushes("product-1", "push", ""))
	plain := pipelineWorld(pipelineWorker(), []string{"product-1"}, r)
	repo := plain.CodeRepo("product-1", "repo-1").DeepCopy()
	repo.Spec.Webhook = &v1alpha1.Webhook{Events: []v1alpha1.GitLabEvent{"wiki_page_events", "push_events", "job_events"}}
	listed := plain.With(repo)
	want := []string{"job_events", "push_events", "tag_push_events", "wiki_page_events"}
	built, err := build.PipelineRuntime(listed, r)
	if err != nil {
		t.Fatal(err)
	}
	if hooks := built.Facts.Webhooks; len(hooks) != 1 || !slices.Equal(hooks[0].Events, want) {
		t.Errorf("the hooks in the status are %+v", hooks)
	}
	before := planOf(t, plain, r)
	if diff := cmp.Diff(onCluster(before), onCluster(built.Plan)); diff != "" {
		t.Errorf("the cluster listens to something else (-before +after):\n%s", diff)
	}
}

// onCluster returns the set of a plan for a cluster.
func onCluster(p plan.Plan) *plan.Set {
	i := slices.IndexFunc(p.Sets, func(set plan.Set) bool { return set.Target.Kind == plan.TargetCluster })
	return &p.Sets[i]
}
