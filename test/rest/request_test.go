package rest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
)

const defaultProject = product + "/default.project"

// reply is the answer to a request.
type reply struct {
	code   int
	header http.Header
	text   string
	json   any
}

// String returns the code and the text, for messages.
func (r reply) String() string { return fmt.Sprintf("%d %s", r.code, r.text) }

// send sends the request of a case.
func (w *world) send(c *testCase) reply {
	w.t.Helper()
	body, err := w.suite.body(c, w.expand)
	check(w.t, err)
	query := url.Values{}
	for name, value := range c.Query {
		query.Set(name, value)
	}
	header := http.Header{}
	for name, value := range c.Headers {
		header.Set(name, value)
	}
	if c.As == "developer-who-may-push" {
		w.letDevelopersPush()
	}
	return w.request(c.As, c.Method, w.expand(c.Path), query, header, body)
}

// request sends a request as a role.
func (w *world) request(role, method, path string, query url.Values, header http.Header, body []byte) reply {
	w.t.Helper()
	address := w.api.URL + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, address, bytes.NewReader(body))
	check(w.t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if role != "nobody" {
		r.Header.Set("Authorization", "Bearer "+w.tokens[role])
	}
	response, err := w.api.Client().Do(r)
	check(w.t, err)
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	check(w.t, err)
	answer := reply{code: response.StatusCode, header: response.Header, text: string(content)}
	if json.Unmarshal(content, &answer.json) != nil {
		answer.json = nil
	}
	return answer
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// kubeconfigs are the values of the variables of kubeconfigs.
var kubeconfigs = sync.OnceValue(func() map[string]string {
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	one := kubeconfig("token: token-of-the-cluster")
	return map[string]string{
		"kubeconfig_yaml": one, "kubeconfig_base64": encode(one),
		"other_kubeconfig_base64":     encode(kubeconfig("token: another-token")),
		"kubeconfig_with_exec_base64": encode(kubeconfig("exec: {apiVersion: client.authentication.k8s.io/v1, command: /bin/token-of-the-cluster}")),
	}
})

// kubeconfig returns a kubeconfig with a user and an authority of its own.
func kubeconfig(user string) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return `apiVersion: v1
kind: Config
clusters:
- name: default
  cluster:
    server: https://127.0.0.1:6443
    certificate-authority-data: ` + ca + `
contexts:
- name: default
  context: {cluster: default, user: default}
current-context: default
users:
- name: default
  user: {` + user + `}
`
}
