package snapshot

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"nautes.io/nautes/api/v1alpha1"
)

// Permission returns the permission of a project on a code repository of its product,
// or "" if it has none. The empty project stands for the product as a whole. The
// owner may write. Others have the strongest permission that bindings grant; a
// binding without projects grants to all, and one that is being deleted to none.
func (s *Snapshot) Permission(product, project, repo string) v1alpha1.Permission {
	r := s.CodeRepo(product, repo)
	if r == nil || !ofProduct(r.Spec.Product, product) {
		return ""
	}
	if r.Spec.Project == project {
		return v1alpha1.PermissionReadWrite
	}
	var granted v1alpha1.Permission
	for _, b := range s.BindingsOf(product, repo) {
		if !b.DeletionTimestamp.IsZero() || !ofProduct(b.Spec.Product, product) {
			continue
		}
		if len(b.Spec.Projects) > 0 && !slices.Contains(b.Spec.Projects, project) {
			continue
		}
		if b.Spec.Permissions == v1alpha1.PermissionReadWrite {
			return v1alpha1.PermissionReadWrite
		}
		granted = v1alpha1.PermissionReadOnly
	}
	return granted
}

// RuntimePermission returns the permission of a runtime on the code repository
// that it deploys or runs: the weakest permission of its projects. It is empty if
// one of them has none. A pipeline runtime never writes.
func (s *Snapshot) RuntimePermission(r v1alpha1.Runtime) v1alpha1.Permission {
	granted := v1alpha1.PermissionReadWrite
	if r.WorkerType() == v1alpha1.WorkerTypePipeline {
		granted = v1alpha1.PermissionReadOnly
	}
	for _, project := range r.Projects() {
		switch s.Permission(r.GetNamespace(), project, r.Repositories()[0]) {
		case v1alpha1.PermissionReadWrite:
		case v1alpha1.PermissionReadOnly:
			granted = v1alpha1.PermissionReadOnly
		default:
			return ""
		}
	}
	return granted
}

// ArtifactRepos returns the artifact repositories that all projects of a runtime may use, in
// name order. One that is being deleted grants nothing.
func (s *Snapshot) ArtifactRepos(r v1alpha1.Runtime) []*v1alpha1.ArtifactRepo {
	return slices.DeleteFunc(s.artifacts.in(r.GetNamespace()), func(a *v1alpha1.ArtifactRepo) bool {
		denied := func(project string) bool { return !slices.Contains(a.Spec.Projects, project) }
		return !a.DeletionTimestamp.IsZero() || !ofProduct(a.Spec.Product, r.GetNamespace()) ||
			len(a.Spec.Projects) > 0 && slices.ContainsFunc(r.Projects(), denied)
	})
}

// ofProduct reports whether spec.product agrees with the product of the namespace.
func ofProduct(spec, product string) bool { return spec == "" || spec == product }

// BindingsOf returns the bindings of a code repository of a product.
func (s *Snapshot) BindingsOf(product, repo string) []*v1alpha1.CodeRepoBinding {
	return s.bindingsByRepo()[types.NamespacedName{Namespace: product, Name: repo}]
}

func (s *Snapshot) groupBindings() map[types.NamespacedName][]*v1alpha1.CodeRepoBinding {
	groups := map[types.NamespacedName][]*v1alpha1.CodeRepoBinding{}
	s.bindings.all(func(b *v1alpha1.CodeRepoBinding) {
		key := types.NamespacedName{Namespace: b.Namespace, Name: b.Spec.CodeRepo}
		groups[key] = append(groups[key], b)
	})
	return groups
}
