// Package gitaccess describes how clients of Git reach a server: the certificates and
// host keys that they trust, and the proxy between them. It guarantees that the operator,
// Argo CD and the launchers of pipelines reach a server in the same way.
package gitaccess

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/net/http/httpproxy"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/giturl"
	"nautes.io/nautes/internal/plan"
)

// Access is how clients of Git reach a server and know it. It holds no secrets.
type Access struct {
	// CABundle has the certificate authorities that are trusted in addition to the
	// client's own, in PEM.
	CABundle string
	// KnownHosts has SSH host keys, in the format of OpenSSH.
	KnownHosts string
	// Proxy is the URL of an HTTP proxy, or empty for none. NoProxy lists the hosts that
	// are reached without it, separated by commas.
	Proxy, NoProxy string
	// ProxyLogin names the secret with the username and the password for the proxy. It is
	// zero if the proxy asks for none.
	ProxyLogin plan.SecretRef
}

// Login returns the access with a login for the proxy, which the provider of that name
// declares, or the operator if it is empty.
func (a Access) Login(provider string, declared bool) Access {
	a.ProxyLogin = plan.SecretRef{}
	switch {
	case declared && provider == "":
		a.ProxyLogin = plan.SecretRef{Engine: "tenant", Path: "nautes/git-proxy"}
	case declared:
		a.ProxyLogin = plan.SecretRef{Engine: "tenant", Path: "git/" + provider + "/proxy"}
	}
	return a
}

// To returns the access to a URL. Its proxy is empty if the URL is reached without one,
// as every server of SSH is.
func (a Access) To(raw string) Access {
	address, err := giturl.Parse(raw)
	if err != nil || address.Scheme == "ssh" {
		return a.direct()
	}
	u, err := url.Parse(raw)
	if err != nil {
		return a.direct()
	}
	proxies := httpproxy.Config{HTTPProxy: a.Proxy, HTTPSProxy: a.Proxy, NoProxy: a.NoProxy}
	if proxy, err := proxies.ProxyFunc()(u); err != nil || proxy == nil {
		return a.direct()
	}
	return a
}

// ByTLS reports whether the proxy is reached by HTTPS.
func (a Access) ByTLS() bool { return strings.HasPrefix(a.Proxy, "https://") }

// direct returns the access without a proxy.
func (a Access) direct() Access {
	a.Proxy, a.NoProxy = "", ""
	return a.Login("", false)
}

// With adds the certificates and host keys of a provider. A proxy of the provider
// replaces the proxy of the operator.
func (a Access) With(p *v1alpha1.CodeRepoProvider) Access {
	a.CABundle = JoinLines(a.CABundle, p.Spec.CABundle)
	a.KnownHosts = JoinLines(a.KnownHosts, p.Spec.KnownHosts)
	if proxy := p.Spec.Proxy; proxy != nil {
		a.Proxy, a.NoProxy = proxy.URL, strings.Join(proxy.NoProxy, ",")
		a = a.Login(p.Name, proxy.Login)
	}
	return a
}

// JoinKnownHosts returns the host keys of a secret together with the keys of the access.
func (a Access) JoinKnownHosts(secret []byte) []byte {
	return []byte(JoinLines(string(secret), a.KnownHosts))
}

// JoinLines joins texts of lines. Equal texts are there once.
func JoinLines(texts ...string) string {
	var joined []string
	for _, text := range texts {
		text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
		if text != "" && !slices.Contains(joined, text) {
			joined = append(joined, text)
		}
	}
	if len(joined) == 0 {
		return ""
	}
	return strings.Join(joined, "\n") + "\n"
}

// CheckCABundle returns the fault of certificates in PEM, or nil if there is none. It
// accepts an empty text.
func CheckCABundle(bundle string) error {
	rest := []byte(strings.TrimSpace(bundle))
	for n := 1; len(rest) > 0; n++ {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil && n > 1 && !bytes.Contains(rest, []byte("-----BEGIN")) {
			// Programs that print certificates add text, as between them.
			return nil
		}
		if block == nil {
			return fmt.Errorf("certificate %d cannot be read as PEM: copy it whole, from -----BEGIN to the end of the -----END line", n)
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("block %d is no certificate: remove it", n)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("certificate %d is damaged: copy it again", n)
		}
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
