package remote

import (
	"encoding/base64"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// cable is a TCP proxy to the API server that can be cut and restored.
type cable struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newCable(t *testing.T) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(server.Config(t).Host)
	if err != nil {
		t.Fatal(err)
	}
	target := u.Host
	if target == "" {
		target = server.Config(t).Host
	}
	c := &cable{listener: listener, target: target, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = listener.Close(); c.set(true) })
	go c.accept()
	return c
}

func (c *cable) address() string { return c.listener.Addr().String() }

func (c *cable) accept() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return
		}
		go c.carry(conn)
	}
}

func (c *cable) carry(conn net.Conn) {
	far, err := net.Dial("tcp", c.target)
	if err != nil {
		_ = conn.Close()
		return
	}
	c.mu.Lock()
	if c.cut {
		_ = conn.Close()
		_ = far.Close()
	}
	c.conns[conn], c.conns[far] = true, true
	c.mu.Unlock()
	go func() { _, _ = io.Copy(far, conn); _ = far.Close() }()
	_, _ = io.Copy(conn, far)
	_ = conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, conn)
	delete(c.conns, far)
}

// set cuts or restores the cable.
func (c *cable) set(cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = cut
	for conn := range c.conns {
		if cut {
			_ = conn.Close()
		}
	}
}

// impostor is a proxy to the API server. It can pretend to be another cluster, fail
// probes, and delay answers.
type impostor struct {
	*httptest.Server
	delay  atomic.Int64 // nanoseconds, of the probes
	slow   atomic.Int64 // nanoseconds, of all answers
	stale  atomic.Int64 // number of outdated discovery answers
	hidden atomic.Bool  // hiddenPath is not found, as on an API server that starts
	other  atomic.Bool
	ill    atomic.Bool
	probes atomic.Int64
}

// The outdated discovery answer for a group whose definitions are gone.
const (
	stalePath  = "/apis/external-secrets.io/v1"
	staleKinds = `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"external-secrets.io/v1","resources":[` +
		`{"name":"secretstores","singularName":"secretstore","namespaced":true,"kind":"SecretStore","verbs":["list","watch"]}]}`
)

// hiddenPath is the path of a group that an API server serves late.
const hiddenPath = "/apis/argoproj.io/v1alpha1"

// otherUID is the UID of the cluster that the impostor pretends to be.
const otherUID = "00000000-0000-0000-0000-000000000000"

func newImpostor(t *testing.T) *impostor {
	t.Helper()
	target, _, err := rest.DefaultServerUrlFor(server.Config(t))
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(server.Config(t))
	if err != nil {
		t.Fatal(err)
	}
	i := &impostor{}
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Transport:     transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Authorization")
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(r *http.Response) error {
			select {
			case <-time.After(time.Duration(i.slow.Load())):
			case <-r.Request.Context().Done():
			}
			if r.Request.URL.Path == stalePath && i.stale.Add(-1) >= 0 {
				r.StatusCode, r.Status = http.StatusOK, ""
				r.Header = http.Header{"Content-Type": {"application/json"}}
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(staleKinds)), int64(len(staleKinds))
			}
			if i.hidden.Load() && strings.HasPrefix(r.Request.URL.Path, hiddenPath) {
				const text = "404 page not found\n"
				r.StatusCode, r.Status = http.StatusNotFound, ""
				r.Header = http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
				return nil
			}
			if !strings.HasSuffix(r.Request.URL.Path, "/namespaces/kube-system") {
				return nil
			}
			i.probes.Add(1)
			select {
			case <-time.After(time.Duration(i.delay.Load())):
			case <-r.Request.Context().Done():
			}
			if i.ill.Load() {
				r.StatusCode = http.StatusServiceUnavailable
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			if i.other.Load() {
				body = replaceUID(body)
			}
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			return nil
		},
	}
	i.Server = httptest.NewTLSServer(proxy)
	t.Cleanup(i.Close)
	return i
}

// replaceUID replaces the first UID in an answer, in JSON or protobuf, by otherUID.
// Both have the same length.
func replaceUID(body []byte) []byte {
	out := []byte(string(body))
	isUID := func(s []byte) bool {
		for i, b := range s {
			dash := i == 8 || i == 13 || i == 18 || i == 23
			if dash != (b == '-') || !dash && !strings.ContainsRune("0123456789abcdef", rune(b)) {
				return false
			}
		}
		return true
	}
	for i := 0; i+len(otherUID) <= len(out); i++ {
		if isUID(out[i : i+len(otherUID)]) {
			copy(out[i:], otherUID)
			break
		}
	}
	return out
}

func (i *impostor) kubeconfig() string {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Certificate().Raw})
	return kubeconfigWith("server: "+i.URL+"\ncertificate-authority-data: "+base64.StdEncoding.EncodeToString(ca), goodUser)
}

// silent starts a server that accepts connections and never answers.
func silent(t *testing.T) (address string, accepted *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted = &atomic.Int64{}
	var mu sync.Mutex
	var conns []net.Conn
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			accepted.Add(1)
		}
	}()
	return listener.Addr().String(), accepted
}
