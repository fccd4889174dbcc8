package snapshot_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
)

// A runtime waits for the problems of its own namespaces and repository, and of the
// objects that all runtimes share.
func TestSpaceProblems(t *testing.T) {
	object := func(kind, namespace, name string) v1alpha1.ObjectReference {
		return v1alpha1.ObjectReference{Kind: kind, Namespace: namespace, Name: name}
	}
	repo := func(name string) *v1alpha1.ObjectReference {
		return &v1alpha1.ObjectReference{Kind: "CodeRepo", Namespace: "product-1", Name: name}
	}
	for name, test := range map[string]struct {
		problem v1alpha1.SpaceProblem
		want    bool
	}{
		"its namespace":            {problem: v1alpha1.SpaceProblem{Object: object("Namespace", "", "n")}, want: true},
		"in its namespace":         {problem: v1alpha1.SpaceProblem{Object: object("RoleBinding", "n", "x")}, want: true},
		"another namespace":        {problem: v1alpha1.SpaceProblem{Object: object("Namespace", "", "m")}},
		"the product's namespace":  {problem: v1alpha1.SpaceProblem{Object: object("Namespace", "", "product-1")}, want: true},
		"in the product's":         {problem: v1alpha1.SpaceProblem{Object: object("RoleBinding", "product-1", "x")}, want: true},
		"the project of Argo CD":   {problem: v1alpha1.SpaceProblem{Object: object("AppProject", "argocd", "product-1")}, want: true},
		"its repository":           {problem: v1alpha1.SpaceProblem{Object: object("Secret", "argocd", "x"), Source: repo("r")}, want: true},
		"another repository":       {problem: v1alpha1.SpaceProblem{Object: object("Secret", "argocd", "x"), Source: repo("s")}},
		"of another kind's source": {problem: v1alpha1.SpaceProblem{Object: object("Secret", "argocd", "x"), Source: &v1alpha1.ObjectReference{Kind: "Project", Name: "r"}}},
		"kept as it was":           {problem: v1alpha1.SpaceProblem{Object: object("Namespace", "", "n"), Kept: true}},
		"the store of secrets":     {problem: v1alpha1.SpaceProblem{Object: object("SecretStore", "n", "x")}},
	} {
		space := &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: "product-1", Name: "c"}}
		space.Status.Problems = []v1alpha1.SpaceProblem{test.problem}
		got := snapshot.SpaceProblems(space, v1alpha1.RuntimeTarget{Cluster: "c", Namespaces: []string{"n"}}, "r")
		if (len(got) == 1) != test.want {
			t.Errorf("%s: it is waited for: %v, want %v", name, len(got) == 1, test.want)
		}
	}
}

func TestSpaces(t *testing.T) {
	space := func(product, cluster string) *v1alpha1.Space {
		return &v1alpha1.Space{ObjectMeta: metav1.ObjectMeta{Namespace: product, Name: cluster}}
	}
	s := snapshot.New("t", "nautes", space("product-1", "b"), space("product-1", "a"), space("product-2", "a"))
	var names []string
	for _, o := range s.Spaces("product-1") {
		names = append(names, o.Name)
	}
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" {
		t.Errorf("Spaces (-want +got):\n%s", diff)
	}
	if s.Space("product-2", "a") == nil || s.Space("product-2", "b") != nil {
		t.Error("a Space is found by product and cluster")
	}
	// A Space is a user of its cluster until the product lists it.
	c := &v1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "b"}}
	p := &v1alpha1.Product{ObjectMeta: metav1.ObjectMeta{Namespace: "nautes", Name: "product-1"}}
	if users := s.UsersOf(c); len(users) != 1 || users[0].Kind != "Space" {
		t.Errorf("users %v, want the Space", users)
	}
	p.Status.Spaces = []v1alpha1.ProductSpace{{Cluster: "b"}}
	if users := s.With(p).UsersOf(c); len(users) != 1 || users[0].Kind != "Product" {
		t.Errorf("users %v, want the product", users)
	}
}
