package observed

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestApplicationOf(t *testing.T) {
	long := strings.Repeat("é", maxMessage)
	git := func(values string) map[string]any {
		return map[string]any{"repoURL": "https://git/x.git", "path": "deploy", "helm": map[string]any{"valuesObject": map[string]any{"a": values}}}
	}
	tests := map[string]struct {
		spec, status map[string]any
		want         Application
	}{
		"new": {},
		"an operation under way": {
			status: map[string]any{
				"sync":           map[string]any{"status": "OutOfSync", "revision": "new"},
				"operationState": map[string]any{"phase": "Running", "message": "one of two", "syncResult": map[string]any{"revision": "old"}},
			},
			want: Application{Sync: "OutOfSync", Revision: "old"},
		},
		"a new commit without changes": {
			status: map[string]any{
				"sync":           map[string]any{"status": "Synced", "revision": "new"},
				"operationState": map[string]any{"phase": "Succeeded", "message": "done", "syncResult": map[string]any{"revision": "old"}},
			},
			want: Application{Sync: "Synced", Revision: "new"},
		},
		"the first comparison": {
			status: map[string]any{"sync": map[string]any{"status": "OutOfSync", "revision": "new"}},
			want:   Application{Sync: "OutOfSync", Revision: "new"},
		},
		"equal sources before the first comparison": {
			spec:   map[string]any{"source": git("b")},
			status: map[string]any{"sync": map[string]any{"comparedTo": map[string]any{"source": git("b")}}},
			want:   Application{Compared: ApplicationSource{RepoURL: "https://git/x.git", Path: "deploy"}},
		},
		"an empty list that Argo CD drops": {
			spec: map[string]any{"source": map[string]any{"repoURL": "https://git/x.git", "kustomize": map[string]any{"images": []any{}}}},
			status: map[string]any{"sync": map[string]any{"status": "Synced", "comparedTo": map[string]any{
				"source": map[string]any{"repoURL": "https://git/x.git"},
			}}},
			want: Application{Sync: "Synced", Compared: ApplicationSource{RepoURL: "https://git/x.git"}, Current: true},
		},
		"a failed operation": {
			status: map[string]any{"operationState": map[string]any{"phase": "Failed", "message": "no such namespace"}},
			want:   Application{Message: "no such namespace", Cause: CauseFailed},
		},
		"a comparison that fails": {
			status: map[string]any{"conditions": []any{
				map[string]any{"type": "OrphanedResourceWarning", "message": "a warning"},
				map[string]any{"type": "ComparisonError", "message": "repository not found"},
			}},
			want: Application{Message: "repository not found", Cause: CauseError},
		},
		"a long message": {
			status: map[string]any{"operationState": map[string]any{"phase": "Error", "message": "x" + long}},
			want:   Application{Message: "x" + long[:maxMessage-4] + "…", Cause: CauseFailed},
		},
		"a source that was compared": {
			spec: map[string]any{"source": git("b")},
			status: map[string]any{"sync": map[string]any{"status": "Synced", "comparedTo": map[string]any{
				"source": withEmpty(git("b"), "targetRevision"), "destination": map[string]any{},
			}}},
			want: Application{Sync: "Synced", Compared: ApplicationSource{RepoURL: "https://git/x.git", Path: "deploy"}, Current: true},
		},
		"values that were not compared": {
			spec:   map[string]any{"source": git("c")},
			status: map[string]any{"sync": map[string]any{"status": "Synced", "comparedTo": map[string]any{"source": git("b")}}},
			want:   Application{Sync: "Synced", Compared: ApplicationSource{RepoURL: "https://git/x.git", Path: "deploy"}},
		},
		"several sources": {
			spec: map[string]any{"sources": []any{git("b"), git("c")}},
			status: map[string]any{"sync": map[string]any{"status": "Synced", "revisions": []any{"1", "2"}, "comparedTo": map[string]any{
				"source": map[string]any{"repoURL": ""}, "sources": []any{git("b"), git("c")},
			}}},
			want: Application{Sync: "Synced", Revision: "1,2", Current: true},
		},
		"several sources in another order": {
			spec: map[string]any{"sources": []any{git("b"), git("c")}},
			status: map[string]any{"sync": map[string]any{"status": "Synced", "comparedTo": map[string]any{
				"sources": []any{git("c"), git("b")},
			}}},
			want: Application{Sync: "Synced"},
		},
		"a degraded object": {
			status: map[string]any{"health": map[string]any{"status": "Degraded"}, "resources": []any{
				map[string]any{"kind": "Service", "name": "good", "health": map[string]any{"status": "Healthy"}},
				map[string]any{"kind": "ConfigMap", "name": "none"},
				map[string]any{
					"group": "apps", "kind": "Deployment", "namespace": "n", "name": "bad",
					"health": map[string]any{"status": "Degraded", "message": "exceeded its progress deadline"},
				},
			}},
			want: Application{Health: "Degraded", Fault: "Deployment.apps n/bad: exceeded its progress deadline"},
		},
		"an object on the way": {
			status: map[string]any{"health": map[string]any{"status": "Progressing"}, "resources": []any{
				map[string]any{"kind": "Pod", "name": "p", "health": map[string]any{"status": "Progressing", "message": "1 of 2"}},
			}},
			want: Application{Health: "Progressing", Fault: "Pod p: 1 of 2"},
		},
		"nonsense": {status: map[string]any{"sync": "x", "conditions": []any{"y", 1}, "health": nil}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := ApplicationOf(&unstructured.Unstructured{Object: map[string]any{"spec": test.spec, "status": test.status}})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// withEmpty adds an empty field.
func withEmpty(fields map[string]any, field string) map[string]any {
	fields[field] = ""
	return fields
}
