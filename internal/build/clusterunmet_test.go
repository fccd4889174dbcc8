package build_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/api/v1alpha1"
	. "nautes.io/nautes/test/testutil"
)

// TestClusterUnmet holds that nothing is installed on a cluster that was never reached or
// whose version is too old. A virtual cluster itself is installed, since it cannot be
// reached before.
func TestClusterUnmet(t *testing.T) {
	at := func(version string) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) { c.Status.Connection = &v1alpha1.ConnectionStatus{Version: version} }
	}
	never := func(c *v1alpha1.Cluster) { c.Status.Connection = nil }
	first := []string{"cert-manager", "external-secrets", "hnc"}
	tests := map[string]struct {
		cluster *v1alpha1.Cluster
		want    []string
	}{
		"a supported version":       {cluster: Cluster("c", at("v1.34.4")), want: first},
		"the oldest":                {cluster: Cluster("c", at("v1.28.0")), want: first},
		"too old":                   {cluster: Cluster("c", at("v1.27.9"))},
		"a version of another kind": {cluster: Cluster("c", at("unknown")), want: first},
		"never reached":             {cluster: Cluster("c", never)},
		"virtual, never reached":    {cluster: Cluster("c", VirtualCluster("h", "31000"), never), want: []string{"vcluster"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := mustCluster(t, newSnapshot(test.cluster, Cluster("h", HostCluster)), "c")
			var got []string
			for _, component := range p.Facts.Components {
				if itemOf(tenantSet(p), "Application", component.Application) != nil {
					got = append(got, component.Name)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("installed (-want +got):\n%s", diff)
			}
		})
	}
}
