package summary

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
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

func TestSpaces(t *testing.T) {
	space := func(name, ready, message string, namespaces ...string) *v1alpha1.Space {
		s := &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: name}, Status: v1alpha1.SpaceStatus{Namespaces: namespaces}}
		if ready != "" {
			s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionStatus(ready), Message: message}}
		}
		return s
	}
	s := snapshot.New("t", "nautes", space("ready", "True", "all is well", "a"), space("failing", "False", "no access", "b"), space("fresh", "", ""))
	p := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "product-1"}}
	p.Status.Spaces = []v1alpha1.ProductSpace{
		{Cluster: "ready", Namespaces: []string{"old"}}, {Cluster: "fresh", Namespaces: []string{"c"}}, {Cluster: "next", Namespaces: []string{"d"}}, {Cluster: "gone", Namespaces: []string{"e"}},
	}
	want := []v1alpha1.ProductSpace{
		{Cluster: "failing", Namespaces: []string{"b"}, Message: "no access"},
		{Cluster: "first", Message: "being written"},
		{Cluster: "fresh", Namespaces: []string{"c"}, Message: "being written"},
		{Cluster: "next", Namespaces: []string{"d"}, Message: "being written"},
		{Cluster: "ready", Namespaces: []string{"a"}, Ready: true},
	}
	if diff := cmp.Diff(want, Spaces(s, p, []string{"next", "ready", "first"})); diff != "" {
		t.Errorf("spaces (-want +got):\n%s", diff)
	}
}
