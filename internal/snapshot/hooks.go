package snapshot

import (
	"bytes"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/hooks"
)

// hookReader parses each PipelineHook once: every runtime of every product that uses a
// hook needs it, in validation and in building. It is safe for concurrent use.
type hookReader struct {
	mu sync.Mutex
	// read has one entry for each name, which other content replaces.
	read map[string]parsedHook
}

type parsedHook struct {
	spec v1alpha1.PipelineHookSpec
	hook *hooks.Hook
	errs field.ErrorList
}

// reads reports whether a hook of that spec is the one that was parsed.
func (p parsedHook) reads(spec v1alpha1.PipelineHookSpec) bool {
	if (p.spec.VarsSchema == nil) != (spec.VarsSchema == nil) {
		return false
	}
	return bytes.Equal(p.spec.Task.Raw, spec.Task.Raw) && slices.Equal(p.spec.Sides, spec.Sides) &&
		(spec.VarsSchema == nil || bytes.Equal(p.spec.VarsSchema.Raw, spec.VarsSchema.Raw))
}

func (r *hookReader) parse(h *v1alpha1.PipelineHook) (*hooks.Hook, field.ErrorList) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.read[h.Name]; ok && known.reads(h.Spec) {
		return known.hook, known.errs
	}
	hook, errs := hooks.Parse(h)
	if r.read == nil {
		r.read = map[string]parsedHook{}
	}
	r.read[h.Name] = parsedHook{spec: h.Spec, hook: hook, errs: errs}
	return hook, errs
}

// ParsedHook returns a PipelineHook as tasks use it, or its errors, as hooks.Parse does.
func (s *Snapshot) ParsedHook(h *v1alpha1.PipelineHook) (*hooks.Hook, field.ErrorList) {
	return s.parser.parse(h)
}
