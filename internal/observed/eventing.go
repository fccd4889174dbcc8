package observed

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Eventing is the state of an EventSource or a Sensor of Argo Events. Argo Events
// reports no observed generation, so after a change the state may be outdated.
type Eventing struct {
	// Deployed reports whether it listens, or will in a moment.
	Deployed bool
	// Failed reports whether Argo Events cannot deploy it. If it is neither deployed
	// nor failed, Argo Events has not reconciled it yet.
	Failed bool
	// Message explains why it is not deployed, in the words of Argo Events.
	Message string
	// Files is the ConfigMap in its namespace that its Pods mount, or empty for none.
	Files string
}

// conditionDeployed is the condition of Argo Events that becomes true last.
const conditionDeployed = "Deployed"

// EventingOf returns the state of an EventSource or a Sensor.
func EventingOf(u *unstructured.Unstructured) Eventing {
	state := Eventing{Files: FilesOf(u)}
	for _, condition := range statusList(u.Object, "conditions") {
		status, _ := condition["status"].(string)
		if condition["type"] == conditionDeployed && status == string(metav1.ConditionTrue) {
			state.Deployed = true
		}
		if status == string(metav1.ConditionFalse) && !state.Failed {
			message, _ := condition["message"].(string)
			state.Failed, state.Message = true, clip(message, maxMessage)
		}
	}
	state.Deployed = state.Deployed && !state.Failed
	return state
}

// FilesOf returns the ConfigMap that the Pods of a Sensor mount, or "".
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
