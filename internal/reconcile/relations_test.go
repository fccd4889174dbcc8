package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/foreign"
)

// related returns the relations among some objects.
func related(objects ...client.Object) *Relations {
	return &Relations{Namespace: "nautes", Client: fake.NewClientBuilder().WithScheme(foreign.Scheme()).WithObjects(objects...).Build()}
}

func pipelineRuntime(product, name, environment string) *v1alpha1.ProjectPipelineRuntime {
	r := &v1alpha1.ProjectPipelineRuntime{ObjectMeta: metav1.ObjectMeta{Namespace: product, Name: name}}
	r.Spec.Destination.Environment = environment
	return r
}

// A pipeline runtime that comes or goes concerns only the hooks that wait for the
// last one to go.
func TestHooksOfPipelineRuntime(t *testing.T) {
	now := metav1.Now()
	going := &v1alpha1.PipelineHook{ObjectMeta: metav1.ObjectMeta{
		Namespace: "nautes", Name: "going", DeletionTimestamp: &now, Finalizers: []string{v1alpha1.Finalizer},
	}}
	rel := related(going, &v1alpha1.PipelineHook{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "staying"}})
	r := pipelineRuntime("product-1", "r", "dev")
	r.Spec.Hooks = &v1alpha1.Hooks{PreHooks: []v1alpha1.Hook{{Name: "staying"}, {Name: "unknown"}}, PostHooks: []v1alpha1.Hook{{Name: "going"}}}
	if diff := cmp.Diff([]ctrl.Request{Request("nautes", "going")}, rel.HooksOfPipelineRuntime(t.Context(), r)); diff != "" {
		t.Error(diff)
	}
}

// A space wakes the pipeline runtimes of its product that are on its cluster or go there.
func TestPipelineRuntimesIn(t *testing.T) {
	environment := func(product, name, cluster string) *v1alpha1.Environment {
		return &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: product, Name: name}, Spec: v1alpha1.EnvironmentSpec{Cluster: cluster}}
	}
	leaving := pipelineRuntime("product-1", "leaving", "test")
	leaving.Status.Target = &v1alpha1.RuntimeTarget{Cluster: "worker", Environment: "dev", Namespaces: []string{"n"}}
	rel := related(environment("product-1", "dev", "worker"), environment("product-1", "test", "other"), environment("product-2", "dev", "worker"),
		leaving, pipelineRuntime("product-1", "here", "dev"), pipelineRuntime("product-1", "elsewhere", "test"), pipelineRuntime("product-2", "here", "dev"))
	want := []ctrl.Request{Request("product-1", "here"), Request("product-1", "leaving")}
	if diff := cmp.Diff(want, rel.PipelineRuntimesIn(t.Context(), Request("product-1", "worker"))); diff != "" {
		t.Error(diff)
	}
}
