package vault

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/secrets"
)

// System is what in Vault lets accounts of clusters read secrets: a system that
// plans for plan.TargetVault are applied to. It is safe for concurrent use.
type System struct{ v *Vault }

// System returns the Vault as a system that plans are applied to.
func (v *Vault) System() *System { return &System{v} }

// UID identifies the Vault: its address and namespace.
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

// resolver returns the value that a body asks for, and the version of its secret.
type resolver = func(plan.SecretValue) (secrets.Value, string, error)

// Owned lists what the set's owner has in Vault: a cluster its mount, if that is
// the set's target, and a product its roles of that mount and its policies, which
// belong to no mount. An error is not an empty list.
func (s *System) Owned(ctx context.Context, set plan.Set) ([]plan.ID, error) {
	mount := set.Target.Name
	if err := checkName("mount", mount); err != nil {
		return nil, err
	}
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
	var ids []plan.ID
	// In a mount that is not ours no role is.
	if found.ownedBy(s.v.o.Tenant, mount) {
		roles, err := s.v.rolesOf(ctx, mount, set.Owner.Product)
		if err != nil {
			return nil, err
		}
		for _, role := range roles {
			ids = append(ids, plan.VaultRoleID(mount, role))
		}
	}
	policies, err := s.v.policiesOf(ctx, set.Owner.Product)
	if err != nil {
		return nil, err
	}
	for _, policy := range policies {
		ids = append(ids, plan.VaultPolicyID(policy))
	}
	return ids, nil
}

// Put makes one item as it is intended and marks it with the owner. It returns a
// *NotOursError when something that does not bear the owner's mark is in its
// place, and an error that wraps secrets.ErrNotFound when the mount of a role is
// not there.
//
// Where a role loses a policy that exists, all tokens of its mount end: nothing
// in Vault tells those of a role apart. Who used one logs in again.
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

// Delete removes what has the ID, if it is there and bears the owner's mark;
// otherwise it changes nothing and returns false. Tokens that were given out for
// what is removed end.
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

// nameShape is that of the names of clusters, products, roles and policies. It
// leaves out all that means something in a URL or in a policy, and capitals,
// which Vault does not keep.
var nameShape = regexp.MustCompile(`^[a-z0-9][-._a-z0-9]{0,252}$`)

func checkName(kind, name string) error {
	if !nameShape.MatchString(name) {
		return fmt.Errorf("the name %q cannot be that of a %s in Vault: it may hold lower-case letters, digits, dots, dashes and underscores", name, kind)
	}
	return nil
}

func checkNames(kind string, names []string) error {
	errs := make([]error, 0, len(names))
	for _, name := range names {
		errs = append(errs, checkName(kind, name))
	}
	return errors.Join(errs...)
}
