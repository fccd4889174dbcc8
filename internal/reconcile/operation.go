package reconcile

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/observed"
	"nautes.io/nautes/internal/remote"
)

// operationManager is the field manager of the end of an operation.
const operationManager = "nautes-operations"

// Application returns the state of an Argo CD Application, or nil if there is none. It
// ends an operation that a newer revision supersedes, since Argo CD deploys that
// revision only afterwards. A failure to end it is logged: the state stays true.
func Application(ctx context.Context, conn *remote.Conn, namespace, name string) (*observed.Application, error) {
	app, err := conn.Application(ctx, namespace, name)
	if err != nil || app == nil || !app.Superseded {
		return app, err
	}
	if err := endOperation(ctx, conn.Client(), client.ObjectKey{Namespace: namespace, Name: name}); err != nil {
		log.FromContext(ctx).Error(err, "operation not ended", "application", namespace+"/"+name, "revision", app.Attempt, "next", app.Next)
	}
	return app, nil
}

// EndOperation ends an operation that holds up the deletion of an Application: Argo CD
// removes the deployed objects only afterwards. It does nothing if the cluster or the
// Application cannot be seen, since the deletion itself reports that.
func EndOperation(ctx context.Context, d *Deps, cluster string, app *v1alpha1.ApplicationStatus) {
	if app == nil {
		return
	}
	if conn, err := d.Clusters.Get(cluster); err == nil {
		_, _ = Application(ctx, conn, app.Namespace, app.Name)
	}
}

// endOperation ends the operation of an Application as Argo CD's own API does, if it
// still holds something up. Argo CD deletes the hooks that run.
func endOperation(ctx context.Context, c client.Client, key client.ObjectKey) error {
	const attempts = 3
	var err error
	for range attempts {
		app := &unstructured.Unstructured{}
		app.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Application"})
		if err := c.Get(ctx, key, app); apierrors.IsNotFound(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read Application %s: %w", key, err)
		}
		state := observed.ApplicationOf(app)
		if !state.Superseded {
			return nil
		}
		patch, jsonErr := json.Marshal(map[string]any{
			// Argo CD may have ended the operation, or begun the next one.
			"metadata": map[string]any{"uid": app.GetUID(), "resourceVersion": app.GetResourceVersion()},
			"status":   map[string]any{"operationState": map[string]any{"phase": "Terminating"}},
		})
		if jsonErr != nil {
			return jsonErr
		}
		err = c.Patch(ctx, app, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(operationManager))
		if err == nil {
			log.FromContext(ctx).Info("operation ended", "application", key.String(), "revision", state.Attempt, "next", state.Next)
			return nil
		}
		if !apierrors.IsConflict(err) {
			break
		}
	}
	return fmt.Errorf("end the operation of Application %s: %w", key, err)
}
