package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"nautes.io/nautes/internal/plan"
)

const (
	// roleTTL and roleMaxTTL are how many seconds a token of a role is good for,
	// before it must be renewed, and at all.
	roleTTL    = 10 * 60
	roleMaxTTL = 30 * 60
	// rolePrefix is how much of a product's name the names of its roles begin
	// with at least; long names are cut, and end in a hash.
	rolePrefix = 32
)

// authRole holds those fields of a role that we set.
type authRole struct {
	ServiceAccounts   []string `json:"bound_service_account_names"`
	Namespaces        []string `json:"bound_service_account_namespaces"`
	NamespaceSelector string   `json:"bound_service_account_namespace_selector"`
	// Policies of a token, among them the mark.
	Policies []string `json:"token_policies"`
	TTL      int64    `json:"token_ttl"`
	MaxTTL   int64    `json:"token_max_ttl"`
	// Type service has tokens that can be revoked.
	Type string `json:"token_type"`
}

// normal returns the role with its lists in order, each name once.
func (r authRole) normal() authRole {
	for _, names := range []*[]string{&r.ServiceAccounts, &r.Namespaces, &r.Policies} {
		sorted := slices.Clone(*names)
		slices.Sort(sorted)
		*names = slices.Compact(sorted)
	}
	return r
}

func (r authRole) is(other authRole) bool {
	return slices.Equal(r.ServiceAccounts, other.ServiceAccounts) && slices.Equal(r.Namespaces, other.Namespaces) &&
		slices.Equal(r.Policies, other.Policies) && r.NamespaceSelector == other.NamespaceSelector &&
		r.TTL == other.TTL && r.MaxTTL == other.MaxTTL && r.Type == other.Type
}

// ownedBy tells whether the role bears a mark, and whether it is the one that
// says that tokens have to end.
func (r authRole) ownedBy(mark string) (owned, revoking bool) {
	revoking = slices.Contains(r.Policies, mark+roleMarkRevoking)
	return revoking || slices.Contains(r.Policies, mark), revoking
}

// granted returns the policies without marks.
func (r authRole) granted() []string {
	return slices.DeleteFunc(slices.Clone(r.Policies), func(name string) bool { return strings.HasPrefix(name, roleMarkBegin) })
}

func rolePath(mount, name string) string { return "auth/" + mount + "/role/" + name }

func checkRole(product, mount string, body plan.VaultRole) error {
	if err := checkNames("role", []string{product, body.Name}); err != nil {
		return err
	}
	if len(body.ServiceAccounts) == 0 || len(body.Namespaces) == 0 {
		return fmt.Errorf("the role %s of the auth mount %s needs a service account and a namespace", body.Name, mount)
	}
	// A star would let everybody in.
	if err := checkNames("service account or a namespace of a role", slices.Concat(body.ServiceAccounts, body.Namespaces)); err != nil {
		return err
	}
	for _, policy := range body.Policies {
		if err := checkPolicyName(policy); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) putRole(ctx context.Context, product, mount string, body plan.VaultRole) (changed bool, err error) {
	if err := checkRole(product, mount, body); err != nil {
		return false, err
	}
	if err := v.ourMount(ctx, mount); err != nil {
		return false, err
	}
	found, exists, err := v.role(ctx, mount, body.Name)
	if err != nil {
		return false, err
	}
	mark := roleMark(v.o.Tenant, product)
	owned, revoking := found.ownedBy(mark)
	if exists && !owned {
		return false, v.foreignRole(mount, body.Name, found)
	}
	want := authRole{
		ServiceAccounts: body.ServiceAccounts, Namespaces: body.Namespaces,
		Policies: append([]string{mark}, body.Policies...),
		TTL:      roleTTL, MaxTTL: roleMaxTTL, Type: "service",
	}.normal()
	if found.is(want) {
		return false, nil
	}
	loses := slices.DeleteFunc(found.granted(), func(name string) bool { return slices.Contains(body.Policies, name) })
	if revokes, err := v.anyExists(ctx, loses); err != nil {
		return false, err
	} else if revokes || revoking {
		if err := v.revoke(ctx, mount, body.Name, want, mark); err != nil {
			return true, err
		}
	}
	return true, v.writeRole(ctx, mount, body.Name, want)
}

func (v *Vault) deleteRole(ctx context.Context, product, mount, name string) (deleted bool, err error) {
	if err := checkNames("role", []string{mount, name}); err != nil {
		return false, err
	}
	found, err := v.mount(ctx, mount)
	if err != nil || !found.ownedBy(v.o.Tenant, mount) {
		return false, err
	}
	role, exists, err := v.role(ctx, mount, name)
	if err != nil || !exists {
		return false, err
	}
	mark := roleMark(v.o.Tenant, product)
	owned, revoking := role.ownedBy(mark)
	if !owned {
		return false, nil
	}
	if revokes, err := v.anyExists(ctx, role.granted()); err != nil {
		return false, err
	} else if revokes || revoking {
		role.Policies = []string{mark}
		if err := v.revoke(ctx, mount, name, role, mark); err != nil {
			return false, err
		}
	}
	_, err = v.do(ctx, request{what: "remove the role " + name + " of the auth mount " + mount, verb: remove, path: rolePath(mount, name)})
	return err == nil, err
}

// revoke takes from a role what it may not any longer, and ends the tokens that
// have it still. Until that is done the mark of the role says so.
func (v *Vault) revoke(ctx context.Context, mount, name string, role authRole, mark string) error {
	role.Policies = append(role.granted(), mark+roleMarkRevoking)
	if err := v.writeRole(ctx, mount, name, role.normal()); err != nil {
		return err
	}
	_, err := v.do(ctx, request{
		what: "end the tokens of the auth mount " + mount, verb: write,
		path: "sys/leases/revoke-prefix/auth/" + mount + "/login", body: map[string]bool{"sync": true}, slow: true,
	})
	return err
}

func (v *Vault) writeRole(ctx context.Context, mount, name string, role authRole) error {
	return v.write0(ctx, "write the role "+name+" of the auth mount "+mount, rolePath(mount, name), role)
}

// anyExists tells whether one of the policies is there. Of one that is not,
// tokens have nothing.
func (v *Vault) anyExists(ctx context.Context, policies []string) (bool, error) {
	for _, name := range policies {
		if checkPolicyName(name) != nil {
			return true, nil
		}
		if _, found, err := v.policy(ctx, name); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// role returns a role of a mount.
func (v *Vault) role(ctx context.Context, mount, name string) (role authRole, exists bool, err error) {
	r := request{what: "read the role " + name + " of the auth mount " + mount, verb: read, path: rolePath(mount, name)}
	answer, err := v.do(ctx, r)
	if err != nil || answer.Missing {
		return authRole{}, false, err
	}
	if err := answer.into(r, &role); err != nil {
		return authRole{}, false, err
	}
	return role.normal(), true, nil
}

func (v *Vault) foreignRole(mount, name string, role authRole) error {
	return &NotOursError{
		What:   "the role " + name + " of the auth mount " + mount,
		holder: holderOfRole(role.Policies, v.o.Tenant),
	}
}

// rolesOf returns the names of a product's roles of a mount. Only those are read
// whose names may be the product's.
func (v *Vault) rolesOf(ctx context.Context, mount, product string) ([]string, error) {
	names, err := v.names(ctx, "list the roles of the auth mount "+mount, "auth/"+mount+"/role")
	if err != nil {
		return nil, err
	}
	mark := roleMark(v.o.Tenant, product)
	prefix := strings.TrimRight(product[:min(rolePrefix, len(product))], "-")
	var own []string
	for _, name := range names {
		if !strings.HasPrefix(name, prefix) || checkName("role", name) != nil {
			continue
		}
		role, exists, err := v.role(ctx, mount, name)
		if err != nil {
			return nil, err
		}
		if owned, _ := role.ownedBy(mark); exists && owned {
			own = append(own, name)
		}
	}
	return own, nil
}
