package githost

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Proxy is an HTTP proxy for one test. It connects every name to one address.
type Proxy struct {
	// URL is the address of the proxy, without a slash at its end.
	URL string

	to       string
	http     *httptest.Server
	mu       sync.Mutex
	login    string
	requests int
}

// NewProxy starts a proxy that speaks HTTP and connects every name to a host, which may
// have a port.
func NewProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	p := &Proxy{to: to}
	p.http = httptest.NewServer(http.HandlerFunc(p.serve))
	return p.finish(t)
}

// NewTLSProxy starts a proxy as NewProxy does, which is itself reached by HTTPS, with a
// certificate of its own.
func NewTLSProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	p := &Proxy{to: to}
	p.http = httptest.NewUnstartedServer(http.HandlerFunc(p.serve))
	p.http.TLS = &tls.Config{Certificates: []tls.Certificate{loopbackCertificate(t)}, MinVersion: tls.VersionTLS12}
	p.http.StartTLS()
	return p.finish(t)
}

// loopbackCertificate makes a certificate for 127.0.0.1 that is its own authority: all
// servers of httptest share another one.
func loopbackCertificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	content, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{content}, PrivateKey: key}
}

func (p *Proxy) finish(t testing.TB) *Proxy {
	p.URL = p.http.URL
	t.Cleanup(p.http.Close)
	return p
}

// Certificate returns the certificate of a proxy made by NewTLSProxy, in PEM.
func (p *Proxy) Certificate() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.http.TLS.Certificates[0].Certificate[0]}))
}

// RequireLogin makes the proxy refuse all but this user; empty names admit everybody.
func (p *Proxy) RequireLogin(user, password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.login = ""
	if user != "" {
		p.login = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
}

// Requests returns how many requests have arrived.
func (p *Proxy) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests
}

// Close stops the proxy before the end of its test.
func (p *Proxy) Close() { p.http.Close() }

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests++
	login := p.login
	p.mu.Unlock()
	if login != "" && r.Header.Get("Proxy-Authorization") != login {
		w.Header().Set("Proxy-Authenticate", `Basic realm="proxy"`)
		http.Error(w, "log in", http.StatusProxyAuthRequired)
		return
	}
	if r.Method == http.MethodConnect {
		p.connect(w)
		return
	}
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", p.to, ""
	r.Header.Del("Proxy-Authorization")
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// connect joins the client with the server until either ends.
func (p *Proxy) connect(w http.ResponseWriter) {
	upstream, err := net.Dial("tcp", p.to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = upstream.Close() }()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = client.Close() }()
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(upstream, client)
		_ = upstream.Close()
	}()
	_, _ = io.Copy(client, upstream)
}
