package snapshot

import (
	"slices"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
)

// claimKey identifies a namespace on a cluster.
type claimKey struct{ cluster, namespace string }

// Claim is the request of a runtime for a namespace on a cluster.
type Claim struct {
	// Runtime that asks for the namespace; its own namespace is its product.
	Runtime plan.Ref
	// Recorded is true if the status of the runtime has the namespace on record.
	Recorded bool
	// Exclusive is true if the runtime shares the namespace with no other one.
	Exclusive bool
	// LosesTo is the runtime that keeps this one out; zero if the claim is granted.
	LosesTo plan.Ref

	object v1alpha1.Runtime
}

// Product returns the product of the runtime.
func (c Claim) Product() string { return c.Runtime.Namespace }

// Granted reports whether the runtime may have the namespace.
func (c Claim) Granted() bool { return c.LosesTo == plan.Ref{} }

// Claims returns the claims on a namespace of a cluster in order of precedence:
// recorded ones first, then older runtimes. A namespace belongs to one product.
// Deployment runtimes of a product may share it; a pipeline runtime shares it
// with no other runtime.
func (s *Snapshot) Claims(cluster, namespace string) []Claim {
	return slices.Clone(s.claims()[claimKey{cluster, namespace}])
}

// ClaimOf returns the claim of a runtime on a namespace, or false if there is none.
func (s *Snapshot) ClaimOf(r v1alpha1.Runtime, cluster, namespace string) (Claim, bool) {
	ref := RefOf(r)
	for _, c := range s.claims()[claimKey{cluster, namespace}] {
		if c.Runtime == ref {
			return c, true
		}
	}
	return Claim{}, false
}

// HolderOf returns the product that holds a namespace on a cluster, or "" if no
// runtime asks for it.
func (s *Snapshot) HolderOf(cluster, namespace string) string {
	if claims := s.claims()[claimKey{cluster, namespace}]; len(claims) > 0 {
		return claims[0].Product()
	}
	return ""
}

func (s *Snapshot) allClaims() map[claimKey][]Claim {
	claims := map[claimKey][]Claim{}
	s.eachRuntime(func(r v1alpha1.Runtime) {
		ref := RefOf(r)
		for _, target := range s.targetsOf(r) {
			for _, namespace := range target.Namespaces {
				key := claimKey{target.Cluster, namespace}
				if slices.ContainsFunc(claims[key], func(c Claim) bool { return c.Runtime == ref }) {
					continue
				}
				claims[key] = append(claims[key], Claim{Runtime: ref, Recorded: target.recorded, Exclusive: v1alpha1.Movable(r), object: r})
			}
		}
	})
	for _, rivals := range claims {
		slices.SortFunc(rivals, compareClaims)
		settle(rivals)
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

// settle grants the claims on one namespace in their order, except those that an
// earlier granted claim excludes.
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
