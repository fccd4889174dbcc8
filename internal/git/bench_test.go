package git

import (
	"context"
	"fmt"
	"testing"

	"nautes.io/nautes/test/githost"
)

// BenchmarkPush measures the work after a push: the fetch, the comparison with
// the revision before and the content of the file that changed.
func BenchmarkPush(b *testing.B) {
	for _, files := range []int{10, 1000} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			m, _, repo, src := setUp(b)
			content := map[string]string{}
			for i := range files {
				content[fmt.Sprintf("envs/env-%d.yaml", i)] = fmt.Sprint(i)
			}
			repo.Push(content)
			before := fetch(b, m, src)
			ctx := context.Background()
			for i := 0; b.Loop(); i++ {
				b.StopTimer()
				repo.Push(map[string]string{"envs/env-5.yaml": fmt.Sprint("changed ", i)})
				b.StartTimer()
				after := fetch(b, m, src)
				changes, forward, err := m.Diff(ctx, key, before.Hash, after.Hash)
				if err != nil || !forward || len(changes) != 1 {
					b.Fatalf("Diff = %v, %v, %v", changes, forward, err)
				}
				if _, err := m.Read(ctx, key, []string{changes[0].New.Blob}); err != nil {
					b.Fatal(err)
				}
				before = after
			}
		})
	}
}

// BenchmarkFetch measures a fetch that finds nothing new, and Head, which asks
// for the hash only.
func BenchmarkFetch(b *testing.B) {
	m, _, repo, src := setUp(b)
	repo.Push(map[string]string{"a": "1"})
	fetch(b, m, src)
	b.Run("nothing new", func(b *testing.B) {
		for b.Loop() {
			fetch(b, m, src)
		}
	})
	b.Run("head", func(b *testing.B) {
		for b.Loop() {
			if _, err := m.Head(context.Background(), src); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkTree measures reading a whole revision: its tree and all contents.
func BenchmarkTree(b *testing.B) {
	m, _, repo, src := setUp(b)
	files := map[string]string{}
	for i := range 1000 {
		files[fmt.Sprintf("envs/env-%d.yaml", i)] = fmt.Sprint(i)
	}
	head := repo.Commit(githost.Commit{Files: files})
	fetch(b, m, src)
	for b.Loop() {
		if got := contents(b, m, head); len(got) != 1000 {
			b.Fatalf("%d files", len(got))
		}
	}
}
