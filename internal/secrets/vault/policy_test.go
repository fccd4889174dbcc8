package vault

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl"
	"github.com/hashicorp/hcl/hcl/ast"

	"nautes.io/nautes/internal/plan"
)

// parsedPolicy reads a policy with the parser that Vault uses.
func parsedPolicy(t testing.TB, text string) []plan.VaultRule {
	t.Helper()
	root, err := hcl.Parse(text)
	if err != nil {
		t.Fatalf("Vault cannot read it: %v\n%s", err, text)
	}
	list, ok := root.Node.(*ast.ObjectList)
	if !ok {
		t.Fatalf("it holds no objects: %s", text)
	}
	var rules []plan.VaultRule
	for _, item := range list.Items {
		if len(item.Keys) != 2 || item.Keys[0].Token.Value() != "path" {
			t.Fatalf("it holds something else than paths: %s", text)
		}
		var body map[string]any
		if err := hcl.DecodeObject(&body, item.Val); err != nil {
			t.Fatal(err)
		}
		rule := plan.VaultRule{Path: item.Keys[1].Token.Value().(string)}
		for key, value := range body {
			if key != "capabilities" {
				t.Fatalf("a path has a %q: %s", key, text)
			}
			for _, one := range value.([]any) {
				rule.Capabilities = append(rule.Capabilities, one.(string))
			}
		}
		rules = append(rules, rule)
	}
	return rules
}

// For any rules, Vault reads exactly these rules from the text, or there is no text.
func FuzzPolicy(f *testing.F) {
	for _, seed := range [][4]string{
		{"git/data/gitlab/repo-1/default/readonly", "read", "git/data/a", "list"},
		{`git/data/a" { capabilities = ["sudo"] } path "sys/*`, "read", "a", `read", "sudo`},
		{"git/data/${file(\"/etc/passwd\")}", "read", "a\nb", "read"},
		{"git/data/*", "read", "git/+/a", "sudo"}, {"{{identity.entity.id}}", "deny", "", ""}, {`a\`, "read", "a//b", "root"}, {"a", "read", "a", "read"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	f.Fuzz(func(t *testing.T, path, capability, other, another string) {
		want := []plan.VaultRule{
			{Path: path, Capabilities: []string{capability}},
			{Path: other, Capabilities: []string{another, "read"}},
		}
		text, err := encodePolicy(tenant, "product-1", plan.VaultPolicy{Name: "p", Rules: want})
		if err != nil {
			return
		}
		if diff := cmp.Diff(want, parsedPolicy(t, text)); diff != "" {
			t.Errorf("Vault reads something else (-want +got):\n%s", diff)
		}
		if ownerIn(text, policyMarkBegin) != (owner{tenant, "product", "product-1"}) {
			t.Errorf("it has no mark: %s", text)
		}
		for _, rule := range want {
			if strings.ContainsAny(rule.Path, "*+{}\"\\$") || strings.Contains(rule.Path, "..") {
				t.Errorf("a path may mean more than itself: %q", rule.Path)
			}
			for _, one := range rule.Capabilities {
				if !slices.Contains([]string{"create", "read", "update", "patch", "delete", "list"}, one) {
					t.Errorf("a capability reaches beyond its path: %q", one)
				}
			}
		}
	})
}

func TestEncodePolicy(t *testing.T) {
	t.Parallel()
	rules := []plan.VaultRule{
		{Path: "git/data/gitlab/repo_1.x/default/readonly", Capabilities: []string{"read"}},
		{Path: "git/metadata/A", Capabilities: []string{"read", "list"}},
		{Path: "git/data/none"},
	}
	text, err := encodePolicy(tenant, "product-1", plan.VaultPolicy{Name: "p", Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rules, parsedPolicy(t, text)); diff != "" {
		t.Errorf("Vault reads something else (-want +got):\n%s", diff)
	}
}

// The owners of policies are read once. A policy that this operator has written needs
// no read, and a policy that it has removed is read again.
func TestOwnersOfPoliciesAreRemembered(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	v := f.open(t)
	item := policyItem("product-1", repoKey)
	f.set("sys/auth/c", ourMount("c"))
	steps := []struct {
		name      string
		do        func() error
		wantOwned []plan.ID
		wantReads int // of the policy
	}{
		{name: "written", do: func() error {
			_, err := v.System().Put(t.Context(), ownerOf(item), item, nil)
			return err
		}, wantOwned: []plan.ID{item.ID}},
		{name: "removed", do: func() error {
			_, err := v.System().Delete(t.Context(), ownerOf(item), item.ID)
			return err
		}},
		{name: "created by another product", do: func() error {
			f.set(policyPath1, ourPolicy("product-2"))
			return nil
		}, wantReads: 1},
		{name: "marked for this product after a Delete", do: func() error {
			deleted, err := v.System().Delete(t.Context(), ownerOf(item), item.ID)
			if deleted {
				t.Error("a policy of another product is removed")
			}
			f.set(policyPath1, ourPolicy("product-1"))
			return err
		}, wantOwned: []plan.ID{item.ID}, wantReads: 1},
		{name: "removed by another client", do: func() error {
			f.set(policyPath1, nil)
			return nil
		}},
		{name: "created again by another product", do: func() error {
			f.set(policyPath1, ourPolicy("product-2"))
			return nil
		}, wantReads: 1},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		f.record(0, 0)
		owned, err := v.System().Owned(t.Context(), spaceSet("product-1", "c"))
		if diff := cmp.Diff(step.wantOwned, owned); diff != "" || err != nil {
			t.Errorf("%s: owned (-want +got), %v:\n%s", step.name, err, diff)
		}
		reads := slices.DeleteFunc(f.record(0, 0), func(request string) bool { return request != "GET "+policyPath1 })
		if len(reads) != step.wantReads {
			t.Errorf("%s: the policy is read %d times, want %d", step.name, len(reads), step.wantReads)
		}
	}
}

// A caller that gives up while another one reads the policies takes no turn.
func TestCallersWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	v := newFake(t).open(t)
	if !v.policies.turn.TryAcquire(1) {
		t.Fatal("the turn is taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.policiesOf(ctx, "product-1"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has given up: %v", err)
	}
	if v.policies.turn.TryAcquire(1) {
		t.Error("it ends the turn of another caller")
	}
}
