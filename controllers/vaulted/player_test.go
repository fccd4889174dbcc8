package vaulted_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/dynamic"

	"nautes.io/nautes/test/devstack"
)

// playArgoCD plays the Argo CD of every cluster, as long as the process runs:
// every Application is in step and healthy, and deleted ones may go.
func (w *world) playArgoCD(t *testing.T) {
	t.Helper()
	for _, plane := range w.planes() {
		client, err := dynamic.NewForConfig(plane.Config())
		if err != nil {
			t.Fatal(err)
		}
		applications := schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "applications"}
		go func() {
			for {
				play(client.Resource(applications).Namespace(devstack.ArgoCDNamespace))
				time.Sleep(100 * time.Millisecond)
			}
		}()
	}
}

// play plays until the watch ends.
func play(applications dynamic.ResourceInterface) {
	ctx := context.Background()
	watch, err := applications.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return
	}
	defer watch.Stop()
	for event := range watch.ResultChan() {
		app, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			return
		}
		source, _, _ := unstructured.NestedMap(app.Object, "spec", "source")
		status := map[string]any{
			"sync": map[string]any{
				"status": "Synced", "revision": "0123456789abcdef0123456789abcdef01234567",
				"comparedTo": map[string]any{"source": source, "destination": map[string]any{}},
			},
			"health": map[string]any{"status": "Healthy"},
		}
		change := map[string]any{"status": status}
		switch {
		case app.GetDeletionTimestamp() != nil:
			change = map[string]any{"metadata": map[string]any{"finalizers": nil}}
		case equality.Semantic.DeepEqual(status, app.Object["status"]):
			continue
		}
		patch, err := json.Marshal(change)
		if err != nil {
			return
		}
		// One that has just gone needs nothing, and any other trouble ends the watch too.
		_, _ = applications.Patch(ctx, app.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
	}
}
