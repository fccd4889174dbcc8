package snapshot

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"nautes.io/nautes/api/v1alpha1"
)

func hookOf(task string) *v1alpha1.PipelineHook {
	return &v1alpha1.PipelineHook{
		ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "scan"},
		Spec: v1alpha1.PipelineHookSpec{
			Sides: []v1alpha1.HookSide{v1alpha1.HookPre},
			Task:  runtime.RawExtension{Raw: []byte(task)},
		},
	}
}

// A hook is parsed once for each content, whichever snapshot asks.
func TestParsedHook(t *testing.T) {
	good := hookOf(`{"steps": [{"name": "scan", "image": "scanner"}]}`)
	s := New("tenant", "nautes", good)
	first, errs := s.ParsedHook(good)
	if len(errs) > 0 || first == nil {
		t.Fatalf("got %v, %v; want a hook", first, errs)
	}
	if again, _ := s.With(hookOf(`{}`)).ParsedHook(good.DeepCopy()); again != first {
		t.Error("the hook was parsed again, although its content is the same")
	}
	bad := hookOf(`{"steps": []}`)
	if hook, errs := s.With(bad).ParsedHook(bad); len(errs) == 0 || hook != nil {
		t.Errorf("got %v, %v for another version without steps; want errors", hook, errs)
	}
	if again, errs := s.ParsedHook(good); again == nil || len(errs) > 0 {
		t.Errorf("got %v, %v for the first version; want its hook", again, errs)
	}
}
