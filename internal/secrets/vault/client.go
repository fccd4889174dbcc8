package vault

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"

	"nautes.io/nautes/internal/secrets"
)

const (
	// maxAnswer is the size of the longest answer that is read.
	maxAnswer = 32 << 20
	// slowFactor is how many times as long a request may take that ends tokens.
	slowFactor = 6
)

// newClient returns a client without a token. Of the environment, where the
// library looks for more, only the proxy of all clients counts: VAULT_SKIP_VERIFY
// and the like are for people.
func newClient(o Options) (*api.Client, *http.Transport, error) {
	trusted := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(o.CABundle) > 0 {
		trusted.RootCAs = x509.NewCertPool()
		trusted.RootCAs.AppendCertsFromPEM(o.CABundle)
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: o.Timeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       trusted,
		TLSHandshakeTimeout:   o.Timeout,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	client, err := api.NewClient(&api.Config{
		Address: o.Address,
		HttpClient: &http.Client{
			Transport:     transport,
			CheckRedirect: checkRedirect,
		},
		// Whoever asks tries again, and knows when it is worth it.
		CheckRetry: func(ctx context.Context, _ *http.Response, err error) (bool, error) {
			return false, errors.Join(err, ctx.Err())
		},
	})
	if err != nil {
		return nil, nil, errors.New("the client cannot be made; check the environment's variables that begin with VAULT_")
	}
	headers := http.Header{api.RequestHeaderName: {"true"}}
	if o.Namespace != "" {
		headers.Set(api.NamespaceHeaderName, o.Namespace)
	}
	client.SetHeaders(headers)
	client.ClearToken()
	return client, transport, nil
}

var errRedirect = errors.New("a redirect that is not followed")

// checkRedirect follows a standby to the active node: once, with the same method
// and body, and not out of TLS.
func checkRedirect(r *http.Request, via []*http.Request) error {
	keeps := r.Response.StatusCode == http.StatusTemporaryRedirect || r.Response.StatusCode == http.StatusPermanentRedirect
	if !keeps || len(via) > 1 || via[0].URL.Scheme != r.URL.Scheme {
		return errRedirect
	}
	return nil
}

// withToken returns a client that uses a token.
func withToken(client *api.Client, token string) (*api.Client, error) {
	own, err := client.CloneWithHeaders()
	if err != nil {
		return nil, errors.New("the client cannot be made; check the environment's variables that begin with VAULT_")
	}
	own.SetToken(token)
	return own, nil
}

// verb is what is done with a path.
type verb string

const (
	read   verb = "read"
	list   verb = "list"
	write  verb = "write"
	remove verb = "delete"
)

// request is one request to Vault.
type request struct {
	// what is asked for, in the words of an error.
	what string
	verb verb
	// path below /v1/.
	path string
	body any
	// slow: it may take longer than others.
	slow bool
}

// reply is an answer of Vault's.
type reply struct {
	// Missing: there is nothing at the path.
	Missing bool            `json:"-"`
	Data    json.RawMessage `json:"data"`
	Auth    *struct {
		Token     string `json:"client_token"`
		Seconds   int64  `json:"lease_duration"`
		Renewable bool   `json:"renewable"`
	} `json:"auth"`
}

// into decodes the data of an answer.
func (a reply) into(r request, data any) error {
	if err := json.Unmarshal(a.Data, data); err != nil {
		return unreadable(r)
	}
	return nil
}

func unreadable(r request) *failure {
	return &failure{what: r.what, is: secrets.ErrUnavailable, why: "its answer cannot be read; check that Vault is at its address"}
}

// send asks once. The error is a *failure, or that of ctx.
func (v *Vault) send(ctx context.Context, client *api.Client, r request) (reply, error) {
	within := v.o.Timeout
	if r.slow {
		within *= slowFactor
	}
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	response, err := r.do(limited, client.Logical())
	if response != nil && response.Body != nil {
		defer func() { _ = response.Body.Close() }()
	}
	var refused *api.ResponseError
	if err != nil && !errors.As(err, &refused) {
		if ctx.Err() != nil {
			return reply{}, fmt.Errorf("%s: %w", r.what, ctx.Err())
		}
		return reply{}, noAnswer(r, err, within)
	}
	missing := refused != nil && refused.StatusCode == http.StatusNotFound && len(refused.Errors) == 0
	switch {
	case refused != nil && !missing:
		return reply{}, refusal(r, refused)
	case response.StatusCode >= http.StatusMultipleChoices && !missing:
		return reply{}, noAnswer(r, errRedirect, within)
	}
	answer := reply{}
	err = json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(&answer)
	switch {
	case err == nil || errors.Is(err, io.EOF):
		answer.Missing = missing
		return answer, nil
	case ctx.Err() != nil:
		return reply{}, fmt.Errorf("%s: %w", r.what, ctx.Err())
	case limited.Err() != nil:
		return reply{}, noAnswer(r, limited.Err(), within)
	}
	return reply{}, unreadable(r)
}

func (r request) do(ctx context.Context, logical *api.Logical) (*api.Response, error) {
	switch r.verb {
	case list:
		return logical.ReadRawWithDataWithContext(ctx, r.path, map[string][]string{"list": {"true"}})
	case write:
		body, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		return logical.WriteRawWithContext(ctx, r.path, body)
	case remove:
		return logical.DeleteRawWithContext(ctx, r.path)
	default:
		return logical.ReadRawWithContext(ctx, r.path)
	}
}
