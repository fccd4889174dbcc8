package devstack

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// An entry leads requests for any host to the gateway, with certificates for the host.
func TestEntry(t *testing.T) {
	s := &Stack{}
	t.Cleanup(s.ports.release)
	e, err := s.StartEntry()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Error(err)
		}
	})
	proxy, err := url.Parse(e.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(e.CA) {
		t.Fatal("the entry has no authority")
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: roots}}}
	post := func() string {
		response, err := client.Post("https://webhook.worker.example:30443/a/b", "text/plain", strings.NewReader("event"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		content, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(response.StatusCode, " ", string(content))
	}
	if got, want := post(), "503 no gateway runs yet\n"; got != want {
		t.Errorf("without a gateway the answer is %q, want %q", got, want)
	}
	e.LeadTo(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Host, r.URL.Path, body)
	}))
	if got, want := post(), "200 webhook.worker.example:30443 /a/b event"; got != want {
		t.Errorf("the gateway answers %q, want %q", got, want)
	}
}
