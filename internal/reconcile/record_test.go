package reconcile

import (
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/references"
	"nautes.io/nautes/internal/remote"
	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/test/testutil"
)

// A runtime whose record was lost is looked at again by itself while a cluster that may
// have its objects is not connected: the connection wakes only objects that are on record there.
func TestLostRecordIsLookedForAgain(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		connected, deployed, given bool
		wantClass                  engine.Class
	}{
		"just after a start":       {connected: true, deployed: true, wantClass: engine.ClassSilent},
		"a lost cluster":           {deployed: true, wantClass: engine.ClassWaiting},
		"a lost cluster, given up": {deployed: true, given: true},
		"never deployed":           {},
	} {
		cluster := testutil.Cluster("c")
		if test.connected {
			cluster.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionConnected, Status: metav1.ConditionTrue}}
		}
		r := testutil.DeploymentRuntime("product-1", "dr", "nowhere", "repo-1")
		space := &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "c"}}
		b := fake.NewClientBuilder().WithScheme(scheme).WithObjects([]client.Object{cluster, testutil.Product("product-1"), r, space}...)
		for _, kind := range references.Kinds() {
			b = b.WithIndex(kind, references.Index, references.IndexValues)
		}
		c := b.Build()
		d := &Deps{
			Client: c, Loader: &snapshot.Loader{Reader: c, Tenant: testutil.Tenant, Namespace: testutil.Namespace},
			Clusters: remote.NewManager(remote.ManagerOptions{Log: logr.Discard(), OnState: func(string) {}}),
		}
		_, err := d.LoadRuntime(t.Context(), r, test.deployed, func(string) bool { return test.given })
		outcome := engine.Classify(err, Classify)
		if test.wantClass == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if outcome.Class != test.wantClass || outcome.RetryAfter <= 0 {
			t.Errorf("%s: class %v, again after %s (%v), want class %v and a time", name, outcome.Class, outcome.RetryAfter, err, test.wantClass)
		}
	}
}
