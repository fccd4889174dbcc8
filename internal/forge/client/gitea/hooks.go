package gitea

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	sdk "code.gitea.io/sdk/gitea"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/gitea"
)

// The keys of the configuration of a hook.
const (
	configURL     = "url"
	configContent = "content_type"
	configSecret  = "secret"
	contentJSON   = "json"
)

// Hooks implements client.HookClient.
func (c *Client) Hooks(ctx context.Context, repository int64) ([]client.Hook, error) {
	repo, err := c.byID(ctx, repository)
	if err != nil {
		return nil, err
	}
	found, err := c.hooks(ctx, repo)
	if err != nil {
		return nil, err
	}
	hooks := make([]client.Hook, 0, len(found))
	for _, hook := range found {
		hooks = append(hooks, hookOf(hook))
	}
	return hooks, nil
}

func (c *Client) hooks(ctx context.Context, repo *sdk.Repository) ([]*sdk.Hook, error) {
	found, response, err := all(func(o sdk.ListOptions) ([]*sdk.Hook, *sdk.Response, error) {
		return c.sdk(ctx).ListRepoHooks(repo.Owner.UserName, repo.Name, sdk.ListHooksOptions{ListOptions: o})
	})
	return found, failure(quote("list the hooks of", repo.FullName), response, err)
}

// EnsureHook implements client.HookClient. No request changes the secret of a hook, so
// renew replaces it. The new hook exists before the old one goes, and the newest of
// several is kept: the secret of the last request is in force.
func (c *Client) EnsureHook(ctx context.Context, repository int64, spec client.HookSpec, renew bool) (client.Hook, error) {
	events, err := gitea.HookEvents(spec.Events)
	if err != nil {
		return client.Hook{}, refusal(fmt.Sprintf("add a hook to repository %d", repository), err.Error())
	}
	repo, err := c.byID(ctx, repository)
	if err != nil {
		return client.Hook{}, err
	}
	found, err := c.hooks(ctx, repo)
	if err != nil {
		return client.Hook{}, err
	}
	var same []*sdk.Hook
	for _, hook := range found {
		if hook.Config[configURL] == spec.URL {
			same = append(same, hook)
		}
	}
	slices.SortFunc(same, func(a, b *sdk.Hook) int { return cmp.Compare(b.ID, a.ID) })

	var kept *sdk.Hook
	if len(same) > 0 && !renew && same[0].Type == string(sdk.HookTypeGitea) {
		kept, same = same[0], same[1:]
		err = c.changeHook(ctx, repo, kept, spec, events)
	} else {
		kept, err = c.addHook(ctx, repo, spec)
	}
	if err != nil {
		return client.Hook{}, err
	}
	for _, twin := range same {
		if err := c.removeHook(ctx, repo, twin.ID); err != nil {
			return client.Hook{}, err
		}
	}
	return hookOf(kept), nil
}

func (c *Client) addHook(ctx context.Context, repo *sdk.Repository, spec client.HookSpec) (*sdk.Hook, error) {
	added, response, err := c.sdk(ctx).CreateRepoHook(repo.Owner.UserName, repo.Name, sdk.CreateHookOption{
		Type:   sdk.HookTypeGitea,
		Config: map[string]string{configURL: spec.URL, configContent: contentJSON, configSecret: string(spec.Secret.Bytes())},
		Events: spec.Events, Active: true,
	})
	return added, failure(quote("add a hook to", repo.FullName), response, err)
}

// changeHook changes a hook that differs, and nothing otherwise.
func (c *Client) changeHook(ctx context.Context, repo *sdk.Repository, hook *sdk.Hook, spec client.HookSpec, events []string) error {
	has := hookOf(hook)
	if slices.Equal(has.Events, events) && hook.Active && hook.Config[configContent] == contentJSON && hook.BranchFilter == "" && hook.AuthorizationHeader == "" {
		return nil
	}
	active := true
	config := map[string]string{configURL: spec.URL, configContent: contentJSON}
	response, err := c.sdk(ctx).EditRepoHook(repo.Owner.UserName, repo.Name, hook.ID, sdk.EditHookOption{Config: config, Events: spec.Events, Active: &active})
	if err != nil {
		return failure(quote("change a hook of", repo.FullName), response, err)
	}
	hook.Active, hook.Events = true, events
	return nil
}

// RemoveHook implements client.HookClient.
func (c *Client) RemoveHook(ctx context.Context, repository, hook int64) error {
	repo, err := c.byID(ctx, repository)
	if err != nil {
		return err
	}
	return c.removeHook(ctx, repo, hook)
}

func (c *Client) removeHook(ctx context.Context, repo *sdk.Repository, hook int64) error {
	response, err := c.sdk(ctx).DeleteRepoHook(repo.Owner.UserName, repo.Name, hook)
	err = failure(fmt.Sprintf("remove hook %d of %q", hook, repo.FullName), response, err)
	if errors.Is(err, client.ErrNotFound) {
		return nil
	}
	return err
}

// hookOf returns a hook in our terms. Gitea signs whatever it delivers, and does not
// show whether a hook has a secret to sign with.
func hookOf(hook *sdk.Hook) client.Hook {
	events := slices.Clone(hook.Events)
	slices.Sort(events)
	return client.Hook{ID: hook.ID, URL: hook.Config[configURL], Events: events, Signed: true, Disabled: !hook.Active}
}
