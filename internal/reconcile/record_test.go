package reconcile

import (
	"context"
	"errors"
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/plan"
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

// holds is a cluster with objects of owners.
type holds struct {
	apply.Connection
	owners map[plan.Owner]bool
	err    error
}

func (h holds) Owned(_ context.Context, owner plan.Owner) ([]metav1.PartialObjectMetadata, error) {
	if h.owners[owner] {
		return make([]metav1.PartialObjectMetadata, 1), h.err
	}
	return nil, h.err
}

// A space waits while a runtime without a record has objects on its cluster.
func TestCheckRecords(t *testing.T) {
	broken := errors.New("the cache is not in sync")
	deployment, pipeline := testutil.DeploymentRuntime("product-1", "dr", "nowhere", "repo-1"), testutil.PipelineRuntime("product-1", "pr", "p", "nowhere", "repo-1")
	deployed := testutil.Deployed("c", testutil.DeploymentRuntime("product-1", "dr", "nowhere", "repo-1"))
	dr, pr := plan.Owner{Kind: "DeploymentRuntime", Product: "product-1", Name: "dr"}, plan.Owner{Kind: "ProjectPipelineRuntime", Product: "product-1", Name: "pr"}
	for name, test := range map[string]struct {
		runtimes   []client.Object
		holds      holds
		connectErr error
		want       error
	}{
		"no runtimes":                    {holds: holds{owners: map[plan.Owner]bool{dr: true}}},
		"a runtime without objects":      {runtimes: []client.Object{deployment, pipeline}, holds: holds{owners: map[plan.Owner]bool{{Kind: "Space", Product: "product-1", Name: "c"}: true}}},
		"objects of a runtime":           {runtimes: []client.Object{deployment}, holds: holds{owners: map[plan.Owner]bool{dr: true}}, want: engine.ErrNotYet},
		"objects of the second runtime":  {runtimes: []client.Object{deployment, pipeline}, holds: holds{owners: map[plan.Owner]bool{pr: true}}, want: engine.ErrNotYet},
		"objects of a runtime on record": {runtimes: []client.Object{deployed}, holds: holds{owners: map[plan.Owner]bool{dr: true}}},
		"after a runtime on record":      {runtimes: []client.Object{deployed, pipeline}, holds: holds{owners: map[plan.Owner]bool{pr: true}}, want: engine.ErrNotYet},
		"a cluster that is away":         {runtimes: []client.Object{deployment}, holds: holds{owners: map[plan.Owner]bool{dr: true}}, connectErr: broken},
		"objects that cannot be read":    {runtimes: []client.Object{deployment}, holds: holds{err: broken}, want: broken},
	} {
		d := &Deps{Targets: engine.NewTargets()}
		d.Targets.Connect = func(_ *snapshot.Snapshot, cluster string) (apply.Connection, error) {
			if cluster != "c" {
				t.Errorf("%s: cluster %s was asked", name, cluster)
			}
			return test.holds, test.connectErr
		}
		snap := snapshot.New(testutil.Tenant, testutil.Namespace, append(test.runtimes, testutil.Product("product-1"), testutil.Cluster("c"))...)
		if err := d.CheckRecords(t.Context(), snap, "product-1", "c"); !errors.Is(err, test.want) {
			t.Errorf("%s: error %v, want %v", name, err, test.want)
		}
	}
}
