package snapshot_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

// gateway sets the node ports of a cluster's gateway.
func gateway(http, https string) func(*v1alpha1.Cluster) {
	return func(c *v1alpha1.Cluster) {
		c.Spec.Traefik = &v1alpha1.TraefikSpec{HTTPNodePort: http, HTTPSNodePort: https}
	}
}

// ports lists the node ports of a cluster as "port cluster field".
func ports(s *snapshot.Snapshot, physical string) []string {
	var list []string
	for _, use := range s.NodePorts(physical) {
		list = append(list, fmt.Sprintf("%d %s %s", use.Port, use.Cluster.Name, use.Field))
	}
	return list
}

func TestNodePorts(t *testing.T) {
	host := Cluster("host", HostCluster, gateway("30080", "30443"))
	byAddress := func(c *v1alpha1.Cluster) { c.Spec.VCluster = nil }
	added := func(c *v1alpha1.Cluster) {
		c.Spec.ComponentsList.Gateway = &v1alpha1.Component{Name: "traefik", Additions: map[string]string{"httpNodePort": "30081", "httpsNodePort": "30444"}}
	}
	registered := func(on string) func(*v1alpha1.Cluster) {
		return func(c *v1alpha1.Cluster) {
			c.Status.Registered = &v1alpha1.ClusterIdentity{ClusterType: v1alpha1.ClusterVirtual, Usage: v1alpha1.UsageWorker, HostCluster: on}
		}
	}
	sneaked := Cluster("sneaked", VirtualCluster("host", "31001"))
	sneaked.Namespace = "product-1"
	addition := "spec.componentsList.gateway.additions"
	own := []string{"30080 host spec.traefik.httpNodePort", "30443 host spec.traefik.httpsNodePort"}
	tests := map[string]struct {
		objects []client.Object
		of      string
		want    []string
	}{
		"a host alone":      {objects: []client.Object{host}, want: own},
		"a physical worker": {objects: []client.Object{host, Cluster("worker", gateway("30080", "30443"))}, of: "worker", want: []string{"30080 worker spec.traefik.httpNodePort", "30443 worker spec.traefik.httpsNodePort"}},
		"by additions": {objects: []client.Object{Cluster("host", HostCluster, added)},
			want: []string{"30081 host " + addition + "[httpNodePort]", "30444 host " + addition + "[httpsNodePort]"}},
		"by the catalogue": {objects: []client.Object{Cluster("host", HostCluster, gateway("30090", ""))},
			want: []string{"30090 host spec.traefik.httpNodePort", "30443 host " + addition + "[httpsNodePort]"}},
		"with virtual clusters": {objects: []client.Object{host, Cluster("v-2", VirtualCluster("host", "31002")), Cluster("v-1", VirtualCluster("host", "31001"), byAddress)},
			want: append(own[:2:2], "31001 v-1 spec.apiServer", "31002 v-2 spec.vcluster.httpsNodePort")},
		"beside another host": {objects: []client.Object{host, Cluster("v-1", VirtualCluster("other", "31001"))}, want: own},
		"with one that goes": {objects: []client.Object{host, Deleting(Cluster("v-1", VirtualCluster("host", "31001")))},
			want: append(own[:2:2], "31001 v-1 spec.vcluster.httpsNodePort")},
		"with one that moves away": {objects: []client.Object{host, Cluster("v-1", VirtualCluster("other", "31001"), registered("host"))},
			want: append(own[:2:2], "31001 v-1 spec.vcluster.httpsNodePort")},
		"with one that came": {objects: []client.Object{host, Cluster("v-1", VirtualCluster("host", "31001"), registered("host"))},
			want: append(own[:2:2], "31001 v-1 spec.vcluster.httpsNodePort")},
		"with one of no tenant": {objects: []client.Object{host, sneaked}, want: own},
		"the older one first": {objects: []client.Object{host, At(-5, Cluster("z", VirtualCluster("host", "30443")))},
			want: []string{own[0], "30443 z spec.vcluster.httpsNodePort", own[1]}},
		"the first and the last": {objects: []client.Object{Cluster("host", HostCluster, gateway("30000", "32767"))}, want: []string{"30000 host spec.traefik.httpNodePort", "32767 host spec.traefik.httpsNodePort"}},
		"beside the range":       {objects: []client.Object{Cluster("host", HostCluster, gateway("29999", "32768"))}},
		"no node ports":          {objects: []client.Object{Cluster("host", HostCluster, gateway("8080", "https")), Cluster("v-1", VirtualCluster("host", "6443"))}},
		"ports of a gateway that the virtual cluster has not": {objects: []client.Object{host, Cluster("v-1", VirtualCluster("host", "31001"), gateway("31080", "31443"))},
			want: append(own[:2:2], "31001 v-1 spec.vcluster.httpsNodePort")},
		"a port of a virtual cluster that the gateway has not": {objects: []client.Object{Cluster("host", HostCluster, func(c *v1alpha1.Cluster) {
			c.Spec.VCluster = &v1alpha1.VClusterSpec{HTTPSNodePort: "31443"}
		})}, want: []string{"30080 host " + addition + "[httpNodePort]", "30443 host " + addition + "[httpsNodePort]"}},
		"a choice without additions": {objects: []client.Object{Cluster("host", HostCluster, func(c *v1alpha1.Cluster) {
			c.Spec.ComponentsList.Gateway = &v1alpha1.Component{Name: "traefik"}
		})}, want: []string{"30080 host " + addition + "[httpNodePort]", "30443 host " + addition + "[httpsNodePort]"}},
		"an unknown cluster": {of: "absent"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.of == "" {
				test.of = "host"
			}
			if diff := cmp.Diff(test.want, ports(newSnapshot(test.objects...), test.of)); diff != "" {
				t.Errorf("ports (-want +got):\n%s", diff)
			}
		})
	}
}

// TestExternalPorts holds that external components take no port.
func TestExternalPorts(t *testing.T) {
	s := newSnapshot(Cluster("host", HostCluster, gateway("30080", "30443")),
		ComponentCatalogue(v1alpha1.CatalogueComponent{Name: "traefik", Installation: v1alpha1.InstallationExternal}))
	if got := ports(s, "host"); got != nil {
		t.Errorf("ports %v, want none", got)
	}
}

// TestPortsInAnyOrder holds that the order of the clusters does not matter.
func TestPortsInAnyOrder(t *testing.T) {
	for seed := range uint64(20) {
		dice := rand.New(rand.NewPCG(seed, 0))
		var objects []client.Object
		for i := range 8 {
			port := fmt.Sprint(31000 + dice.IntN(4))
			objects = append(objects, At(dice.IntN(3), Cluster(fmt.Sprintf("v-%d", i), VirtualCluster([]string{"a", "b"}[dice.IntN(2)], port))))
		}
		want := newSnapshot(objects...)
		dice.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
		got := newSnapshot()
		for _, o := range objects {
			got = got.With(o)
		}
		for _, host := range []string{"a", "b"} {
			if diff := cmp.Diff(ports(want, host), ports(got, host)); diff != "" {
				t.Errorf("seed %d, host %s (-want +got):\n%s", seed, host, diff)
			}
		}
	}
}
