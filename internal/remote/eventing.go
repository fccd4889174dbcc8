package remote

import (
	"cmp"
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/plan"
)

// Eventing is what Argo Events says of an EventSource or a Sensor. Its words have
// no generation: after a change they may be about what was there before.
type Eventing struct {
	// Deployed: it listens, or will in a moment.
	Deployed bool
	// Failed: Argo Events cannot deploy it. While it is neither deployed nor
	// failed, Argo Events has not looked at it yet.
	Failed bool
	// Message says why it is not deployed, in Argo Events' words.
	Message string
	// Files is the ConfigMap in its namespace that its Pods mount; empty for none.
	Files string
}

// Eventing returns what the cache knows of an EventSource or a Sensor that
// carries the tenant's labels; nil when there is none. The errors are those of
// Application.
func (c *Conn) Eventing(_ context.Context, id plan.ID) (*Eventing, error) {
	o, err := c.lookup(id)
	if err != nil || o == nil {
		return nil, err
	}
	state, ok := o.facts.(Eventing)
	if !ok {
		return nil, &UnknownKindError{Group: id.Group, Kind: id.Kind}
	}
	return &state, nil
}

// conditionDeployed is the condition of Argo Events that counts last: it is true
// when the others are.
const conditionDeployed = "Deployed"

func eventingFacts(u *unstructured.Unstructured) any {
	state := Eventing{Files: filesOf(u)}
	for _, condition := range entries(u.Object, "conditions") {
		status, _ := condition["status"].(string)
		if condition["type"] == conditionDeployed && status == string(metav1.ConditionTrue) {
			state.Deployed = true
		}
		if status == string(metav1.ConditionFalse) && !state.Failed {
			message, _ := condition["message"].(string)
			state.Failed, state.Message = true, clip(message)
		}
	}
	state.Deployed = state.Deployed && !state.Failed
	return state
}

// ReadFiles returns the Eventing.Files of a Sensor as the cluster itself knows it
// now, which the cache may not do yet; empty when there is no such Sensor. The
// errors are those of the API server.
func (c *Conn) ReadFiles(ctx context.Context, sensor plan.ID) (string, error) {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(sensorKind())
	err := c.Client().Get(ctx, client.ObjectKey{Namespace: sensor.Namespace, Name: sensor.Name}, u)
	if err != nil && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("look which files %s has: %w", sensor, err)
	}
	return filesOf(u), nil
}

func filesOf(u *unstructured.Unstructured) string {
	files := ""
	volumes, _, _ := unstructured.NestedSlice(u.Object, "spec", "template", "volumes")
	for _, volume := range volumes {
		if volume, ok := volume.(map[string]any); ok {
			name, _, _ := unstructured.NestedString(volume, "configMap", "name")
			files = cmp.Or(name, files)
		}
	}
	return files
}

func eventSourceKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "EventSource"}
}

func sensorKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Sensor"}
}
