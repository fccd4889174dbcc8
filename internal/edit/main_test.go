package edit

import (
	"context"
	"sync"
	"testing"
	"time"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/git"
	"nautes.io/nautes/internal/layout"
	"nautes.io/nautes/internal/schema"
	"nautes.io/nautes/test/githost"
)

const product = "product-1"

// world is an editor and a repository of a product on a real host.
type world struct {
	*Editor
	host *githost.Server
	repo *githost.Repo
}

func newWorld(t testing.TB) world {
	t.Helper()
	host := githost.New(t)
	return world{Editor: newEditor(t, t.TempDir()), host: host, repo: host.Repo("team-1/default.project")}
}

// newEditor returns an editor with mirrors in dir.
func newEditor(t testing.TB, dir string) *Editor {
	t.Helper()
	mirrors, err := git.New(dir, git.Options{AllowedProtocols: []string{"http"}, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Mirrors: mirrors, Kinds: newKinds(t), Tenant: "pluto", Namespace: "nautes"})
}

func (w world) repository() Repository {
	return Repository{
		Key: product, Source: git.Source{URL: w.repo.URL(), Branch: "main"},
		Scope: layout.Scope{Namespace: product}, Group: "team-1",
	}
}

// see returns the view of the head.
func (w world) see(t testing.TB) *View {
	t.Helper()
	v, err := w.View(context.Background(), w.repository(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// file is a resource file of a kind, with the lines of its spec.
func file(kind, name, spec string) string {
	return "apiVersion: " + v1alpha1.GroupVersion.String() + "\nkind: " + kind + "\nmetadata:\n  name: " + name + "\nspec:\n" + spec
}

func environment(name string) string {
	return file("Environment", name, "  cluster: worker\n  envType: test\n")
}

func project(name string) string { return file("Project", name, "  language: go\n") }

// kinds are compiled once for all tests.
var kinds = sync.OnceValues(schema.New)

func newKinds(t testing.TB) *schema.Kinds {
	t.Helper()
	k, err := kinds()
	if err != nil {
		t.Fatal(err)
	}
	return k
}
