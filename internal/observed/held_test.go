package observed

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"nautes.io/nautes/api/v1alpha1"
)

func TestHeldOf(t *testing.T) {
	for name, test := range map[string]struct {
		kind   schema.GroupKind
		object string
		want   string
	}{
		"a namespace with a foreign finalizer inside": {
			kind: schema.GroupKind{Kind: "Namespace"},
			object: `
metadata: {name: ns-1, deletionTimestamp: "2026-02-01T00:00:00Z"}
status:
  phase: Terminating
  conditions:
  - {type: NamespaceDeletionDiscoveryFailure, status: "False", reason: ResourcesDiscovered, message: All resources successfully discovered}
  - {type: NamespaceDeletionContentFailure, status: "False", reason: ContentDeleted, message: "All content successfully deleted, may be waiting on finalization"}
  - {type: NamespaceContentRemaining, status: "True", reason: SomeResourcesRemain, message: "Some resources are remaining: configmaps. has 1 resource instances"}
  - {type: NamespaceFinalizersRemaining, status: "True", reason: SomeFinalizersRemain, message: "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"}`,
			want: "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
		},
		"a namespace with content": {
			kind: schema.GroupKind{Kind: "Namespace"},
			object: `
metadata: {name: ns-1, deletionTimestamp: "2026-02-01T00:00:00Z"}
status: {conditions: [{type: NamespaceContentRemaining, status: "True", message: "Some resources are remaining: pods. has 2 resource instances"}]}`,
			want: "Some resources are remaining: pods. has 2 resource instances",
		},
		"a namespace while an API does not answer": {
			kind: schema.GroupKind{Kind: "Namespace"},
			object: `
metadata: {name: ns-1, deletionTimestamp: "2026-02-01T00:00:00Z"}
status:
  conditions:
  - {type: NamespaceDeletionDiscoveryFailure, status: "True", message: "Discovery failed for some groups, 1 failing: metrics.k8s.io/v1beta1: stale GroupVersion discovery"}
  - {type: NamespaceContentRemaining, status: "True", message: ignored}`,
			want: "Discovery failed for some groups, 1 failing: metrics.k8s.io/v1beta1: stale GroupVersion discovery",
		},
		"a namespace with two reasons": {
			kind: schema.GroupKind{Kind: "Namespace"},
			object: `
metadata: {name: ns-1, deletionTimestamp: "2026-02-01T00:00:00Z", finalizers: [example.com/hold]}
status:
  conditions:
  - {type: NamespaceDeletionDiscoveryFailure, status: "True", message: no answer}
  - {type: NamespaceFinalizersRemaining, status: "True", message: finalizers remain}`,
			want: "finalizers remain; no answer",
		},
		"a namespace with a reason without a message": {
			kind: schema.GroupKind{Kind: "Namespace"},
			object: `
metadata: {name: ns-1, deletionTimestamp: "2026-02-01T00:00:00Z", finalizers: [example.com/hold]}
status: {conditions: [{type: NamespaceDeletionContentFailure, status: "True"}]}`,
			want: "it has the finalizers example.com/hold",
		},
		"a namespace with a finalizer of its own": {
			kind:   schema.GroupKind{Kind: "Namespace"},
			object: `metadata: {name: ns-1, deletionTimestamp: "2026-02-01T00:00:00Z", finalizers: [example.com/hold]}`,
			want:   "it has the finalizers example.com/hold",
		},
		"a namespace that stays": {
			kind: schema.GroupKind{Kind: "Namespace"},
			object: `
metadata: {name: ns-1}
status: {conditions: [{type: NamespaceContentRemaining, status: "True", message: x}]}`,
		},
		"an Application": {
			kind: schema.GroupKind{Group: "argoproj.io", Kind: "Application"},
			object: `
metadata: {name: a, deletionTimestamp: "2026-02-01T00:00:00Z", finalizers: [resources-finalizer.argocd.argoproj.io]}
status: {conditions: [{type: DeletionError, message: i/o timeout}]}`,
			want: "i/o timeout",
		},
		"an Application without a word": {
			kind:   schema.GroupKind{Group: "argoproj.io", Kind: "Application"},
			object: `metadata: {name: a, deletionTimestamp: "2026-02-01T00:00:00Z", finalizers: [resources-finalizer.argocd.argoproj.io]}`,
		},
	} {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(test.object), &u.Object); err != nil {
			t.Fatal(err)
		}
		if got := HeldOf(FactsOf(test.kind)(u)); got != test.want {
			t.Errorf("%s: held by %q, want %q", name, got, test.want)
		}
	}
}

func TestFactsOf(t *testing.T) {
	for kind, want := range map[schema.GroupKind]any{
		{Group: "argoproj.io", Kind: "Application"}:   Application{},
		{Group: "argoproj.io", Kind: "EventSource"}:   Eventing{},
		{Group: "argoproj.io", Kind: "Sensor"}:        Eventing{},
		{Group: "tekton.dev", Kind: "PipelineRun"}:    RunOf(&unstructured.Unstructured{}),
		{Kind: "Service"}:                             v1alpha1.EntryPoint{},
		{Kind: "Namespace"}:                           nil,
		{Kind: "Secret"}:                              nil,
		{Group: "other.example", Kind: "Application"}: nil,
	} {
		facts := FactsOf(kind)
		if isNamespace := kind.Kind == "Namespace"; (facts != nil) != (want != nil || isNamespace) {
			t.Errorf("%s has facts: %v", kind, facts != nil)
		} else if facts != nil {
			if diff := cmp.Diff(want, facts(&unstructured.Unstructured{})); diff != "" {
				t.Errorf("%s (-want +got):\n%s", kind, diff)
			}
		}
	}
}

func TestRemaining(t *testing.T) {
	now := metav1.Now()
	for name, test := range map[string]struct {
		meta metav1.ObjectMeta
		want string
	}{
		"in use":            {meta: metav1.ObjectMeta{Finalizers: []string{"a"}}},
		"deleted":           {meta: metav1.ObjectMeta{DeletionTimestamp: &now}},
		"deleted, and held": {meta: metav1.ObjectMeta{DeletionTimestamp: &now, Finalizers: []string{"a", "b"}}, want: "it has the finalizers a, b"},
	} {
		state := Remaining(&metav1.PartialObjectMetadata{ObjectMeta: test.meta})
		if got := HeldOf(state); got != test.want || (state == nil) != (test.want == "") {
			t.Errorf("%s: held by %q, want %q", name, got, test.want)
		}
	}
}
