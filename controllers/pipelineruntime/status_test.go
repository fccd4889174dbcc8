package pipelineruntime

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/reconcile"
	"nautes.io/nautes/internal/snapshot"
)

// Without the image of the runner nothing is deployed, and the message names the
// setting.
func TestPipelinesNeedTheRunnersImage(t *testing.T) {
	session := &engine.Session[*v1alpha1.ProjectPipelineRuntime]{
		Object: &v1alpha1.ProjectPipelineRuntime{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "pr"}}, Facts: &engine.Facts{},
	}
	p := &pipelinePass{s: session}
	refusals := field.ErrorList{{Field: "spec.project", Detail: "it does not exist", Origin: v1alpha1.ReasonReferenceMissing}}
	for image, want := range map[string]string{"": v1alpha1.ReasonNotServed, "runner": v1alpha1.ReasonReferenceMissing} {
		session.Snapshot = snapshot.New("tenant", "nautes").WithSettings(snapshot.Settings{RunnerImage: image})
		outcome := engine.Classify(p.stop(refusals), reconcile.Classify)
		if outcome.Reason != want || image == "" && !strings.Contains(outcome.Message, "pipelines.runnerImage") {
			t.Errorf("with the image %q it is stopped by %v, want %s", image, outcome, want)
		}
	}
}
