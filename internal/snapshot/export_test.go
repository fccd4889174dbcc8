package snapshot

import "sigs.k8s.io/controller-runtime/pkg/client"

// Each calls f for every object of a snapshot, by kind, namespace and name.
func (s *Snapshot) Each(f func(client.Object)) {
	for _, t := range s.tables() {
		t.each(f)
	}
}
