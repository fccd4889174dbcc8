package pushhooks

import (
	"context"
	"errors"
	"testing"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// Nothing makes a key of webhooks that no hook needs, or replaces one.
func TestWebhookKeyIsMadeOnce(t *testing.T) {
	store := &oneSecret{}
	set := plan.Set{Items: []plan.Item{{Secrets: []plan.SecretValue{{Ref: secrets.ProviderToken("p")}}}}}
	if err := EnsureKey(t.Context(), store, set); err != nil || store.fields != nil {
		t.Errorf("a set without hooks: %v, the store has %v", err, store.fields)
	}
	set.Items[0].Secrets = append(set.Items[0].Secrets, plan.SecretValue{Ref: secrets.WebhookKey(), Field: secrets.WebhookKeyField})
	if err := EnsureKey(t.Context(), store, set); err != nil {
		t.Fatal(err)
	}
	first := string(store.fields[secrets.WebhookKeyField].Bytes())
	if len(first) != 2*webhookKeySize {
		t.Errorf("the key has %d characters", len(first))
	}
	for name, blind := range map[string]bool{"it is there": false, "it is there and the cache does not show it": true} {
		store.blind = blind
		if err := EnsureKey(t.Context(), store, set); err != nil || string(store.fields[secrets.WebhookKeyField].Bytes()) != first {
			t.Errorf("%s: %v, or another key", name, err)
		}
	}
	store.away = true
	if err := EnsureKey(t.Context(), store, set); !errors.Is(err, secrets.ErrUnavailable) {
		t.Errorf("the store is away: %v", err)
	}
}

// oneSecret is a store with room for one secret.
type oneSecret struct {
	secrets.Store
	fields      map[string]secrets.Value
	blind, away bool
}

func (s *oneSecret) Version(context.Context, secrets.Ref) (string, error) {
	switch {
	case s.away:
		return "", secrets.ErrUnavailable
	case s.fields == nil || s.blind:
		return "", secrets.ErrNotFound
	}
	return "1", nil
}

func (s *oneSecret) Create(_ context.Context, _ secrets.Ref, fields map[string]secrets.Value) (string, error) {
	if s.fields != nil {
		return "", secrets.ErrExists
	}
	s.fields = fields
	return "1", nil
}
