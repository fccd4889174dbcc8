package runner

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/forges"
	"nautes.io/nautes/internal/launch"
)

// statusCommand reports a run to a forge as the status of a commit.
type statusCommand struct {
	providerType, api, project string
	status                     forge.Status
	tokenFile, caFile          string
	timeout                    time.Duration
}

func (c *statusCommand) flags(f *flag.FlagSet) {
	f.StringVar(&c.providerType, "provider-type", forges.Default, "type of the CodeRepoProvider")
	f.StringVar(&c.api, "api", "", "address of the forge, with or without the path of its API")
	f.StringVar(&c.project, "project", "", "project by its number, by its path, or as repo-<number>")
	f.StringVar(&c.status.Commit, "commit", "", "commit to report on; nothing is reported without one")
	f.StringVar(&c.status.Result, "status", "", "Pending, Running, Succeeded, Failed, Cancelled or Timeout")
	f.StringVar(&c.status.Name, "name", "nautes", "name of the status, by which the statuses of a commit differ")
	f.StringVar(&c.status.TargetURL, "target-url", "", "address that the status links to")
	f.StringVar(&c.status.Description, "description", "", "a few words on the status")
	f.StringVar(&c.tokenFile, "token-file", "", "file with an access token that may report statuses")
	f.StringVar(&c.caFile, "ca-file", "", "certificates in PEM to check the forge against, in addition to the system's")
	f.DurationVar(&c.timeout, "timeout", patience, "time limit of the command")
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

func (c *statusCommand) run(ctx context.Context, p *Program) error {
	if c.status.Commit == "" {
		p.say("the event has no commit: there is nothing to report on")
		return nil
	}
	f, request, err := c.request()
	if err != nil {
		return err
	}
	if c.tokenFile == "" {
		return fail(launch.ExitUsage, "--token-file is missing: name a file with an access token")
	}
	token, err := os.ReadFile(c.tokenFile)
	if err != nil {
		return fail(launch.ExitUsage, "read the token: %w", err)
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, c.timeout)
	defer stop()
	err = p.retry(ctx, p.Attempts, isTransient, func(ctx context.Context) error {
		code, body, err := post(ctx, client, request, strings.TrimSpace(string(token)))
		if err != nil {
			return fail(launch.ExitReport, "%s cannot be reached: %w", f.Name, err)
		}
		if err := f.Statuses.Check(c.status, code, body); err != nil {
			return fail(launch.ExitReport, "%w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	p.say("reported commit %s as %s", c.status.Commit, c.status.Result)
	return nil
}

func isTransient(err error) bool { return errors.Is(err, forge.ErrRetry) }

// request returns the forge and the request that reports the status.
func (c *statusCommand) request() (forge.Forge, forge.Request, error) {
	f, supported := forges.Of(c.providerType)
	switch {
	case !supported:
		return f, forge.Request{}, fail(launch.ExitUsage, "--provider-type is %q, which is not supported", c.providerType)
	case !commitForm.MatchString(c.status.Commit):
		return f, forge.Request{}, fail(launch.ExitUsage, "--commit is %q: write its 40 hexadecimal digits", c.status.Commit)
	}
	request, err := f.Statuses.Request(c.api, c.project, c.status)
	if err != nil {
		return f, forge.Request{}, fail(launch.ExitUsage, "--%w", err)
	}
	return f, request, nil
}

// client returns a client that sends the token to no other address: it follows no
// redirect.
func (c *statusCommand) client() (*http.Client, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if c.caFile != "" {
		content, err := os.ReadFile(c.caFile)
		if err != nil {
			return nil, fail(launch.ExitUsage, "read the certificates: %w", err)
		}
		if !roots.AppendCertsFromPEM(content) {
			return nil, fail(launch.ExitUsage, "%s holds no certificate in PEM", c.caFile)
		}
	}
	return &http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		},
	}, nil
}

// post sends a request once. Its error does not name the address.
func post(ctx context.Context, client *http.Client, r forge.Request, token string) (code int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return 0, nil, errors.New("its address is not valid")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(r.TokenHeader, r.TokenPrefix+token)
	answer, err := client.Do(request)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err
		}
		return 0, nil, fmt.Errorf("%w: %w", err, forge.ErrRetry)
	}
	defer func() { _ = answer.Body.Close() }()
	// The start of the body is enough to judge the answer.
	body, _ = io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	return answer.StatusCode, body, nil
}
