package build

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"nautes.io/nautes/api/v1alpha1"
	"nautes.io/nautes/internal/plan"
	"nautes.io/nautes/internal/snapshot"
)

// ProductFacts are empty: the namespace of a product follows from its name alone.
type ProductFacts struct{}

// Product returns the desired state of a product on the tenant cluster: the
// namespace of its name, which holds its declarations. A product that is being
// deleted has none.
func Product(s *snapshot.Snapshot, p *v1alpha1.Product) (Result[ProductFacts], error) {
	set := newSet(s.Tenant, ProductOwner(p.Name), plan.Tenant)
	if p.DeletionTimestamp.IsZero() {
		set.add(plan.StageNamespace, namespaceKind, namespace(p.Name), snapshot.RefOf(p))
	}
	return Result[ProductFacts]{Plan: plan.Plan{Sets: []plan.Set{set.done()}}}, nil
}

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}
