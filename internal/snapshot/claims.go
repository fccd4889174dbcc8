package snapshot

import (
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// place is a namespace on a cluster.
type place struct{ cluster, namespace string }

// Claim is a runtime's wish for a namespace on a cluster.
type Claim struct {
	// Runtime that wants the namespace; its namespace is its product.
	Runtime plan.Ref
	// Recorded: the runtime's status says that it is there already.
	Recorded bool
	// Exclusive: the runtime shares the namespace with no other one.
	Exclusive bool
	// LosesTo is the runtime that keeps this one out; zero when it may have the
	// namespace.
	LosesTo plan.Ref

	object v1alpha1.Object
}

// Product of the runtime.
func (c Claim) Product() string { return c.Runtime.Namespace }

// Granted tells whether the runtime may have the namespace.
func (c Claim) Granted() bool { return c.LosesTo == plan.Ref{} }

// Claims returns who wants a namespace on a cluster, the holder first: those
// that are there already, then the older ones. A namespace belongs to one
// product: its deployment runtimes may share it, a pipeline runtime shares with
// none.
func (s *Snapshot) Claims(cluster, namespace string) []Claim {
	return slices.Clone(s.claims()[place{cluster, namespace}])
}

// ClaimOf returns a runtime's claim on a namespace; false when it has none.
func (s *Snapshot) ClaimOf(o v1alpha1.Object, cluster, namespace string) (Claim, bool) {
	ref := RefOf(o)
	for _, c := range s.claims()[place{cluster, namespace}] {
		if c.Runtime == ref {
			return c, true
		}
	}
	return Claim{}, false
}

// HolderOf returns the product that has a namespace on a cluster; empty when
// nobody wants it.
func (s *Snapshot) HolderOf(cluster, namespace string) string {
	if claims := s.claims()[place{cluster, namespace}]; len(claims) > 0 {
		return claims[0].Product()
	}
	return ""
}

func (s *Snapshot) allClaims() map[place][]Claim {
	claims := map[place][]Claim{}
	add := func(o v1alpha1.Object, exclusive bool) {
		ref := RefOf(o)
		for _, target := range s.targetsOf(o) {
			for _, namespace := range target.Namespaces {
				at := place{target.Cluster, namespace}
				if slices.ContainsFunc(claims[at], func(c Claim) bool { return c.Runtime == ref }) {
					continue
				}
				claims[at] = append(claims[at], Claim{Runtime: ref, Recorded: target.recorded, Exclusive: exclusive, object: o})
			}
		}
	}
	s.runtimes.all(func(r *v1alpha1.DeploymentRuntime) { add(r, false) })
	s.pipelines.all(func(r *v1alpha1.ProjectPipelineRuntime) { add(r, true) })
	for _, wanted := range claims {
		slices.SortFunc(wanted, compareClaims)
		settle(wanted)
	}
	return claims
}

func compareClaims(a, b Claim) int {
	if a.Recorded != b.Recorded {
		if a.Recorded {
			return -1
		}
		return 1
	}
	return compareAge(a.object, b.object)
}

// settle grants the claims on one place in their order: each gets the place
// unless one that has it already excludes it.
func settle(claims []Claim) {
	for i := range claims {
		for _, earlier := range claims[:i] {
			if earlier.Granted() && excludes(earlier, claims[i]) {
				claims[i].LosesTo = earlier.Runtime
				break
			}
		}
	}
}

func excludes(a, b Claim) bool {
	return a.Product() != b.Product() || a.Exclusive || b.Exclusive
}
