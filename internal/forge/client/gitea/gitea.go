// Package gitea sends requests to Gitea by its own client library. It guarantees that
// callers see the terms of package client only: organizations are groups, and a deploy
// key belongs to one repository.
package gitea

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	sdk "code.gitea.io/sdk/gitea"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/dial"
)

const (
	// pageSize is the most that Gitea returns at once by default.
	pageSize = 50
	// apiPath is the path of the API below the address of a Gitea. The library adds it.
	apiPath = "/api/v1"
)

var errServer = errors.New("the API server must be an http or https URL without credentials, such as https://gitea.example.com")

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
	checked, err := dial.Check(c, apiPath, errServer, func(next http.RoundTripper) http.RoundTripper { return &bounded{next} })
	if err != nil {
		return nil, err
	}
	return &Client{server: checked.Server, token: checked.Token, http: checked.HTTP}, nil
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
