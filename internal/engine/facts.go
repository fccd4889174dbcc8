package engine

import (
	"sort"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
)

// Facts are what a reconciliation learned of an object. The status is a
// function of them.
type Facts struct {
	conditions []metav1.Condition
	// ReadyMessage is the message of a Ready condition that is true.
	ReadyMessage string
}

// Set records a fact as a condition. The last one of a type counts.
func (f *Facts) Set(conditionType string, status metav1.ConditionStatus, reason, message string) {
	for i := range f.conditions {
		if f.conditions[i].Type == conditionType {
			f.conditions = append(f.conditions[:i], f.conditions[i+1:]...)
			break
		}
	}
	f.conditions = append(f.conditions, metav1.Condition{Type: conditionType, Status: status, Reason: reason, Message: message})
}

// True records a fact that holds.
func (f *Facts) True(conditionType, reason, message string) {
	f.Set(conditionType, metav1.ConditionTrue, reason, message)
}

// False records a fact that does not hold.
func (f *Facts) False(conditionType, reason, message string) {
	f.Set(conditionType, metav1.ConditionFalse, reason, message)
}

// summarise writes facts and outcome into the status: Ready always, Reconciling
// and Stalled only while they are true, the facts, and nothing else.
func summarise(status *v1alpha1.Status, generation int64, facts *Facts, outcome *Error) {
	status.ObservedGeneration = generation
	wanted := append([]metav1.Condition(nil), facts.conditions...)
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: outcome.Reason, Message: outcome.Message}
	switch outcome.Class {
	case ClassNone:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionTrue, v1alpha1.ReasonReady, facts.ReadyMessage
	case ClassHeld:
		// Neither stuck nor at work: Ready alone says so.
	case ClassTerminal:
		wanted = append(wanted, metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: outcome.Reason, Message: outcome.Message})
	default:
		wanted = append(wanted, metav1.Condition{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: ready.Reason, Message: ready.Message})
	}
	wanted = append(wanted, ready)

	kept := status.Conditions[:0:0]
	for _, have := range status.Conditions {
		for _, want := range wanted {
			if want.Type == have.Type {
				kept = append(kept, have)
			}
		}
	}
	for _, want := range wanted {
		want.ObservedGeneration = generation
		want.Message = truncate(want.Message)
		meta.SetStatusCondition(&kept, want)
	}
	sort.Slice(kept, func(i, j int) bool { return kept[i].Type < kept[j].Type })
	status.Conditions = kept
}

// unexpectedMessage stands in status for errors that nobody foresaw, since
// their text can hold anything; the log has it.
const unexpectedMessage = "an unexpected error, tried again with growing pauses; the operator's log has it under this object's name"

// maxMessage is the API's limit on condition messages, less room for the mark.
const maxMessage = 32000

func truncate(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return message[:maxMessage] + " …"
}
