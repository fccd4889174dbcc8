package git

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"regexp"
	"strings"
	"time"
)

// The reasons why a certificate is not accepted.
const (
	certificateOtherHost  = "the server's certificate is for another host name: use a URL with a name that it holds, or have it issued for this one"
	certificateExpired    = "the server's certificate has expired: have it renewed"
	certificateEarly      = "the server's certificate is not valid yet: check the clocks of the server and of this machine"
	certificateUsage      = "the server's certificate is not meant for servers (key usage): have it issued with server authentication"
	certificateSelfSigned = "the server's certificate is signed by itself and not trusted: add it to spec.caBundle of the CodeRepoProvider, or have it issued by an authority that is trusted"
	certificateAuthority  = "the server's certificate is not trusted: add its authority to spec.caBundle of the CodeRepoProvider, and check that the server sends the certificates between"
	certificateRevoked    = "the server's certificate has been revoked: have a new one issued"
	certificateWeak       = "the server's certificate, or its authority's, has a key or signature that is too weak: have it issued anew"
	certificateOfClient   = "the server asks for a certificate of the client, which is not supported: use an address of it that takes a token or an SSH key"
	certificateInvalid    = "the server's certificate is not valid: it may have expired, be for another host name, or be of an authority that is not trusted"
)

// certificateSymptoms are messages of OpenSSL and GnuTLS, the precise ones first.
var certificateSymptoms = []struct {
	pattern *regexp.Regexp
	reason  string
}{
	{regexp.MustCompile(`does not match target host|subject name|alternative certificate|hostname mismatch|[Hh]ostname .*does not match`), certificateOtherHost},
	{regexp.MustCompile(`certificate has expired|certificate expired|expiration date has passed|CRL has expired`), certificateExpired},
	{regexp.MustCompile(`not yet valid|not activated|not yet activated`), certificateEarly},
	{regexp.MustCompile(`unsupported certificate purpose|unsuitable certificate purpose|[Kk]ey usage|purpose`), certificateUsage},
	{regexp.MustCompile(`revoked`), certificateRevoked},
	{regexp.MustCompile(`key too (weak|small)|md too weak|insecure algorithm`), certificateWeak},
	{regexp.MustCompile(`self[- ]signed certificate in certificate chain|unable to get (local )?issuer|signer not (trusted|found)|issuer is unknown|unable to verify the first`), certificateAuthority},
	{regexp.MustCompile(`self[- ]signed`), certificateSelfSigned},
	{regexp.MustCompile(`alert (certificate required|bad certificate|no certificate)|[Cc]ertificate is required`), certificateOfClient},
	{regexp.MustCompile(`(?i)certificate`), certificateInvalid},
}

// certificateReason returns the reason for a message about a certificate, or "".
func certificateReason(said string) string {
	for _, s := range certificateSymptoms {
		if s.pattern.MatchString(said) && strings.Contains(strings.ToLower(said), "certificate") {
			return s.reason
		}
	}
	return ""
}

// certificateError returns a reason with its sentinel error.
func certificateError(reason string) (string, error) {
	if reason == certificateEarly {
		return reason, ErrCertificateEarly
	}
	return reason, ErrCertificate
}

// examineTime bounds the look at a certificate.
const examineTime = 5 * time.Second

// examine replaces the reason of a certificate error that does not name the fault:
// GnuTLS has one message for all. For a certificate that is not valid yet it adds the time
// from which on it is. It looks at the certificate itself and sends nothing.
// A server behind a proxy is not looked at, since git alone knows the way to it.
func (m *Mirrors) examine(ctx context.Context, r *remote, err error) error {
	var known *Error
	if r == nil || r.proxy != "" || r.protocol != "https" || !errors.As(err, &known) || (known.Reason != certificateInvalid && known.Reason != certificateEarly) {
		return err
	}
	roots, poolErr := m.trusted(r)
	if poolErr != nil {
		return err
	}
	address := r.host
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), "443")
	}
	limited, stop := context.WithTimeout(ctx, examineTime)
	defer stop()
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	conn, dialErr := dialer.DialContext(limited, "tcp", address)
	if dialErr == nil {
		_ = conn.Close()
		return err
	}
	if reason := verification(dialErr, time.Now()); reason != "" {
		known.Reason, known.Err = certificateError(reason)
	}
	var invalid x509.CertificateInvalidError
	if known.Reason == certificateEarly && errors.As(dialErr, &invalid) && invalid.Cert != nil {
		known.ValidFrom = invalid.Cert.NotBefore
	}
	return err
}

// trusted returns the authorities that git trusts for a server, or nil if they are the
// system's.
func (m *Mirrors) trusted(r *remote) (*x509.CertPool, error) {
	settings, err := m.waySettings(r)
	if err != nil {
		return nil, err
	}
	for _, setting := range settings {
		if setting[0] != certificatesSetting {
			continue
		}
		content, err := os.ReadFile(setting[1])
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(content)
		return roots, err
	}
	return nil, nil
}

// verification returns the reason for a certificate that Go does not accept, or "".
func verification(err error, now time.Time) string {
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	switch {
	case errors.As(err, &host):
		return certificateOtherHost
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && now.Before(invalid.Cert.NotBefore):
		return certificateEarly
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return certificateExpired
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return certificateUsage
	case errors.As(err, &authority) && authority.Cert != nil && string(authority.Cert.RawIssuer) == string(authority.Cert.RawSubject):
		return certificateSelfSigned
	case errors.As(err, &authority):
		return certificateAuthority
	}
	return ""
}
