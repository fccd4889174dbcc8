package build

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// ProductFacts are the facts about a product.
type ProductFacts struct {
	// Clusters on which the product has a space, in order.
	Clusters []string
	// Adopts is true while the product is deleted and lists spaces that have no Space
	// yet: they must exist before the namespace goes.
	Adopts bool
}

// Product returns the desired state of a product on the tenant cluster: the namespace
// of its name, which holds its declarations, and a Space for each cluster on which a
// runtime asks for one. It keeps the other Spaces, which delete themselves when they are
// empty. A product that is being deleted has neither a namespace nor new Spaces.
func Product(s *snapshot.Snapshot, p *v1alpha1.Product) (Result[ProductFacts], error) {
	set := newSet(s.Tenant, ProductOwner(p.Name), plan.Tenant)
	listed := unadopted(s, p)
	facts := ProductFacts{Adopts: !p.DeletionTimestamp.IsZero() && len(listed) > 0}
	if p.DeletionTimestamp.IsZero() || facts.Adopts {
		set.add(plan.StageNamespace, namespaceKind, namespace(p.Name), snapshot.RefOf(p))
		sources := spaceSources(s, p, listed)
		facts.Clusters = slices.Sorted(maps.Keys(sources))
		for cluster, source := range sources {
			set.add(plan.StageConfig, spaceKind, &v1alpha1.Space{
				// With the finalizer from the first moment on: a Space is the record of
				// the objects on its cluster.
				ObjectMeta: metav1.ObjectMeta{Namespace: p.Name, Name: cluster, Finalizers: []string{v1alpha1.Finalizer}},
				Spec:       v1alpha1.SpaceSpec{Product: p.Name, Cluster: cluster},
			}, source)
		}
	}
	for _, space := range s.Spaces(p.Name) {
		// A Space that no runtime asks for deletes itself when it is empty.
		if !slices.Contains(facts.Clusters, space.Name) {
			set.keep(spaceKind, space.Namespace, space.Name)
		}
	}
	return Result[ProductFacts]{Plan: plan.Plan{Sets: []plan.Set{set.done()}}, Facts: facts}, nil
}

var spaceKind = v1alpha1.GroupVersion.WithKind("Space")

// spaceSources returns the clusters on which a product has a space, with the object
// that asks for it.
func spaceSources(s *snapshot.Snapshot, p *v1alpha1.Product, listed []string) map[string]plan.Ref {
	sources := map[string]plan.Ref{}
	for _, cluster := range listed {
		sources[cluster] = snapshot.RefOf(p)
	}
	members := membersOf(s, p.Name, func(string) bool { return true })
	for _, m := range slices.Backward(members) {
		sources[m.target.Cluster] = snapshot.RefOf(m.runtime)
	}
	maps.DeleteFunc(sources, func(cluster string, _ plan.Ref) bool { return cluster == "" })
	return sources
}

// unadopted returns the clusters that the status of a product lists from the time
// before there were Spaces. They hold objects of the product, so each of them gets a
// Space, which removes the objects if no runtime asks for them.
func unadopted(s *snapshot.Snapshot, p *v1alpha1.Product) []string {
	if meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionSpaces) != nil {
		return nil
	}
	var clusters []string
	for _, space := range p.Status.Spaces {
		if s.Space(p.Name, space.Cluster) == nil {
			clusters = append(clusters, space.Cluster)
		}
	}
	return clusters
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}
