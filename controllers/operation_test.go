package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
)

// merge patches the runtime's Application, as Argo CD does.
func (p *product) merge(t *testing.T, patch string) {
	t.Helper()
	app := p.application()
	p.sys.AwaitObjects(t, p.sys.Clusters[p.cluster], app)
	if err := p.sys.Clusters[p.cluster].Patch(t.Context(), app, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

// phase waits for the phase of the operation of the runtime's Application.
func (p *product) phase(t *testing.T, want string) {
	t.Helper()
	p.sys.Until(t, "the phase "+want, func() error {
		app := p.application()
		if err := p.sys.Clusters[p.cluster].Get(t.Context(), client.ObjectKeyFromObject(app), app); err != nil {
			return err
		}
		if phase, _, _ := unstructured.NestedString(app.Object, "status", "operationState", "phase"); phase != want {
			return fmt.Errorf("the phase is %q", phase)
		}
		return nil
	})
}

// A sync that is refused or hangs names revision, object and reason; the correction ends
// it, and so does the deletion of the runtime.
func TestSupersededOperation(t *testing.T) {
	t.Parallel()
	sys := theSystem(t)
	s := newProduct(sys, "103", "alpha")
	s.open(t)
	r := s.runtimeObject()
	s.synced(t, "Synced", "Progressing")
	sys.condition(t, r, "Ready", "False", v1alpha1.ReasonProgressing)
	sys.condition(t, r, "Synced", "True", v1alpha1.ReasonSynced)
	s.synced(t, "Synced", "Healthy")
	sys.condition(t, r, "Ready", "True", "Ready")

	const operation = `{"initiatedBy":{"automated":true},"sync":{"revision":"0123456789abcdef0123456789abcdef01234567"}}`
	s.synced(t, "OutOfSync", "Healthy")
	s.merge(t, `{"operation":`+operation+`,"status":{"operationState":{"phase":"Running","startedAt":"2026-02-01T00:00:00Z","operation":`+operation+`,
		"message":"one or more synchronization tasks are not valid. Retrying attempt #1 at 8:47PM.","retryCount":1,"syncResult":{"revision":"0123456789abcdef0123456789abcdef01234567","resources":[
		{"group":"rbac.authorization.k8s.io","version":"v1","kind":"ClusterRole","namespace":"","name":"refused","status":"SyncFailed","message":"it is not permitted in project x"}]}}}}`)
	sys.Until(t, "the reason of the refusal", func() error {
		message := sys.condition(t, r, "Ready", "False", v1alpha1.ReasonOutOfSync)
		if want := "the sync to revision 0123456789 failed and is tried again: ClusterRole.rbac.authorization.k8s.io refused refused: it is not permitted in project x"; !strings.Contains(message, want) {
			return fmt.Errorf("the message is %q", message)
		}
		return nil
	})
	s.phase(t, "Running")

	s.merge(t, `{"status":{"sync":{"revision":"fedcba9876543210fedcba9876543210fedcba98"}}}`)
	s.phase(t, "Terminating")

	s.merge(t, `{"status":{"operationState":{"phase":"Running","retryCount":null,"message":"waiting for completion of hook batch/Job/migrate"},
		"sync":{"revision":"0123456789abcdef0123456789abcdef01234567"}}}`)
	s.push(t, nil, runtimeFile)
	s.phase(t, "Terminating")
}
