// Package gitlab sends requests to GitLab by its official client. It guarantees that
// requests for changes name numbers and never paths, that none of them is sent twice
// unless that is harmless, and that no redirect is followed.
package gitlab

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/dial"
)

const (
	// pageSize is the most that GitLab returns at once.
	pageSize = 100
	// apiPath is the path of the API below the address of a GitLab. The library adds it.
	apiPath = "/api/v4"
	// retries of a request that may be repeated, firstWait the time before the first.
	// Callers try again later, so these are for short interruptions only.
	retries   = 2
	firstWait = 100 * time.Millisecond
)

var errServer = errors.New("the API server must be an http or https URL without credentials, such as https://gitlab.example.com")

// Client implements client.Client.
type Client struct {
	api    *api.Client
	server string
	token  string
	// version is the version of GitLab that was read last.
	version atomic.Pointer[knownVersion]
	// unsigned notes that GitLab has ignored a signing token.
	unsigned atomic.Bool
}

// knownVersion is a version that holds for a while: GitLab is upgraded now and then.
type knownVersion struct {
	version string
	until   time.Time
}

// versionHolds is the time for which a version that was read holds.
const versionHolds = 10 * time.Minute

var _ client.Client = (*Client)(nil)

// New returns a client of the GitLab of a connection. It sends no request.
func New(c client.Connection) (*Client, error) {
	made, err := dial.Check(c, apiPath, errServer, func(next http.RoundTripper) http.RoundTripper { return &checked{next} })
	if err != nil {
		return nil, err
	}
	// GitLab takes access tokens of both kinds, personal and of OAuth, as bearers.
	library, err := api.NewAuthSourceClient(bearer(made.Token),
		api.WithBaseURL(made.Server), api.WithHTTPClient(made.HTTP),
		api.WithOnlyIdempotentRetries(), api.WithCustomRetry(mayRetry), api.WithCustomRetryMax(retries), api.WithCustomBackoff(wait),
		// The limit of GitLab is shared by all clients of a user. Its answer to one
		// request does not say how many another client sends.
		api.WithCustomLimiter(unlimited{}),
		api.WithURLWarningLogger(slog.New(slog.DiscardHandler)), api.WithCustomLogger(nil),
	)
	if err != nil {
		return nil, errServer
	}
	return &Client{api: library, server: made.Server, token: made.Token}, nil
}

// unlimited is a limiter that lets all requests pass.
type unlimited struct{}

// Wait implements api.RateLimiter.
func (unlimited) Wait(context.Context) error { return nil }

// bearer is an access token as GitLab takes it.
type bearer string

// Init implements api.AuthSource.
func (bearer) Init(context.Context, *api.Client) error { return nil }

// Header implements api.AuthSource.
func (b bearer) Header(context.Context) (key, value string, err error) {
	return api.OAuthTokenHeaderName, "Bearer " + string(b), nil
}

// Capabilities implements client.Client.
func (c *Client) Capabilities(ctx context.Context) (client.Capabilities, error) {
	version, err := c.readVersion(ctx)
	if err != nil {
		return client.Capabilities{}, err
	}
	return client.Capabilities{
		NestedGroups: true, SignedHooks: signs(version), DelayedDeletion: true, InternalVisibility: true, Version: version,
	}, nil
}

// readVersion returns the version of GitLab, which may be some minutes old.
func (c *Client) readVersion(ctx context.Context) (string, error) {
	if known := c.version.Load(); known != nil && time.Now().Before(known.until) {
		return known.version, nil
	}
	version, response, err := c.api.Version.GetVersion(api.WithContext(ctx))
	if err == nil && version.Version == "" {
		err = errNonsense
	}
	if err != nil {
		return "", c.failure("read the version of GitLab", response, err)
	}
	c.version.Store(&knownVersion{version: version.Version, until: time.Now().Add(versionHolds)})
	return version.Version, nil
}

// signingSince is the first major version that signs the deliveries of hooks.
const signingSince = 19

func signs(version string) bool {
	major, _, _ := strings.Cut(version, ".")
	number, err := strconv.Atoi(major)
	return err == nil && number >= signingSince
}

// all returns the elements of all pages of a list.
func all[T any](page func(api.ListOptions) ([]T, *api.Response, error)) ([]T, *api.Response, error) {
	var found []T
	for number := int64(1); ; number++ {
		some, response, err := page(api.ListOptions{Page: number, PerPage: pageSize})
		if err != nil {
			return nil, response, err
		}
		found = append(found, some...)
		if len(some) == 0 || response.NextPage == 0 {
			return found, response, nil
		}
	}
}

func quote(action, path string) string { return fmt.Sprintf("%s %q", action, path) }

func numbered(action string, id int64) string { return fmt.Sprintf("%s %d", action, id) }
