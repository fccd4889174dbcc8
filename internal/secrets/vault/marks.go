package vault

import (
	"regexp"
	"strings"

	"nautes.io/nautes/internal/plan"
)

// The beginnings of the operator's marks.
const (
	mountMarkBegin  = "nautes "
	policyMarkBegin = "# nautes "
	// roleMarkBegin has a character that no name of a secret's policy has.
	roleMarkBegin = "nautes:"
	// roleMarkRevoking ends the mark of a role while tokens that were issued for it
	// have more rights than the role.
	roleMarkRevoking = ":revoking"
)

// markShape matches the owner in the marks of mounts and policies.
var markShape = regexp.MustCompile(`^tenant=(\S+) (cluster|product)=(\S+)`)

// reviewerShape matches versions that can be part of a mark.
var reviewerShape = regexp.MustCompile(`^[!-~]{1,128}$`)

// mountMark returns the description of a cluster's mount. reviewer is the version
// of the token in its configuration.
func mountMark(tenant, cluster, reviewer string) string {
	return mountMarkBegin + "tenant=" + tenant + " cluster=" + cluster + " reviewer=" + reviewer
}

// policyMark returns the first line of a product's policies.
func policyMark(tenant, product string) string {
	return policyMarkBegin + "tenant=" + tenant + " product=" + product
}

// roleMark returns the policy that marks a product's roles.
func roleMark(tenant, product string) string {
	return roleMarkBegin + tenant + ":" + product
}

// owner is the owner in a mark. The zero value means that there is no mark.
type owner struct {
	tenant string
	// kind is cluster or product, and name is its name.
	kind, name string
}

// ownerIn returns the owner in a text that begins with the mark of a mount or of a
// policy.
func ownerIn(text, markBegin string) owner {
	mark, ok := strings.CutPrefix(text, markBegin)
	found := markShape.FindStringSubmatch(mark)
	if !ok || found == nil {
		return owner{}
	}
	return owner{tenant: found[1], kind: found[2], name: found[3]}
}

// ownerOfRole returns the owner in the policies of a role.
func ownerOfRole(policies []string) owner {
	for _, policy := range policies {
		if parts := strings.Split(policy, ":"); len(parts) >= 3 && parts[0]+":" == roleMarkBegin {
			return owner{tenant: parts[1], kind: "product", name: parts[2]}
		}
	}
	return owner{}
}

// describe describes the owner to owners of a tenant.
func (o owner) describe(tenant string) string {
	switch o.tenant {
	case "":
		return "an unknown owner"
	case tenant:
		return "the " + o.kind + " " + o.name
	}
	return "the tenant " + o.tenant
}

// ownsMounts reports whether an owner's sets hold mounts. Sets of products hold
// roles and policies.
func ownsMounts(owner plan.Owner) bool { return owner.Product == "" }
