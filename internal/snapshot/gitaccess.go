package snapshot

import (
	"strings"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/catalogue"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/giturl"
)

// GitAccess returns how clients reach the server of a repository's URL: the settings of
// the operator, with the settings of the CodeRepoProvider on that host. Proxy is empty
// if this URL is reached without a proxy. SSH always is.
func (s *Snapshot) GitAccess(raw string) gitaccess.Access {
	access := s.Settings.Git
	if address, err := giturl.Parse(raw); err == nil {
		if p, _ := s.providerAt(address, giturl.Address.SameEndpoint, giturl.Address.SameHost); p != nil {
			access = access.With(p)
		}
	}
	return access.To(raw)
}

// providerAt returns the provider that an address is below, and the path from there, or
// nil if there is none. The earlier comparisons have precedence.
func (s *Snapshot) providerAt(a giturl.Address, comparisons ...func(giturl.Address, giturl.Address) bool) (*v1alpha1.CodeRepoProvider, string) {
	for _, same := range comparisons {
		for _, p := range s.CodeRepoProviders() {
			if path, ok := below(a, p, same); ok {
				return p, path
			}
		}
	}
	return nil, ""
}

// TokenProvider returns the provider whose token may be sent to a URL, in whatever
// spelling, or nil if there is none.
func (s *Snapshot) TokenProvider(raw string) *v1alpha1.CodeRepoProvider {
	a, err := giturl.Parse(raw)
	if err != nil || a.Scheme == "ssh" {
		return nil
	}
	p, _ := s.providerAt(a, giturl.Address.SameEndpoint)
	return p
}

// ForgeRepository returns the provider whose forge has the repository of a URL, and the
// full path of the repository there, such as labs/app. It returns nil if there is none.
func (s *Snapshot) ForgeRepository(raw string) (p *v1alpha1.CodeRepoProvider, path string) {
	if a, err := giturl.Parse(raw); err == nil {
		p, path = s.providerAt(a, giturl.Address.SameEndpoint, giturl.Address.SameWeb)
	}
	return p, strings.TrimSuffix(path, ".git")
}

// GitTrust returns the certificate authorities of the providers' hosts, by the name of
// the host, and the host keys of all providers and of the operator. The authorities of
// proxies are with each host behind one, and together at catalogue.ProxyAuthorities.
// Both are as Argo CD keeps them, and must not be changed.
func (s *Snapshot) GitTrust() (certificates map[string]string, knownHosts string) {
	return s.gitTrust()
}

func (s *Snapshot) readGitTrust() (certificates map[string]string, knownHosts string) {
	certificates, keys := map[string]string{}, []string{s.Settings.Git.KnownHosts}
	for _, p := range s.CodeRepoProviders() {
		keys = append(keys, p.Spec.KnownHosts)
		access := s.Settings.Git.With(p).To(p.Spec.HTTPAddress)
		a, err := giturl.Parse(p.Spec.HTTPAddress)
		if err != nil || access.CABundle == "" || a.Scheme != "https" && !access.ByTLS() {
			continue
		}
		certificates[a.Host] = gitaccess.JoinLines(certificates[a.Host], access.CABundle)
		if access.ByTLS() {
			certificates[catalogue.ProxyAuthorities] = gitaccess.JoinLines(certificates[catalogue.ProxyAuthorities], access.CABundle)
		}
	}
	return certificates, gitaccess.JoinLines(keys...)
}
