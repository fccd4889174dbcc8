package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

const (
	// roleTTL and roleMaxTTL are the seconds after which a token of a role must be
	// renewed, and after which it ends.
	roleTTL    = 10 * 60
	roleMaxTTL = 30 * 60
	// rolePrefix is the minimum number of characters of a product's name with which
	// the names of its roles begin. Long names are cut, and end in a hash.
	rolePrefix = 32
)

// authRole holds the fields of a role that the operator sets.
type authRole struct {
	ServiceAccounts   []string `json:"bound_service_account_names"`
	Namespaces        []string `json:"bound_service_account_namespaces"`
	NamespaceSelector string   `json:"bound_service_account_namespace_selector"`
	// Policies of a token, including the mark.
	Policies []string `json:"token_policies"`
	TTL      int64    `json:"token_ttl"`
	MaxTTL   int64    `json:"token_max_ttl"`
	// Type is "service": other tokens cannot be revoked.
	Type string `json:"token_type"`
}

// wantedRole returns the role of a product.
func wantedRole(mark string, body plan.VaultRole) authRole {
	return authRole{
		ServiceAccounts: body.ServiceAccounts, Namespaces: body.Namespaces,
		Policies: append([]string{mark}, body.Policies...),
		TTL:      roleTTL, MaxTTL: roleMaxTTL, Type: "service",
	}.normal()
}

// normal returns the role with sorted lists without duplicates.
func (r authRole) normal() authRole {
	for _, names := range []*[]string{&r.ServiceAccounts, &r.Namespaces, &r.Policies} {
		*names = sets.List(sets.New(*names...))
	}
	return r
}

// ownedBy reports whether the role carries a mark, or the variant of it that says
// that tokens must be revoked.
func (r authRole) ownedBy(mark string) bool {
	return slices.Contains(r.Policies, mark) || slices.Contains(r.Policies, mark+roleMarkRevoking)
}

// granted returns the policies without marks.
func (r authRole) granted() []string {
	return slices.DeleteFunc(slices.Clone(r.Policies), func(name string) bool { return strings.HasPrefix(name, roleMarkBegin) })
}

func rolePath(mount, name string) string { return "auth/" + mount + "/role/" + name }

func roleTitle(mount, name string) string { return "the role " + name + " of the auth mount " + mount }

func checkRole(product, mount string, body plan.VaultRole) error {
	if len(body.ServiceAccounts) == 0 || len(body.Namespaces) == 0 {
		return fmt.Errorf("%s needs a service account and a namespace", roleTitle(mount, body.Name))
	}
	return errors.Join(
		checkNames("product", product),
		checkNames("role", body.Name),
		// An asterisk would let every account in.
		checkNames("service account or a namespace of a role", slices.Concat(body.ServiceAccounts, body.Namespaces)...),
		checkPolicyNames(body.Policies...),
	)
}

func (v *Vault) putRole(ctx context.Context, product, mount string, body plan.VaultRole) (changed bool, err error) {
	if err := checkRole(product, mount, body); err != nil {
		return false, err
	}
	switch in, err := v.ownMount(ctx, mount); {
	case err != nil:
		return false, err
	case !in.exists():
		return false, fmt.Errorf("the auth mount %s is not there yet: %w", mount, secrets.ErrNotFound)
	}
	found, exists, err := v.role(ctx, mount, body.Name)
	if err != nil {
		return false, err
	}
	mark := roleMark(v.o.Tenant, product)
	if exists && !found.ownedBy(mark) {
		return false, &NotOursError{Object: roleTitle(mount, body.Name), holder: ownerOfRole(found.Policies).describe(v.o.Tenant)}
	}
	want := wantedRole(mark, body)
	if equality.Semantic.DeepEqual(found, want) {
		return false, nil
	}
	if err := v.revokeLost(ctx, mount, body.Name, found, want, mark); err != nil {
		return true, err
	}
	return true, v.writeRole(ctx, mount, body.Name, want)
}

func (v *Vault) deleteRole(ctx context.Context, product, mount, name string) (deleted bool, err error) {
	if err := checkNames("role", name); err != nil {
		return false, err
	}
	found, err := v.mount(ctx, mount)
	if err != nil || !found.ownedBy(v.o.Tenant, mount) {
		return false, err
	}
	role, _, err := v.role(ctx, mount, name)
	mark := roleMark(v.o.Tenant, product)
	if err != nil || !role.ownedBy(mark) {
		return false, err
	}
	bare := role
	bare.Policies = nil
	if err := v.revokeLost(ctx, mount, name, role, bare, mark); err != nil {
		return false, err
	}
	err = v.deletePath(ctx, request{action: "remove " + roleTitle(mount, name)}, rolePath(mount, name))
	return err == nil, err
}

// mustRevoke reports whether tokens of a role have rights that the wanted role does
// not have. A policy that does not exist grants nothing.
func (v *Vault) mustRevoke(ctx context.Context, found, want authRole) (bool, error) {
	for _, name := range found.granted() {
		if slices.Contains(want.Policies, name) {
			continue
		}
		if checkPolicyNames(name) != nil {
			return true, nil
		}
		if _, found, err := v.policy(ctx, name); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// revokeLost takes the policies from a role that the wanted role does not have, and
// revokes the tokens that still have them. Until that is done, the mark of the role
// says so, for an attempt after a crash.
func (v *Vault) revokeLost(ctx context.Context, mount, name string, found, want authRole, mark string) error {
	revokes, err := v.mustRevoke(ctx, found, want)
	if err != nil || !revokes && !slices.Contains(found.Policies, mark+roleMarkRevoking) {
		return err
	}
	want.Policies = append(want.granted(), mark+roleMarkRevoking)
	if err := v.writeRole(ctx, mount, name, want.normal()); err != nil {
		return err
	}
	return v.writePath(ctx, request{action: "revoke the tokens of the auth mount " + mount, slow: true},
		"sys/leases/revoke-prefix/auth/"+mount+"/login", map[string]bool{"sync": true})
}

func (v *Vault) writeRole(ctx context.Context, mount, name string, role authRole) error {
	return v.writePath(ctx, request{action: "write " + roleTitle(mount, name)}, rolePath(mount, name), role)
}

// role returns a role of a mount.
func (v *Vault) role(ctx context.Context, mount, name string) (role authRole, exists bool, err error) {
	exists, err = v.readPath(ctx, "read "+roleTitle(mount, name), rolePath(mount, name), &role)
	return role.normal(), exists, err
}

// rolesOf returns the IDs of a product's roles of a mount. It reads only the
// roles whose names may belong to the product.
func (v *Vault) rolesOf(ctx context.Context, mount, product string) ([]plan.ID, error) {
	names, err := v.listPath(ctx, "list the roles of the auth mount "+mount, "auth/"+mount+"/role")
	if err != nil {
		return nil, err
	}
	mark := roleMark(v.o.Tenant, product)
	prefix := strings.TrimRight(product[:min(rolePrefix, len(product))], "-")
	var own []plan.ID
	for _, name := range names {
		if !strings.HasPrefix(name, prefix) || checkNames("role", name) != nil {
			continue
		}
		role, _, err := v.role(ctx, mount, name)
		if err != nil {
			return nil, err
		}
		if role.ownedBy(mark) {
			own = append(own, plan.VaultRoleID(mount, name))
		}
	}
	return own, nil
}
