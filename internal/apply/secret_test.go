package apply

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

func TestSecretValue(t *testing.T) {
	const key16, key15 = "0123456789abcdef", "0123456789abcde"
	ref := plan.SecretRef{Engine: "tenant", Path: "webhook"}
	store := &stubStore{version: "7", fields: map[string]string{"f": "hidden", "key": key16, "short": key15, "ended": "\ufeffhidden\r\n", "pem": "-----BEGIN X-----\r\nA\r\n-----END X-----"}}
	for name, test := range map[string]struct {
		value  plan.SecretValue
		want   string
		absent bool
		wantAs any
	}{
		"as it is":                {value: plan.SecretValue{Field: "f"}, want: "hidden"},
		"in a format":             {value: plan.SecretValue{Field: "f", Format: "upper"}, want: "HIDDEN"},
		"text with a line end":    {value: plan.SecretValue{Field: "ended", Format: plan.FormatText}, want: "hidden"},
		"a key from Windows":      {value: plan.SecretValue{Field: "pem", Format: plan.FormatKey}, want: "-----BEGIN X-----\nA\n-----END X-----\n"},
		"in an unknown format":    {value: plan.SecretValue{Field: "f", Format: "other"}, wantAs: new(*PlanError)},
		"in a format that fails":  {value: plan.SecretValue{Field: "f", Format: "fails"}, wantAs: new(*FormatError)},
		"missing":                 {value: plan.SecretValue{Field: "g"}, wantAs: new(*SecretMissingError)},
		"missing, in a format":    {value: plan.SecretValue{Field: "g", Format: "upper"}, wantAs: new(*SecretMissingError)},
		"missing, but optional":   {value: plan.SecretValue{Field: "g", Optional: true}, absent: true},
		"there, though optional":  {value: plan.SecretValue{Field: "f", Optional: true}, want: "hidden"},
		"a token":                 {value: plan.SecretValue{Field: "key", Format: plan.FormatWebhookToken, Subject: "s"}},
		"a docker config":         {value: plan.SecretValue{Field: "key", Format: plan.FormatDockerConfig, Subject: "registry.example.com"}, wantAs: new(*SecretMissingError)},
		"a token of no subject":   {value: plan.SecretValue{Field: "key", Format: plan.FormatWebhookToken}, wantAs: new(*PlanError)},
		"a token of a short key":  {value: plan.SecretValue{Field: "short", Format: plan.FormatWebhookToken, Subject: "s"}, wantAs: new(*FormatError)},
		"a subject and no format": {value: plan.SecretValue{Field: "f", Subject: "s"}, want: "hidden"},
	} {
		a := New("acme", store, WithFormats(map[plan.Format]FormatFunc{
			"upper": func(in []byte) ([]byte, error) { return bytes.ToUpper(in), nil },
			"fails": func([]byte) ([]byte, error) { return nil, errTrouble },
		}))
		test.value.Ref = ref
		got, version, err := a.reader(testID).value(t.Context(), test.value)
		switch {
		case test.wantAs != nil:
			if err == nil || !errors.As(err, test.wantAs) || got != nil || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%s: %v, %v, want %T", name, got, err, test.wantAs)
			}
		case err != nil || version != "7" || (got == nil) != test.absent:
			t.Errorf("%s: %v of version %q, %v", name, got, version, err)
		case test.value.Format == plan.FormatWebhookToken:
			if len(got.Bytes()) != 64 {
				t.Errorf("%s: the token has %d digits", name, len(got.Bytes()))
			}
		case got != nil && string(got.Bytes()) != test.want:
			t.Errorf("%s: %q, want %q", name, got.Bytes(), test.want)
		}
	}
	if _, _, err := New("acme", store).reader(testID).value(t.Context(), plan.SecretValue{Ref: ref, Field: "key", Format: plan.FormatWebhookToken}); err == nil || !strings.Contains(err.Error(), "no subject") {
		t.Errorf("a token of no subject: %v", err)
	}
	// The error names the secret, the field and the item, and the key never.
	store.fields["key"] = ""
	_, _, err := New("acme", store).reader(testID).value(t.Context(), plan.SecretValue{Ref: ref, Field: "key", Format: plan.FormatWebhookToken, Subject: "s"})
	var format *FormatError
	if !errors.As(err, &format) || format.Ref != ref || format.Field != "key" || format.Format != plan.FormatWebhookToken || !errors.Is(err, errShortKey) {
		t.Errorf("an empty key: %v", err)
	}
}

func TestSecretErrors(t *testing.T) {
	ref := plan.SecretRef{Engine: "git", Path: "a"}
	for _, cause := range []error{secrets.ErrNotFound, secrets.ErrDenied} {
		a := New("acme", &stubStore{err: fmt.Errorf("wrapped: %w", cause)})
		_, _, err := a.reader(testID).value(t.Context(), plan.SecretValue{Ref: ref, Field: "f"})
		var missing *SecretMissingError
		if !errors.Is(err, cause) || errors.As(err, &missing) != errors.Is(cause, secrets.ErrNotFound) || !strings.Contains(err.Error(), "git/a") {
			t.Errorf("%v: %v", cause, err)
		}
	}
}
