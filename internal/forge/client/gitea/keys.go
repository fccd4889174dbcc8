package gitea

import (
	"context"
	"errors"
	"fmt"
	"strings"

	sdk "code.gitea.io/sdk/gitea"

	"nautes.io/nautes/internal/forge/client"
	"nautes.io/nautes/internal/forge/client/dial"
)

// Keys implements client.KeyClient.
func (c *Client) Keys(ctx context.Context, repository int64) ([]client.Key, error) {
	repo, err := c.byID(ctx, repository)
	if err != nil {
		return nil, err
	}
	return c.keys(ctx, repo)
}

func (c *Client) keys(ctx context.Context, repo *sdk.Repository) ([]client.Key, error) {
	found, response, err := all(func(o sdk.ListOptions) ([]*sdk.DeployKey, *sdk.Response, error) {
		return c.sdk(ctx).ListDeployKeys(repo.Owner.UserName, repo.Name, sdk.ListDeployKeysOptions{ListOptions: o})
	})
	if err != nil {
		return nil, failure(quote("list the deploy keys of", repo.FullName), response, err)
	}
	keys := make([]client.Key, 0, len(found))
	for _, key := range found {
		keys = append(keys, keyOf(key))
	}
	return keys, nil
}

// EnsureKey implements client.KeyClient. A repository has each title and each key once,
// so what differs is removed first.
func (c *Client) EnsureKey(ctx context.Context, repository int64, key client.Key) (client.Key, error) {
	repo, err := c.byID(ctx, repository)
	if err != nil {
		return client.Key{}, err
	}
	keys, err := c.keys(ctx, repo)
	if err != nil {
		return client.Key{}, err
	}
	wanted := key
	wanted.Public = withoutComment(key.Public)
	for _, found := range keys {
		wanted.ID = found.ID
		if found == wanted {
			return found, nil
		}
	}
	for _, found := range keys {
		if found.Title != wanted.Title && found.Public != wanted.Public {
			continue
		}
		if err := c.removeKey(ctx, repo, found.ID); err != nil {
			return client.Key{}, err
		}
	}
	action := fmt.Sprintf("add the deploy key %q to %q", key.Title, repo.FullName)
	added, response, err := c.sdk(ctx).CreateDeployKey(repo.Owner.UserName, repo.Name, sdk.CreateKeyOption{
		Title: key.Title, Key: wanted.Public, ReadOnly: !key.CanPush,
	})
	if err == nil {
		return keyOf(added), nil
	}
	failed := failure(action, response, err)
	if errors.Is(failed, client.ErrInvalid) && isUsed(err) {
		return client.Key{}, &client.Error{Action: action, Class: client.ErrConflict, Reason: dial.Clean(err.Error())}
	}
	return client.Key{}, failed
}

// isUsed reports whether Gitea refuses a key because it has it already, as the key of a
// user for example. It has no code of its own for that.
func isUsed(err error) bool {
	text := err.Error()
	return strings.Contains(text, "has been used") || strings.Contains(text, "has already been added") || strings.Contains(text, "already exists")
}

// RemoveKey implements client.KeyClient. Gitea answers with an internal error for a key
// of another repository, so the key is read first.
func (c *Client) RemoveKey(ctx context.Context, repository, key int64) error {
	repo, err := c.byID(ctx, repository)
	if err != nil {
		return err
	}
	_, response, err := c.sdk(ctx).GetDeployKey(repo.Owner.UserName, repo.Name, key)
	err = failure(fmt.Sprintf("read the deploy key %d of %q", key, repo.FullName), response, err)
	if errors.Is(err, client.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.removeKey(ctx, repo, key)
}

func (c *Client) removeKey(ctx context.Context, repo *sdk.Repository, key int64) error {
	response, err := c.sdk(ctx).DeleteDeployKey(repo.Owner.UserName, repo.Name, key)
	err = failure(fmt.Sprintf("remove the deploy key %d of %q", key, repo.FullName), response, err)
	if errors.Is(err, client.ErrNotFound) {
		return nil
	}
	return err
}

func keyOf(key *sdk.DeployKey) client.Key {
	return client.Key{ID: key.ID, Title: key.Title, Public: withoutComment(key.Key), CanPush: !key.ReadOnly}
}

// withoutComment returns the type and the content of a public key.
func withoutComment(public string) string {
	fields := strings.Fields(public)
	return strings.Join(fields[:min(2, len(fields))], " ")
}
