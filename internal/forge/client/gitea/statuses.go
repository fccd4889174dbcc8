package gitea

import (
	"context"
	"errors"
	"fmt"

	sdk "code.gitea.io/sdk/gitea"

	"nautes.io/nautes/internal/forge"
	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/gitea"
)

// SetStatus implements client.StatusClient. Gitea keeps each status that it gets, so
// nothing is sent where the last one of the name is the same.
func (c *Client) SetStatus(ctx context.Context, repository int64, status forge.Status) error {
	state := gitea.State(status.Result)
	if state == "" {
		return refusal("set the status of a commit", "the result is unknown")
	}
	repo, err := c.byID(ctx, repository)
	if err != nil {
		return retried(err)
	}
	action := fmt.Sprintf("set the status %q of commit %s of %q", status.Name, status.Commit, repo.FullName)
	found, response, err := all(func(o sdk.ListOptions) ([]*sdk.Status, *sdk.Response, error) {
		return c.sdk(ctx).ListStatuses(repo.Owner.UserName, repo.Name, status.Commit, sdk.ListStatusesOption{ListOptions: o})
	})
	if err != nil {
		return retried(failure(action, response, err))
	}
	// The list is sorted by seconds. The ids grow.
	var last *sdk.Status
	for _, s := range found {
		if s.Context == status.Name && (last == nil || s.ID > last.ID) {
			last = s
		}
	}
	wanted := sdk.CreateStatusOption{State: sdk.StatusState(state), Context: status.Name, TargetURL: status.TargetURL, Description: status.Description}
	if last != nil && last.State == wanted.State && last.TargetURL == wanted.TargetURL && last.Description == wanted.Description {
		return nil
	}
	_, response, err = c.sdk(ctx).CreateStatus(repo.Owner.UserName, repo.Name, status.Commit, wanted)
	return retried(failure(action, response, err))
}

// retried marks the failures that a later attempt may not have.
func retried(err error) error {
	if errors.Is(err, client.ErrUnavailable) {
		return fmt.Errorf("%w: %w", err, forge.ErrRetry)
	}
	return err
}
