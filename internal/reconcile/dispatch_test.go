package reconcile

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/launch"
	"nautes.io/nautes/test/testutil"
)

// TestRunsWakeTheirRuntime holds that a run wakes the pipeline runtime that its
// labels name only from where that runtime is: whoever may create PipelineRuns in
// any namespace of any cluster can give them any labels.
func TestRunsWakeTheirRuntime(t *testing.T) {
	recorded := testutil.PipelineRuntime("product-1", "recorded", "api", "ci", "repo-1")
	recorded.Status.Target = &v1alpha1.RuntimeTarget{Cluster: "c", Namespaces: []string{"pipelines", "more"}}
	fresh := testutil.PipelineRuntime("product-1", "fresh", "api", "ci", "repo-1")
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	kind := schema.GroupVersionKind{Group: "tekton.dev", Version: "v1", Kind: "PipelineRun"}
	for name, test := range map[string]struct {
		cluster, namespace, product, runtime string
		want                                 bool
	}{
		"where it is":           {cluster: "c", namespace: "pipelines", product: "product-1", runtime: "recorded", want: true},
		"on another cluster":    {cluster: "d", namespace: "pipelines", product: "product-1", runtime: "recorded"},
		"in another namespace":  {cluster: "c", namespace: "elsewhere", product: "product-1", runtime: "recorded"},
		"of another product":    {cluster: "c", namespace: "pipelines", product: "product-2", runtime: "recorded"},
		"of none":               {cluster: "c", namespace: "pipelines"},
		"that is nowhere yet":   {cluster: "c", namespace: "pipelines", product: "product-1", runtime: "fresh"},
		"that there is not any": {cluster: "c", namespace: "pipelines", product: "product-1", runtime: "absent"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Deps{Queues: &Queues{}, Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(recorded, fresh).Build()}
			d.ClusterChanged(test.cluster, kind, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
				Namespace: test.namespace, Name: "run", Labels: map[string]string{launch.LabelProduct: test.product, launch.LabelRuntime: test.runtime},
			}}, false)
			var want, got []ctrl.Request
			if test.want {
				want = append(want, Request(test.product, test.runtime))
			}
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[ctrl.Request]())
			defer queue.ShutDown()
			if err := d.Queues.Of(kindPipelineRuntime).Source().Start(t.Context(), queue); err != nil {
				t.Fatal(err)
			}
			for queue.Len() > 0 {
				request, _ := queue.Get()
				got = append(got, request)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("who is woken (-want +got):\n%s", diff)
			}
		})
	}
}
