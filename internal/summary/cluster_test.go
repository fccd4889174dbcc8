package summary

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
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

// conditionsOf returns the conditions of facts as type=status/reason: message.
func conditionsOf(facts *engine.Facts) []string {
	var all []string
	for _, c := range facts.Conditions() {
		all = append(all, fmt.Sprintf("%s=%s/%s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return all
}

func TestConditionsOfAConnection(t *testing.T) {
	missing := engine.Waiting("SecretMissing", "no secret")
	at := func(version string) *v1alpha1.Cluster {
		return &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Status: v1alpha1.ClusterStatus{Connection: &v1alpha1.ConnectionStatus{Version: version}}}
	}
	byRef := at("v1.34.4")
	byRef.Spec.KubeconfigSecretRef = &v1alpha1.SecretKeyReference{Name: "s"}
	snap := snapshot.New("t", "nautes")
	for name, test := range map[string]struct {
		set     func(facts *engine.Facts) error
		want    []string
		wantErr bool
	}{
		"a stored kubeconfig":      {set: func(f *engine.Facts) error { Credentials(f, at(""), nil); return nil }, want: []string{"Credentials=True/SecretFound: the kubeconfig is in the secret store at cluster/kubernetes/c/default/admin"}},
		"a kubeconfig in a Secret": {set: func(f *engine.Facts) error { Credentials(f, byRef, nil); return nil }, want: []string{"Credentials=True/SecretFound: the kubeconfig is in Secret s"}},
		"no kubeconfig":            {set: func(f *engine.Facts) error { Credentials(f, byRef, missing); return nil }, want: []string{"Credentials=False/SecretMissing: no secret"}},
		"no answer so far":         {set: func(f *engine.Facts) error { return Supported(f, snap, &v1alpha1.Cluster{}) }},
		"a version that is new":    {set: func(f *engine.Facts) error { return Supported(f, snap, byRef) }, want: []string{"Supported=True/VersionSupported: Kubernetes v1.34.4 is supported"}},
		"a version that is old": {
			set: func(f *engine.Facts) error { return Supported(f, snap, at("v1.27.3")) }, wantErr: true,
			want: []string{"Supported=False/VersionUnsupported: Kubernetes v1.27.3 is older than 1.28, which the components need: upgrade the cluster"},
		},
		"grants of a space":       {set: func(f *engine.Facts) error { SpaceAccess(f, nil); return nil }, want: []string{"SecretAccess=True/Applied: accounts of the space can read their secrets"}},
		"grants that are refused": {set: func(f *engine.Facts) error { SpaceAccess(f, missing); return nil }, want: []string{"SecretAccess=False/SecretMissing: no secret"}},
	} {
		facts := &engine.Facts{}
		if err := test.set(facts); (err != nil) != test.wantErr {
			t.Errorf("%s: error %v, want one: %t", name, err, test.wantErr)
		}
		if diff := cmp.Diff(test.want, conditionsOf(facts)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
