package runner

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"nautes.io/nautes/internal/launch"
)

// statusCommand reports a run to GitLab as the status of a commit.
type statusCommand struct {
	api, project, commit, status string
	name, targetURL, description string
	tokenFile, caFile            string
	timeout                      time.Duration
}

func (c *statusCommand) flags(f *flag.FlagSet) {
	f.StringVar(&c.api, "api", "", "address of GitLab, with or without /api/v4")
	f.StringVar(&c.project, "project", "", "project by its number, by its path, or as repo-<number>")
	f.StringVar(&c.commit, "commit", "", "commit to report on; nothing is reported without one")
	f.StringVar(&c.status, "status", "", "Pending, Running, Succeeded, Failed, Cancelled or Timeout")
	f.StringVar(&c.name, "name", "nautes", "name that the status has in GitLab")
	f.StringVar(&c.targetURL, "target-url", "", "where the status leads to")
	f.StringVar(&c.description, "description", "", "a few words on the status")
	f.StringVar(&c.tokenFile, "token-file", "", "file with a token that may report statuses")
	f.StringVar(&c.caFile, "ca-file", "", "certificates in PEM that GitLab is checked against, besides the system's")
	f.DurationVar(&c.timeout, "timeout", patience, "how long it may take altogether")
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

// errAgain marks what may go away by itself.
var errAgain = errors.New("try again later")

var codeRepoName = regexp.MustCompile(`^repo-([0-9]+)$`)

// state returns the name that GitLab has for a status.
func state(status string) (string, bool) {
	name, known := map[string]string{
		launch.RunPending: "pending", launch.RunRunning: "running", launch.RunSucceeded: "success",
		launch.RunFailed: "failed", launch.RunTimeout: "failed", launch.RunCancelled: "canceled",
	}[status]
	return name, known
}

func (c *statusCommand) run(ctx context.Context, p *Program) error {
	if c.commit == "" {
		p.say("the event has no commit: there is nothing to report on")
		return nil
	}
	target, err := c.target()
	if err != nil {
		return err
	}
	state, known := state(c.status)
	switch {
	case !known:
		return fail(launch.ExitUsage, "--status is %q: use Pending, Running, Succeeded, Failed, Cancelled or Timeout", c.status)
	case c.tokenFile == "":
		return fail(launch.ExitUsage, "--token-file is missing: name a file with a token of GitLab")
	}
	token, err := os.ReadFile(c.tokenFile)
	if err != nil {
		return fail(launch.ExitUsage, "read the token: %w", err)
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	fields := map[string]string{"state": state, "name": c.name}
	for field, value := range map[string]string{"target_url": c.targetURL, "description": c.description} {
		if value != "" {
			fields[field] = value
		}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return fail(launch.ExitUsage, "write the status: %w", err)
	}
	ctx, stop := context.WithTimeout(ctx, c.timeout)
	defer stop()
	again := func(err error) bool { return errors.Is(err, errAgain) }
	err = p.retry(ctx, p.Attempts, again, func(ctx context.Context) error {
		return post(ctx, client, target, strings.TrimSpace(string(token)), body, state)
	})
	if err != nil {
		return err
	}
	p.say("reported commit %s as %s", c.commit, state)
	return nil
}

// target returns the address that the status is sent to.
func (c *statusCommand) target() (string, error) {
	base, err := url.Parse(strings.TrimSuffix(strings.TrimRight(c.api, "/"), "/api/v4"))
	project := c.project
	if match := codeRepoName.FindStringSubmatch(project); match != nil {
		project = match[1]
	}
	switch {
	case err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return "", fail(launch.ExitUsage, "--api is not the address of GitLab: write it as https://gitlab.example.com")
	case project == "" || project == "." || project == "..":
		return "", fail(launch.ExitUsage, "--project is missing: write the number or the path of the project")
	case !commitForm.MatchString(c.commit):
		return "", fail(launch.ExitUsage, "--commit is %q: write its 40 hexadecimal digits", c.commit)
	}
	return base.String() + "/api/v4/projects/" + url.PathEscape(project) + "/statuses/" + c.commit, nil
}

// client returns a client that takes the token to no other place than it is told.
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

// post sends the status once.
func post(ctx context.Context, client *http.Client, target, token string, body []byte, state string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return fail(launch.ExitUsage, "--api is not the address of GitLab: write it as https://gitlab.example.com")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("PRIVATE-TOKEN", token)
	answer, err := client.Do(request)
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err
		}
		return fail(launch.ExitReport, "GitLab cannot be reached: %w: %w", err, errAgain)
	}
	defer func() { _ = answer.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusBadRequest && bytes.Contains(said, []byte("Cannot transition status")) && bytes.Contains(said, []byte("from :"+state)):
		// GitLab refuses to be told twice what it knows.
		return nil
	case code >= 300 && code < 400:
		return fail(launch.ExitReport, "GitLab redirects, which is not followed: use its final address")
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fail(launch.ExitReport, "GitLab answers %d: the token is not valid, or may not report statuses of the project; it needs the scope api", code)
	case code == http.StatusNotFound:
		return fail(launch.ExitReport, "GitLab answers 404: there is no such project or commit, or the token may not see it")
	case code == http.StatusTooManyRequests || code >= 500:
		return fail(launch.ExitReport, "GitLab answers %d: %w", code, errAgain)
	default:
		return fail(launch.ExitReport, "GitLab answers %d and does not take the status", code)
	}
}
