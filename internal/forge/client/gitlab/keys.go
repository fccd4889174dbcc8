package gitlab

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"nautes.io/nautes/internal/forge/client"
)

// public returns the type and content of a key, without its comment. GitLab compares
// keys as text, so a key must be sent in one form to all repositories.
func public(key string) string {
	words := strings.Fields(key)
	return strings.Join(words[:min(len(words), 2)], " ")
}

func keyOf(k *api.ProjectDeployKey) client.Key {
	return client.Key{ID: k.ID, Title: k.Title, Public: public(k.Key), CanPush: k.CanPush}
}

// Keys implements client.KeyClient.
func (c *Client) Keys(ctx context.Context, repository int64) ([]client.Key, error) {
	found, response, err := all(func(o api.ListOptions) ([]*api.ProjectDeployKey, *api.Response, error) {
		return c.api.DeployKeys.ListProjectDeployKeys(repository, &api.ListProjectDeployKeysOptions{ListOptions: o}, api.WithContext(ctx))
	})
	if err != nil {
		return nil, c.failure(numbered("list the deploy keys of repository", repository), response, err)
	}
	keys := make([]client.Key, 0, len(found))
	for _, k := range found {
		keys = append(keys, keyOf(k))
	}
	slices.SortFunc(keys, func(a, b client.Key) int { return cmp.Compare(a.ID, b.ID) })
	return keys, nil
}

// EnsureKey implements client.KeyClient. The new key is there before the old one goes,
// so that a rotation that is cut short leaves no repository without a key. The title of
// a key is the same in all repositories.
func (c *Client) EnsureKey(ctx context.Context, repository int64, key client.Key) (client.Key, error) {
	action := numbered(quote("set deploy key", key.Title)+" of repository", repository)
	key.Public = public(key.Public)
	keys, err := c.Keys(ctx, repository)
	if err != nil {
		return client.Key{}, err
	}
	var found client.Key
	at := slices.IndexFunc(keys, func(k client.Key) bool { return k.Public == key.Public })
	if at >= 0 {
		found = keys[at]
	} else if found, err = c.addKey(ctx, action, repository, key); err != nil {
		return client.Key{}, err
	}
	if found.Title != key.Title || found.CanPush != key.CanPush {
		changed, response, err := c.api.DeployKeys.UpdateDeployKey(repository, found.ID,
			&api.UpdateDeployKeyOptions{Title: api.Ptr(key.Title), CanPush: api.Ptr(key.CanPush)}, api.WithContext(ctx))
		if err == nil && changed.ID != found.ID {
			err = errNonsense
		}
		if err != nil {
			return client.Key{}, c.failure(action, response, err)
		}
		found = keyOf(changed)
	}
	for _, old := range keys {
		if old.Title == key.Title && old.Public != key.Public {
			if err := c.RemoveKey(ctx, repository, old.ID); err != nil {
				return client.Key{}, err
			}
		}
	}
	return found, nil
}

// addKey adds a key. GitLab joins a key of another repository that the caller sees, and
// answers with the old title.
func (c *Client) addKey(ctx context.Context, action string, repository int64, key client.Key) (client.Key, error) {
	made, response, err := c.api.DeployKeys.AddDeployKey(repository,
		&api.AddDeployKeyOptions{Title: api.Ptr(key.Title), Key: api.Ptr(key.Public), CanPush: api.Ptr(key.CanPush)}, api.WithContext(ctx))
	if err == nil && (made.ID == 0 || public(made.Key) != key.Public) {
		err = errNonsense
	}
	if err != nil {
		return client.Key{}, c.failure(action, response, err)
	}
	return keyOf(made), nil
}

// RemoveKey implements client.KeyClient.
func (c *Client) RemoveKey(ctx context.Context, repository, key int64) error {
	action := numbered(numbered("remove deploy key", key)+" of repository", repository)
	response, err := c.api.DeployKeys.DeleteDeployKey(repository, key, api.WithContext(ctx))
	return c.gone(ctx, action, repository, response, err)
}

// gone returns the error of a deletion in a repository. A missing object is no error,
// unless the repository is missing too, or the token has lost its right to see it.
func (c *Client) gone(ctx context.Context, action string, repository int64, response *api.Response, err error) error {
	if err == nil && response.StatusCode != http.StatusNoContent {
		err = errNonsense
	}
	failed := c.failure(action, response, err)
	if has(failed, client.ErrNotFound) {
		_, err := c.project(ctx, action, repository)
		return err
	}
	return failed
}
