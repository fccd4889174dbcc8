package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nautes.io/nautes/test/githost"
)

// testMirrors returns mirrors that may use the protocols of the tests.
func testMirrors(t testing.TB, change func(*Options)) *Mirrors {
	t.Helper()
	o := Options{AllowedProtocols: []string{"http", "https", "ssh"}, Timeout: 30 * time.Second}
	if change != nil {
		change(&o)
	}
	return mirrorsWith(t, o, defaultLimits())
}

// limitedMirrors returns mirrors with limits that the tests can reach.
func limitedMirrors(t testing.TB, l limits) *Mirrors {
	t.Helper()
	return mirrorsWith(t, Options{AllowedProtocols: []string{"http"}, Timeout: 30 * time.Second}, l)
}

func mirrorsWith(t testing.TB, o Options, l limits) *Mirrors {
	t.Helper()
	m, err := newMirrors(t.TempDir(), o, l)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// setUp returns mirrors, a host and an empty repository on it.
func setUp(t testing.TB) (*Mirrors, *githost.Server, *githost.Repo, Source) {
	t.Helper()
	s := githost.New(t)
	r := s.Repo("demo/default.project")
	return testMirrors(t, nil), s, r, Source{URL: r.URL(), Branch: "main"}
}

const key = "product-1"

func fetch(t testing.TB, m *Mirrors, src Source) Commit {
	t.Helper()
	commit, err := m.Fetch(context.Background(), key, src)
	if err != nil {
		t.Fatalf("Fetch: %v", describe(err))
	}
	return commit
}

// describe returns an error's message with the detail of a CommandError.
func describe(err error) string {
	var command *CommandError
	if errors.As(err, &command) {
		return err.Error() + ": " + command.Detail
	}
	return err.Error()
}

// contents returns the content of each file of a revision.
func contents(t testing.TB, m *Mirrors, revision string) map[string]string {
	t.Helper()
	files, err := m.Tree(context.Background(), key, revision)
	if err != nil {
		t.Fatalf("Tree: %v", describe(err))
	}
	var blobs []string
	for _, f := range files {
		blobs = append(blobs, f.Blob)
	}
	read, err := m.Read(context.Background(), key, blobs)
	if err != nil {
		t.Fatalf("Read: %v", describe(err))
	}
	got := map[string]string{}
	for _, f := range files {
		got[f.Path] = string(read[f.Blob])
		if int64(len(read[f.Blob])) != f.Size {
			t.Errorf("%q has %d bytes, and its size is said to be %d", f.Path, len(read[f.Blob]), f.Size)
		}
	}
	return got
}

// leftovers lists the files in the scratch directory.
func leftovers(t testing.TB, m *Mirrors) []string {
	t.Helper()
	entries, err := os.ReadDir(m.scratch)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// eventually polls a condition.
func eventually(t testing.TB, name string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Errorf("not within 10 s: %s", name)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func mirrorDir(m *Mirrors) string { return filepath.Join(m.store, nameOf(key)) }
