package vault

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// System manages the access of clusters' accounts to secrets: plans for
// plan.TargetVault are applied to it. It is safe for concurrent use.
type System struct{ v *Vault }

// System returns the Vault as a system that plans are applied to.
func (v *Vault) System() *System { return &System{v} }

// UID identifies the Vault by its address and namespace.
func (s *System) UID() string { return s.v.o.Address + "#" + s.v.o.Namespace }

// Kinds describes the items in Vault. Policies are revoked first, since that
// takes effect for accounts that are logged in, and then roles. The roles of all
// products live in the mount of a cluster.
func (s *System) Kinds() []plan.SystemKind {
	return []plan.SystemKind{
		{Group: plan.GroupVault, Kind: plan.KindVaultPolicy, Stage: plan.StageConfig, Revoke: true},
		{Group: plan.GroupVault, Kind: plan.KindVaultRole, Stage: plan.StageWorkload, Revoke: true},
		{Group: plan.GroupVault, Kind: plan.KindVaultMount, Stage: plan.StageConfig, Container: true},
	}
}

// resolver returns the value that a body refers to, and the version of its secret.
type resolver = func(plan.SecretValue) (secrets.Value, string, error)

// Owned lists the objects of the set's owner: the mount of a cluster, if it is the
// set's target, or the roles of a product in that mount, and its policies, which
// belong to no mount. An error is not an empty list.
func (s *System) Owned(ctx context.Context, set plan.Set) ([]plan.ID, error) {
	mount := set.Target.Name
	found, err := s.v.mount(ctx, mount)
	if err != nil {
		return nil, err
	}
	if ownsMounts(set.Owner) {
		if found.ownedBy(s.v.o.Tenant, set.Owner.Name) {
			return []plan.ID{plan.VaultMountID(mount)}, nil
		}
		return nil, nil
	}
	var roles []plan.ID
	// A mount of another owner holds none of our roles.
	if found.ownedBy(s.v.o.Tenant, mount) {
		if roles, err = s.v.rolesOf(ctx, mount, set.Owner.Product); err != nil {
			return nil, err
		}
	}
	policies, err := s.v.policiesOf(ctx, set.Owner.Product)
	if err != nil {
		return nil, err
	}
	return append(roles, policies...), nil
}

// Put makes an item as intended and marks it with the owner. It returns a
// *NotOursError if an object without the owner's mark is in its place, and an error
// that wraps secrets.ErrNotFound if the mount of a role is not there.
//
// When a role loses a policy that exists, all tokens of its mount are revoked:
// Vault cannot revoke the tokens of one role. Their users log in again.
func (s *System) Put(ctx context.Context, owner plan.Owner, item plan.Item, resolve resolver) (changed bool, err error) {
	switch body := item.Body.(type) {
	case plan.VaultMount:
		if item.ID == plan.VaultMountID(body.Path) && ownsMounts(owner) && body.Path == owner.Name {
			return s.v.putMount(ctx, body, resolve)
		}
	case plan.VaultPolicy:
		if item.ID == plan.VaultPolicyID(body.Name) && !ownsMounts(owner) {
			return s.v.putPolicy(ctx, owner.Product, body)
		}
	case plan.VaultRole:
		if item.ID == plan.VaultRoleID(item.ID.Namespace, body.Name) && !ownsMounts(owner) {
			return s.v.putRole(ctx, owner.Product, item.ID.Namespace, body)
		}
	}
	return false, fmt.Errorf("the plan of %s is wrong: Vault cannot make a %T of that name for %s", item.ID, item.Body, owner)
}

// Delete removes the object with the ID, if it carries the owner's mark, and
// revokes tokens that were issued for it. Otherwise it changes nothing and returns
// false.
func (s *System) Delete(ctx context.Context, owner plan.Owner, id plan.ID) (deleted bool, err error) {
	switch {
	case id == plan.VaultMountID(id.Name) && ownsMounts(owner):
		return s.v.deleteMount(ctx, owner.Name, id.Name)
	case id == plan.VaultPolicyID(id.Name) && !ownsMounts(owner):
		return s.v.deletePolicy(ctx, owner.Product, id.Name)
	case id == plan.VaultRoleID(id.Namespace, id.Name) && !ownsMounts(owner):
		return s.v.deleteRole(ctx, owner.Product, id.Namespace, id.Name)
	}
	return false, nil
}

// nameShape matches names of clusters, products, roles and policies. It excludes
// every character with a meaning in a URL or in a policy, and capitals, which Vault
// does not keep.
var nameShape = regexp.MustCompile(`^[a-z0-9][-._a-z0-9]{0,252}$`)

func checkNames(kind string, names ...string) error {
	var errs []error
	for _, name := range names {
		if !nameShape.MatchString(name) {
			errs = append(errs, fmt.Errorf("the name %q of a %s is not valid in Vault: it may hold lower-case letters, digits, dots, dashes and underscores", name, kind))
		}
	}
	return errors.Join(errs...)
}
