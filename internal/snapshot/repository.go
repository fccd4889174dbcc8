package snapshot

import (
	"errors"
	"regexp"
	"strings"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/giturl"
	"nautes.io/nautes/internal/plan"
)

// RepositoryURL returns the URL that clients of a code repository use: spec.url,
// in its plain spelling, else the provider's address, the product's group and
// spec.repoName. It is a plain ssh, https or http URL without credentials and without characters that
// Argo CD would read as a pattern.
//
// A repository on a registered provider must be in the group of its own product.
// Credentials of a provider go only to that provider. They must be the credentials of
// this repository and not of another product's (CredentialHolder). A *RepositoryError
// names the rule that does not hold. A *MissingError names the provider or the product
// that is needed and does not exist.
func (s *Snapshot) RepositoryURL(r *v1alpha1.CodeRepo) (string, error) {
	if err := s.checkCredentials(r); err != nil {
		return "", err
	}
	provider := s.CodeRepoProvider(r.Spec.CodeRepoProvider)
	if r.Spec.CodeRepoProvider != "" && provider == nil {
		return "", &MissingError{
			Missing: plan.Ref{Kind: "CodeRepoProvider", Namespace: s.Namespace, Name: r.Spec.CodeRepoProvider}, Needed: RefOf(r),
		}
	}
	if r.Spec.URL == "" {
		return s.derivedURL(r, provider)
	}
	address, err := giturl.Parse(r.Spec.URL)
	if err == nil && address.Path == "" {
		err = errors.New("it names no repository: add the path of the repository")
	}
	if err != nil {
		return "", &RepositoryError{Repo: RefOf(r), Field: "spec.url", Problem: err.Error()}
	}
	if err := s.checkOwnGroup(r, address, provider); err != nil {
		return "", err
	}
	return giturl.Plain(r.Spec.URL), nil
}

func (s *Snapshot) derivedURL(r *v1alpha1.CodeRepo, provider *v1alpha1.CodeRepoProvider) (string, error) {
	switch {
	case provider == nil:
		return "", &RepositoryError{
			Repo: RefOf(r), Field: "spec.codeRepoProvider",
			Problem: "there is no URL without it: set it together with spec.repoName, or set spec.url",
		}
	case r.Spec.RepoName == "":
		return "", &RepositoryError{
			Repo: RefOf(r), Field: "spec.repoName",
			Problem: "there is no URL without it: set it to the name of the repository in the product's group, or set spec.url",
		}
	case !repositoryName.MatchString(r.Spec.RepoName) || strings.Trim(r.Spec.RepoName, ".") == "":
		return "", &RepositoryError{
			Repo: RefOf(r), Field: "spec.repoName",
			Problem: "it must be one name of letters, digits, '.', '_' and '-': correct it",
		}
	}
	group, err := s.groupOf(r)
	if err != nil {
		return "", err
	}
	raw, field := provider.Spec.SSHAddress, "spec.sshAddress"
	if raw == "" {
		raw, field = provider.Spec.HTTPAddress, "spec.httpAddress"
	}
	url, err := giturl.Join(raw, group+"/"+r.Spec.RepoName)
	if err != nil {
		return "", &RepositoryError{Repo: RefOf(provider), Field: field, Problem: err.Error()}
	}
	return url, nil
}

// groupOf returns the path of the group of the repository's product. Only the
// tenant's own repositories, in the operator's namespace, name their product.
func (s *Snapshot) groupOf(r *v1alpha1.CodeRepo) (string, error) {
	product := r.Namespace
	if r.Namespace == s.Namespace {
		if product = r.Spec.Product; product == "" {
			return "", &RepositoryError{
				Repo: RefOf(r), Field: "spec.product",
				Problem: "there is no URL without it: set it to the product whose group has the repository, or set spec.url",
			}
		}
	}
	p := s.Product(product)
	if p == nil {
		return "", &MissingError{Missing: plan.Ref{Kind: "Product", Namespace: s.Namespace, Name: product}, Needed: RefOf(r)}
	}
	if !ValidGroup(p.Spec.Name) {
		return "", &RepositoryError{
			Repo: RefOf(p), Field: "spec.name",
			Problem: "it is not the path of a group: use letters, digits, '.', '_' and '-', groups separated by '/'",
		}
	}
	return p.Spec.Name, nil
}

// checkOwnGroup refuses an explicit URL in the group of another product, or one that
// would send the credentials of a provider to another server.
func (s *Snapshot) checkOwnGroup(r *v1alpha1.CodeRepo, a giturl.Address, provider *v1alpha1.CodeRepoProvider) error {
	if r.Namespace == s.Namespace {
		return nil
	}
	if provider != nil {
		path, ok := below(a, provider, giturl.Address.SameEndpoint)
		if !ok {
			return &RepositoryError{
				Repo: RefOf(r), Field: "spec.url",
				Problem: "it is not on CodeRepoProvider " + provider.Name + ": use one of the provider's addresses, or remove spec.codeRepoProvider if the repository is public",
			}
		}
		return s.checkGroupPath(r, path)
	}
	if p, path := s.providerAt(a, giturl.Address.SameEndpoint, giturl.Address.SameWeb); p != nil {
		return s.checkGroupPath(r, path)
	}
	return nil
}

// checkGroupPath refuses a path on a provider that is not a repository directly
// in the group of r's product.
func (s *Snapshot) checkGroupPath(r *v1alpha1.CodeRepo, path string) error {
	group, err := s.groupOf(r)
	if err != nil {
		return err
	}
	name, ok := strings.CutPrefix(path, group+"/")
	if ok && repositoryName.MatchString(name) {
		return nil
	}
	return &RepositoryError{
		Repo: RefOf(r), Field: "spec.url",
		Problem: "it is not a repository of the product's group " + group + ": a product uses the repositories of its own group only; move the repository there or correct the URL",
	}
}

// below returns the path of a relative to the address of the provider, or false if a
// is not on the provider.
func below(a giturl.Address, p *v1alpha1.CodeRepoProvider, same func(giturl.Address, giturl.Address) bool) (string, bool) {
	for _, raw := range []string{p.Spec.SSHAddress, p.Spec.HTTPAddress} {
		base, err := giturl.Parse(raw)
		if err != nil || !same(a, base) {
			continue
		}
		if path, ok := a.Below(base); ok {
			return path, true
		}
	}
	return "", false
}

// HTTPRepository reports whether a URL of RepositoryURL is cloned by HTTP, with a
// username and a password, rather than by SSH with a key.
func HTTPRepository(url string) bool { return strings.HasPrefix(url, "http") }

// CheckAddress returns the fault of the base URL of a Git hosting service, or nil if
// it can be used.
func CheckAddress(raw string) error {
	_, err := giturl.Parse(raw)
	return err
}

// ValidGroup reports whether name can be the path of a group.
func ValidGroup(name string) bool {
	for segment := range strings.SplitSeq(name, "/") {
		if !repositoryName.MatchString(segment) || strings.Trim(segment, ".") == "" {
			return false
		}
	}
	return true
}

var repositoryName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
