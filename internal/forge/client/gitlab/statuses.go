package gitlab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/gitlab"
)

// SetStatus implements client.StatusClient. GitLab adds an entry for each status of a
// commit that has ended, so nothing is sent where the last entry is the same.
func (c *Client) SetStatus(ctx context.Context, repository int64, status forge.Status) error {
	action := numbered(fmt.Sprintf("set the status %q of commit %s in repository", status.Name, status.Commit), repository)
	statuses := gitlab.Forge().Statuses
	request, err := statuses.Request(c.server, strconv.FormatInt(repository, 10), status)
	if err != nil {
		return refusal(action, err.Error())
	}
	options := &api.SetCommitStatusOptions{}
	if err := json.Unmarshal(request.Body, options); err != nil {
		return refusal(action, "it cannot be encoded")
	}
	found, response, err := all(func(o api.ListOptions) ([]*api.CommitStatus, *api.Response, error) {
		return c.api.Commits.GetCommitStatuses(repository, status.Commit, &api.GetCommitStatusesOptions{ListOptions: o, Name: options.Name}, api.WithContext(ctx))
	})
	if err != nil {
		return c.retried(action, response, err)
	}
	for _, entry := range found {
		if entry.Name == status.Name && entry.Status == string(options.State) && entry.Description == status.Description && entry.TargetURL == status.TargetURL {
			return nil
		}
	}
	_, response, err = c.api.Commits.SetCommitStatus(repository, status.Commit, options, api.WithContext(ctx))
	var refused *api.ErrorResponse
	if errors.As(err, &refused) && statuses.Check(status, refused.StatusCode, refused.Body) == nil {
		return nil
	}
	return c.retried(action, response, err)
}

// retried marks the failures that a later attempt may not have.
func (c *Client) retried(action string, response *api.Response, err error) error {
	failed := c.failure(action, response, err)
	if has(failed, client.ErrUnavailable) || api.HasStatusCode(err, http.StatusConflict) {
		return fmt.Errorf("%w: %w", failed, forge.ErrRetry)
	}
	return failed
}
