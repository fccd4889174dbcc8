package vault

import (
	"regexp"
	"strings"

	"nautes.io/nautes/internal/plan"
)

// The beginnings of our marks.
const (
	markBegin = "nautes "
	// roleMarkBegin has a character that no policy of a secret has in its name.
	roleMarkBegin = "nautes:"
	// roleMarkRevoking ends the mark of a role while the tokens that were given
	// out for it have more rights than it has.
	roleMarkRevoking = ":revoking"
)

const somebodyElse = "somebody else"

// reviewerShape is a version that can be a part of a mark as it is.
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

// roleMark returns the policy that a product's roles bear.
func roleMark(tenant, product string) string {
	return roleMarkBegin + tenant + ":" + product
}

// marked returns what a mark says under a key; empty when it says nothing.
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

// holderOf says whose a mark is, to another than its owner.
func holderOf(mark, tenant string) string {
	cluster, product := marked(mark, "cluster"), marked(mark, "product")
	switch {
	case marked(mark, "tenant") == "":
		return somebodyElse
	case marked(mark, "tenant") != tenant:
		return "the tenant " + marked(mark, "tenant")
	case cluster != "":
		return "the cluster " + cluster
	case product != "":
		return "the product " + product
	}
	return somebodyElse
}

// holderOfRole says whose a role is, by its policies.
func holderOfRole(policies []string, tenant string) string {
	for _, policy := range policies {
		if parts := strings.Split(policy, ":"); len(parts) >= 3 && parts[0]+":" == roleMarkBegin {
			return holderOf(markBegin+"tenant="+parts[1]+" product="+parts[2], tenant)
		}
	}
	return somebodyElse
}

// ownsMounts tells whether an owner's sets hold mounts; those of products hold
// roles and policies.
func ownsMounts(owner plan.Owner) bool { return owner.Product == "" }
