package vault

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"

	"nautes.io/nautes/internal/plan"
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

// ownedBy reports whether the role carries a mark, and whether it is the variant
// that says that tokens must be revoked.
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
	// An asterisk would let every account in.
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
	if err := v.checkMount(ctx, mount); err != nil {
		return false, err
	}
	found, exists, err := v.role(ctx, mount, body.Name)
	if err != nil {
		return false, err
	}
	mark := roleMark(v.o.Tenant, product)
	owned, revoking := found.ownedBy(mark)
	if exists && !owned {
		return false, &NotOursError{
			What:   "the role " + body.Name + " of the auth mount " + mount,
			holder: holderOfRole(found.Policies, v.o.Tenant),
		}
	}
	want := wantedRole(mark, body)
	if equality.Semantic.DeepEqual(found, want) {
		return false, nil
	}
	revokes, err := v.mustRevoke(ctx, found, body.Policies)
	if err != nil {
		return false, err
	}
	if revokes || revoking {
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
	revokes, err := v.mustRevoke(ctx, role, nil)
	if err != nil {
		return false, err
	}
	if revokes || revoking {
		role.Policies = nil
		if err := v.revoke(ctx, mount, name, role, mark); err != nil {
			return false, err
		}
	}
	err = v.deletePath(ctx, request{action: "remove the role " + name + " of the auth mount " + mount}, rolePath(mount, name))
	return err == nil, err
}

// mustRevoke reports whether tokens of a role lose something when it keeps only
// some policies: a policy that does not exist grants nothing.
func (v *Vault) mustRevoke(ctx context.Context, role authRole, kept []string) (bool, error) {
	for _, name := range role.granted() {
		if slices.Contains(kept, name) {
			continue
		}
		if checkPolicyName(name) != nil {
			return true, nil
		}
		if _, found, err := v.policy(ctx, name); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// revoke takes policies from a role, and revokes the tokens that still have them.
// Until that is done, the mark of the role says so, for an attempt after a crash.
func (v *Vault) revoke(ctx context.Context, mount, name string, role authRole, mark string) error {
	role.Policies = append(role.granted(), mark+roleMarkRevoking)
	if err := v.writeRole(ctx, mount, name, role.normal()); err != nil {
		return err
	}
	return v.writePath(ctx, request{action: "revoke the tokens of the auth mount " + mount, slow: true},
		"sys/leases/revoke-prefix/auth/"+mount+"/login", map[string]bool{"sync": true})
}

func (v *Vault) writeRole(ctx context.Context, mount, name string, role authRole) error {
	return v.writePath(ctx, request{action: "write the role " + name + " of the auth mount " + mount}, rolePath(mount, name), role)
}

// role returns a role of a mount.
func (v *Vault) role(ctx context.Context, mount, name string) (role authRole, exists bool, err error) {
	exists, err = v.readPath(ctx, "read the role "+name+" of the auth mount "+mount, rolePath(mount, name), &role)
	return role.normal(), exists, err
}

// rolesOf returns the names of a product's roles of a mount. It reads only the
// roles whose names may belong to the product.
func (v *Vault) rolesOf(ctx context.Context, mount, product string) ([]string, error) {
	names, err := v.listPath(ctx, "list the roles of the auth mount "+mount, "auth/"+mount+"/role")
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
		role, _, err := v.role(ctx, mount, name)
		if err != nil {
			return nil, err
		}
		if owned, _ := role.ownedBy(mark); owned {
			own = append(own, name)
		}
	}
	return own, nil
}
