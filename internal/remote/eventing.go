package remote

import (
	"cmp"
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

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
	state := Eventing{Files: FilesOf(u)}
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

// FilesOf returns the Eventing.Files of a Sensor.
func FilesOf(u *unstructured.Unstructured) string {
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
