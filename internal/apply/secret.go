package apply

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// reader reads the secrets of one item, each once. It is not safe for
// concurrent use.
type reader struct {
	*Applier
	id   plan.ID
	read map[secrets.Ref]secrets.Secret
}

func (a *Applier) reader(id plan.ID) *reader {
	return &reader{Applier: a, id: id, read: map[secrets.Ref]secrets.Secret{}}
}

// value returns a field of a secret in the requested format and the version of
// the secret. The value is nil if the field is optional and missing.
func (r *reader) value(ctx context.Context, v plan.SecretValue) (*secrets.Value, string, error) {
	secret, ok := r.read[v.Ref]
	if !ok {
		var err error
		if secret, err = r.store.Get(ctx, v.Ref); err != nil {
			return nil, "", secretError(v.Ref, err)
		}
		r.read[v.Ref] = secret
	}
	content, ok := secret.Fields[v.Field]
	switch {
	case !ok && v.Optional:
		return nil, secret.Version, nil
	case !ok:
		return nil, "", &SecretMissingError{Ref: v.Ref, Field: v.Field}
	case v.Format == "":
		return &content, secret.Version, nil
	case v.Format == plan.FormatText:
		return bare(content, plan.BareText), secret.Version, nil
	case v.Format == plan.FormatKey:
		return bare(content, plan.BareKey), secret.Version, nil
	case v.Format == plan.FormatWebhookToken && v.Subject == "":
		return nil, "", &PlanError{ID: r.id, Problem: "its webhook token has no subject"}
	case v.Format == plan.FormatWebhookToken:
		if len(content.Bytes()) < minWebhookKey {
			return nil, "", &FormatError{Ref: v.Ref, Field: v.Field, Format: v.Format, Err: errShortKey}
		}
		token := secrets.NewValue(plan.WebhookToken(content.Bytes(), v.Subject))
		return &token, secret.Version, nil
	case v.Format == plan.FormatDockerConfig || v.Format == plan.FormatProxy:
		user, ok := secret.Fields[plan.FieldUsername]
		if !ok {
			return nil, "", &SecretMissingError{Ref: v.Ref, Field: plan.FieldUsername}
		}
		joined, err := joinLogin(v, *bare(user, plan.BareText), *bare(content, plan.BareText))
		return &joined, secret.Version, err
	}
	format, ok := r.formats[v.Format]
	if !ok {
		return nil, "", &PlanError{ID: r.id, Problem: fmt.Sprintf("the format %q of the secret %s is unknown", v.Format, v.Ref)}
	}
	formatted, err := format(content.Bytes())
	if err != nil {
		return nil, "", &FormatError{Ref: v.Ref, Field: v.Field, Format: v.Format, Err: err}
	}
	content = secrets.NewValue(formatted)
	return &content, secret.Version, nil
}

// bare returns a value whose text was cleaned.
func bare(v secrets.Value, clean func(string) string) *secrets.Value {
	cleaned := secrets.NewValue([]byte(clean(string(v.Bytes()))))
	return &cleaned
}

// minWebhookKey is the least length of a key of webhook tokens, in bytes.
const minWebhookKey = 16

var errShortKey = fmt.Errorf("the key has fewer than %d bytes", minWebhookKey)

// joinLogin returns the user and the password in a format for both.
func joinLogin(v plan.SecretValue, user, password secrets.Value) (secrets.Value, error) {
	if v.Format == plan.FormatProxy {
		return secrets.NewValue([]byte(plan.ProxyURL(v.Subject, string(user.Bytes()), string(password.Bytes())))), nil
	}
	return dockerConfig(v.Subject, user, password)
}

// dockerConfig returns the content of an image pull secret for one registry.
func dockerConfig(registry string, user, password secrets.Value) (secrets.Value, error) {
	both := append(append(slices.Clone(user.Bytes()), ':'), password.Bytes()...)
	content, err := json.Marshal(map[string]any{"auths": map[string]any{registry: map[string]string{
		"username": string(user.Bytes()), "password": string(password.Bytes()), "auth": base64.StdEncoding.EncodeToString(both),
	}}})
	return secrets.NewValue(content), err
}

func secretError(ref secrets.Ref, err error) error {
	if errors.Is(err, secrets.ErrNotFound) {
		return &SecretMissingError{Ref: ref}
	}
	return fmt.Errorf("read the secret %s: %w", ref, err)
}
