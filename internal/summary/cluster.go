package summary

import (
	"fmt"
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/snapshot"
)

// ProductIDs returns the ids of the products that a cluster names. A name
// keeps its id as long as the spec has it, so that a new product of the same
// name does not inherit the grants of another one.
func ProductIDs(snap *snapshot.Snapshot, c *v1alpha1.Cluster) map[string]string {
	ids := map[string]string{}
	resolve := func(name string) {
		if id, known := c.Status.ProductIDMap[name]; known {
			ids[name] = id
		} else if p := snap.ProductByName(name); p != nil {
			ids[name] = p.Name
		}
	}
	for _, names := range c.Spec.ReservedNamespacesAllowedProducts {
		for _, name := range names {
			resolve(name)
		}
	}
	for name := range c.Spec.ProductAllowedClusterResources {
		resolve(name)
	}
	if len(ids) == 0 {
		return nil
	}
	return ids
}

// UsedBy lists the users of a cluster, for people.
func UsedBy(snap *snapshot.Snapshot, c *v1alpha1.Cluster) []string {
	var users []string
	for _, user := range snap.UsersOf(c) {
		users = append(users, fmt.Sprintf("%s/%s/%s", user.Kind, user.Namespace, user.Name))
	}
	slices.Sort(users)
	if len(users) > maxUsers {
		users = users[:maxUsers]
	}
	return users
}

const maxUsers = 20
