package reconcile

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"nautes.io/nautes/api/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

// The runs of a pipeline runtime wake nobody else.
func TestOnlyMovesConcernOthers(t *testing.T) {
	at := func(change func(*v1alpha1.ProjectPipelineRuntime)) *v1alpha1.ProjectPipelineRuntime {
		r := &v1alpha1.ProjectPipelineRuntime{ObjectMeta: metav1.ObjectMeta{Generation: 1, UID: types.UID("u")}}
		r.Status.Target = &v1alpha1.RuntimeTarget{Cluster: "c", Namespaces: []string{"n"}}
		change(r)
		return r
	}
	tests := map[string]struct {
		change func(*v1alpha1.ProjectPipelineRuntime)
		want   bool
	}{
		"nothing":  {change: func(*v1alpha1.ProjectPipelineRuntime) {}},
		"a run":    {change: func(r *v1alpha1.ProjectPipelineRuntime) { r.Status.Runs = []v1alpha1.PipelineRunStatus{{Name: "r"}} }},
		"the spec": {change: func(r *v1alpha1.ProjectPipelineRuntime) { r.Generation = 2 }, want: true},
		"deletion": {change: func(r *v1alpha1.ProjectPipelineRuntime) { r.DeletionTimestamp = &metav1.Time{} }, want: true},
		"a move":   {change: func(r *v1alpha1.ProjectPipelineRuntime) { r.Status.Target.Namespaces = []string{"m"} }, want: true},
	}
	for name, test := range tests {
		before := at(func(*v1alpha1.ProjectPipelineRuntime) {})
		if got := relevant(event.UpdateEvent{ObjectOld: before, ObjectNew: at(test.change)}); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
