package git

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// certificatesSetting of git names a file with the certificates that it trusts, and
// proxyCertificatesSetting one for a proxy that is reached by https.
const (
	certificatesSetting      = "http.sslCAInfo"
	proxyCertificatesSetting = "http.proxySSLCAInfo"
)

// waySettings returns git's settings for the way to a server: the certificates that it
// trusts, and the proxy. The file of the certificates is made once for a remote.
func (m *Mirrors) waySettings(r *remote) ([][2]string, error) {
	var settings [][2]string
	if r.proxy != "" {
		settings = append(settings, [2]string{"http.proxy", r.proxyLogin.To(r.proxy)})
	}
	trusted := m.options.CAFile
	byTLS := strings.HasPrefix(r.proxy, "https://")
	if r.caBundle != "" && (r.protocol == "https" || byTLS) {
		if r.caFile == "" {
			file, err := m.bundleFile(r.caBundle)
			if err != nil {
				return nil, fmt.Errorf("repository %s: certificates: %w", r.display, err)
			}
			r.caFile = file
		}
		trusted = r.caFile
	}
	if trusted != "" {
		settings = append(settings, [2]string{certificatesSetting, trusted})
		if byTLS {
			settings = append(settings, [2]string{proxyCertificatesSetting, trusted})
		}
	}
	return settings, nil
}

// bare returns a login without the line ends around it.
func (l Login) bare() Login {
	return Login{Username: plan.BareText(l.Username), Password: secrets.NewValue([]byte(plan.BareText(string(l.Password.Bytes()))))}
}

// To returns the URL of a proxy with the login for it. It must not be printed.
func (l Login) To(proxy string) string {
	if l.Username == "" || proxy == "" {
		return proxy
	}
	return plan.ProxyURL(proxy, l.Username, string(l.Password.Bytes()))
}

// bundleFile returns a file with the system's certificates, or the ones of
// Options.CAFile, and a bundle. Equal content has one file, which stays until the next
// start.
func (m *Mirrors) bundleFile(bundle string) (string, error) {
	content, err := systemCertificates(m.options.CAFile)
	if err != nil {
		return "", err
	}
	content = append(append(bytes.TrimSpace(content), '\n'), bundle...)
	sum := sha256.Sum256(content)
	path := filepath.Join(m.home, "ca-"+hex.EncodeToString(sum[:16])+".pem")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	// Several fetches may write the same content at once.
	unfinished, err := os.CreateTemp(m.home, "ca-")
	if err != nil {
		return "", err
	}
	_, err = unfinished.Write(content)
	if err = errors.Join(err, unfinished.Close()); err == nil {
		err = os.Rename(unfinished.Name(), path)
	}
	if err != nil {
		_ = os.Remove(unfinished.Name())
		return "", err
	}
	return path, nil
}

// systemCertificates returns the certificates in a file or, if it is empty, the
// certificates that the system trusts; none if the system has no file of them.
func systemCertificates(file string) ([]byte, error) {
	if file != "" {
		return os.ReadFile(file)
	}
	// The files of the common distributions, as crypto/x509 looks for them.
	for _, path := range []string{
		os.Getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
	} {
		content, err := os.ReadFile(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return content, err
		}
	}
	return nil, nil
}
