package hooks

import (
	"bytes"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
)

// Reader parses each PipelineHook once: every runtime of every product that uses a
// hook needs it, in validation and in building. It is safe for concurrent use; the zero
// Reader is ready.
type Reader struct {
	mu sync.Mutex
	// read has one entry for each name, which other content replaces.
	read map[string]parsed
}

type parsed struct {
	spec v1alpha1.PipelineHookSpec
	hook *Hook
	errs field.ErrorList
}

// Parse returns the result of the function Parse. The hook and the errors are shared
// and must not be changed.
func (r *Reader) Parse(h *v1alpha1.PipelineHook) (*Hook, field.ErrorList) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.read[h.Name]; ok && known.isOf(h.Spec) {
		return known.hook, known.errs
	}
	hook, errs := Parse(h)
	if r.read == nil {
		r.read = map[string]parsed{}
	}
	r.read[h.Name] = parsed{spec: h.Spec, hook: hook, errs: errs}
	return hook, errs
}

// isOf reports whether p was parsed from a hook of that spec.
func (p parsed) isOf(spec v1alpha1.PipelineHookSpec) bool {
	if (p.spec.VarsSchema == nil) != (spec.VarsSchema == nil) {
		return false
	}
	return bytes.Equal(p.spec.Task.Raw, spec.Task.Raw) && slices.Equal(p.spec.Sides, spec.Sides) &&
		(spec.VarsSchema == nil || bytes.Equal(p.spec.VarsSchema.Raw, spec.VarsSchema.Raw))
}
