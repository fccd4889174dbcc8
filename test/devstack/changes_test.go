package devstack

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiffKeys(t *testing.T) {
	before := map[string]storedKey{
		"pods/a/same":     {Created: 1, Modified: 4, Writes: 2},
		"pods/a/updated":  {Created: 2, Modified: 5, Writes: 2},
		"pods/a/replaced": {Created: 3, Modified: 3, Writes: 1},
		"pods/a/deleted":  {Created: 3, Modified: 3, Writes: 1},
		"leases/a/lease":  {Created: 1, Modified: 1, Writes: 1},
		"leases/a/over":   {Created: 1, Modified: 1, Writes: 1},
	}
	after := map[string]storedKey{
		"pods/a/same":     {Created: 1, Modified: 4, Writes: 2},
		"pods/a/updated":  {Created: 2, Modified: 9, Writes: 5},
		"pods/a/replaced": {Created: 8, Modified: 8, Writes: 1},
		"pods/a/created":  {Created: 7, Modified: 7, Writes: 1},
		"leases/a/lease":  {Created: 1, Modified: 9, Writes: 7},
		"masterleases/x":  {Created: 9, Modified: 9, Writes: 1},
	}
	want := []Change{
		{Key: "pods/a/created", What: Created, Writes: 1},
		{Key: "pods/a/deleted", What: Deleted},
		{Key: "pods/a/replaced", What: Replaced, Writes: 1},
		{Key: "pods/a/updated", What: Updated, Writes: 3},
	}
	if diff := cmp.Diff(want, diffKeys(before, after)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if got := diffKeys(after, after); len(got) != 0 {
		t.Errorf("changes of nothing: %v", got)
	}
}
