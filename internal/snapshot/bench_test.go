package snapshot_test

import (
	"fmt"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/test/testutil"
)

func BenchmarkSnapshotNew(b *testing.B) {
	for _, runtimes := range []int{10, 100, 1000} {
		objects := BigProduct(runtimes)
		b.Run(fmt.Sprint(runtimes), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				snapshot.New(Tenant, Namespace, objects...)
			}
		})
		b.Run(fmt.Sprintf("%d/claims", runtimes), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				snapshot.New(Tenant, Namespace, objects...).HolderOf("c", "shared")
			}
		})
		b.Run(fmt.Sprintf("%d/with", runtimes), func(b *testing.B) {
			s := snapshot.New(Tenant, Namespace, objects...)
			var change client.Object = DeploymentRuntime("product-1", "runtime-0", "dev", "repo")
			b.ReportAllocs()
			for b.Loop() {
				s.With(change)
			}
		})
	}
}

// BenchmarkCatalogue measures the first question about components, with
// a catalogue that is read for it and with one that a loader has read before.
func BenchmarkCatalogue(b *testing.B) {
	c := Cluster("c")
	overlay := ComponentCatalogue(v1alpha1.CatalogueComponent{Name: "argocd", Namespace: "cd"})
	for name, objects := range map[string][]client.Object{"built-in": {c}, "changed": {c, overlay}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				snapshot.New(Tenant, Namespace, objects...).Choices(c)
			}
		})
	}
	b.Run("expanded", func(b *testing.B) {
		s := snapshot.New(Tenant, Namespace, c)
		b.ReportAllocs()
		for b.Loop() {
			s.ClusterComponents(c)
		}
	})
	l := newLoader(b, &reads{}, c, overlay)
	s, err := l.TenantLevel(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("loaded", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.With(c).Choices(c)
		}
	})
}

// BenchmarkNodePorts shows the cost of a host with many virtual clusters.
func BenchmarkNodePorts(b *testing.B) {
	objects := []client.Object{Cluster("host", HostCluster)}
	for i := range 200 {
		objects = append(objects, Cluster(fmt.Sprintf("v-%d", i), VirtualCluster("host", fmt.Sprint(31000+i))))
	}
	b.ReportAllocs()
	for b.Loop() {
		snapshot.New(Tenant, Namespace, objects...).NodePorts("host")
	}
}
