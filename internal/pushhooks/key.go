package pushhooks

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// webhookKeySize is how many bytes the key of the tokens of webhooks has.
const webhookKeySize = 32

// EnsureKey makes the key that the tokens of all webhooks are made with, if
// a set needs it and there is none. One that is there is never replaced: all
// tokens would change.
func EnsureKey(ctx context.Context, store secrets.Store, set plan.Set) error {
	needed := slices.ContainsFunc(set.Items, func(item plan.Item) bool {
		return slices.ContainsFunc(item.Secrets, func(v plan.SecretValue) bool { return v.Ref == secrets.WebhookKey() })
	})
	if !needed {
		return nil
	}
	if _, err := store.Version(ctx, secrets.WebhookKey()); !errors.Is(err, secrets.ErrNotFound) {
		return err
	}
	key := make([]byte, webhookKeySize)
	// It never returns an error: see the documentation of crypto/rand.
	_, _ = rand.Read(key)
	_, err := store.Create(ctx, secrets.WebhookKey(), map[string]secrets.Value{
		secrets.WebhookKeyField: secrets.NewValue([]byte(hex.EncodeToString(key))),
	})
	if errors.Is(err, secrets.ErrExists) {
		// The cache did not show it yet.
		return nil
	}
	return err
}
