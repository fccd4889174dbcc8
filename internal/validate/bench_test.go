package validate_test

import (
	"fmt"
	"testing"

	"nautes.io/nautes/internal/snapshot"
	"nautes.io/nautes/internal/validate"
	. "nautes.io/nautes/test/testutil"
)

func BenchmarkValidate(b *testing.B) {
	for _, runtimes := range []int{10, 100, 1000} {
		objects := BigProduct(runtimes)
		b.Run(fmt.Sprint(runtimes), func(b *testing.B) {
			s := snapshot.New(Tenant, Namespace, objects...)
			// A reconciler asks with its own copy of the stored object.
			r := s.DeploymentRuntime("product-1", "runtime-0").DeepCopy()
			b.ReportAllocs()
			for b.Loop() {
				if list, _ := validate.Run(s, validate.Request{New: r}); len(list) > 0 {
					b.Fatal(list)
				}
			}
		})
	}
}
