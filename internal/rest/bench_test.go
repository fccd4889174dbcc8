package rest

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// call sends a request by HTTP.
func (l *live) call(role, method, path, body string) {
	q, err := http.NewRequestWithContext(l.t.Context(), method, l.http.URL+path, strings.NewReader(body))
	if err != nil {
		l.t.Error(err)
		return
	}
	q.Header.Set("Authorization", "Bearer "+role)
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	reply, err := l.http.Client().Do(q)
	if err != nil {
		l.t.Error(err)
		return
	}
	said, _ := io.ReadAll(reply.Body)
	_ = reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		l.t.Errorf("%s %s: %d %s", method, path, reply.StatusCode, said)
	}
}

// measure sends requests of concurrent clients, and reports their rate and latency, and
// the calls of the forge and of the Git host for each.
func (l *live) measure(b *testing.B, clients int, send func(i int)) {
	took := make([]time.Duration, b.N)
	next := make(chan int)
	forge, requests := l.calls.Load(), l.host.Requests()
	b.ResetTimer()
	var wait sync.WaitGroup
	for range clients {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range next {
				started := time.Now()
				send(i)
				took[i] = time.Since(started)
			}
		}()
	}
	for i := range b.N {
		next <- i
	}
	close(next)
	wait.Wait()
	b.StopTimer()
	slices.Sort(took)
	n := float64(b.N)
	b.ReportMetric(n/b.Elapsed().Seconds(), "requests/s")
	b.ReportMetric(float64(took[b.N/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(l.calls.Load()-forge)/n, "forge-calls/op")
	b.ReportMetric(float64(l.host.Requests()-requests)/n, "git-requests/op")
}

// BenchmarkWrite measures requests that make a commit each, by HTTP, on a real Git host
// and with an API of the forge that answers at once.
func BenchmarkWrite(b *testing.B) {
	const many = 16
	for _, products := range []int{1, many} {
		for _, clients := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("products=%d/clients=%d", products, clients), func(b *testing.B) {
				l := newLive(b)
				l.server.options.MaxAge = time.Second
				for i := range products {
					l.host.Repo(fmt.Sprintf("labs-%d/default.project", i)).Push(files("alpha", "first"))
					l.call("maintainer", "GET", fmt.Sprintf("/api/v1/products/labs-%d/environments", i), "")
				}
				l.measure(b, clients, func(i int) {
					path := fmt.Sprintf("/api/v1/products/labs-%d/projects/p%d", i%products, i)
					l.call(fmt.Sprintf("maintainer-%d", i%clients), "POST", path, `{"language": "go"}`)
				})
			})
		}
	}
}

// BenchmarkRead measures reads by 16 clients, of a forge with a thousand products.
func BenchmarkRead(b *testing.B) {
	for name, path := range map[string]string{
		"one": environments + "/e7", "list": environments, "products": "/api/v1/products",
	} {
		b.Run(name, func(b *testing.B) {
			l := newLive(b)
			l.groups = 1000
			l.server.options.MaxAge = time.Second
			var names []string
			for i := range 100 {
				names = append(names, fmt.Sprintf("e%d", i))
			}
			l.repo.Push(files("alpha", names...))
			l.call("reporter", "GET", path, "")
			l.measure(b, 16, func(int) { l.call("reporter", "GET", path, "") })
		})
	}
}

// BenchmarkWatch measures a change that a thousand watchers learn of, and the memory of a
// watcher with its connection, its client included.
func BenchmarkWatch(b *testing.B) {
	const watchers = 1000
	l := newLive(b)
	l.server.feeds.pause = feedPause
	l.repo.Push(files("alpha", "dev"))
	memory := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := memory()
	all := make([]*watching, watchers)
	for i := range all {
		all[i] = l.watch(fmt.Sprintf("reporter-%d", i/maxStreams), "")
		all[i].want("ADDED dev")
	}
	each := (memory() - before) / watchers
	b.ResetTimer()
	for i := range b.N {
		l.touch(fmt.Sprintf("c%d", i))
		for _, w := range all {
			if said, _ := w.next(); len(said) != 1 {
				b.Fatalf("events %v", said)
			}
		}
	}
	b.ReportMetric(float64(each)/1024, "KiB/watcher")
}
