package snapshot

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/net/http/httpproxy"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/giturl"
)

// GitAccess is how clients of Git reach a server and know it. It holds no secrets.
type GitAccess struct {
	// CABundle has the certificate authorities that are trusted in addition to the
	// client's own, in PEM.
	CABundle string
	// KnownHosts has SSH host keys, in the format of OpenSSH.
	KnownHosts string
	// Proxy is the URL of an HTTP proxy, or empty for none. NoProxy lists the hosts that
	// are reached without it, separated by commas.
	Proxy, NoProxy string
}

// GitAccess returns how clients reach the server of a repository's URL: the settings of
// the operator, with the settings of the CodeRepoProvider on that host. Proxy is empty
// if this URL is reached without a proxy. SSH always is.
func (s *Snapshot) GitAccess(raw string) GitAccess {
	access := s.Settings.Git
	address, err := giturl.Parse(raw)
	if err != nil {
		return access.direct()
	}
	if p := s.providerAt(address); p != nil {
		access = access.with(p)
	}
	if address.Scheme == "ssh" {
		return access.direct()
	}
	u, err := url.Parse(raw)
	if err != nil {
		return access.direct()
	}
	proxies := httpproxy.Config{HTTPProxy: access.Proxy, HTTPSProxy: access.Proxy, NoProxy: access.NoProxy}
	if proxy, err := proxies.ProxyFunc()(u); err != nil || proxy == nil {
		return access.direct()
	}
	return access
}

// direct returns the access without a proxy.
func (a GitAccess) direct() GitAccess {
	a.Proxy, a.NoProxy = "", ""
	return a
}

// with adds the certificates and host keys of a provider. A proxy of the provider
// replaces the proxy of the operator.
func (a GitAccess) with(p *v1alpha1.CodeRepoProvider) GitAccess {
	a.CABundle = joinLines(a.CABundle, p.Spec.CABundle)
	a.KnownHosts = joinLines(a.KnownHosts, p.Spec.KnownHosts)
	if proxy := p.Spec.Proxy; proxy != nil {
		a.Proxy, a.NoProxy = proxy.URL, strings.Join(proxy.NoProxy, ",")
	}
	return a
}

// joinLines joins texts of lines. A text that several share is there once.
func joinLines(texts ...string) string {
	var joined []string
	for _, text := range texts {
		text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
		if text != "" && (len(joined) == 0 || joined[0] != text) {
			joined = append(joined, text)
		}
	}
	if len(joined) == 0 {
		return ""
	}
	return strings.Join(joined, "\n") + "\n"
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
		if bundle := s.Settings.Git.with(p).CABundle; bundle != "" {
			certificates[a.Host] = joinLines(certificates[a.Host], bundle)
		}
	}
	return certificates
}

// GitKnownHosts returns the host keys of all providers and of the operator.
func (s *Snapshot) GitKnownHosts() string {
	known := joinLines(s.Settings.Git.KnownHosts)
	for _, p := range s.CodeRepoProviders() {
		known = joinLines(known, p.Spec.KnownHosts)
	}
	return known
}

// CheckCABundle returns the fault of certificates in PEM, or nil if there is none. It
// accepts an empty text.
func CheckCABundle(bundle string) error {
	rest := []byte(strings.TrimSpace(bundle))
	for n := 1; len(rest) > 0; n++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			return fmt.Errorf("certificate %d cannot be read as PEM: copy it whole, from -----BEGIN to the end of the -----END line", n)
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("block %d is no certificate: remove it", n)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("certificate %d is damaged: copy it again", n)
		}
		rest = bytes.TrimSpace(rest)
	}
	return nil
}

// CheckKnownHosts returns the fault of a known_hosts file, or nil if there is none. It
// accepts an empty text.
func CheckKnownHosts(known string) error {
	n := 0
	for line := range strings.Lines(known) {
		n++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, _, _, _, _, err := ssh.ParseKnownHosts([]byte(line)); err != nil {
			return fmt.Errorf("line %d is no host key: write lines such as \"git.example.com ssh-ed25519 AAAA…\", which ssh-keyscan prints", n)
		}
	}
	return nil
}
