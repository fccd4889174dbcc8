package summary

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
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
