package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// This file is the only maker of names. What lives in a namespace that products
// share carries the product's id, and no two tuples have one name: a plain join
// is used only where it can be taken apart again, anything else ends in a hash
// of the tuple, and no plain join looks as if it did.

const (
	// maxName is the longest name that is good for every kind and label.
	maxName = 63
	// hashLength is the number of hexadecimal digits of a hash.
	hashLength = 10

	productPrefix = "product-"

	// groupBinding is the RoleBinding of the product's group.
	groupBinding = "nautes-product"
	// accountBindingPrefix begins the RoleBindings of accounts.
	accountBindingPrefix = "nautes-account-"
)

// ApplicationName returns the name of a runtime's Argo CD Application.
func ApplicationName(product, runtime string) string { return qualified(product, runtime) }

// RepositoryName returns the name of the Secret that tells Argo CD of a code
// repository.
func RepositoryName(product, repo string) string { return qualified(product, repo) }

// accountBinding returns the name of the RoleBinding of an account.
func accountBinding(account string) string {
	return unique(accountBindingPrefix+account, true, account)
}

// qualified joins a product's id and a name of the product's.
func qualified(product, name string) string {
	id, found := strings.CutPrefix(product, productPrefix)
	// With a dash in the id, product-a-b + c would be product-a + b-c.
	splits := found && id != "" && !strings.Contains(id, "-")
	return unique(product+"-"+name, splits, product, name)
}

// unique returns the joined name as it is when it can be told from every other
// one, else a name with a hash of the parts.
func unique(joined string, splits bool, parts ...string) string {
	if splits && len(joined) <= maxName && !endsInHash(joined) {
		return joined
	}
	sum := sha256.New()
	for _, part := range parts {
		// The lengths keep ("ab", "c") and ("a", "bc") apart. A hash never
		// fails to take more.
		_, _ = fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	short := joined[:min(len(joined), maxName-hashLength-1)]
	return strings.TrimRight(short, "-") + "-" + hex.EncodeToString(sum.Sum(nil))[:hashLength]
}

// endsInHash tells whether a name ends as those with a hash do.
func endsInHash(name string) bool {
	at := len(name) - hashLength
	return at > 0 && name[at-1] == '-' && strings.Trim(name[at:], "0123456789abcdef") == ""
}
