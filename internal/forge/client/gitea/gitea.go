// Package gitea sends requests to Gitea by its own client library. It guarantees that
// callers see the terms of package client only: organizations are groups, and a deploy
// key belongs to one repository.
package gitea

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"nautes.io/nautes/internal/forge/client"
)

const (
	// defaultTimeout of one request.
	defaultTimeout = 10 * time.Second
	// pageSize is the most that Gitea returns at once by default.
	pageSize = 50
	// apiPath is the path of the API below the address of a Gitea. The library adds it.
	apiPath = "/api/v1"
)

var (
	errServer = errors.New("the API server must be an http or https URL without credentials, such as https://gitea.example.com")
	errCA     = errors.New("the CA bundle has no certificate in PEM")
	errToken  = errors.New("the access token is empty, or has characters that no header can carry")
)

// Client implements client.Client. Gitea takes no ids in its requests for changes, so
// each of them first reads the path of its repository.
type Client struct {
	server string
	token  string
	http   *http.Client
}

var _ client.Client = (*Client)(nil)

// New returns a client of the Gitea of a connection. It sends no request.
func New(c client.Connection) (*Client, error) {
	server, err := url.Parse(strings.TrimSuffix(strings.TrimRight(c.APIServer, "/"), apiPath))
	if err != nil || server.Scheme != "https" && server.Scheme != "http" || server.Host == "" || server.User != nil || server.RawQuery != "" || server.Fragment != "" {
		return nil, errServer
	}
	token := string(c.Token.Bytes())
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errToken
	}
	transport, err := transportOf(c)
	if err != nil {
		return nil, err
	}
	timeout := c.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return &Client{server: server.String(), token: token, http: &http.Client{
		Transport: transport, Timeout: timeout,
		// A redirected change becomes a reading request, and a redirect to another
		// host would get the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func transportOf(c client.Connection) (http.RoundTripper, error) {
	transport := &http.Transport{
		Proxy:               func(r *http.Request) (*url.URL, error) { return proxyFor(c.Proxy, r.URL.Host) },
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: defaultTimeout, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 8,
	}
	if c.CABundle != "" {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM([]byte(c.CABundle)) {
			return nil, errCA
		}
		transport.TLSClientConfig.RootCAs = roots
	}
	return &bounded{transport}, nil
}

func proxyFor(proxy func(host string) string, host string) (*url.URL, error) {
	if proxy == nil {
		return nil, nil
	}
	address := proxy(host)
	if address == "" {
		return nil, nil
	}
	parsed, err := url.Parse(address)
	if err != nil {
		// The error of the parser repeats the URL, which may hold a password.
		return nil, errors.New("the URL of the proxy cannot be parsed")
	}
	return parsed, nil
}

// sdk returns a client of the library for one call: it knows its context only as a
// whole. It asks for no version.
func (c *Client) sdk(ctx context.Context) *sdk.Client {
	// Without a request for the version, no option can fail.
	api, _ := sdk.NewClient(c.server, sdk.SetContext(ctx), sdk.SetHTTPClient(c.http), sdk.SetToken(c.token), sdk.SetGiteaVersion(""))
	return api
}

// Capabilities implements client.Client.
func (c *Client) Capabilities(ctx context.Context) (client.Capabilities, error) {
	version, response, err := c.sdk(ctx).ServerVersion()
	if err != nil {
		return client.Capabilities{}, failure("read the version of Gitea", response, err)
	}
	return client.Capabilities{SignedHooks: true, Version: version}, nil
}

// all returns the elements of all pages of a list.
func all[T any](page func(sdk.ListOptions) ([]T, *sdk.Response, error)) ([]T, *sdk.Response, error) {
	var found []T
	for number := 1; ; number++ {
		some, response, err := page(sdk.ListOptions{Page: number, PageSize: pageSize})
		if err != nil {
			return nil, response, err
		}
		found = append(found, some...)
		if len(some) == 0 || response == nil || response.NextPage == 0 && len(some) < pageSize {
			return found, response, nil
		}
	}
}

func quote(action, path string) string { return fmt.Sprintf("%s %q", action, path) }
