package vault

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/hashicorp/vault/api"
)

const (
	// maxAnswer is the size in bytes of the longest answer that is read.
	maxAnswer = 32 << 20
	// slowFactor multiplies the timeout of requests that revoke tokens.
	slowFactor = 6
)

var (
	errRedirect   = errors.New("a redirect that is not followed")
	errUnreadable = errors.New("an answer that cannot be read")
	errClient     = errors.New("the client cannot be made; check the environment variables that begin with VAULT_")
)

// newClient returns a client without a token, and its transport. The library
// reads more options from the environment. Only the proxy settings count here:
// VAULT_SKIP_VERIFY and the like are meant for people.
func newClient(o Options) (*api.Client, *http.Transport, error) {
	trusted := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(o.CABundle) > 0 {
		trusted.RootCAs = x509.NewCertPool()
		if !trusted.RootCAs.AppendCertsFromPEM(o.CABundle) {
			return nil, nil, errors.New("the CA bundle holds no certificate in PEM")
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig, transport.MaxIdleConnsPerHost = trusted, 16
	client, err := api.NewClient(&api.Config{
		Address: o.Address,
		// send sets a shorter timeout where it can.
		Timeout:    slowFactor * o.Timeout.Duration,
		HttpClient: &http.Client{Transport: answerReader{transport}, CheckRedirect: checkRedirect},
		// Callers retry; they know when it is worthwhile.
		CheckRetry: func(ctx context.Context, _ *http.Response, err error) (bool, error) {
			return false, errors.Join(err, ctx.Err())
		},
	})
	if err != nil {
		return nil, nil, errClient
	}
	headers := http.Header{api.RequestHeaderName: {"true"}}
	if o.Namespace != "" {
		headers.Set(api.NamespaceHeaderName, o.Namespace)
	}
	client.SetHeaders(headers)
	client.ClearToken()
	return client, transport, nil
}

// checkRedirect follows a redirect from a standby to the active node: once, with
// the same method and body, and never from TLS to plain HTTP.
func checkRedirect(r *http.Request, via []*http.Request) error {
	if !keepsMethod(r.Response.StatusCode) || len(via) > 1 || via[0].URL.Scheme != r.URL.Scheme {
		return errRedirect
	}
	return nil
}

func keepsMethod(redirect int) bool {
	return redirect == http.StatusTemporaryRedirect || redirect == http.StatusPermanentRedirect
}

// answerReader is a transport that reads answers in full before the library
// does. The library sets no limit, and it treats an empty answer, and every
// status 404, as "there is nothing at this path".
type answerReader struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper. It returns an *api.ResponseError for a
// status 404 that does not come from an existing engine or mount.
func (a answerReader) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := a.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	code := response.StatusCode
	if keepsMethod(code) && response.Header.Get("Location") != "" {
		return response, nil
	}
	defer func() { _ = response.Body.Close() }()
	if code >= 300 && code < 400 {
		return nil, errRedirect
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	var answer struct {
		Errors []string                   `json:"errors"`
		Data   map[string]json.RawMessage `json:"data"`
	}
	valid := json.Unmarshal(content, &answer) == nil
	switch {
	case code == http.StatusNotFound && (!valid || len(answer.Errors) > 0):
		return nil, &api.ResponseError{HTTPMethod: r.Method, URL: r.URL.String(), StatusCode: code, RawError: !valid, Errors: answer.Errors}
	case code < 300 && r.Method == http.MethodGet && (!valid || answer.Data == nil):
		return nil, errUnreadable
	}
	response.Body = io.NopCloser(bytes.NewReader(content))
	return response, nil
}

// request describes one request to Vault.
type request struct {
	// action describes it in errors, for example "read the policy p".
	action string
	// slow requests have slowFactor times the timeout.
	slow bool
}

// send runs one request of a client within its timeout. The error is a *failure,
// or wraps the error of ctx.
func (v *Vault) send(ctx context.Context, client *api.Client, r request, do func(context.Context, *api.Client) error) error {
	timeout := v.o.Timeout.Duration
	if r.slow {
		timeout *= slowFactor
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := do(limited, client)
	refused, _ := errors.AsType[*api.ResponseError](err)
	switch {
	case err == nil:
		return nil
	case refused != nil:
		return refusal(r, refused)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", r.action, ctx.Err())
	}
	return noAnswer(r, cmp.Or(limited.Err(), err), timeout)
}

// readPath decodes the data at a path. It returns false if there is nothing.
func (v *Vault) readPath(ctx context.Context, action, path string, data any) (found bool, err error) {
	return v.fetch(ctx, action, path, (*api.Logical).ReadWithContext, data)
}

// listPath returns the names at a path, or nil if there is nothing.
func (v *Vault) listPath(ctx context.Context, action, path string) ([]string, error) {
	var listed struct{ Keys []string }
	_, err := v.fetch(ctx, action, path, (*api.Logical).ListWithContext, &listed)
	return listed.Keys, err
}

func (v *Vault) fetch(ctx context.Context, action, path string, method func(*api.Logical, context.Context, string) (*api.Secret, error), data any) (found bool, err error) {
	err = v.do(ctx, request{action: action}, func(ctx context.Context, client *api.Client) error {
		answer, err := method(client.Logical(), ctx, path)
		if err != nil || answer == nil {
			return err
		}
		found = true
		content, err := json.Marshal(answer.Data)
		if err != nil {
			return err
		}
		return json.Unmarshal(content, data)
	})
	return found && err == nil, err
}

// writePath writes a body to a path.
func (v *Vault) writePath(ctx context.Context, r request, path string, body any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return v.do(ctx, r, func(ctx context.Context, client *api.Client) error {
		_, err := client.Logical().WriteBytesWithContext(ctx, path, content)
		return err
	})
}

// deletePath deletes the object at a path.
func (v *Vault) deletePath(ctx context.Context, r request, path string) error {
	return v.do(ctx, r, func(ctx context.Context, client *api.Client) error {
		_, err := client.Logical().DeleteWithContext(ctx, path)
		return err
	})
}
