package build_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/build"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// A product has a Space wherever one of its runtimes is or may go. Clusters that its
// status lists from the time before there were Spaces get one as well, once.
func TestSpacesOfProduct(t *testing.T) {
	listed := func(condition metav1.ConditionStatus, deleted bool) *v1alpha1.Product {
		p := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "product-1"}}
		p.Status.Spaces = []v1alpha1.ProductSpace{{Cluster: "old"}}
		if condition != "" {
			p.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionSpaces, Status: condition}}
		}
		if deleted {
			p.DeletionTimestamp = &metav1.Time{}
			*p.DeletionTimestamp = metav1.Now()
		}
		return p
	}
	space := func(cluster string) client.Object {
		return &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: cluster}}
	}
	recorded := &v1alpha1.DeploymentRuntime{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "r"}}
	recorded.Status.Target = &v1alpha1.RuntimeTarget{Cluster: "c", Environment: "dev", Namespaces: []string{"n"}, Account: "r"}
	for name, test := range map[string]struct {
		product    *v1alpha1.Product
		objects    []client.Object
		want       []string
		wantKept   []string
		wantAdopts bool
	}{
		"a runtime":                        {product: listed(metav1.ConditionTrue, false), objects: []client.Object{recorded}, want: []string{"c"}},
		"nothing asks for one":             {product: listed(metav1.ConditionFalse, false), objects: []client.Object{space("old")}, wantKept: []string{"old"}},
		"listed, never adopted":            {product: listed("", false), objects: []client.Object{recorded}, want: []string{"c", "old"}},
		"listed, the pass before was cut":  {product: listed(metav1.ConditionUnknown, false)},
		"listed, with its Space":           {product: listed("", false), objects: []client.Object{space("old")}, wantKept: []string{"old"}},
		"a runtime, and an empty Space":    {product: listed(metav1.ConditionTrue, false), objects: []client.Object{recorded, space("c"), space("old")}, want: []string{"c"}, wantKept: []string{"old"}},
		"deleted":                          {product: listed(metav1.ConditionTrue, true), objects: []client.Object{recorded, space("c")}, wantKept: []string{"c"}},
		"deleted before it was adopted":    {product: listed("", true), objects: []client.Object{recorded}, want: []string{"c", "old"}, wantAdopts: true},
		"deleted, adopted by another pass": {product: listed("", true), objects: []client.Object{space("old")}, wantKept: []string{"old"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := snapshot.New("tenant", "nautes", append(test.objects, test.product)...)
			built, err := build.Product(s, test.product)
			if err != nil {
				t.Fatal(err)
			}
			set := built.On(plan.Tenant)
			var spaces, kept []string
			namespace := false
			for _, item := range set.Items {
				if item.ID.Kind != "Space" {
					namespace = namespace || item.ID == plan.ID{Kind: "Namespace", Name: "product-1"}
					continue
				}
				spaces = append(spaces, item.ID.Name)
				o := item.Object.(*v1alpha1.Space)
				if o.Namespace != "product-1" || o.Spec.Cluster != o.Name || len(o.Finalizers) != 1 || item.Source.Name == "" {
					t.Errorf("the Space is %+v, asked for by %v", o, item.Source)
				}
			}
			for _, id := range set.Keep {
				kept = append(kept, id.Name)
			}
			if diff := cmp.Diff(test.want, spaces); diff != "" {
				t.Errorf("Spaces (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.want, built.Facts.Clusters); diff != "" {
				t.Errorf("clusters (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.wantKept, kept); diff != "" || built.Facts.Adopts != test.wantAdopts {
				t.Errorf("kept (-want +got), adopts %v:\n%s", built.Facts.Adopts, diff)
			}
			if alive := test.product.DeletionTimestamp == nil || test.wantAdopts; namespace != alive {
				t.Errorf("the namespace is wanted: %v", namespace)
			}
		})
	}
}
