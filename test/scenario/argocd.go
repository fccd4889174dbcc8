package scenario

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/test/devstack"
)

// watchAgain is the pause before a watch that has failed begins again.
const watchAgain = 100 * time.Millisecond

// Application returns an Application of an Argo CD, to read or to look for.
func Application(name string) *unstructured.Unstructured {
	return Object("argoproj.io/v1alpha1", "Application", devstack.ArgoCDNamespace, name)
}

// Applications returns an empty list of Applications.
func Applications() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(ArgoKind("ApplicationList"))
	return list
}

// Compared returns the status of an Application whose source, as it is now, Argo CD
// has compared with the cluster.
func Compared(app *unstructured.Unstructured, sync, health string) map[string]any {
	compared := map[string]any{"destination": map[string]any{}}
	if source, found, _ := unstructured.NestedMap(app.Object, "spec", "source"); found {
		compared["source"] = source
	}
	return map[string]any{
		"sync":   map[string]any{"status": sync, "comparedTo": compared, "revision": "0123456789abcdef0123456789abcdef01234567"},
		"health": map[string]any{"status": health},
	}
}

// Report writes a status of an Application as Argo CD does.
func Report(ctx context.Context, c client.Client, app *unstructured.Unstructured, status map[string]any) error {
	before := app.DeepCopy()
	app.Object["status"] = status
	if err := client.IgnoreNotFound(c.Patch(ctx, app, client.MergeFrom(before))); err != nil {
		return fmt.Errorf("report the Application %s: %w", app.GetName(), err)
	}
	return nil
}

// Release removes the finalizers of an Application that is being deleted, as Argo CD
// does after it has removed the deployed objects.
func Release(ctx context.Context, c client.Client, app *unstructured.Unstructured) error {
	if app.GetDeletionTimestamp() == nil || len(app.GetFinalizers()) == 0 {
		return nil
	}
	before := app.DeepCopy()
	app.SetFinalizers(nil)
	if err := client.IgnoreNotFound(c.Patch(ctx, app, client.MergeFrom(before))); err != nil {
		return fmt.Errorf("release the Application %s: %w", app.GetName(), err)
	}
	return nil
}

// PlayArgoCD does the part of an Argo CD that succeeds at once: it reports an
// Application in sync and healthy, and releases a deleted one.
func PlayArgoCD(ctx context.Context, c client.Client, app *unstructured.Unstructured) error {
	if app.GetDeletionTimestamp() != nil {
		return Release(ctx, c, app)
	}
	status := Compared(app, "Synced", "Healthy")
	if equality.Semantic.DeepEqual(app.Object["status"], status) {
		return nil
	}
	return Report(ctx, c, app, status)
}

// Watch calls see for each object that exists or changes, until the context ends. An
// API server ends the watch of a client that does not keep up. The next watch begins
// with the objects that exist by then.
func Watch(ctx context.Context, c client.WithWatch, list client.ObjectList, see func(client.Object), options ...client.ListOption) error {
	w, err := c.Watch(ctx, list, options...)
	if err != nil {
		return fmt.Errorf("watch %T: %w", list, err)
	}
	go func() {
		for ctx.Err() == nil {
			for event := range w.ResultChan() {
				if o, ok := event.Object.(client.Object); ok {
					see(o)
				}
			}
			w.Stop()
			next, err := c.Watch(ctx, list, options...)
			if err != nil {
				_ = Pause(ctx, watchAgain)
				continue
			}
			w = next
		}
		w.Stop()
	}()
	return nil
}

// WatchApplications plays the Argo CD of a control plane until the context ends.
// Reports that fail are given to failed: the object may have gone in the meantime.
func WatchApplications(ctx context.Context, c client.WithWatch, failed func(error)) error {
	return Watch(ctx, c, Applications(), func(o client.Object) {
		app, ok := o.(*unstructured.Unstructured)
		if !ok {
			return
		}
		// The report of one Application does not hold up the others.
		go func() {
			if err := PlayArgoCD(ctx, c, app); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}()
	}, client.InNamespace(devstack.ArgoCDNamespace))
}
