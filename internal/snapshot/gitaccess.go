package snapshot

import (
	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/gitaccess"
	"nautes.io/nautes/internal/giturl"
)

// GitAccess returns how clients reach the server of a repository's URL: the settings of
// the operator, with the settings of the CodeRepoProvider on that host. Proxy is empty
// if this URL is reached without a proxy. SSH always is.
func (s *Snapshot) GitAccess(raw string) gitaccess.Access {
	access := s.Settings.Git
	if address, err := giturl.Parse(raw); err == nil {
		if p := s.providerAt(address); p != nil {
			access = access.With(p)
		}
	}
	return access.To(raw)
}

// providerAt returns the provider that an address is on, or else one on the same host,
// or nil if there is none.
func (s *Snapshot) providerAt(a giturl.Address) *v1alpha1.CodeRepoProvider {
	for _, same := range []func(giturl.Address, giturl.Address) bool{giturl.Address.SameEndpoint, giturl.Address.SameHost} {
		for _, p := range s.CodeRepoProviders() {
			if _, ok := below(a, p, same); ok {
				return p
			}
		}
	}
	return nil
}

// TokenProvider returns the provider whose token may be sent to a URL, in whatever
// spelling, or nil if there is none.
func (s *Snapshot) TokenProvider(raw string) *v1alpha1.CodeRepoProvider {
	a, err := giturl.Parse(raw)
	if err != nil || a.Scheme == "ssh" {
		return nil
	}
	for _, p := range s.CodeRepoProviders() {
		if _, ok := below(a, p, giturl.Address.SameEndpoint); ok {
			return p
		}
	}
	return nil
}

// GitCertificates returns the certificate authorities of the providers' hosts, by the
// name of the host, as Argo CD keeps them.
func (s *Snapshot) GitCertificates() map[string]string {
	certificates := map[string]string{}
	for _, p := range s.CodeRepoProviders() {
		a, err := giturl.Parse(p.Spec.HTTPAddress)
		if err != nil || a.Scheme != "https" {
			continue
		}
		if bundle := s.Settings.Git.With(p).CABundle; bundle != "" {
			certificates[a.Host] = gitaccess.JoinLines(certificates[a.Host], bundle)
		}
	}
	return certificates
}

// GitKnownHosts returns the host keys of all providers and of the operator.
func (s *Snapshot) GitKnownHosts() string {
	known := gitaccess.JoinLines(s.Settings.Git.KnownHosts)
	for _, p := range s.CodeRepoProviders() {
		known = gitaccess.JoinLines(known, p.Spec.KnownHosts)
	}
	return known
}
