package observed

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// held is the reason why an object that is deleted is not gone.
type held string

// FactsOf returns the function that extracts the state of a kind, or nil if the
// metadata of the kind is enough. The states are comparable with ==.
func FactsOf(kind schema.GroupKind) func(*unstructured.Unstructured) any {
	switch kind.String() {
	case "Application.argoproj.io":
		return func(u *unstructured.Unstructured) any { return ApplicationOf(u) }
	case "EventSource.argoproj.io", "Sensor.argoproj.io":
		return func(u *unstructured.Unstructured) any { return EventingOf(u) }
	case "PipelineRun.tekton.dev":
		return func(u *unstructured.Unstructured) any { return RunOf(u) }
	case "Service":
		return func(u *unstructured.Unstructured) any { return EntryPointOf(u) }
	case "Namespace":
		return namespaceHeld
	}
	return nil
}

// HeldOf returns the reason why an object that is deleted is not gone, given its
// state, or "" if it gives none.
func HeldOf(state any) string {
	switch s := state.(type) {
	case held:
		return string(s)
	case Application:
		return s.Held
	}
	return ""
}

// Remaining returns the state of an object that its metadata shows: the finalizers
// that keep it while it is deleted. It returns nil if there are none.
func Remaining(o metav1.Object) any {
	finalizers := o.GetFinalizers()
	if o.GetDeletionTimestamp() == nil || len(finalizers) == 0 {
		return nil
	}
	return held(clip("it has the finalizers "+strings.Join(finalizers, ", "), maxMessage))
}

// remainingConditions are the conditions of a namespace that explain why it is not
// gone, the most useful first.
var remainingConditions = []string{
	"NamespaceFinalizersRemaining", "NamespaceDeletionContentFailure", "NamespaceDeletionDiscoveryFailure",
	"NamespaceDeletionGroupVersionParsingFailure", "NamespaceContentRemaining",
}

// namespaceHeld returns why a namespace that is deleted is not gone, or nil.
func namespaceHeld(u *unstructured.Unstructured) any {
	if u.GetDeletionTimestamp() == nil {
		return nil
	}
	var reasons []string
	for _, kind := range remainingConditions {
		for _, condition := range statusList(u.Object, "conditions") {
			message := text(condition, "message")
			// The finalizers that remain say more than the content that has them.
			if text(condition, "type") == kind && text(condition, "status") == string(metav1.ConditionTrue) && message != "" &&
				(kind != "NamespaceContentRemaining" || len(reasons) == 0) {
				reasons = append(reasons, message)
			}
		}
	}
	if len(reasons) == 0 {
		return Remaining(u)
	}
	return held(clip(strings.Join(reasons, "; "), maxMessage))
}
