// Package access computes which deploy keys the repositories of a product must have. It
// guarantees that a repository has the key of another one only if both belong to one
// project, or if a binding grants it.
package access

import (
	"cmp"
	"slices"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
)

// Grant is a deploy key that a repository must have.
type Grant struct {
	// On is the repository that accepts the key, and Of the repository that the key
	// belongs to, both as repo-<id>.
	On, Of string
	// Permission of the key; readwrite can push.
	Permission v1alpha1.Permission
}

// Title is the title of the key in the forge, for example repo-7-readonly.
func (g Grant) Title() string { return Title(g.Of, g.Permission) }

// Title returns the title of the deploy key of a repository.
func Title(repository string, permission v1alpha1.Permission) string {
	return repository + "-" + string(permission)
}

// Permissions are the permissions that each repository has a key for.
func Permissions() []v1alpha1.Permission {
	return []v1alpha1.Permission{v1alpha1.PermissionReadOnly, v1alpha1.PermissionReadWrite}
}

// Owner returns the repository and the permission of a title, or false if the title is
// not one of Nautes.
func Owner(title string) (repository string, permission v1alpha1.Permission, ok bool) {
	for _, p := range Permissions() {
		if repository, ok := strings.CutSuffix(title, "-"+string(p)); ok && strings.HasPrefix(repository, "repo-") {
			return repository, p, true
		}
	}
	return "", "", false
}

// Grants returns all keys of the repositories of one product, sorted and without
// duplicates. A repository has its own keys, the keys of the repositories of its project,
// and the keys that bindings grant. Bindings of other products and of missing
// repositories grant nothing.
func Grants(product string, repositories []*v1alpha1.CodeRepo, bindings []*v1alpha1.CodeRepoBinding) []Grant {
	var grants []Grant
	known := map[string]bool{}
	for _, r := range repositories {
		known[r.Name] = true
		for _, other := range repositories {
			if other.Name != r.Name && (r.Spec.Project == "" || other.Spec.Project != r.Spec.Project) {
				continue
			}
			for _, permission := range Permissions() {
				grants = append(grants, Grant{On: r.Name, Of: other.Name, Permission: permission})
			}
		}
	}
	for _, b := range bindings {
		if !known[b.Spec.CodeRepo] || b.Spec.Product != "" && b.Spec.Product != product {
			continue
		}
		permission := cmp.Or(b.Spec.Permissions, v1alpha1.PermissionReadOnly)
		for _, r := range repositories {
			if len(b.Spec.Projects) == 0 || r.Spec.Project != "" && slices.Contains(b.Spec.Projects, r.Spec.Project) {
				grants = append(grants, Grant{On: b.Spec.CodeRepo, Of: r.Name, Permission: permission})
			}
		}
	}
	slices.SortFunc(grants, func(a, b Grant) int {
		return cmp.Or(cmp.Compare(a.On, b.On), cmp.Compare(a.Of, b.Of), cmp.Compare(a.Permission, b.Permission))
	})
	return slices.Compact(grants)
}
