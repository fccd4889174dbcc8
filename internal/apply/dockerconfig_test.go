package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// fixedStore holds one secret.
type fixedStore struct {
	secrets.Store
	fields map[string]secrets.Value
}

func (s fixedStore) Get(context.Context, secrets.Ref) (secrets.Secret, error) {
	return secrets.Secret{Fields: s.fields, Version: "1"}, nil
}

// The URL of a proxy has the user and the password of its secret.
func TestProxyURL(t *testing.T) {
	ask := plan.SecretValue{Key: "proxy", Field: "password", Format: plan.FormatProxy, Subject: "http://proxy.example.com:3128"}
	fields := map[string]secrets.Value{"username": secrets.NewValue([]byte("shop\\ann\n")), "password": secrets.NewValue([]byte("p@s s:/%\r\n"))}
	got, _, err := New("acme", fixedStore{fields: fields}).reader(testID).value(t.Context(), ask)
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(string(got.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if password, _ := address.User.Password(); address.User.Username() != `shop\ann` || password != "p@s s:/%" || address.Host != "proxy.example.com:3128" {
		t.Errorf("the URL has the user %q, the password %q and the host %q", address.User.Username(), password, address.Host)
	}
	delete(fields, "username")
	if _, _, err := New("acme", fixedStore{fields: fields}).reader(testID).value(t.Context(), ask); !errors.As(err, new(*SecretMissingError)) {
		t.Errorf("without a user: %v", err)
	}
}

func TestDockerConfig(t *testing.T) {
	value := func(text string) secrets.Value { return secrets.NewValue([]byte(text)) }
	ask := plan.SecretValue{Ref: secrets.Artifacts("product-1-images", "readonly"), Field: "password", Format: plan.FormatDockerConfig, Subject: "registry.example.com/team"}
	for name, test := range map[string]struct {
		fields      map[string]secrets.Value
		want        map[string]string
		wantMissing string
	}{
		"both": {
			fields: map[string]secrets.Value{"username": value("robot$a"), "password": value(`p"\:ü`)},
			want:   map[string]string{"username": "robot$a", "password": `p"\:ü`, "auth": "cm9ib3QkYTpwIlw6w7w="},
		},
		"line ends": {
			fields: map[string]secrets.Value{"username": value("robot$a\n"), "password": value(`p"\:ü` + "\r\n")},
			want:   map[string]string{"username": "robot$a", "password": `p"\:ü`, "auth": "cm9ib3QkYTpwIlw6w7w="},
		},
		"no password": {fields: map[string]secrets.Value{"username": value("robot")}, wantMissing: "password"},
		"no user":     {fields: map[string]secrets.Value{"password": value("p")}, wantMissing: "username"},
	} {
		got, version, err := New("acme", fixedStore{fields: test.fields}).reader(testID).value(t.Context(), ask)
		var missing *SecretMissingError
		if test.wantMissing != "" {
			if !errors.As(err, &missing) || missing.Field != test.wantMissing {
				t.Errorf("%s: %v, want that %s is missing", name, err, test.wantMissing)
			}
			continue
		}
		if err != nil || version != "1" {
			t.Fatalf("%s: version %q, %v", name, version, err)
		}
		var config struct{ Auths map[string]map[string]string }
		if err := json.Unmarshal(got.Bytes(), &config); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]map[string]string{"registry.example.com/team": test.want}, config.Auths); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if text := fmt.Sprint(got); text != "***" {
			t.Errorf("%s prints as %s", name, text)
		}
	}
}
