package access

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
)

func repository(name, project string) *v1alpha1.CodeRepo {
	return &v1alpha1.CodeRepo{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.CodeRepoSpec{Project: project}}
}

func binding(spec v1alpha1.CodeRepoBindingSpec) *v1alpha1.CodeRepoBinding {
	return &v1alpha1.CodeRepoBinding{Spec: spec}
}

func TestGrants(t *testing.T) {
	own := func(names ...string) (grants []Grant) {
		for _, name := range names {
			grants = append(grants, Grant{name, name, "readonly"}, Grant{name, name, "readwrite"})
		}
		return grants
	}
	for name, tc := range map[string]struct {
		repositories []*v1alpha1.CodeRepo
		bindings     []*v1alpha1.CodeRepoBinding
		want         []Grant
	}{
		"nothing":        {},
		"own keys":       {repositories: []*v1alpha1.CodeRepo{repository("repo-1", ""), repository("repo-2", "")}, want: own("repo-1", "repo-2")},
		"other projects": {repositories: []*v1alpha1.CodeRepo{repository("repo-1", "a"), repository("repo-2", "b")}, want: own("repo-1", "repo-2")},
		"one project": {
			repositories: []*v1alpha1.CodeRepo{repository("repo-1", "a"), repository("repo-2", "a")},
			want: []Grant{
				{"repo-1", "repo-1", "readonly"}, {"repo-1", "repo-1", "readwrite"}, {"repo-1", "repo-2", "readonly"}, {"repo-1", "repo-2", "readwrite"},
				{"repo-2", "repo-1", "readonly"}, {"repo-2", "repo-1", "readwrite"}, {"repo-2", "repo-2", "readonly"}, {"repo-2", "repo-2", "readwrite"},
			},
		},
		"a binding for a project": {
			repositories: []*v1alpha1.CodeRepo{repository("repo-1", "a"), repository("repo-2", "b"), repository("repo-3", "")},
			bindings:     []*v1alpha1.CodeRepoBinding{binding(v1alpha1.CodeRepoBindingSpec{CodeRepo: "repo-1", Product: "product-1", Projects: []string{"b"}, Permissions: "readwrite"})},
			want: []Grant{
				{"repo-1", "repo-1", "readonly"}, {"repo-1", "repo-1", "readwrite"}, {"repo-1", "repo-2", "readwrite"},
				{"repo-2", "repo-2", "readonly"}, {"repo-2", "repo-2", "readwrite"}, {"repo-3", "repo-3", "readonly"}, {"repo-3", "repo-3", "readwrite"},
			},
		},
		"a binding for the product, read-only by default": {
			repositories: []*v1alpha1.CodeRepo{repository("repo-1", "a"), repository("repo-2", "")},
			bindings:     []*v1alpha1.CodeRepoBinding{binding(v1alpha1.CodeRepoBindingSpec{CodeRepo: "repo-1"})},
			want: []Grant{
				{"repo-1", "repo-1", "readonly"}, {"repo-1", "repo-1", "readwrite"}, {"repo-1", "repo-2", "readonly"},
				{"repo-2", "repo-2", "readonly"}, {"repo-2", "repo-2", "readwrite"},
			},
		},
		"a binding of another product": {
			repositories: []*v1alpha1.CodeRepo{repository("repo-1", "a"), repository("repo-2", "")},
			bindings:     []*v1alpha1.CodeRepoBinding{binding(v1alpha1.CodeRepoBindingSpec{CodeRepo: "repo-1", Product: "product-2"})},
			want:         own("repo-1", "repo-2"),
		},
		"a binding of a missing repository": {
			repositories: []*v1alpha1.CodeRepo{repository("repo-1", "")},
			bindings:     []*v1alpha1.CodeRepoBinding{binding(v1alpha1.CodeRepoBindingSpec{CodeRepo: "repo-9"})},
			want:         own("repo-1"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Grants("product-1", tc.repositories, tc.bindings)); diff != "" {
				t.Errorf("grants (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOwner(t *testing.T) {
	for title, want := range map[string]string{
		"repo-7-readonly": "repo-7 readonly", "repo-7-readwrite": "repo-7 readwrite", "laptop-readonly": "", "repo-7": "", "readonly": "",
	} {
		repo, permission, ok := Owner(title)
		got := ""
		if ok {
			got = repo + " " + string(permission)
			if Title(repo, permission) != title {
				t.Errorf("Title(%s) is not the title", title)
			}
		}
		if got != want {
			t.Errorf("Owner(%s) = %q, want %q", title, got, want)
		}
	}
}
