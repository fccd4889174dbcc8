package engine

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// Facts are the findings of a pass. The conditions are a function of them.
type Facts struct {
	conditions []metav1.Condition
	// ReadyMessage is the message of a Ready condition that is true.
	ReadyMessage string

	classify Classifier
}

// Set records a condition. The last one of a type counts.
func (f *Facts) Set(conditionType string, status metav1.ConditionStatus, reason, message string) {
	f.conditions = slices.DeleteFunc(f.conditions, func(c metav1.Condition) bool { return c.Type == conditionType })
	f.conditions = append(f.conditions, metav1.Condition{Type: conditionType, Status: status, Reason: reason, Message: message})
}

// Conditions returns the recorded conditions.
func (f *Facts) Conditions() []metav1.Condition { return slices.Clone(f.conditions) }

// True records a condition that holds.
func (f *Facts) True(conditionType, reason, message string) {
	f.Set(conditionType, metav1.ConditionTrue, reason, message)
}

// False records a condition that does not hold.
func (f *Facts) False(conditionType, reason, message string) {
	f.Set(conditionType, metav1.ConditionFalse, reason, message)
}

// Fail records a condition that does not hold because of an error.
func (f *Facts) Fail(conditionType string, err error) {
	outcome := Classify(err, f.classify)
	f.False(conditionType, outcome.Reason, outcome.Message)
}

// Valid sets the condition Valid, and returns the verdict about the refusals.
func (f *Facts) Valid(refusals field.ErrorList) error {
	invalid := Verdict(refusals)
	if invalid != nil {
		f.Fail(v1alpha1.ConditionValid, invalid)
	} else {
		f.True(v1alpha1.ConditionValid, v1alpha1.ReasonValid, "every rule holds")
	}
	return invalid
}

// NotEvaluated returns a condition that the last pass did not reach.
func NotEvaluated(conditionType string) metav1.Condition {
	return metav1.Condition{
		Type: conditionType, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotEvaluated,
		Message: "the last pass ended before it came to this condition; Ready says why",
	}
}

// declared are the condition types of an object beside the summary.
type declared struct {
	// types that are Unknown if a pass did not reach them.
	types []string
	// foreign types are written by another controller.
	foreign []string
}

// summarise writes facts and outcome into the status: Ready always, Reconciling and
// Stalled only while they are true, every declared type, and the foreign ones as they
// are.
func summarise(status *v1alpha1.Status, generation int64, facts *Facts, outcome *Error, d declared) {
	status.ObservedGeneration = generation
	wanted := slices.Clone(facts.conditions)
	for _, conditionType := range d.types {
		if !has(wanted, conditionType) {
			wanted = append(wanted, NotEvaluated(conditionType))
		}
	}
	wanted = append(wanted, summary(facts, outcome)...)

	kept := slices.DeleteFunc(slices.Clone(status.Conditions), func(c metav1.Condition) bool {
		return !has(wanted, c.Type) && !slices.Contains(d.foreign, c.Type)
	})
	for _, want := range wanted {
		want.ObservedGeneration = generation
		want.Message = plan.Cut(want.Message, maxMessage)
		meta.SetStatusCondition(&kept, want)
	}
	slices.SortFunc(kept, func(a, b metav1.Condition) int { return strings.Compare(a.Type, b.Type) })
	status.Conditions = kept
}

// summary returns Ready, and Reconciling or Stalled if it is true.
func summary(facts *Facts, outcome *Error) []metav1.Condition {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: outcome.Reason, Message: outcome.Message}
	detail := metav1.Condition{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: outcome.Reason, Message: outcome.Message}
	switch outcome.Class {
	case ClassNone:
		ready.Status, ready.Reason, ready.Message = metav1.ConditionTrue, v1alpha1.ReasonReady, facts.ReadyMessage
		return []metav1.Condition{ready}
	case ClassHeld:
		// Neither stuck nor at work: Ready alone says so.
		return []metav1.Condition{ready}
	case ClassTerminal:
		detail.Type = v1alpha1.ConditionStalled
	}
	return []metav1.Condition{ready, detail}
}

func has(conditions []metav1.Condition, conditionType string) bool {
	return meta.FindStatusCondition(conditions, conditionType) != nil
}

// unexpectedMessage stands in the status for unexpected errors, since their text can
// hold anything; the log has it.
const unexpectedMessage = "an unexpected error, tried again with growing pauses; the operator's log has it under this object's name"

// maxMessage is the API's limit on condition messages, in bytes.
const maxMessage = 32768
