package summary

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
)

func TestSynced(t *testing.T) {
	const revision = "0123456789abcdef"
	held := []plan.ID{{Kind: "Project", Namespace: "product-1", Name: "p"}}
	problem := v1alpha1.FileProblem{Path: "a.yaml", Message: "no kind"}
	onLine := problem
	onLine.Line = 1
	const guarded = "revision 0123456789 would remove 1 of the mirrored objects at once; kept are: Project product-1/p. If the removal is intended, " +
		"set the annotation nautes.io/confirm-prune: 0123456789abcdef on Product nautes/product-1, " +
		"or restore the files and remove them by a commit with the trailer Nautes-Confirm-Prune: true in its message"
	for name, test := range map[string]struct {
		result      MirrorResult
		want        metav1.Condition
		wantStalled bool
	}{
		"in sync": {
			result: MirrorResult{Status: &v1alpha1.SyncStatus{Revision: revision, Files: 3}},
			want:   metav1.Condition{Status: "True", Reason: "Synced", Message: "revision 0123456789, 3 files"},
		},
		"never fetched": {
			result: MirrorResult{Err: engine.Waiting("FetchFailed", "no answer")},
			want:   metav1.Condition{Status: "False", Reason: "FetchFailed", Message: "no answer"},
		},
		"an error that a person must resolve": {
			result:      MirrorResult{Status: &v1alpha1.SyncStatus{ProblemCount: 1, Problems: []v1alpha1.FileProblem{problem}}, Err: engine.Terminal("FetchFailed", "no branch"), Held: held},
			want:        metav1.Condition{Status: "False", Reason: "FetchFailed", Message: "no branch"},
			wantStalled: true,
		},
		"an unexpected error": {
			result: MirrorResult{Err: errors.New("canary")},
			want:   metav1.Condition{Status: "False", Reason: v1alpha1.ReasonInternalError, Message: engine.Classify(errors.New("canary"), nil).Message},
		},
		"a refused file": {
			result:      MirrorResult{Status: &v1alpha1.SyncStatus{ProblemCount: 1, Problems: []v1alpha1.FileProblem{problem}}},
			want:        metav1.Condition{Status: "False", Reason: "FilesRefused", Message: "a.yaml: no kind"},
			wantStalled: true,
		},
		"a refused line, and another file": {
			result:      MirrorResult{Status: &v1alpha1.SyncStatus{ProblemCount: 2, Problems: []v1alpha1.FileProblem{onLine, problem}}},
			want:        metav1.Condition{Status: "False", Reason: "FilesRefused", Message: "a.yaml:1: no kind (and 1 more files, see status.sync.problems)"},
			wantStalled: true,
		},
		"refused and held": {
			result: MirrorResult{
				Status: &v1alpha1.SyncStatus{Revision: revision, ProblemCount: 1, Problems: []v1alpha1.FileProblem{problem}}, Held: held,
				Confirm: plan.Ref{Kind: "Product", Namespace: "nautes", Name: "product-1"},
			},
			want:        metav1.Condition{Status: "False", Reason: "FilesRefused", Message: "a.yaml: no kind; besides, " + guarded},
			wantStalled: true,
		},
		"held": {
			result:      MirrorResult{Status: &v1alpha1.SyncStatus{Revision: revision}, Held: held, Confirm: plan.Ref{Kind: "Product", Namespace: "nautes", Name: "product-1"}},
			want:        metav1.Condition{Status: "False", Reason: "PruneGuarded", Message: guarded},
			wantStalled: true,
		},
	} {
		test.want.Type = v1alpha1.ConditionSynced
		got, stalled := test.result.Synced(nil)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if stalled != test.wantStalled {
			t.Errorf("%s: stalled %v, want %v", name, stalled, test.wantStalled)
		}
	}
}

func TestShortRevision(t *testing.T) {
	for revision, want := range map[string]string{"": "", "0123456789": "0123456789", "0123456789a": "0123456789"} {
		if got := ShortRevision(revision); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
