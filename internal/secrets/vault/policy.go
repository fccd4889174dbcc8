package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"nautes.io/nautes/internal/plan"
)

// maxReaders is how many policies are read at the same time to learn whose they are.
const maxReaders = 4

// capabilities that a rule may give. None of them reaches beyond its path.
var capabilities = []string{"create", "read", "update", "patch", "delete", "list"}

// encodePolicy returns the text of a product's policy. Every path that it takes
// means itself in Vault, and in its language: it may not hold a wildcard, a
// template or a quote.
func encodePolicy(tenant, product string, body plan.VaultPolicy) (string, error) {
	var text strings.Builder
	text.WriteString(policyMark(tenant, product) + "\n")
	seen := map[string]bool{}
	for _, rule := range body.Rules {
		if !pathShape.MatchString(rule.Path) || seen[rule.Path] {
			return "", fmt.Errorf("the policy %s: the path %q must be given once, and hold letters, digits, dots, dashes and underscores only", body.Name, rule.Path)
		}
		seen[rule.Path] = true
		for _, capability := range rule.Capabilities {
			if !slices.Contains(capabilities, capability) {
				return "", fmt.Errorf("the policy %s: the path %s: %q must be one of %s", body.Name, rule.Path, capability, strings.Join(capabilities, ", "))
			}
		}
		_, _ = fmt.Fprintf(&text, "path %q {\n  capabilities = [", rule.Path)
		for i, capability := range rule.Capabilities {
			if i > 0 {
				text.WriteString(", ")
			}
			_, _ = fmt.Fprintf(&text, "%q", capability)
		}
		text.WriteString("]\n}\n")
	}
	return text.String(), nil
}

// headerOf returns the mark that a policy begins with; empty when it has none.
func headerOf(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	mark, ok := strings.CutPrefix(line, "# ")
	if !ok || !strings.HasPrefix(mark, markBegin) {
		return ""
	}
	return mark
}

// ownerOf returns the product of ours that a policy belongs to; empty when it
// belongs to none.
func (v *Vault) ownerOf(text string) string {
	mark := headerOf(text)
	if marked(mark, "tenant") != v.o.Tenant {
		return ""
	}
	return marked(mark, "product")
}

func checkPolicyName(name string) error {
	if name == "root" || name == "default" {
		return fmt.Errorf("the policy %s is Vault's own", name)
	}
	return checkName("policy", name)
}

func (v *Vault) putPolicy(ctx context.Context, product string, body plan.VaultPolicy) (changed bool, err error) {
	if err := checkPolicyName(body.Name); err != nil {
		return false, err
	}
	if err := checkName("product", product); err != nil {
		return false, err
	}
	want, err := encodePolicy(v.o.Tenant, product, body)
	if err != nil {
		return false, err
	}
	text, found, err := v.policy(ctx, body.Name)
	switch {
	case err != nil:
		return false, err
	case found && v.ownerOf(text) != product:
		return false, &NotOursError{What: "the policy " + body.Name, holder: holderOf(headerOf(text), v.o.Tenant)}
	case found && text == want:
		v.policies.set(body.Name, product)
		return false, nil
	}
	// Whether it arrives or not, it is to be looked for.
	v.policies.set(body.Name, product)
	return true, v.write0(ctx, "write the policy "+body.Name, "sys/policies/acl/"+body.Name, map[string]string{"policy": want})
}

func (v *Vault) deletePolicy(ctx context.Context, product, name string) (deleted bool, err error) {
	if err := checkPolicyName(name); err != nil {
		return false, err
	}
	text, found, err := v.policy(ctx, name)
	if err != nil {
		return false, err
	}
	if !found || v.ownerOf(text) != product {
		v.policies.drop(name)
		return false, nil
	}
	if _, err := v.do(ctx, request{what: "remove the policy " + name, verb: remove, path: "sys/policies/acl/" + name}); err != nil {
		return false, err
	}
	v.policies.drop(name)
	return true, nil
}

// policy returns the text of a policy.
func (v *Vault) policy(ctx context.Context, name string) (text string, found bool, err error) {
	r := request{what: "read the policy " + name, verb: read, path: "sys/policies/acl/" + name}
	answer, err := v.do(ctx, r)
	if err != nil || answer.Missing {
		return "", false, err
	}
	var policy struct {
		Policy string `json:"policy"`
	}
	err = answer.into(r, &policy)
	return policy.Policy, err == nil, err
}

// policies remembers whose the policies are, by their names: Vault lists no more
// than these. It is a memory of where to look; before a policy is removed its
// mark is read again.
type policies struct {
	// turn is held by the one who brings it up to date.
	turn chan struct{}

	mu sync.Mutex
	// owners holds an empty name for those that are not ours.
	owners map[string]string
}

func (p *policies) set(name, product string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owners[name] = product
}

func (p *policies) drop(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.owners, name)
}

// missing returns those that are not known, and forgets those that have gone.
func (p *policies) missing(names []string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	there := map[string]bool{}
	var missing []string
	for _, name := range names {
		there[name] = true
		if _, ok := p.owners[name]; !ok {
			missing = append(missing, name)
		}
	}
	for name := range p.owners {
		if !there[name] {
			delete(p.owners, name)
		}
	}
	return missing
}

// of returns the names of a product's policies, in their order.
func (p *policies) of(product string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for name, owner := range p.owners {
		if owner == product {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// policiesOf returns the names of a product's policies.
func (v *Vault) policiesOf(ctx context.Context, product string) ([]string, error) {
	select {
	case v.policies.turn <- struct{}{}:
		defer func() { <-v.policies.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	names, err := v.names(ctx, "list the policies", "sys/policies/acl")
	if err != nil {
		return nil, err
	}
	if err := v.readOwners(ctx, v.policies.missing(names)); err != nil {
		return nil, err
	}
	return v.policies.of(product), nil
}

// readOwners reads whose policies are, until the first error.
func (v *Vault) readOwners(ctx context.Context, names []string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	work := make(chan string)
	var readers sync.WaitGroup
	for range min(maxReaders, len(names)) {
		readers.Go(func() {
			for name := range work {
				text, found, err := v.policy(ctx, name)
				switch {
				case err != nil:
					cancel(err)
				case found:
					v.policies.set(name, v.ownerOf(text))
				}
			}
		})
	}
	for _, name := range names {
		if name != "root" && ctx.Err() == nil {
			work <- name
		}
	}
	close(work)
	readers.Wait()
	return context.Cause(ctx)
}

// names lists the names at a path; none when there is nothing.
func (v *Vault) names(ctx context.Context, what, path string) ([]string, error) {
	r := request{what: what, verb: list, path: path}
	answer, err := v.do(ctx, r)
	if err != nil || answer.Missing {
		return nil, err
	}
	var listed struct {
		Keys []string `json:"keys"`
	}
	err = answer.into(r, &listed)
	return listed.Keys, err
}
