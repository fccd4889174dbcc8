package apply_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"nautes.io/nautes/internal/apply"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// token returns a value that asks for the webhook token of a subject.
func token(subject string) plan.SecretValue {
	return plan.SecretValue{
		Key: "token", Ref: secrets.WebhookKey(), Field: secrets.WebhookKeyField, Format: plan.FormatWebhookToken, Subject: subject,
	}
}

// Each subject has its own token, which changes with the key only.
func TestWebhookToken(t *testing.T) {
	w := newWorld(t, "webhook")
	ns := w.namespace()
	const key = "0123456789abcdef0123456789abcdef"
	w.store.set(secrets.WebhookKey(), secrets.WebhookKeyField, key)
	a := w.applier()
	written := func(subject string) string {
		t.Helper()
		item := w.secret(ns, "hook", token(subject))
		w.must(a, item)
		encoded, _, err := unstructured.NestedString(w.live(item.ID).Object, "data", "token")
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		return string(decoded)
	}
	first := written("one")
	// The result of openssl dgst -sha256 -hmac.
	if first != "57d43950ac262b142e696712e686a4deedb99fcd416426d6adef1dcc6275789b" {
		t.Errorf("the token is %s", first)
	}
	if other := written("two"); other == first || strings.Contains(other, key) {
		t.Errorf("the token of another subject is %s", other)
	}
	if again := written("one"); again != first {
		t.Errorf("the token is %s, and was %s", again, first)
	}
	w.store.set(secrets.WebhookKey(), secrets.WebhookKeyField, strings.ToUpper(key))
	if with := written("one"); with == first {
		t.Error("the token is the same with another key")
	}
}

func TestWebhookTokenThatCannotBeMade(t *testing.T) {
	w := newWorld(t, "notoken")
	ns := w.namespace()
	var missing *apply.SecretMissingError
	if _, err := w.apply(w.applier(), apply.Options{}, w.secret(ns, "hook", token("one"))); !errors.As(err, &missing) {
		t.Errorf("without a key: %v", err)
	}
	w.store.set(secrets.WebhookKey(), secrets.WebhookKeyField, "short")
	var format *apply.FormatError
	if _, err := w.apply(w.applier(), apply.Options{}, w.secret(ns, "hook", token("one"))); !errors.As(err, &format) || strings.Contains(err.Error(), "short") {
		t.Errorf("with a key that is too short: %v", err)
	}
	w.store.set(secrets.WebhookKey(), secrets.WebhookKeyField, "0123456789abcdef")
	var wrong *apply.PlanError
	if _, err := w.apply(w.applier(), apply.Options{}, w.secret(ns, "hook", token(""))); !errors.As(err, &wrong) {
		t.Errorf("without a subject: %v", err)
	}
}
