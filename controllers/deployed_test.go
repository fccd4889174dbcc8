package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/scenario"
)

// While the new spec of a runtime is invalid, its Application follows the spec that
// was deployed last, and is written again if it is lost.
func TestInvalidSpecFollowsTheRecord(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "431", "alpha")
	s.open(t)
	r := s.ready(t)
	valid := r.Generation
	if r.Status.Deployed == nil || r.Status.Deployed.Generation != valid {
		t.Fatalf("on record is %+v, want generation %d", r.Status.Deployed, valid)
	}

	moved := strings.NewReplacer("- "+s.namespace, "- elsewhere-431", "path: deploy", "path: elsewhere")
	s.push(t, map[string]string{runtimeFile: moved.Replace(s.runtime())})
	sys.condition(t, r, "Valid", metav1.ConditionFalse, v1alpha1.ReasonDestinationImmutable)
	if r.Generation == valid || r.Status.Deployed.Generation != valid {
		t.Errorf("on record is generation %d of %d, want %d", r.Status.Deployed.Generation, r.Generation, valid)
	}
	app := s.application()
	sys.AwaitObjects(t, sys.Clusters["alpha"], app)
	lost, want := app.GetUID(), app.Object["spec"]
	if err := sys.Clusters["alpha"].Delete(context.Background(), app); err != nil {
		t.Fatal(err)
	}
	sys.Until(t, "a new Application", func() error {
		s.release(t, "alpha")
		app = s.application()
		if err := sys.Clusters["alpha"].Get(context.Background(), client.ObjectKeyFromObject(app), app); err != nil {
			return err
		}
		if app.GetUID() == lost {
			return fmt.Errorf("it is still the old one")
		}
		return nil
	})
	if got := app.Object["spec"]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the Application has the spec %v, want %v", got, want)
	}
	s.synced(t, "Synced", "Healthy")
	sys.condition(t, r, "Synced", metav1.ConditionTrue, "")
	sys.condition(t, r, "Ready", metav1.ConditionFalse, v1alpha1.ReasonDestinationImmutable)
}

// So it is with event sources and sensors.
func TestInvalidPipelineFollowsTheRecord(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	m := newPipelineProduct(sys, "1031")
	spec := m.guide(t)
	m.open(t, spec)
	r := m.ready(t)
	valid := r.Generation
	faulty := spec.DeepCopy()
	faulty.Hooks.PreHooks[0].Name, faulty.Account = "unknown", "another"
	faulty.EventSources, faulty.PipelineTriggers = faulty.EventSources[:1], faulty.PipelineTriggers[:1]
	m.push(t, map[string]string{pipelineFile: m.file(t, faulty)})
	sys.condition(t, r, "Valid", metav1.ConditionFalse, "")
	if r.Status.Deployed == nil || r.Status.Deployed.Generation != valid || r.Generation == valid {
		t.Errorf("on record is %+v, want generation %d", r.Status.Deployed, valid)
	}
	m.has(t, pipelineWorker, inExclusive)
	sys.AwaitObjects(t, sys.Clusters[pipelineWorker], scenario.Object("v1", "ServiceAccount", m.namespace, r.Status.Target.Account))
	sensors := m.list(sys.Clusters[pipelineWorker], "Sensor")
	lost := sensors[0]
	if err := sys.Clusters[pipelineWorker].Delete(context.Background(), &lost); err != nil {
		t.Fatal(err)
	}
	sys.Until(t, "a new Sensor", func() error {
		again := &unstructured.Unstructured{}
		again.SetGroupVersionKind(lost.GroupVersionKind())
		if err := sys.Clusters[pipelineWorker].Get(context.Background(), client.ObjectKeyFromObject(&lost), again); err != nil {
			return err
		}
		if again.GetUID() == lost.GetUID() {
			return fmt.Errorf("it is still the old one")
		}
		return nil
	})
	sys.Until(t, "all triggers armed", func() error {
		sys.condition(t, r, "Valid", metav1.ConditionFalse, "")
		if r.Status.Armed != "4/4" || len(r.Status.Triggers) != 4 {
			return fmt.Errorf("%s armed, triggers %+v", r.Status.Armed, r.Status.Triggers)
		}
		return nil
	})
	m.push(t, map[string]string{pipelineFile: m.file(t, spec)})
	if r := m.ready(t); r.Status.Deployed.Generation != r.Generation {
		t.Errorf("on record is generation %d, want %d", r.Status.Deployed.Generation, r.Generation)
	}
}
