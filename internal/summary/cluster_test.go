package summary

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
)

// A name keeps the id of the product that it had first, and goes with the spec.
func TestProductIDs(t *testing.T) {
	s := snapshot.New("t", "nautes", &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "product-1"}, Spec: v1alpha1.ProductSpec{Name: "demo"}})
	for name, test := range map[string]struct {
		reserved map[string][]string
		allowed  []string
		known    map[string]string
		want     map[string]string
	}{
		"no names":               {known: map[string]string{"demo": "product-1"}},
		"an unknown product":     {reserved: map[string][]string{"argo": {"other"}}},
		"a reserved namespace":   {reserved: map[string][]string{"argo": {"other", "demo"}}, want: map[string]string{"demo": "product-1"}},
		"a cluster resource":     {allowed: []string{"demo"}, want: map[string]string{"demo": "product-1"}},
		"a product of before":    {allowed: []string{"demo"}, known: map[string]string{"demo": "product-0"}, want: map[string]string{"demo": "product-0"}},
		"a product that is away": {allowed: []string{"gone"}, known: map[string]string{"gone": "product-0", "demo": "product-1"}, want: map[string]string{"gone": "product-0"}},
	} {
		c := &v1alpha1.Cluster{}
		c.Spec.ReservedNamespacesAllowedProducts = test.reserved
		for _, product := range test.allowed {
			if c.Spec.ProductAllowedClusterResources == nil {
				c.Spec.ProductAllowedClusterResources = map[string][]v1alpha1.ClusterResource{}
			}
			c.Spec.ProductAllowedClusterResources[product] = nil
		}
		c.Status.ProductIDMap = test.known
		got := ProductIDs(s, c)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The list of users is in order, and no longer than its limit.
func TestUsedBy(t *testing.T) {
	for _, n := range []int{0, 2, maxUsers, maxUsers + 1} {
		s := snapshot.New("t", "nautes")
		var want []string
		for i := range n {
			name := fmt.Sprintf("e%02d", n-i)
			s = s.With(&v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: name}, Spec: v1alpha1.EnvironmentSpec{Cluster: "c"}})
			want = append(want, "Environment/product-1/"+name)
		}
		slices.Sort(want)
		want = want[:min(n, maxUsers)]
		got := UsedBy(s, &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "c"}})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d users (-want +got):\n%s", n, diff)
		}
	}
}
