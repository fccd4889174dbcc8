package reconcile

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// An operation ends only if a newer revision waits for it when the API server is asked.
func TestOperationsThatAreEnded(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "applications"}, "a", nil)
	for name, test := range map[string]struct {
		compared, phase, message string
		absent                   bool
		// errs are the answers to patches.
		errs        []error
		wantPhase   string
		wantPatches int
		wantErr     bool
	}{
		"a hook that hangs":             {compared: "new", phase: "Running", message: "waiting for completion of hook batch/Job/m", wantPhase: "Terminating", wantPatches: 1},
		"the same revision":             {compared: "old", phase: "Running", message: "waiting for completion of hook batch/Job/m", wantPhase: "Running"},
		"an operation at work":          {compared: "new", phase: "Running", message: "one or more tasks are running", wantPhase: "Running"},
		"an operation that has ended":   {compared: "new", phase: "Failed", message: "boom", wantPhase: "Failed"},
		"a change at the same time":     {compared: "new", phase: "Running", message: "waiting for deletion of /Pod/p", errs: []error{conflict}, wantPhase: "Terminating", wantPatches: 2},
		"too many changes":              {compared: "new", phase: "Running", message: "waiting for deletion of /Pod/p", errs: []error{conflict, conflict, conflict}, wantPhase: "Running", wantPatches: 3, wantErr: true},
		"without the right to do so":    {compared: "new", phase: "Running", message: "waiting for deletion of /Pod/p", errs: []error{apierrors.NewForbidden(schema.GroupResource{}, "a", nil)}, wantPhase: "Running", wantPatches: 1, wantErr: true},
		"an Application that went away": {absent: true},
	} {
		t.Run(name, func(t *testing.T) {
			operation := map[string]any{"initiatedBy": map[string]any{"automated": true}, "sync": map[string]any{"revision": "old"}}
			app := &unstructured.Unstructured{Object: map[string]any{
				"metadata":  map[string]any{"namespace": "argocd", "name": "a"},
				"operation": operation,
				"status": map[string]any{
					"sync":           map[string]any{"status": "OutOfSync", "revision": test.compared},
					"operationState": map[string]any{"phase": test.phase, "message": test.message, "operation": operation},
				},
			}}
			app.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Application"})
			key, patches := client.ObjectKeyFromObject(app), 0
			builder := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
				Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, options ...client.PatchOption) error {
					if patches++; patches <= len(test.errs) {
						return test.errs[patches-1]
					}
					return c.Patch(ctx, o, p, options...)
				},
			})
			if !test.absent {
				builder = builder.WithObjects(app.DeepCopy())
			}
			c := builder.Build()
			if err := endOperation(t.Context(), c, key); (err != nil) != test.wantErr {
				t.Errorf("error %v", err)
			}
			if test.absent {
				return
			}
			if err := c.Get(t.Context(), key, app); err != nil {
				t.Fatal(err)
			}
			phase, _, _ := unstructured.NestedString(app.Object, "status", "operationState", "phase")
			if phase != test.wantPhase || patches != test.wantPatches {
				t.Errorf("phase %s after %d patches, want %s after %d", phase, patches, test.wantPhase, test.wantPatches)
			}
			if _, kept, _ := unstructured.NestedMap(app.Object, "operation"); !kept {
				t.Error("the operation is gone, which Argo CD needs to end it")
			}
		})
	}
}
