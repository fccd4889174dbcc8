package edit

import (
	"context"
	"fmt"
	"sync"
	"testing"

	. "nautes.io/nautes/test/testutil"
)

// BenchmarkDo measures requests of concurrent writers to one product. One operation is
// one commit that the server has.
func BenchmarkDo(b *testing.B) {
	for _, bb := range []struct{ writers, callers int }{{1, 1}, {50, 1}, {50, 50}} {
		b.Run(fmt.Sprintf("writers=%d/callers=%d", bb.writers, bb.callers), func(b *testing.B) {
			w := *newWorld(b).tenant(b)
			w.seed(b)
			w.see(b)
			b.ResetTimer()
			var wait sync.WaitGroup
			next := make(chan int)
			for range bb.writers {
				wait.Add(1)
				go func() {
					defer wait.Done()
					for i := range next {
						q := w.save(Environment(product, fmt.Sprintf("env-%d", i), "worker"))
						q.Caller.Key = fmt.Sprint(i % bb.callers)
						if _, err := w.Do(context.Background(), q); err != nil {
							b.Error(describe(err))
						}
					}
				}()
			}
			for i := range b.N {
				next <- i
			}
			close(next)
			wait.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}
