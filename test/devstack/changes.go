package devstack

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// The ways in which a stored object changes.
const (
	Created  = "created"
	Updated  = "updated"
	Deleted  = "deleted"
	Replaced = "replaced"
)

// Change is an object whose stored form has changed: a real write, seen in etcd.
type Change struct {
	// Key is the object's place: <resource>/<namespace>/<name> for the
	// Kubernetes kinds, <group>/<resource>/<namespace>/<name> for kinds of
	// CRDs, without the namespace for cluster-scoped ones.
	Key string
	// What names the change: Created, Updated, Deleted, or Replaced, which is deleted and
	// created again.
	What string
	// Writes counts the writes to an object that is there; 0 when it is not.
	Writes int64
}

// String returns the change in one line.
func (c Change) String() string { return fmt.Sprintf("%s %s (%d writes)", c.What, c.Key, c.Writes) }

// Changes returns the objects whose stored form has changed since the mark, in
// the order of their keys, whoever wrote them. A server-side apply
// that finds nothing to do is no Change, an object that was made and deleted
// since is none either: Requests has both. Leases are left out.
func (c *ControlPlane) Changes(ctx context.Context, since Mark) ([]Change, error) {
	now, err := c.etcd.keys(ctx, c.prefix()+"/")
	if err != nil {
		return nil, fmt.Errorf("read the changes of %s: %w", c.Name, err)
	}
	return diffKeys(since.stored, now), nil
}

// EtcdRevision returns the highest revision of etcd in which an object that is
// there was written, leases left out. It rises with each real write that leaves
// an object, and does not with a deletion.
func (c *ControlPlane) EtcdRevision(ctx context.Context) (int64, error) {
	now, err := c.etcd.keys(ctx, c.prefix()+"/")
	if err != nil {
		return 0, fmt.Errorf("read the revision of %s: %w", c.Name, err)
	}
	var highest int64
	for key, stored := range now {
		if !isLease(key) {
			highest = max(highest, stored.Modified)
		}
	}
	return highest, nil
}

func diffKeys(before, after map[string]storedKey) []Change {
	var changes []Change
	for key, now := range after {
		then, was := before[key]
		switch {
		case isLease(key) || was && then.Modified == now.Modified:
		case !was:
			changes = append(changes, Change{Key: key, What: Created, Writes: now.Writes})
		case then.Created != now.Created:
			changes = append(changes, Change{Key: key, What: Replaced, Writes: now.Writes})
		default:
			changes = append(changes, Change{Key: key, What: Updated, Writes: now.Writes - then.Writes})
		}
	}
	for key := range before {
		if _, is := after[key]; !is && !isLease(key) {
			changes = append(changes, Change{Key: key, What: Deleted})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Key, b.Key) })
	return changes
}

func isLease(key string) bool {
	for _, kind := range []string{"leases/", "masterleases/", "peerserverleases/"} {
		if strings.HasPrefix(key, kind) {
			return true
		}
	}
	return false
}
