package snapshot_test

import (
	"fmt"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"nautes.io/nautes/internal/snapshot"
	. "nautes.io/nautes/internal/testutil"
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
