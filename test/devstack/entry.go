package devstack

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Entry plays the way from a Git forge to the gateways of clusters: the name service, the
// load balancer and its certificates. It is a proxy for HTTPS requests to any host, which
// it answers itself, with certificates of its own authority.
type Entry struct {
	// Proxy is the URL of the proxy. CA has the certificate of the authority in PEM.
	Proxy string
	CA    []byte

	gateway atomic.Pointer[http.Handler]
	proxy   *http.Server
	tls     *http.Server
	// inner is the address where TLS ends.
	inner string
}

// StartEntry starts an entry. Until LeadTo names a gateway, it answers 503.
func (s *Stack) StartEntry() (*Entry, error) {
	ca, err := newAuthority("entry")
	if err != nil {
		return nil, err
	}
	taken, err := s.ports.takeMany(2)
	if err != nil {
		return nil, err
	}
	e := &Entry{Proxy: "http://" + loopback(taken[0]), CA: ca.certificate, inner: loopback(taken[1])}
	certificates := &hostCertificates{authority: ca, issued: map[string]*tls.Certificate{}}
	outer, err := net.Listen("tcp", loopback(taken[0]))
	if err != nil {
		return nil, fmt.Errorf("start an entry: %w", err)
	}
	inner, err := net.Listen("tcp", e.inner)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start an entry: %w", err), outer.Close())
	}
	e.proxy = &http.Server{Handler: http.HandlerFunc(e.connect), ReadHeaderTimeout: 10 * time.Second}
	e.tls = &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = e.proxy.Serve(outer) }()
	go func() {
		_ = e.tls.Serve(tls.NewListener(inner, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificates.get}))
	}()
	s.keep(e)
	return e, nil
}

// LeadTo has a gateway answer the requests.
func (e *Entry) LeadTo(gateway http.Handler) { e.gateway.Store(&gateway) }

// Stop ends the entry.
func (e *Entry) Stop() error { return errors.Join(e.proxy.Close(), e.tls.Close()) }

// Err returns nil: it runs in this process.
func (e *Entry) Err() error { return nil }

// ServeHTTP implements http.Handler.
func (e *Entry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	gateway := e.gateway.Load()
	if gateway == nil {
		http.Error(w, "no gateway runs yet", http.StatusServiceUnavailable)
		return
	}
	(*gateway).ServeHTTP(w, r)
}

// connect leads a connection to any host to where TLS ends.
func (e *Entry) connect(w http.ResponseWriter, r *http.Request) {
	hijacker, ok := w.(http.Hijacker)
	if r.Method != http.MethodConnect || !ok {
		http.Error(w, "this is a proxy for HTTPS", http.StatusMethodNotAllowed)
		return
	}
	var dialer net.Dialer
	onward, err := dialer.DialContext(r.Context(), "tcp", e.inner)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	conn, buffered, err := hijacker.Hijack()
	if err != nil {
		_ = onward.Close()
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		_ = errors.Join(conn.Close(), onward.Close())
		return
	}
	go pipe(onward, buffered.Reader)
	go pipe(conn, onward)
}

// pipe copies until the source ends, and closes the destination.
func pipe(to net.Conn, from io.Reader) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
}

// hostCertificates issues a certificate for each host that a client names.
type hostCertificates struct {
	authority *authority
	mutex     sync.Mutex
	issued    map[string]*tls.Certificate
}

func (h *hostCertificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if found := h.issued[hello.ServerName]; found != nil {
		return found, nil
	}
	made, err := h.authority.servingHost(hello.ServerName)
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(made.certificate, made.key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for %s: %w", hello.ServerName, err)
	}
	h.issued[hello.ServerName] = &certificate
	return &certificate, nil
}
