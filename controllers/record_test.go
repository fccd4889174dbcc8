package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/test/scenario"
)

// lose clears the record of the cluster that a runtime is deployed to, as a restored
// backup does.
func (p *product) lose(t *testing.T, r client.Object) {
	t.Helper()
	if err := p.sys.Client.Status().Patch(context.Background(), r, client.RawPatch(types.MergePatchType, []byte(`{"status":{"target":null}}`))); err != nil {
		t.Fatal(err)
	}
}

// recorded waits until a runtime has a cluster on record.
func recorded(t *testing.T, sys *system, r v1alpha1.Runtime, cluster string) {
	t.Helper()
	sys.Until(t, "the record", func() error {
		if err := sys.Client.Get(context.Background(), client.ObjectKeyFromObject(r), r); err != nil {
			return err
		}
		if at := r.DeployedTarget(); at == nil || at.Cluster != cluster {
			return fmt.Errorf("on record is %+v", at)
		}
		return nil
	})
}

// A runtime that loses its record while its spec is invalid finds it again: its objects
// stay, and go with it.
func TestLostRecord(t *testing.T) {
	t.Parallel()
	for name, deleted := range map[string]bool{"461": false, "462": true} {
		t.Run(fmt.Sprintf("deleted %t", deleted), func(t *testing.T) {
			t.Parallel()
			sys := theSystem(t)
			s := newProduct(sys, name, "alpha")
			s.open(t)
			r := s.ready(t)
			app := s.application()
			namespace := scenario.Object("v1", "Namespace", "", s.namespace)
			sys.AwaitObjects(t, sys.Clusters["alpha"], app, namespace)

			// The environment that the spec names now is on no cluster.
			s.push(t, map[string]string{runtimeFile: strings.Replace(s.runtime(), "environment: dev", "environment: nowhere", 1)})
			sys.condition(t, r, "Valid", metav1.ConditionFalse, "")
			if deleted {
				s.mirrored(t, s.push(t, nil, runtimeFile))
				s.lose(t, r)
				s.removeEach(t, bindingFile, repoFile, projectFile, envFile)
				s.ends(t, "alpha")
				return
			}
			s.lose(t, r)
			recorded(t, sys, r, "alpha")
			after, kept := s.application(), scenario.Object("v1", "Namespace", "", s.namespace)
			sys.AwaitObjects(t, sys.Clusters["alpha"], after, kept)
			if after.GetUID() != app.GetUID() || kept.GetUID() != namespace.GetUID() || kept.GetDeletionTimestamp() != nil || after.GetDeletionTimestamp() != nil {
				t.Errorf("the Application or the namespace went: %v, %v", after.Object["metadata"], kept.Object["metadata"])
			}
			s.removeEach(t, runtimeFile, bindingFile, repoFile, projectFile, envFile)
			s.ends(t, "alpha")
		})
	}
}

// So does a pipeline runtime, whose event sources would stay.
func TestLostRecordOfAPipeline(t *testing.T) {
	t.Parallel()
	sys := thePipelines(t)
	m := newPipelineProduct(sys, "1061")
	spec := m.guide(t)
	m.open(t, spec)
	r := m.ready(t)
	faulty := spec.DeepCopy()
	faulty.Destination.Environment = "nowhere"
	m.push(t, map[string]string{pipelineFile: m.file(t, faulty)})
	sys.condition(t, r, "Valid", metav1.ConditionFalse, "")
	m.lose(t, r)
	recorded(t, sys, r, pipelineWorker)
	m.has(t, pipelineWorker, inExclusive)
}
