package summary

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// A space whose guard waits for a person stalls its product, before spaces that
// progress.
func TestSpacesOutcome(t *testing.T) {
	space := func(cluster, stalled string) *v1alpha1.Space {
		s := &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: cluster}}
		if stalled != "" {
			s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: stalled, Message: "12 of 14"}}
		}
		return s
	}
	for name, test := range map[string]struct {
		ready     bool
		stalled   string
		wantClass engine.Class
		want      string
	}{
		"ready":       {ready: true},
		"progressing": {wantClass: engine.ClassWaiting, want: "cluster a: being written"},
		"guarded":     {stalled: v1alpha1.ReasonPruneGuarded, wantClass: engine.ClassTerminal, want: "cluster b: 12 of 14"},
		"stalled":     {stalled: v1alpha1.ReasonNotOurs, wantClass: engine.ClassWaiting, want: "cluster a: being written"},
	} {
		p := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "product-1"}}
		for _, cluster := range []string{"a", "b", "c"} {
			p.Status.Spaces = append(p.Status.Spaces, v1alpha1.ProductSpace{Cluster: cluster, Ready: test.ready, Message: "being written"})
		}
		err := SpacesOutcome(snapshot.New("t", "nautes", space("a", ""), space("b", test.stalled)), p)
		if test.wantClass == engine.ClassNone {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		t.Log(name)
		check(t, err, test.wantClass, test.want)
		if reason := engine.Classify(err, nil).Reason; test.stalled == v1alpha1.ReasonPruneGuarded && reason != v1alpha1.ReasonPruneGuarded {
			t.Errorf("the reason is %s", reason)
		}
	}
}

// The condition of a guarded mirror names the objects and both ways to confirm.
func TestSyncedIsGuarded(t *testing.T) {
	revision := "0123456789012345678901234567890123456789"
	held := []plan.ID{{Group: v1alpha1.GroupVersion.Group, Kind: "Environment", Namespace: "product-1", Name: "dev"}}
	result := MirrorResult{Status: &v1alpha1.SyncStatus{Revision: revision}, Held: held, Confirm: plan.Ref{Kind: "Product", Namespace: "nautes", Name: "product-1"}}
	c, stalled := result.Synced(nil)
	want := "revision 0123456789 would remove 1 of the mirrored objects at once; kept are: Environment product-1/dev. If the removal is intended, set the annotation nautes.io/confirm-prune: " + revision +
		" on Product nautes/product-1, or restore the files and remove them by a commit with the trailer Nautes-Confirm-Prune: true in its message"
	if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonPruneGuarded || !stalled || c.Message != want {
		t.Errorf("condition %+v, want the message\n%s", c, want)
	}
}
