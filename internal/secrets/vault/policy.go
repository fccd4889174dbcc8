package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"k8s.io/apimachinery/pkg/util/sets"

	"nautes.io/nautes/internal/plan"
)

// maxReaders limits how many policies are read at the same time to learn their owners.
const maxReaders = 4

// capabilities lists the capabilities that a rule may grant. None of them reaches
// beyond its path.
var capabilities = []string{"create", "read", "update", "patch", "delete", "list"}

// encodePolicy returns the text of a product's policy. A path may not hold a
// wildcard, a template or a quote, so that Vault reads it literally.
func encodePolicy(tenant, product string, body plan.VaultPolicy) (string, error) {
	var text strings.Builder
	text.WriteString(policyMark(tenant, product) + "\n")
	seen := map[string]bool{}
	for _, rule := range body.Rules {
		if !pathShape.MatchString(rule.Path) || seen[rule.Path] {
			return "", fmt.Errorf("the policy %s: the path %q must be given once, and hold letters, digits, dots, dashes and underscores only", body.Name, rule.Path)
		}
		seen[rule.Path] = true
		quoted := make([]string, 0, len(rule.Capabilities))
		for _, capability := range rule.Capabilities {
			if !slices.Contains(capabilities, capability) {
				return "", fmt.Errorf("the policy %s: the path %s: %q must be one of %s", body.Name, rule.Path, capability, strings.Join(capabilities, ", "))
			}
			quoted = append(quoted, `"`+capability+`"`)
		}
		_, _ = fmt.Fprintf(&text, "path %q {\n  capabilities = [%s]\n}\n", rule.Path, strings.Join(quoted, ", "))
	}
	return text.String(), nil
}

func checkPolicyNames(names ...string) error {
	for _, name := range names {
		if name == "root" || name == "default" {
			return fmt.Errorf("the policy %s is Vault's own", name)
		}
	}
	return checkNames("policy", names...)
}

func policyPath(name string) string { return "sys/policies/acl/" + name }

func (v *Vault) putPolicy(ctx context.Context, product string, body plan.VaultPolicy) (changed bool, err error) {
	if err := errors.Join(checkPolicyNames(body.Name), checkNames("product", product)); err != nil {
		return false, err
	}
	want, err := encodePolicy(v.o.Tenant, product, body)
	if err != nil {
		return false, err
	}
	text, found, err := v.policy(ctx, body.Name)
	if err != nil {
		return false, err
	}
	own := owner{v.o.Tenant, "product", product}
	if holder := ownerIn(text, policyMarkBegin); found && holder != own {
		return false, &NotOursError{Object: "the policy " + body.Name, holder: holder.describe(v.o.Tenant)}
	}
	// It is recorded before the write, which may take effect although it fails.
	v.policies.owners.Store(body.Name, own)
	if text == want {
		return false, nil
	}
	return true, v.writePath(ctx, request{action: "write the policy " + body.Name}, policyPath(body.Name), map[string]string{"policy": want})
}

func (v *Vault) deletePolicy(ctx context.Context, product, name string) (deleted bool, err error) {
	if err := checkPolicyNames(name); err != nil {
		return false, err
	}
	text, _, err := v.policy(ctx, name)
	if err == nil && ownerIn(text, policyMarkBegin) == (owner{v.o.Tenant, "product", product}) {
		deleted, err = true, v.deletePath(ctx, request{action: "remove the policy " + name}, policyPath(name))
	}
	if err != nil {
		return false, err
	}
	v.policies.owners.Delete(name)
	return deleted, nil
}

// policy returns the text of a policy.
func (v *Vault) policy(ctx context.Context, name string) (text string, found bool, err error) {
	var policy struct {
		Policy string `json:"policy"`
	}
	found, err = v.readPath(ctx, "read the policy "+name, policyPath(name), &policy)
	return policy.Policy, found, err
}

// policies remembers the owners of policies by name, since Vault lists only the
// names. It only says where to look: the mark of a policy is read again before it
// is removed.
type policies struct {
	// turn is held while the memory is brought up to date.
	turn *semaphore.Weighted
	// owners maps the name of a policy to its owner.
	owners sync.Map
}

// policiesOf returns the IDs of a product's policies in order. It reads only
// policies whose owner is not known yet.
func (v *Vault) policiesOf(ctx context.Context, product string) ([]plan.ID, error) {
	if err := v.policies.turn.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer v.policies.turn.Release(1)
	names, err := v.listPath(ctx, "list the policies", "sys/policies/acl")
	if err != nil {
		return nil, err
	}
	readers, readCtx := errgroup.WithContext(ctx)
	readers.SetLimit(maxReaders)
	for _, name := range names {
		if _, known := v.policies.owners.Load(name); known || name == "root" {
			continue
		}
		readers.Go(func() error {
			text, found, err := v.policy(readCtx, name)
			if found {
				v.policies.owners.Store(name, ownerIn(text, policyMarkBegin))
			}
			return err
		})
	}
	if err := readers.Wait(); err != nil {
		return nil, err
	}
	var own []plan.ID
	existing := sets.New(names...)
	v.policies.owners.Range(func(name, holder any) bool {
		switch {
		case !existing.Has(name.(string)):
			v.policies.owners.Delete(name)
		case holder == owner{v.o.Tenant, "product", product}:
			own = append(own, plan.VaultPolicyID(name.(string)))
		}
		return true
	})
	slices.SortFunc(own, plan.ID.Compare)
	return own, nil
}
