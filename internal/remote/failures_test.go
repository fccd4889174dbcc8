package remote

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/remote/kubeconfig"
)

// authority signs certificates for tests.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if template, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return &authority{certificate: template, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue returns a certificate for an address, and its key, in PEM.
func (a *authority) issue(t *testing.T, address string, end time.Time) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, IPAddresses: []net.IP{net.ParseIP(address)},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

// serve starts a TLS server, and returns a kubeconfig for it with a user.
func (a *authority) serve(t *testing.T, address string, end time.Time, configure func(*tls.Config), user string, answer http.HandlerFunc) string {
	t.Helper()
	pair, err := tls.X509KeyPair(a.issue(t, address, end))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(answer)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	if configure != nil {
		configure(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return kubeconfigWith("server: "+s.URL+"\ncertificate-authority-data: "+base64.StdEncoding.EncodeToString(a.pem), user)
}

// status returns a handler that refuses each request with a Status.
func status(code int, reason, details string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"hidden","reason":%q,"details":%s,"code":%d}`, reason, details, code)
	}
}

func TestFailuresAreExplained(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	const local = "127.0.0.1"
	soon, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	certificate, key := a.issue(t, local, past)
	b64 := base64.StdEncoding.EncodeToString
	expired := "client-certificate-data: " + b64(certificate) + "\nclient-key-data: " + b64(key)
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>hidden</html>") }
	unauthorized := status(http.StatusUnauthorized, "Unauthorized", "{}")
	plain := httptest.NewServer(http.HandlerFunc(ok))
	plain.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(plain.Close)
	quiet, _ := silent(t)
	// No process listens on this port.
	const refusing = local + ":1"
	at := func(address string) string { return kubeconfigWith("server: https://"+address, goodUser) }

	tests := map[string]struct {
		kubeconfig string
		wantReason string
		want       []string
	}{
		"an authority of another cluster": {
			kubeconfig: strings.Replace(a.serve(t, local, soon, nil, goodUser, ok), b64(a.pem), b64(other.pem), 1),
			want:       []string{"not signed by the authority", "certificate-authority-data"},
		},
		"a server certificate that has expired": {
			kubeconfig: a.serve(t, local, past, nil, goodUser, ok),
			want:       []string{"API server's certificate has expired", "renew it"},
		},
		"a server certificate for another name": {
			kubeconfig: a.serve(t, "10.9.8.7", soon, nil, goodUser, ok),
			want:       []string{"for another host name", "use an address"},
		},
		"an unknown token": {
			kubeconfig: a.serve(t, local, soon, nil, goodUser, unauthorized),
			wantReason: v1alpha1.ReasonCredentialsInvalid,
			want:       []string{"does not accept the credentials", "store a kubeconfig"},
		},
		"a client certificate that has expired": {
			kubeconfig: a.serve(t, local, soon, nil, expired, unauthorized),
			wantReason: v1alpha1.ReasonCredentialsInvalid,
			want:       []string{"client certificate in the kubeconfig has expired on " + past.UTC().Format(time.DateOnly), "store a kubeconfig"},
		},
		"a client certificate that breaks the handshake": {
			kubeconfig: a.serve(t, local, soon, func(c *tls.Config) {
				c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
			}, expired, ok),
			want: []string{"breaks off the TLS handshake", "check both"},
		},
		"missing rights": {
			kubeconfig: a.serve(t, local, soon, nil, goodUser, status(http.StatusForbidden, "Forbidden", `{"kind":"namespaces"}`)),
			want:       []string{"may not read the namespace kube-system", "ClusterRole nautes-runtime", "config/rbac/runtime_role.yaml"},
		},
		"an API server in trouble": {
			kubeconfig: a.serve(t, local, soon, nil, goodUser, status(http.StatusServiceUnavailable, "ServiceUnavailable", "{}")),
			want:       []string{"not able to answer", "503"},
		},
		"an answer that is not Kubernetes": {
			kubeconfig: a.serve(t, local, soon, nil, goodUser, ok), want: []string{"not a Kubernetes API server", "check spec.apiServer"},
		},
		"a page that is not there": {
			kubeconfig: a.serve(t, local, soon, nil, goodUser, http.NotFound), want: []string{"not the one of Kubernetes (status 404)", "check spec.apiServer"},
		},
		"no TLS":       {kubeconfig: at(strings.TrimPrefix(plain.URL, "http://")), want: []string{"does not speak TLS", "check spec.apiServer"}},
		"no such host": {kubeconfig: at("nautes.invalid:443"), want: []string{"host name of the API server is not known", "check spec.apiServer"}},
		"no listener":  {kubeconfig: at(refusing), want: []string{"connection is refused", "check spec.apiServer"}},
		"no answer":    {kubeconfig: at(quiet), want: []string{"did not answer in time", "check the network"}},
	}
	seen := map[string]string{}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, _ := started(t, ManagerOptions{ProbeTimeout: 2 * time.Second})
			set(m, "c", value(test.kubeconfig), "1", "", "")
			reason := test.wantReason
			if reason == "" {
				reason = v1alpha1.ReasonNotConnected
			}
			for _, part := range test.want {
				waitMessage(t, m, "c", part)
			}
			state := waitState(t, m, "c", reason)
			if strings.Contains(state.Message, "hidden") || strings.Contains(state.Message, secretToken) || strings.Contains(state.Message, "https://") {
				t.Errorf("the message contains an address or foreign text: %s", state.Message)
			}
			if before := seen[state.Message]; before != "" {
				t.Errorf("the message equals the one of %q: %s", before, state.Message)
			}
			seen[state.Message] = name
		})
	}
}

func TestExplainTransport(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"a silent name service":         {err: &net.DNSError{IsTimeout: true}, want: "name service does not answer"},
		"a certificate of another kind": {err: x509.CertificateInvalidError{Reason: x509.TooManyIntermediates}, want: "certificate is not valid"},
		"anything else":                 {err: errors.New("x"), want: "the connection broke"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := explain(test.err, ""); !strings.Contains(got, test.want) {
				t.Errorf("explain() = %q, want %q", got, test.want)
			}
		})
	}
}

func TestCheckExpiry(t *testing.T) {
	a := newAuthority(t)
	refused := connectError(t, a, status(http.StatusUnauthorized, "Unauthorized", "{}"))
	cfg := func(end time.Time) *rest.Config {
		certificate, key := a.issue(t, "127.0.0.1", end)
		return &rest.Config{TLSClientConfig: rest.TLSClientConfig{CertData: certificate, KeyData: key}}
	}
	for name, test := range map[string]struct {
		cfg  *rest.Config
		err  error
		want bool
	}{
		"old":             {cfg: cfg(time.Now().Add(-time.Hour)), err: refused, want: true},
		"good":            {cfg: cfg(time.Now().Add(time.Hour)), err: refused},
		"no certificate":  {cfg: &rest.Config{BearerToken: "x"}, err: refused},
		"another trouble": {cfg: cfg(time.Now().Add(-time.Hour)), err: errors.New("x")},
	} {
		if _, got := errors.AsType[*refusal](checkExpiry(test.cfg, test.err)); got != test.want {
			t.Errorf("%s: expired is %t", name, got)
		}
	}
}

// connectError returns the error of connecting to a server.
func connectError(t *testing.T, a *authority, answer http.HandlerFunc) error {
	t.Helper()
	cfg, err := kubeconfig.Parse([]byte(a.serve(t, "127.0.0.1", time.Now().Add(time.Hour), nil, goodUser, answer)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Connect(t.Context(), cfg, ConnOptions{Tenant: tenant})
	if err == nil {
		t.Fatal("it connects")
	}
	return err
}
