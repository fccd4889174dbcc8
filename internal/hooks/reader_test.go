package hooks

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"nautes.io/nautes/api/v1alpha1"
)

// A hook is parsed once for each content, whichever copy of its object is given.
func TestReader(t *testing.T) {
	of := func(task, vars string, sides ...v1alpha1.HookSide) *v1alpha1.PipelineHook {
		h := &v1alpha1.PipelineHook{ObjectMeta: metav1.ObjectMeta{Name: "scan"}}
		h.Spec.Sides = sides
		h.Spec.Task = runtime.RawExtension{Raw: []byte(task)}
		if vars != "" {
			h.Spec.VarsSchema = &runtime.RawExtension{Raw: []byte(vars)}
		}
		return h
	}
	const (
		task = `{"params": [{"name": "level", "default": "low"}], "steps": [{"name": "scan", "image": "scanner"}]}`
		vars = `{"type": "object", "properties": {"level": {"type": "string"}}}`
	)
	var reader Reader
	first, errs := reader.Parse(of(task, "", v1alpha1.HookPre))
	if len(errs) > 0 || first == nil {
		t.Fatalf("got %v, %v; want a hook", first, errs)
	}
	if again, _ := reader.Parse(of(task, "", v1alpha1.HookPre)); again != first {
		t.Error("the hook was parsed again, although its content is the same")
	}
	if hook, errs := reader.Parse(&v1alpha1.PipelineHook{ObjectMeta: metav1.ObjectMeta{Name: "empty"}}); hook != nil || len(errs) == 0 {
		t.Errorf("got %v, %v for a hook without a task; want errors", hook, errs)
	}
	// Each one differs in one field.
	for name, other := range map[string]*v1alpha1.PipelineHook{
		"task":         of(strings.Replace(task, "scanner", "other", 1), vars, v1alpha1.HookPre),
		"sides":        of(task, vars, v1alpha1.HookPost),
		"no schema":    of(task, "", v1alpha1.HookPre),
		"other schema": of(task, `{"type": "object"}`, v1alpha1.HookPre),
	} {
		before, _ := reader.Parse(of(task, vars, v1alpha1.HookPre))
		if hook, errs := reader.Parse(other); hook == nil || len(errs) > 0 || hook == before {
			t.Errorf("%s: got the hook of the former content, or errors %v", name, errs)
		}
	}
	if hook, errs := reader.Parse(of(`{"steps": []}`, "", v1alpha1.HookPre)); hook != nil || len(errs) == 0 {
		t.Errorf("got %v, %v without steps; want errors", hook, errs)
	}
}
