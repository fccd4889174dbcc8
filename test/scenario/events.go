package scenario

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/test/devstack"
)

var errNoEventSource = errors.New("no event source listens at the path")

// EventSourceToken returns the token of the hook that calls an event source at a path.
func EventSourceToken(ctx context.Context, c client.Client, path string) (string, error) {
	all, err := List(ctx, c, []schema.GroupVersionKind{ArgoKind("EventSource")}, client.InNamespace(devstack.ArgoEventsNamespace))
	if err != nil {
		return "", err
	}
	for _, o := range all {
		entries, _, _ := unstructured.NestedMap(o.Object, "spec", "gitlab")
		for _, entry := range entries {
			fields, _ := entry.(map[string]any)
			if endpoint, _, _ := unstructured.NestedString(fields, "webhook", "endpoint"); endpoint != path {
				continue
			}
			name, _, _ := unstructured.NestedString(fields, "secretToken", "name")
			key, _, _ := unstructured.NestedString(fields, "secretToken", "key")
			secret := &corev1.Secret{}
			if err := c.Get(ctx, client.ObjectKey{Namespace: devstack.ArgoEventsNamespace, Name: name}, secret); err != nil {
				return "", fmt.Errorf("read the token of a hook: %w", err)
			}
			return string(secret.Data[key]), nil
		}
	}
	return "", fmt.Errorf("%s: %w", path, errNoEventSource)
}
