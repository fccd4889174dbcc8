package engine

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

const (
	// maxWarnings bounds the warnings in a status, and maxWarning each of them in bytes.
	maxWarnings = 20
	maxWarning  = 1024
)

// Warn adds a warning to the ones of the rules.
func (s *Session[T]) Warn(warning string) { s.warnings = append(s.warnings, warning) }

// listed returns the warnings as a status lists them: each once, and not too many.
func listed(warnings []string) []string {
	var list []string
	for _, warning := range warnings {
		if warning = plan.Cut(warning, maxWarning); !slices.Contains(list, warning) {
			list = append(list, warning)
		}
	}
	if more := len(list) - maxWarnings; more > 0 {
		list = append(list[:maxWarnings], fmt.Sprintf("and %d more", more))
	}
	return list
}

// announceWarnings sends an event if the status has a warning that it did not have
// before. The event names the first one.
func (r *Reconciler[T, P]) announceWarnings(o P, before []string) {
	added := slices.DeleteFunc(slices.Clone(o.GetStatus().Warnings), func(warning string) bool {
		return slices.Contains(before, warning)
	})
	if len(added) == 0 {
		return
	}
	more := More(len(added) - 1)
	r.options.Recorder.Eventf(o, nil, corev1.EventTypeWarning, v1alpha1.ReasonWarned, "Validate",
		"%s%s", plan.Cut(added[0], maxNote-len(more)), more)
}
