package summary

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/engine"
	"nautes.io/nautes/internal/snapshot"
)

// Spaces returns the spaces of a product in short, by cluster: the Spaces, and the
// clusters whose Space is about to be created.
func Spaces(s *snapshot.Snapshot, p *v1alpha1.Product, clusters []string) []v1alpha1.ProductSpace {
	var spaces []v1alpha1.ProductSpace
	for _, cluster := range clusters {
		if s.Space(p.Name, cluster) == nil {
			spaces = append(spaces, v1alpha1.ProductSpace{Cluster: cluster, Namespaces: recordedNamespaces(p, cluster), Message: beingWritten})
		}
	}
	for _, space := range s.Spaces(p.Name) {
		short := v1alpha1.ProductSpace{Cluster: space.Name, Namespaces: space.Status.Namespaces, Message: beingWritten}
		if c := meta.FindStatusCondition(space.Status.Conditions, v1alpha1.ConditionReady); c != nil {
			short.Ready, short.Message = c.Status == metav1.ConditionTrue, c.Message
		} else {
			// Its first pass goes by the record in the product.
			short.Namespaces = recordedNamespaces(p, space.Name)
		}
		if short.Ready {
			short.Message = ""
		}
		spaces = append(spaces, short)
	}
	slices.SortFunc(spaces, func(a, b v1alpha1.ProductSpace) int { return strings.Compare(a.Cluster, b.Cluster) })
	return spaces
}

// SpacesOutcome returns the error of the first space of a product's status that is not
// ready, or nil. A space whose guard waits for a person comes first.
func SpacesOutcome(s *snapshot.Snapshot, p *v1alpha1.Product) error {
	var found error
	for _, short := range p.Status.Spaces {
		if short.Ready {
			continue
		}
		if space := s.Space(p.Name, short.Cluster); space != nil {
			stalled := meta.FindStatusCondition(space.Status.Conditions, v1alpha1.ConditionStalled)
			if stalled != nil && stalled.Reason == v1alpha1.ReasonPruneGuarded {
				return engine.Terminal(v1alpha1.ReasonPruneGuarded, "cluster %s: %s", short.Cluster, stalled.Message)
			}
		}
		if found == nil {
			found = engine.Waiting(v1alpha1.ReasonProgressing, "cluster %s: %s", short.Cluster, short.Message)
		}
	}
	return found
}

const beingWritten = "being written"

// recordedNamespaces returns the namespaces of a space that the product's status lists.
func recordedNamespaces(p *v1alpha1.Product, cluster string) []string {
	for _, space := range p.Status.Spaces {
		if space.Cluster == cluster {
			return space.Namespaces
		}
	}
	return nil
}
