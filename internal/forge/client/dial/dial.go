// Package dial holds the parts of a client that do not depend on the kind of forge: the
// checks of a connection, its transport, and the words for answers that did not come. It
// guarantees that no error repeats a URL or a token.
package dial

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
)

const (
	// MaxBody bounds an answer, in bytes.
	MaxBody = 16 << 20
	// MaxReason bounds a forge's message in an error, in bytes.
	MaxReason = 200
	// defaultTimeout of one request.
	defaultTimeout = 10 * time.Second
)

var (
	// ErrToken is returned for an access token that cannot be sent.
	ErrToken = errors.New("the access token is empty, or has characters that no header can carry")
	// ErrCA is returned for a CA bundle without certificates.
	ErrCA = errors.New("the CA bundle has no certificate in PEM")
	// ErrTooLong is the error of an answer over MaxBody.
	ErrTooLong = errors.New("the answer is too long")

	errProxy = errors.New("the URL of the proxy cannot be parsed")
)

// Checked is a connection that can be used.
type Checked struct {
	// Server is the address without the path of the API.
	Server, Token string
	// HTTP follows no redirects.
	HTTP *http.Client
}

// Check returns the connection c to a forge whose API is at apiPath below its address. The
// transport of its client is wrapped by wrap. It returns errServer for an address that is
// none, ErrToken or ErrCA. It sends no request.
func Check(c client.Connection, apiPath string, errServer error, wrap func(http.RoundTripper) http.RoundTripper) (Checked, error) {
	server, ok := forge.Address(c.APIServer, apiPath)
	if !ok {
		return Checked{}, errServer
	}
	token := string(c.Token.Bytes())
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return Checked{}, ErrToken
	}
	transport, err := transportOf(c)
	if err != nil {
		return Checked{}, err
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return Checked{Server: server, Token: token, HTTP: &http.Client{
		Transport: wrap(transport), Timeout: timeout,
		// A redirected change becomes a reading request, and a redirect to another
		// host would get the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func transportOf(c client.Connection) (*http.Transport, error) {
	transport := &http.Transport{
		Proxy:               func(r *http.Request) (*url.URL, error) { return proxyFor(c.Proxy, r.URL.Host) },
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: defaultTimeout, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 8,
	}
	if c.CABundle == "" {
		return transport, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM([]byte(c.CABundle)) {
		return nil, ErrCA
	}
	transport.TLSClientConfig.RootCAs = roots
	return transport, nil
}

func proxyFor(proxy func(host string) string, host string) (*url.URL, error) {
	if proxy == nil {
		return nil, nil
	}
	address := proxy(host)
	if address == "" {
		return nil, nil
	}
	parsed, err := url.Parse(address)
	if err != nil {
		// The error of the parser repeats the URL, which may hold a password.
		return nil, errProxy
	}
	return parsed, nil
}

// Reason returns the reason why a forge, such as GitLab, gave no answer. It repeats
// nothing of the error, whose text can have the URL of a proxy.
func Reason(name string, err error) string {
	var certificate *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return "the request was cancelled"
	case errors.As(err, &certificate):
		return "the certificate of " + name + " is not trusted"
	case errors.As(err, &timeout) && timeout.Timeout():
		return name + " does not answer in time"
	case errors.Is(err, ErrTooLong):
		return ErrTooLong.Error()
	}
	return name + " cannot be reached"
}

// userInfo is the part of a URL with credentials.
var userInfo = regexp.MustCompile(`://[^/\s@]*@`)

// Clean returns a message of a forge in one line, cut, without credentials and hidden
// values.
func Clean(message string, hidden ...string) string {
	line := strings.Join(strings.FieldsFunc(message, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	for _, value := range hidden {
		if value != "" {
			line = strings.ReplaceAll(line, value, "***")
		}
	}
	line = userInfo.ReplaceAllString(line, "://***@")
	if len(line) > MaxReason {
		line = strings.ToValidUTF8(line[:MaxReason], "") + "…"
	}
	return line
}

// RetryAfter returns the time of the header of that name, in seconds or as a date. It
// reports false if there is no such time.
func RetryAfter(header http.Header) (time.Duration, bool) {
	value := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if end, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(end)), true
	}
	return 0, false
}
