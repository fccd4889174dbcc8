package vault

import (
	"regexp"
	"strings"

	"nautes.io/nautes/internal/plan"
)

// The beginnings of the operator's marks.
const (
	markBegin = "nautes "
	// roleMarkBegin has a character that no name of a secret's policy has.
	roleMarkBegin = "nautes:"
	// roleMarkRevoking ends the mark of a role while tokens that were issued for it
	// have more rights than the role.
	roleMarkRevoking = ":revoking"
)

// unknownOwner is the holder of objects without a mark.
const unknownOwner = "an unknown owner"

// reviewerShape matches versions that can be part of a mark.
var reviewerShape = regexp.MustCompile(`^[!-~]{1,128}$`)

// mountMark returns the description of a cluster's mount. reviewer is the version
// of the token in its configuration.
func mountMark(tenant, cluster, reviewer string) string {
	return markBegin + "tenant=" + tenant + " cluster=" + cluster + " reviewer=" + reviewer
}

// policyMark returns the first line of a product's policies.
func policyMark(tenant, product string) string {
	return "# " + markBegin + "tenant=" + tenant + " product=" + product
}

// roleMark returns the policy that marks a product's roles.
func roleMark(tenant, product string) string {
	return roleMarkBegin + tenant + ":" + product
}

// marked returns the value of a key in a mark, or an empty string.
func marked(mark, key string) string {
	ours, ok := strings.CutPrefix(mark, markBegin)
	if !ok {
		return ""
	}
	for _, word := range strings.Fields(ours) {
		if value, ok := strings.CutPrefix(word, key+"="); ok {
			return value
		}
	}
	return ""
}

// holderOf describes the owner of a mark to other owners.
func holderOf(mark, tenant string) string {
	cluster, product := marked(mark, "cluster"), marked(mark, "product")
	switch owner := marked(mark, "tenant"); {
	case owner != "" && owner != tenant:
		return "the tenant " + owner
	case owner != "" && cluster != "":
		return "the cluster " + cluster
	case owner != "" && product != "":
		return "the product " + product
	}
	return unknownOwner
}

// holderOfRole describes the owner of a role, by its policies.
func holderOfRole(policies []string, tenant string) string {
	for _, policy := range policies {
		if parts := strings.Split(policy, ":"); len(parts) >= 3 && parts[0]+":" == roleMarkBegin {
			return holderOf(markBegin+"tenant="+parts[1]+" product="+parts[2], tenant)
		}
	}
	return unknownOwner
}

// ownsMounts reports whether an owner's sets hold mounts. Sets of products hold
// roles and policies.
func ownsMounts(owner plan.Owner) bool { return owner.Product == "" }
