package servers

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	forge "nautes.io/nautes/internal/forge/client"
)

func TestInGroup(t *testing.T) {
	product := func(name, group string, labels map[string]string) *v1alpha1.Product {
		return &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: v1alpha1.ProductSpec{Name: group}}
	}
	found := map[string]string{v1alpha1.LabelFrom: "gitlab"}
	for name, test := range map[string]struct {
		product *v1alpha1.Product
		path    string
		want    bool
	}{
		"of the group":                    {product: product("shop", "labs", nil), path: "labs/app", want: true},
		"in other letters":                {product: product("shop", "Labs", nil), path: "labs/app", want: true},
		"of another group":                {product: product("shop", "labs", nil), path: "others/app"},
		"of a longer name":                {product: product("shop", "labs", nil), path: "labs-2/app"},
		"of a group below":                {product: product("shop", "labs", nil), path: "labs/sub/app"},
		"of the group above":              {product: product("shop", "labs/sub", nil), path: "labs/app"},
		"of no product":                   {path: "labs/app"},
		"of a found product":              {product: product("product-7", "labs", found), path: "labs/app", want: true},
		"of a group with the path since":  {product: product("product-8", "labs", found), path: "labs/app"},
		"of a declared product's numbers": {product: product("product-8", "labs", nil), path: "labs/app", want: true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := InGroup(test.product, forge.Repository{ID: 1, GroupID: 7, Path: test.path}); got != test.want {
				t.Errorf("InGroup = %v", got)
			}
		})
	}
}
