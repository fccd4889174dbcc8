package snapshot

import (
	"nautes.io/nautes/api/v1alpha1"
)

// The secret store keeps the credentials of a repository at a path that has the
// name of the CodeRepo and not its product. So over all products a name has one
// holder: the oldest CodeRepo of the name, until it is gone. It takes part
// whatever its provider is, or else an edit of an older CodeRepo's provider
// would hand it the credentials of a younger one. The CodeRepos in the operator's
// namespace have credentials of their own and take no part.

// CredentialHolder returns the CodeRepo that has the credentials of r's name: r
// itself, or an older one of another product.
func (s *Snapshot) CredentialHolder(r *v1alpha1.CodeRepo) *v1alpha1.CodeRepo {
	if r.Namespace == s.Namespace {
		return r
	}
	holder := s.credentials()[r.Name]
	if holder == nil || holder.Namespace == r.Namespace {
		return r
	}
	// A repository that the snapshot lacks is judged as if it were there.
	if s.repos.get(r.Namespace, r.Name) == nil && Older(r, holder) {
		return r
	}
	return holder
}

func (s *Snapshot) allCredentials() map[string]*v1alpha1.CodeRepo {
	holders := map[string]*v1alpha1.CodeRepo{}
	s.repos.all(func(r *v1alpha1.CodeRepo) {
		if r.Namespace == s.Namespace {
			return
		}
		if holder := holders[r.Name]; holder == nil || Older(r, holder) {
			holders[r.Name] = r
		}
	})
	return holders
}

// checkCredentials refuses a repository that needs credentials which another
// product has. One without a provider is public and needs none.
func (s *Snapshot) checkCredentials(r *v1alpha1.CodeRepo) error {
	if r.Spec.CodeRepoProvider == "" {
		return nil
	}
	holder := s.CredentialHolder(r)
	if holder.Namespace == r.Namespace {
		return nil
	}
	return &RepositoryError{
		Repo: RefOf(r), Field: "metadata.name", HeldBy: RefOf(holder),
		Problem: "the credentials of a repository are kept by its name, and " + RefOf(holder).String() +
			" of another product has the name already: use another name, or have that one deleted",
	}
}
