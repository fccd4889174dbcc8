package vault

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/secrets"
)

// TestCalls holds the number of requests of each operation. An operation that
// changes nothing writes nothing.
func TestCalls(t *testing.T) {
	t.Parallel()
	s := newServer(t, "calls")
	g := s.gateway()
	v := s.open(g.behind)
	put(t, v, secrets.ClusterReviewer("c"), "token", "t") // It logs in.
	put(t, v, repoKey, "a", "0")
	if err := v.Delete(t.Context(), repoKey); err != nil {
		t.Fatal(err)
	}
	items := sampleItems("c", "product-1")
	apply := func(name string) func() {
		return func() { s.applied(v, items[name]) }
	}
	owner := spaceOwner("product-1")
	steps := []struct {
		name string
		do   func()
		want []string
	}{
		{"a new secret", func() { put(t, v, repoKey, "a", "1") }, []string{"GET", "PUT"}},
		{"the same secret", func() { put(t, v, repoKey, "a", "1") }, []string{"GET"}},
		{"a secret", func() { _ = s.reads(v)() }, []string{"GET"}},
		{"a version", func() { _, _ = v.Version(t.Context(), repoKey) }, []string{"GET"}},
		{"a secret that goes", func() { _ = v.Delete(t.Context(), repoKey) }, []string{"GET", "DELETE"}},
		{"a secret that has gone", func() { _ = v.Delete(t.Context(), repoKey) }, []string{"GET"}},
		{"a new mount", apply("a mount"), []string{"GET", "GET", "PUT", "GET", "PUT"}},
		{"the same mount", apply("a mount"), []string{"GET", "GET"}},
		{"a new policy", apply("a policy"), []string{"GET", "PUT"}},
		{"the same policy", apply("a policy"), []string{"GET"}},
		{"a new role", apply("a role"), []string{"GET", "GET", "PUT"}},
		{"the same role", apply("a role"), []string{"GET", "GET"}},
		// The mount, the roles and each role of the product, the policies, and at first
		// each policy that is not known: default and nautes-operator.
		{"the objects of a product, at first", func() { s.owned(v, spaceSet("product-1", "c")) }, slices.Repeat([]string{"GET"}, 6)},
		{"the objects of a product", func() { s.owned(v, spaceSet("product-1", "c")) }, slices.Repeat([]string{"GET"}, 4)},
		{"the objects of a cluster", func() { s.owned(v, clusterSet("c")) }, []string{"GET"}},
		{"a policy is removed", func() { s.deleted(v, owner, items["a policy"].ID) }, []string{"GET", "DELETE"}},
		{"a role is removed", func() { s.deleted(v, owner, items["a role"].ID) }, []string{"GET", "GET", "GET", "DELETE"}},
		{"a mount is removed", func() { s.deleted(v, clusterOwner("c"), items["a mount"].ID) }, []string{"GET", "DELETE"}},
	}
	for _, step := range steps {
		before := len(g.seen())
		step.do()
		var got []string
		for _, request := range g.seen()[before:] {
			got = append(got, request.Method)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s costs (-want +got):\n%s", step.name, diff)
		}
	}
}
