package observed

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestEventingOf(t *testing.T) {
	list := func(conditions ...any) map[string]any { return map[string]any{"conditions": conditions} }
	condition := func(kind, status, message string) any {
		return map[string]any{"type": kind, "status": status, "message": message}
	}
	tests := map[string]struct {
		status, spec map[string]any
		want         Eventing
	}{
		"new":             {},
		"not looked at":   {status: list(condition("SourcesProvided", "Unknown", ""), condition("Deployed", "Unknown", ""))},
		"only valid":      {status: list(condition("SourcesProvided", "True", ""), condition("Deployed", "Unknown", ""))},
		"deployed":        {status: list(condition("Deployed", "True", ""), condition("SourcesProvided", "True", "")), want: Eventing{Deployed: true}},
		"with files":      {spec: map[string]any{"template": map[string]any{"volumes": []any{map[string]any{"name": "tmp", "emptyDir": map[string]any{}}, map[string]any{"name": "files", "configMap": map[string]any{"name": "s-1"}}}}}, want: Eventing{Files: "s-1"}},
		"without a bus":   {status: list(condition("Deployed", "False", "EventBus not ready."), condition("SourcesProvided", "True", "")), want: Eventing{Failed: true, Message: "EventBus not ready."}},
		"invalid":         {status: list(condition("DependenciesProvided", "False", "no such event"), condition("Deployed", "Unknown", "")), want: Eventing{Failed: true, Message: "no such event"}},
		"invalid by now":  {status: list(condition("Deployed", "True", ""), condition("TriggersProvided", "False", "no template")), want: Eventing{Failed: true, Message: "no template"}},
		"invalid twice":   {status: list(condition("DependenciesProvided", "False", "first"), condition("TriggersProvided", "False", "second")), want: Eventing{Failed: true, Message: "first"}},
		"of another form": {status: map[string]any{"conditions": []any{"Deployed", map[string]any{"type": 1, "status": true}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{Object: map[string]any{}}
			if test.status != nil {
				u.Object["status"] = test.status
			}
			if test.spec != nil {
				u.Object["spec"] = test.spec
			}
			if diff := cmp.Diff(test.want, EventingOf(u)); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}
