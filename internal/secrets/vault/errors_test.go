package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"nautes.io/nautes/internal/secrets"
)

// TestRefusal holds the meaning of each answer that is not a success.
func TestRefusal(t *testing.T) {
	t.Parallel()
	unavailable, denied := secrets.ErrUnavailable, secrets.ErrDenied
	tests := map[string]struct {
		status    int
		method    string // GET when empty
		says      string
		raw       bool
		want      failure // class, outage, conflict, absent
		wantWords string
	}{
		"no token":                     {status: 401, want: failure{class: denied}, wantWords: "no right to read git/data/a"},
		"no right to read":             {status: 403, want: failure{class: denied}, wantWords: "no right to read git/data/a"},
		"no right to write":            {status: 403, method: http.MethodPut, want: failure{class: denied}, wantWords: "no right to write git/data/a"},
		"no right to delete":           {status: 403, method: http.MethodDelete, want: failure{class: denied}, wantWords: "no right to delete git/data/a"},
		"no right, as a page":          {status: 403, raw: true, want: failure{class: denied}, wantWords: "no right to read"},
		"a page that is not there":     {status: 404, raw: true, want: failure{class: unavailable}, wantWords: "not Vault (status 404)"},
		"a page of a broken gateway":   {status: 500, raw: true, want: failure{class: unavailable, outage: true}, wantWords: "not Vault (status 500)"},
		"no engine":                    {status: 404, want: failure{class: denied, absent: true}, wantWords: "nothing is enabled at git/data/a"},
		"a write that lost a race":     {status: 400, says: "check-and-set parameter did not match", want: failure{conflict: true}, wantWords: "another client writes it"},
		"a race of another status":     {status: 422, says: "check-and-set", want: failure{class: denied}, wantWords: "status 422"},
		"an engine that is upgraded":   {status: 400, says: "Upgrading from non-versioned to versioned", want: failure{class: unavailable}, wantWords: "being prepared"},
		"an upgrade of another status": {status: 422, says: "Upgrading from non-versioned", want: failure{class: denied}, wantWords: "status 422"},
		"a bad request":                {status: 400, want: failure{class: denied}, wantWords: "does not accept the request to read git/data/a (status 400)"},
		"a limit":                      {status: 429, want: failure{class: unavailable, outage: true}, wantWords: "limits the rate"},
		"a node that is behind":        {status: 412, want: failure{class: unavailable}, wantWords: "behind the others"},
		"sealed":                       {status: 503, says: "Vault is sealed", want: failure{class: unavailable, outage: true}, wantWords: "unseal it"},
		"sealed, of another status":    {status: 500, says: "Vault is sealed", want: failure{class: unavailable}, wantWords: "status 500"},
		"an internal error":            {status: 500, want: failure{class: unavailable}, wantWords: "status 500"},
		"in maintenance":               {status: 503, want: failure{class: unavailable, outage: true}, wantWords: "status 503"},
		"a broken gateway":             {status: 502, want: failure{class: unavailable, outage: true}, wantWords: "status 502"},
	}
	for name, test := range tests {
		method := test.method
		if method == "" {
			method = http.MethodGet
		}
		got := refusal(request{action: "act"}, &api.ResponseError{
			HTTPMethod: method, URL: "https://vault.example/prefix/v1/git/data/a", StatusCode: test.status,
			RawError: test.raw, Errors: []string{"first", "then " + test.says},
		})
		if got.status != test.status || !errors.Is(got.class, test.want.class) || got.outage != test.want.outage ||
			got.conflict != test.want.conflict || got.absent != test.want.absent {
			t.Errorf("%s: %+v, want %+v", name, *got, test.want)
		}
		text := got.Error()
		if !strings.HasPrefix(text, "act: ") || !strings.Contains(text, test.wantWords) || strings.Contains(text, "then") {
			t.Errorf("%s: the error is %q, want %q", name, text, test.wantWords)
		}
		if class := test.want.class; class != nil && !strings.Contains(text, class.Error()) {
			t.Errorf("%s: the error is %q, want %q", name, text, class)
		}
	}
}

// TestNoAnswer holds the reasons why no answer came.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	network := func(err error) error { return &url.Error{Op: "Get", URL: "https://" + canary, Err: err} }
	tests := map[string]struct {
		err        error
		want       string
		wantOutage bool
	}{
		"an unknown authority":        {network(&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), "unknown authority", true},
		"another host":                {network(&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}}}), "another host", true},
		"an expired certificate":      {network(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}), "has expired", true},
		"an unsuitable certificate":   {network(&tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.NotAuthorizedToSign}}), "check the CA bundle", true},
		"plain HTTP":                  {network(tls.RecordHeaderError{}), "does not speak TLS", true},
		"plain HTTP, seen later":      {network(http.ErrSchemeMismatch), "does not speak TLS", true},
		"a redirect":                  {network(errRedirect), "a standby that does not lead", true},
		"no such host":                {network(&net.OpError{Err: &net.DNSError{Name: canary}}), "cannot be found", true},
		"no listener":                 {network(&net.OpError{Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}), "refuses the connection", true},
		"a deadline":                  {context.DeadlineExceeded, "did not answer within 3s", true},
		"a time-out of the network":   {network(&net.OpError{Err: os.ErrDeadlineExceeded}), "did not answer within 3s", true},
		"another problem":             {network(errors.New(canary)), "the connection to it failed", true},
		"half an answer":              {network(fmt.Errorf("%w: %s", errUnreadable, canary)), "its answer cannot be read", false},
		"an answer of another shape":  {errors.New(canary), "its answer cannot be read", false},
		"a deadline without a reason": {fmt.Errorf("x: %w", context.DeadlineExceeded), "did not answer within 3s", true},
	}
	for name, test := range tests {
		got := noAnswer(request{action: "act"}, test.err, 3*time.Second)
		wantClass(t, got, secrets.ErrUnavailable, test.want)
		if got.outage != test.wantOutage || strings.Contains(got.Error(), canary) {
			t.Errorf("%s: %+v, want an outage: %v", name, *got, test.wantOutage)
		}
	}
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	t.Parallel()
	first := &failure{action: "a", class: secrets.ErrDenied, reason: "b", status: 403}
	second := about("c", first)
	if second.Error() != "c: the secret store refuses it: b" || first.action != "a" || !failureOf(second).forbidden() {
		t.Errorf("about returns %v, and leaves %v", second, first)
	}
	if err := about("c", context.Canceled); !errors.Is(err, context.Canceled) || err.Error() != "c: context canceled" {
		t.Errorf("about returns %v", err)
	}
	if f := failureOf(context.Canceled); *f != (failure{}) {
		t.Errorf("failureOf returns %+v", *f)
	}
	for status, want := range map[int]bool{0: false, 400: false, 401: true, 403: true, 404: false} {
		if (&failure{status: status}).forbidden() != want {
			t.Errorf("status %d: forbidden is not %v", status, want)
		}
	}
}
