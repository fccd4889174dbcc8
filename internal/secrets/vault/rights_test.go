package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"nautes.io/nautes/internal/config"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// everything runs every operation of the operator.
func (s server) everything(v *Vault) error {
	ctx := context.WithoutCancel(s.t.Context())
	system := v.System()
	var errs []error
	note := func(err error) {
		if err != nil && !errors.Is(err, secrets.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	for _, ref := range []secrets.Ref{repoKey, secrets.ClusterKubeconfig("c")} {
		for _, value := range []string{"1", "2"} {
			_, err := v.Put(ctx, ref, fields("a", value))
			note(err)
		}
		_, err := v.Version(ctx, ref)
		note(err)
		note(v.Delete(ctx, ref))
	}
	// The operator cannot remove it, so root does: each attempt has to create it.
	s.ask(http.MethodDelete, metadataPath(secrets.WebhookKey()), nil)
	_, err := v.Create(ctx, secrets.WebhookKey(), fields(secrets.WebhookKeyField, "1"))
	note(err)
	for _, ref := range []secrets.Ref{secrets.ProviderToken("gitlab"), secrets.Artifacts("product-1-images", "readonly")} {
		_, err = v.Get(ctx, ref)
		note(err)
		_, err = v.Version(ctx, ref)
		note(err)
	}
	for _, item := range []plan.Item{
		mountItem("c", "https://127.0.0.1:6443"), policyItem("product-1", repoKey),
		roleItem("c", "product-1", "a", repoKey), roleItem("c", "product-1", "a"), roleItem("c", "product-1", "b"),
	} {
		_, err := system.Put(ctx, ownerOf(item), item, resolved(string(s.CA), reviewerToken, "1"))
		note(err)
	}
	_, err = system.Put(ctx, clusterOwner("c"), mountItem("c", "https://127.0.0.1:6443"), resolved(string(s.CA), reviewerToken, "2"))
	note(err)
	for _, set := range []plan.Set{spaceSet("product-1", "c"), spaceSet("product-1", "none"), clusterSet("c")} {
		ids, err := system.Owned(ctx, set)
		note(err)
		for _, id := range ids {
			_, err := system.Delete(ctx, set.Owner, id)
			note(err)
		}
	}
	if current := v.current(); current != nil {
		if _, err := current.client.Auth().Token().RenewSelfWithContext(ctx, 0); err != nil {
			note(denied("renew", "the session cannot be renewed"))
		}
	}
	return errors.Join(errs...)
}

// The operator's policy is sufficient, and each of its lines is necessary. The tokens
// have no other policy, not even Vault's default one.
func TestOperatorPolicyIsTheLeast(t *testing.T) {
	t.Parallel()
	s := newServer(t, "rights")
	attempt := func(rules []plan.VaultRule) error {
		var text strings.Builder
		for _, rule := range rules {
			_, _ = fmt.Fprintf(&text, "path %q { capabilities = [\"%s\"] }\n", rule.Path, strings.Join(rule.Capabilities, `", "`))
		}
		s.ask(http.MethodPut, "sys/policies/acl/tried", map[string]string{"policy": text.String()})
		answer := s.ask(http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"tried"}, "no_default_policy": true, "ttl": "1h"})
		v := s.open(func(o *Options) {
			o.Auth = config.VaultAuth{Method: config.VaultAuthToken, TokenFile: file(t, fmt.Sprint(at(answer, "auth", "client_token")))}
		})
		defer v.Close()
		return s.everything(v)
	}
	rules := parsedPolicy(t, operatorPolicy(t))
	if err := attempt(rules); err != nil {
		t.Fatalf("the policy is not enough: %v", err)
	}
	tried := 0
	for i, rule := range rules {
		if rule.Path == "sys/policies/acl/nautes-operator" {
			continue // It denies a right; see the next test.
		}
		for _, capability := range rule.Capabilities {
			less := slices.Clone(rules)
			less[i].Capabilities = slices.DeleteFunc(slices.Clone(rule.Capabilities), func(one string) bool { return one == capability })
			if len(less[i].Capabilities) == 0 {
				less = slices.Delete(less, i, i+1)
			}
			tried++
			if err := attempt(less); !errors.Is(err, secrets.ErrDenied) {
				t.Errorf("%s of %s is not needed: %v", capability, rule.Path, err)
			}
			s.sweep()
		}
	}
	if tried < 25 {
		t.Errorf("only %d rights were taken away", tried)
	}
}

// sweep removes the objects that an attempt could not remove.
func (s server) sweep() {
	s.t.Helper()
	for _, path := range []string{"sys/auth/c", "sys/policies/acl/" + secrets.PolicyName(repoKey), metadataPath(repoKey), metadataPath(secrets.ClusterKubeconfig("c"))} {
		s.ask(http.MethodDelete, path, nil)
	}
}

func TestOperatorCannotWriteItsOwnPolicy(t *testing.T) {
	t.Parallel()
	s := newServer(t, "own-policy")
	token := s.operatorToken("1h", "nautes-operator")
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		if got := s.statusFor(token, method, "sys/policies/acl/nautes-operator", map[string]string{"policy": "# none"}); got != http.StatusForbidden {
			t.Errorf("%s of its own policy: status %d", method, got)
		}
	}
	for _, path := range []string{"sys/mounts", "sys/audit", "sys/raw/core", "auth/token/accessors?list=true", "git/metadata?list=true", "git/config"} {
		if got := s.statusFor(token, http.MethodGet, path, nil); got != http.StatusForbidden {
			t.Errorf("GET %s: status %d", path, got)
		}
	}
}
