package devstack

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"nautes.io/nautes/test/githost"
)

// FaultProxy stands before an HTTP server and makes it slow, wrong or away for
// those who use the proxy's URL. Client certificates do not pass it.
type FaultProxy struct {
	// URL is http://127.0.0.1:<port> or https://, as the server's is.
	URL string
	// CA is the certificate that the proxy's own comes from, in PEM; nil for
	// plain HTTP.
	CA []byte

	address     string
	certificate *tls.Certificate
	forward     http.Handler

	mutex    sync.Mutex
	server   *http.Server
	listener net.Listener
	faults   []*Fault
	counts   map[askedFor]int
}

// Fault says which requests fail, and how.
type Fault struct {
	// Method and Path, a prefix of the URL's path, select requests; empty: all.
	Method, Path string
	// Times is how many requests fail; 0: all, until Heal.
	Times int
	// Failure is the fault of these requests. After DropConnection the server has
	// answered, and at most a part of the answer arrives, however short it is.
	Failure githost.Failure
}

type askedFor struct{ method, path string }

func (a askedFor) matches(method, path string) bool {
	return (method == "" || a.method == method) && strings.HasPrefix(a.path, path)
}

// StartFaultProxy starts a proxy before a server, whose certificate comes from
// the CA, in PEM; none: plain HTTP, or a certificate that the system trusts. It
// ends with the stack.
func (s *Stack) StartFaultProxy(target string, ca []byte) (*FaultProxy, error) {
	proxy, err := s.startFaultProxy(target, ca, nil)
	if err != nil {
		return nil, fmt.Errorf("start a proxy before %s: %w", target, err)
	}
	return proxy, nil
}

// Proxy starts a FaultProxy before the Vault, with a certificate of the same CA.
func (v *Vault) Proxy() (*FaultProxy, error) {
	proxy, err := v.stack.startFaultProxy(v.Address, v.CA, v.authority)
	if err != nil {
		return nil, fmt.Errorf("start a proxy before the Vault %s: %w", v.Name, err)
	}
	return proxy, nil
}

func (s *Stack) startFaultProxy(target string, ca []byte, issuer *authority) (*FaultProxy, error) {
	server, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	client, err := clientTrusting(ca)
	if err != nil {
		return nil, err
	}
	port, err := s.ports.take()
	if err != nil {
		return nil, err
	}
	p := &FaultProxy{
		URL: server.Scheme + "://" + loopback(port), address: loopback(port),
		counts: map[askedFor]int{},
	}
	p.forward = &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(server) },
		Transport: client.Transport,
		ErrorLog:  log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	if server.Scheme == "https" {
		if err := p.makeCertificate(issuer); err != nil {
			return nil, err
		}
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.proxies = append(s.proxies, p)
	return p, nil
}

func (p *FaultProxy) makeCertificate(issuer *authority) (err error) {
	if issuer == nil {
		if issuer, err = newAuthority("fault-proxy-ca"); err != nil {
			return err
		}
	}
	serving, err := issuer.serving()
	if err != nil {
		return err
	}
	certificate, err := tls.X509KeyPair(serving.certificate, serving.key)
	if err != nil {
		return err
	}
	p.CA, p.certificate = issuer.certificate, &certificate
	return nil
}

// Start listens, again on the same port after a Stop.
func (p *FaultProxy) Start() error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		return fmt.Errorf("start the proxy: %w", err)
	}
	p.listener = listener
	p.server = &http.Server{
		Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0),
	}
	serve := func(server *http.Server) error { return server.Serve(listener) }
	if p.certificate != nil {
		p.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*p.certificate}}
		serve = func(server *http.Server) error { return server.ServeTLS(listener, "", "") }
	}
	go func(server *http.Server) { _ = serve(server) }(p.server)
	return nil
}

// Stop closes the port and every connection: new ones are refused. It is no
// error when the proxy does not run.
func (p *FaultProxy) Stop() error {
	p.mutex.Lock()
	server, listener := p.server, p.listener
	p.server = nil
	p.mutex.Unlock()
	if server == nil {
		return nil
	}
	err := server.Close()
	// A server that has only just been started does not know its listener.
	_ = listener.Close()
	if err != nil {
		return fmt.Errorf("stop the proxy: %w", err)
	}
	return nil
}

// Fail makes requests fail. Where several faults select a request it meets the
// one that was added last.
func (p *FaultProxy) Fail(fault Fault) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.faults = append(p.faults, &fault)
}

// Heal ends all faults; a proxy that was stopped stays so.
func (p *FaultProxy) Heal() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.faults = nil
}

// Requests counts the requests that have come, failed ones too, by their method
// and a prefix of their path; empty: all.
func (p *FaultProxy) Requests(method, path string) int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	sum := 0
	for asked, count := range p.counts {
		if asked.matches(method, path) {
			sum += count
		}
	}
	return sum
}

// arrive counts a request and returns the failure that it meets.
func (p *FaultProxy) arrive(asked askedFor) githost.Failure {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.counts[asked]++
	for i := len(p.faults) - 1; i >= 0; i-- {
		fault := p.faults[i]
		if !asked.matches(fault.Method, fault.Path) {
			continue
		}
		switch fault.Times {
		case 0:
		case 1:
			p.faults = slices.Delete(p.faults, i, i+1)
		default:
			fault.Times--
		}
		return fault.Failure
	}
	return githost.Failure{}
}

func (p *FaultProxy) serve(w http.ResponseWriter, r *http.Request) {
	// Only when the whole body has been read does the server notice that a
	// client has gone, for which a request that hangs waits.
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	failure := p.arrive(askedFor{r.Method, r.URL.Path})
	if failure.Answers(w, r) {
		return
	}
	p.forward.ServeHTTP(failure.Cut(w), r)
	if failure.Cuts() {
		// An answer too short to be cut is dropped too.
		panic(http.ErrAbortHandler)
	}
}
